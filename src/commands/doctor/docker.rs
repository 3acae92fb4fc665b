//! docker's login file: which file counts, and which of its entries wins for a host.

use std::path::{Path, PathBuf};

use super::finding::Finding;
use super::login_file::{self, Holder};
use super::{Examination, helper, token};
use crate::auth::auth_file::Client;
use crate::auth::get_authorization_token::format_time;
use crate::auth::json_text::JsonText;
use crate::auth::write_login::{HELPER, names_host};
use crate::image::glob;
use crate::platform;

/// Members that people write by mistake, with the right ones.
const MISSPELT: [(&str, &str); 6] = [
    ("credStore", "credsStore"),
    ("credsStores", "credsStore"),
    ("credHelper", "credHelpers"),
    ("credsHelper", "credHelpers"),
    ("credsHelpers", "credHelpers"),
    ("auth", "auths"),
];

/// Examines the file and the logins for these hosts.
pub(super) fn examine(examination: &mut Examination<'_>, hosts: &[String]) {
    let settings = examination.settings.clone();
    auth_config(examination, hosts);
    let Ok(file) = Client::Docker.file(&settings) else { return };
    if let Some(folder) = settings.filled_variable("DOCKER_CONFIG")
        && !Path::new(&folder).is_dir()
    {
        let what = if Path::new(&folder).exists() { "is a file" } else { "does not exist" };
        examination.report.add(
            Finding::DockerConfigVariable,
            format!("DOCKER_CONFIG is {folder}, which {what}; docker expects the folder of config.json"),
            "name the folder, or unset DOCKER_CONFIG",
        );
        return;
    }
    if !login_file::is_used(&settings, &["docker"], &file) {
        return;
    }
    let hint = "correct it; one that root wrote under sudo is given back by `sudo chown $USER`";
    let json = login_file::read(&mut examination.report, &file, Finding::DockerFileUnreadable, hint);
    let Some(json) = json else { return };
    the_file(examination, &file, &json);
    for host in hosts {
        logins(examination, &file, &json, host);
    }
}

/// The variable that newer docker and GitLab's runner read before the file.
fn auth_config(examination: &mut Examination<'_>, hosts: &[String]) {
    let Some(text) = examination.settings.filled_variable("DOCKER_AUTH_CONFIG") else { return };
    let json = JsonText::read(&text);
    if let Ok(json) = &json {
        login_file::hide(&mut examination.report, json);
    }
    examination.report.hide(&text);
    let named: Vec<&String> = hosts
        .iter()
        .filter(|host| json.as_ref().is_ok_and(|json| !login_file::keys(json, host).is_empty()))
        .collect();
    let what = match (&json, named.first()) {
        (Err(_), _) => "is set, and is not JSON".to_owned(),
        (Ok(_), Some(host)) => format!("has a login for {host}"),
        (Ok(_), None) => "is set".to_owned(),
    };
    examination.report.add(
        Finding::DockerAuthConfig,
        format!("DOCKER_AUTH_CONFIG {what}: docker from 28.3 on and GitLab's runner read it before the file"),
        "a password in it ends after 12 hours: name a helper there (credHelpers), or unset it",
    );
}

fn the_file(examination: &mut Examination<'_>, file: &Path, json: &JsonText) {
    let report = &mut examination.report;
    let name = file.display();
    let Ok(facts) = std::fs::metadata(file) else {
        report.ok(Finding::DockerFile, format!("{name} does not exist yet"));
        for other in
            elsewhere(&examination.settings.home().unwrap_or_default()).iter().filter(|path| path.exists())
        {
            examination.report.add(
                Finding::DockerFileElsewhere,
                format!("{} is there, which docker does not read", other.display()),
                format!("docker reads {name}"),
            );
        }
        return;
    };
    report.ok(Finding::DockerFile, name.to_string());
    let has_login = json
        .keys(&["auths"])
        .iter()
        .any(|key| json.get(&["auths", key]).is_some_and(|entry| entry != serde_json::json!({})));
    let mode = platform::mode(&facts) & 0o777;
    if has_login && mode & 0o077 != 0 {
        report.add(
            Finding::DockerFileReadable,
            format!("others can read the passwords in {name} (mode {mode:04o})"),
            format!("`chmod 600 {name}`"),
        );
    }
    members(examination, &name.to_string(), json);
}

