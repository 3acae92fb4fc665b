//! Logins as docker, kubelet and people meet them: whole programs, whole streams, whole files.

mod clients;
mod files;
mod helper;
mod identities;
mod secrets;
mod server;

use std::io::Write;
use std::path::PathBuf;
use std::process::Stdio;

use crate::harness::{Machine, Outcome};
use server::{Manner, PASSWORD, Server};

pub(crate) const HERE: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";
pub(crate) const KEY: &str = "AKIAIOSFODNN7EXAMPLE";
pub(crate) const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
pub(crate) const NOT_FOUND: &str = "credentials not found in native keychain\n";

/// A machine whose credentials and endpoint are a stand-in's.
pub(crate) fn machine(server: &Server) -> Machine {
    let mut machine = Machine::new();
    machine
        .set("AWS_ACCESS_KEY_ID", KEY)
        .set("AWS_SECRET_ACCESS_KEY", SECRET)
        .set("AWS_ENDPOINT_URL", server.url());
    machine.set("AWS_MAX_ATTEMPTS", "1");
    machine
}

pub(crate) fn started() -> (Server, Machine) {
    let server = Server::start(Manner::Gives);
    let machine = machine(&server);
    (server, machine)
}

/// The helper under its own name.
pub(crate) fn program(machine: &Machine) -> PathBuf {
    let link = machine.path().join("docker-credential-ecr-login");
    if !link.exists() {
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_ecr"), &link).unwrap();
    }
    link
}

/// Runs a program with this on its stdin.
pub(crate) fn fed(mut command: std::process::Command, input: impl AsRef<[u8]>) -> Outcome {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // One that does not read all of it has its reasons.
    let _ = child.stdin.take().unwrap().write_all(input.as_ref());
    let output = child.wait_with_output().unwrap();
    Outcome {
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
        code: output.status.code().unwrap_or(-1),
    }
}

pub(crate) fn helper(machine: &Machine, action: &str, input: impl AsRef<[u8]>) -> Outcome {
    fed(machine.command(program(machine), &[action]), input)
}

pub(crate) fn outcome(stdout: impl Into<String>, stderr: impl Into<String>, code: i32) -> Outcome {
    Outcome { stdout: stdout.into(), stderr: stderr.into(), code }
}

/// The answer that clients read a password from.
pub(crate) fn found(url: &str) -> Outcome {
    let escaped = serde_json::Value::from(PASSWORD).to_string();
    let escaped = escaped.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026");
    outcome(format!("{{\"ServerURL\":\"{url}\",\"Username\":\"AWS\",\"Secret\":{escaped}}}\n"), "", 0)
}

/// The cache's files of this ending.
pub(crate) fn cached(machine: &Machine, ending: &str) -> Vec<PathBuf> {
    let folder = machine.path().join("home/.cache/ecr/tokens");
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| path.to_string_lossy().ends_with(ending)).collect()
}

/// Makes the only kept password older, or shifts it into the future.
pub(crate) fn age(machine: &Machine, seconds: i64) {
    let [file] = cached(machine, ".json").try_into().unwrap();
    let mut entry: serde_json::Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    for name in ["requested", "expires"] {
        entry[name] = (entry[name].as_i64().unwrap() - seconds).into();
    }
    std::fs::write(file, entry.to_string()).unwrap();
}
