//! helm's login file: its own entry wins, and docker's file is read where it has none.

use super::finding::Finding;
use super::login_file::{self, Holder};
use super::{Examination, token};
use crate::auth::auth_file::{self, Client};

/// Examines which login helm takes for these hosts.
pub(super) fn examine(examination: &mut Examination<'_>, hosts: &[String]) {
    let settings = examination.settings.clone();
    let Ok(file) = Client::Helm.file(&settings) else { return };
    if !login_file::is_used(&settings, &["helm"], &file) {
        return;
    }
    let name = file.display().to_string();
    let (unreadable, hint) = (Finding::HelmFileUnreadable, "correct it, or delete it");
    let Some(json) = login_file::read(&mut examination.report, &file, unreadable, hint) else { return };
    let of_docker = Client::Docker.file(&settings).ok().and_then(|file| auth_file::read(&file).ok());
    for host in hosts {
        let docker_holder = of_docker.as_ref().map_or(Holder::Nobody, |json| login_file::holder(json, host));
        match login_file::login(&json, host) {
            Some(login) => {
                examination.report.ok(Finding::HelmLogin, format!("{host}: helm takes {name}"));
                if !matches!(&docker_holder, Holder::Nobody) {
                    examination.report.add(
                        Finding::HelmOtherFile,
                        format!("helm takes the login for {host} of {name}, and passes over docker's"),
                        format!("`ecr login --helm {host}` renews it, `helm registry logout {host}` makes helm read \
                                 docker's file"),
                    );
                }
                token::examine(examination, host, &name, &login);
            }
            None if docker_holder == Holder::Nobody => {}
            None => examination.report.ok(Finding::HelmLogin, format!("{host}: helm takes docker's login")),
        }
    }
}
