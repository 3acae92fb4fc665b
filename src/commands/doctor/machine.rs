//! The program itself, and the user whose files it reads.

use super::Examination;
use super::finding::Finding;
use crate::platform::{self, HOME};

/// Examines version and home directory.
pub(super) fn examine(examination: &mut Examination<'_>) {
    let settings = examination.settings.clone();
    let report = &mut examination.report;
    report.ok(Finding::Version, format!("ecr {} on {}", env!("CARGO_PKG_VERSION"), settings.platform()));
    let Some(home) = settings.filled_variable(HOME) else {
        report.add(
            Finding::HomeMissing,
            format!(
                "{HOME} is not set, as it often is in services and cron jobs: docker, helpers and AWS tools look for their \
                 files in different places then"
            ),
            format!("set {HOME} for the service, or name the files: DOCKER_CONFIG, AWS_CONFIG_FILE, AWS_SHARED_CREDENTIALS_FILE"),
        );
        return;
    };
    let me = platform::user();
    match settings.filled_variable("SUDO_USER").filter(|user| user != "root") {
        Some(user) if me == 0 => report.add(
            Finding::HomeSudo,
            format!(
                "run by {user} through sudo: the login files and profiles below {home} count, not those of {user}"
            ),
            format!(
                "log in with sudo too, or run without it: `sudo usermod -aG docker {user}` lets {user} use docker"
            ),
        ),
        _ => {}
    }
    let owner = std::fs::metadata(&home).map_or(me, |facts| platform::owner(&facts));
    if owner != me {
        report.add(
            Finding::HomeOwner,
            format!(
                "{home} belongs to the user {owner}, and this runs as {me}: files that it writes there cannot be read \
                 by their owner"
            ),
            "use `sudo -H`, or run without sudo",
        );
    }
}
