//! podman's login files, which skopeo and buildah read too (containers-auth.json(5)).

use std::path::PathBuf;

use super::finding::Finding;
use super::login_file::{self, Holder};
use super::{Examination, helper, token};
use crate::auth::auth_file::{self, Client};
use crate::auth::json_text::JsonText;
use crate::settings::Settings;

/// Examines which login podman takes for these hosts.
pub(super) fn examine(examination: &mut Examination<'_>, hosts: &[String]) {
    let settings = examination.settings.clone();
    let Ok(own) = Client::Podman.file(&settings) else { return };
    if !login_file::is_used(&settings, &["podman", "skopeo", "buildah"], &own) {
        return;
    }
    let (unreadable, hint) = (Finding::PodmanFileUnreadable, "correct it, or delete it");
    let mut files = Vec::new();
    for file in own_files(&settings, own) {
        let json = login_file::read(&mut examination.report, &file, unreadable, hint);
        files.extend(json.map(|json| (file.display().to_string(), json)));
    }
    let of_docker = Client::Docker.file(&settings).ok();
    let of_docker =
        of_docker.and_then(|file| Some((file.display().to_string(), auth_file::read(&file).ok()?)));
    for host in hosts {
        login(examination, &files, of_docker.as_ref(), host);
    }
}

/// podman's own files, in the order in which it reads them.
fn own_files(settings: &Settings, first: PathBuf) -> Vec<PathBuf> {
    let mut files = vec![first];
    if settings.filled_variable("REGISTRY_AUTH_FILE").is_none() {
        files.extend(
            settings
                .base_folder("XDG_CONFIG_HOME", ".config")
                .map(|folder| folder.join("containers/auth.json")),
        );
    }
    files.dedup();
    files
}

fn login(
    examination: &mut Examination<'_>,
    own: &[(String, JsonText)],
    of_docker: Option<&(String, JsonText)>,
    host: &str,
) {
    let docker_holder = of_docker.map_or(Holder::Nobody, |(_, json)| login_file::holder(json, host));
    for (name, json) in own {
        let holder = login_file::holder(json, host);
        // A store for all hosts is docker's idea alone.
        let holder = match holder {
            Holder::Store(_) => login_file::login(json, host).map_or(Holder::Nobody, Holder::File),
            holder => holder,
        };
        if holder == Holder::Nobody {
            continue;
        }
        examination
            .report
            .ok(Finding::PodmanLogin, format!("{host}: podman, skopeo and buildah take {name}"));
        if let (true, Some((file, _))) =
            (docker_holder != Holder::Nobody && docker_holder != holder, of_docker)
        {
            examination.report.add(
                Finding::PodmanOtherFile,
                format!("podman takes the login for {host} of {name}, and passes over the one of {file}"),
                format!("`ecr login --podman {host}` renews it, `podman logout {host}` makes podman read docker's \
                         file"),
            );
        }
        match &holder {
            Holder::Helper(program) => helper::examine(examination, host, program, false),
            Holder::File(login) => token::examine(examination, host, name, login),
            Holder::Store(_) | Holder::Nobody => {}
        }
        return;
    }
    in_docker(examination, docker_holder, of_docker, host);
}

/// Examines the login that podman takes from docker's file, as its own have none.
fn in_docker(
    examination: &mut Examination<'_>,
    holder: Holder,
    file: Option<&(String, JsonText)>,
    host: &str,
) {
    match (holder, file) {
        (Holder::Store(store), Some((file, json))) if login_file::login(json, host).is_none() => {
            examination.report.add(
                Finding::PodmanNoStore,
                format!("the login for {host} is with docker-credential-{store} (credsStore in {file}), which \
                         podman never asks"),
                format!("`ecr login --podman {host}`, or a helper for this host alone: `ecr login --helper {host}`"),
            );
        }
        (Holder::Nobody, _) | (_, None) => examination.report.add(
            Finding::PodmanLoginMissing,
            format!("podman has no login for {host}"),
            format!("`ecr login --podman {host}`"),
        ),
        (_, Some((file, _))) => {
            examination
                .report
                .ok(Finding::PodmanLogin, format!("{host}: podman, skopeo and buildah take docker's {file}"));
        }
    }
}