/// Members of the file that docker does not read, or that send too much to our helper.
fn members(examination: &mut Examination<'_>, name: &str, json: &JsonText) {
    let report = &mut examination.report;
    for (wrong, right) in MISSPELT.iter().filter(|(wrong, _)| json.get(&[wrong]).is_some()) {
        let detail = format!("{name} has {wrong}, which docker does not know");
        report.add(Finding::DockerFileMember, detail, format!("it is called {right}"));
    }
    if json.get(&["credsStore"]).is_some_and(|store| store == HELPER) {
        report.add(
            Finding::DockerStoreIsEcr,
            format!("{name} makes {HELPER} the store of all registries (credsStore): docker login to any other one \
                     fails"),
            "name it for ECR's hosts only: `ecr login --helper HOST`",
        );
    }
}

/// Returns paths where people put the file and docker does not look.
fn elsewhere(home: &Path) -> Vec<PathBuf> {
    let at_home = [".docker/config", ".docker.json", ".dockercfg", "snap/docker/current/.docker/config.json"];
    at_home.iter().map(|name| home.join(name)).chain([PathBuf::from("/etc/docker/config.json")]).collect()
}

fn logins(examination: &mut Examination<'_>, file: &Path, json: &JsonText, host: &str) {
    let name = file.display().to_string();
    let holder = login_file::holder(json, host);
    if let Some(key) = almost(json, host).filter(|_| !matches!(holder, Holder::Helper(_))) {
        wrong_key(examination, &name, &key, host);
        if let Holder::Store(store) = &holder {
            examination.report.add(
                Finding::DockerStoreWins,
                format!("so credsStore ({store}) is asked for {host}, and not the helper of {key}"),
                format!("`ecr login --helper {host}`"),
            );
        }
    }
    match &holder {
        Holder::Helper(program) => {
            let detail = format!("{host}: docker asks docker-credential-{program} (credHelpers in {name})");
            examination.report.ok(Finding::DockerLogin, detail);
            shadowed(examination, json, host, &name);
            helper::examine(examination, host, program, false);
        }
        Holder::Store(program) => {
            let detail = format!("{host}: docker asks docker-credential-{program} (credsStore in {name})");
            examination.report.ok(Finding::DockerLogin, detail);
            shadowed(examination, json, host, &name);
            helper::examine(examination, host, program, true);
        }
        Holder::File(login) => {
            examination.report.ok(Finding::DockerLogin, format!("{host}: the password in {name} (auths)"));
            twice(examination, json, host, &name);
            token::examine(examination, host, &name, login);
        }
        Holder::Nobody => examination.report.add(
            Finding::DockerLoginMissing,
            format!("{name} has no login for {host}: docker says `no basic auth credentials`"),
            format!("`ecr login {host}`, or once and for all `ecr login --helper {host}`"),
        ),
    }
}

fn wrong_key(examination: &mut Examination<'_>, file: &str, key: &str, host: &str) {
    examination.report.add(
        Finding::DockerHelperKey,
        format!(
            "credHelpers in {file} has {key}, which never fits: docker looks for {host} exactly, and knows no globs"
        ),
        format!("`ecr login --helper {host}` writes the key as docker wants it"),
    );
}

/// A key of `credHelpers` that should be this host's, and is not the host exactly.
fn almost(json: &JsonText, host: &str) -> Option<String> {
    let fits = |key: &String| {
        key != host && (names_host(key, host) || (key.contains('*') && glob::matches(key, host)))
    };
    json.keys(&["credHelpers"]).into_iter().find(fits)
}

/// A password in the file that docker does not read, and others do.
fn shadowed(examination: &mut Examination<'_>, json: &JsonText, host: &str, file: &str) {
    let Some(login) = login_file::login(json, host) else { return };
    let end = match login_file::end(&login) {
        Some(end) if end <= token::now() => format!(", expired since {}", format_time(end)),
        _ => String::new(),
    };
    examination.report.add(
        Finding::DockerAuthsShadowed,
        format!("auths in {file} has a password for {host} too{end}: docker passes over it, and programs that know \
                 no helpers send it"),
        format!("`docker logout {host}`, or delete the entry; `ecr login --helper {host}` does so"),
    );
}

/// Two passwords for one host, under its name and under a URL.
fn twice(examination: &mut Examination<'_>, json: &JsonText, host: &str, file: &str) {
    let keys = login_file::keys(json, host);
    if keys.len() > 1 {
        examination.report.add(
            Finding::DockerLoginsTwice,
            format!(
                "auths in {file} has {} for one registry: docker takes {host} and passes over the others, \
                     however new they are",
                keys.join(" and ")
            ),
            format!("`docker logout` each of them, then `ecr login {host}`"),
        );
    }
}
