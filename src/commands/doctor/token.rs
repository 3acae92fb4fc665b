//! A password that docker and others would send: whose, whole, and until when.

use std::time::{SystemTime, UNIX_EPOCH};

use super::Examination;
use super::finding::Finding;
use super::login_file;
use crate::auth::cached_token;
use crate::auth::get_authorization_token::format_time;
use crate::auth::read_login::StoredLogin;

/// The name that every client of ECR logs in with.
const USER: &str = "AWS";

/// Examines the login for a host in `place`, such as `~/.docker/config.json`.
pub(super) fn examine(examination: &mut Examination<'_>, host: &str, place: &str, login: &StoredLogin) {
    let new_one = format!("`ecr login {host}`");
    let report = &mut examination.report;
    let StoredLogin::Password(user, password) = login else {
        let detail =
            format!("{place} has a token of another kind for {host}; ECR takes passwords of the user {USER}");
        report.add(Finding::TokenUser, detail, new_one);
        return;
    };
    report.hide(password);
    if user != USER {
        let detail = format!(
            "{place} has a login of the user {user} for {host}; ECR takes passwords of the user {USER}"
        );
        report.add(Finding::TokenUser, detail, new_one);
    } else if let Some(damage) = damage(password) {
        report.add(Finding::TokenDamaged, format!("the password for {host} in {place} {damage}"), new_one);
    } else {
        age(examination, host, place, login_file::end(login));
    }
}

fn age(examination: &mut Examination<'_>, host: &str, place: &str, end: Option<u64>) {
    let (report, now) = (&mut examination.report, now());
    let password = format!("the password for {host} in {place}");
    match end {
        Some(end) if end <= now => report.add(
            Finding::TokenExpired,
            format!("{password} expired {} ago, at {}", span(now - end), format_time(end)),
            format!("`ecr login {host}`, or once and for all `ecr login --helper {host}`"),
        ),
        Some(end) => report.ok(Finding::Token, format!("{password} is good for {}", span(end - now))),
        None => report.ok(Finding::Token, format!("{password} does not say when it ends")),
    }
}

/// Fault of a password as a text.
fn damage(password: &str) -> Option<&'static str> {
    if password.contains(['\r', '\n', ' ', '\t']) {
        return Some(
            "has a line break or blank in it, as a terminal adds it (docker run -t … get-login-password), and is refused \
             with 400 Bad Request",
        );
    }
    cached_token::login(password)
        .filter(|(user, _)| user == USER)
        .map(|_| "is a whole authorization token (base64 of AWS:PASSWORD) instead of the password in it")
}

/// The time, in seconds since 1970.
pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// A time span in its two largest units.
pub(super) fn span(seconds: u64) -> String {
    const UNITS: [(u64, &str); 4] = [(86400, "d"), (3600, "h"), (60, "min"), (1, "s")];
    let (mut rest, mut parts) = (seconds, Vec::new());
    for (size, name) in UNITS {
        if rest >= size {
            parts.push(format!("{} {name}", rest / size));
            rest %= size;
        }
    }
    parts.truncate(2);
    if parts.is_empty() { "0 s".to_owned() } else { parts.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_have_two_units() {
        let shown = [0, 59, 60, 3_601, 90_061, 43_200].map(span);
        assert_eq!(shown, ["0 s", "59 s", "1 min", "1 h 1 s", "1 d 1 h", "12 h"]);
    }

    #[test]
    fn damage_is_reported() {
        let whole = base64_simd::STANDARD.encode_to_string("AWS:secret");
        assert!(damage(&whole).is_some_and(|words| words.contains("authorization token")));
        assert!(damage("secret\r").is_some_and(|words| words.contains("400 Bad Request")));
        assert_eq!(damage("c2VjcmV0"), None);
    }
}
