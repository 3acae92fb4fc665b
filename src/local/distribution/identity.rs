//! Identity of a registry's client: from the password of an authorization token, or anonymous.

use crate::iam::Principal;
use crate::local::core::local::Local;
use crate::local::core::token::PasswordSecret;
use crate::local::distribution::error::OciError;
use crate::local::distribution::registry::Rules;
use crate::local::store::time;

/// Bearer token of clients without credentials.
pub(in crate::local) const ANONYMOUS: &str = "anonymous";

/// The name that every client logs in with.
const USER: &str = "AWS";

/// A client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::local) struct Identity {
    /// Its account, which is the registry that it sees.
    pub(in crate::local) account: String,
    /// The region of that registry.
    pub(in crate::local) region: String,
    /// A token gave account and region; otherwise both are defaults.
    pub(in crate::local) is_known: bool,
    /// Principal to authorize.
    pub(in crate::local) principal: Principal,
}

/// Returns the password in an `Authorization` header: of `AWS` in the basic scheme; in the bearer scheme the password
/// itself or a whole authorization token, which the public service takes.
pub(in crate::local) fn password(header: &str) -> Option<String> {
    let (scheme, value) = header.split_once(' ')?;
    let pair = || {
        let bytes = base64_simd::forgiving_decode_to_vec(value.trim().as_bytes()).ok()?;
        let text = String::from_utf8(bytes).ok()?;
        let (user, password) = text.split_once(':')?;
        (user == USER).then(|| password.to_owned())
    };
    match scheme.to_ascii_lowercase().as_str() {
        "basic" => pair(),
        "bearer" => Some(pair().unwrap_or_else(|| value.trim().to_owned())),
        _ => None,
    }
}

impl Identity {
    /// The client behind a header. `open` lets in those without credentials, as does the rule.
    pub(in crate::local) fn of(
        local: &Local,
        rules: &Rules,
        header: Option<&str>,
        open: bool,
    ) -> Result<Self, OciError> {
        let unauthorized = |text: &str| OciError::new(401, "UNAUTHORIZED", text);
        let nobody = Self {
            account: rules.account.clone(),
            region: rules.region.clone(),
            is_known: false,
            principal: Principal::root(&rules.account),
        };
        let password = header.and_then(password).filter(|password| password != ANONYMOUS);
        let Some(password) = password else {
            let is_wrong = header.is_some_and(|header| !header.ends_with(ANONYMOUS));
            let is_welcome = rules.anonymous || (open && !is_wrong);
            return if is_welcome { Ok(nobody) } else { Err(unauthorized("Not Authorized")) };
        };
        let mint = local.read(PasswordSecret::of)?;
        match mint.grant(&password) {
            Some(grant) if mint.is_good(&grant, time::now()) => {
                let principal = grant.principal();
                Ok(Self { account: grant.account, region: grant.region, is_known: true, principal })
            }
            _ if rules.anonymous => Ok(nobody),
            None => Err(unauthorized("Not Authorized")),
            Some(_) => {
                let text = "Your authorization token has expired. Reauthenticate and try again.";
                Err(if rules.quirks { OciError::new(403, "DENIED", text) } else { unauthorized(text) })
            }
        }
    }
}
