//! Runs `docker-credential-NAME`, a program that keeps logins (docker's protocol for credential helpers).

use std::io::{self, Read as _, Write as _};
use std::process::{Command, ExitStatus, Stdio};

use crate::settings::Settings;

/// Limit of the bytes read from a program: no login is that long.
const MAX_BYTES: u64 = 1 << 20;

/// Output of a credential program.
pub(super) struct ProgramOutput {
    pub(super) status: ExitStatus,
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: Vec<u8>,
}

/// Runs the program with an action (`get`, `store`, `erase`) and the action's input.
pub(super) fn run(
    settings: &Settings,
    name: &str,
    action: &str,
    input: &str,
) -> Result<ProgramOutput, String> {
    let words = |error: io::Error| error.to_string();
    // A name out of a file is the name of a program on PATH, never a path.
    let found = if name.contains('/') { Vec::new() } else { settings.programs(&program(name)) };
    let path = found.into_iter().next().ok_or("there is no such program on PATH")?;
    let mut command = Command::new(path);
    command.arg(action).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(words)?;
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let errors = std::thread::spawn(move || bounded(stderr));
    if let Some(mut stdin) = stdin {
        // One that does not read its input may answer all the same, or says why by its exit code.
        let _ = stdin.write_all(input.as_bytes());
    }
    let stdout = bounded(stdout);
    let stderr = errors.join().unwrap_or_default();
    let status = child.wait().map_err(words)?;
    Ok(ProgramOutput { status, stdout, stderr })
}

/// The file name of the program that docker calls by this name.
pub(super) fn program(name: &str) -> String {
    format!("docker-credential-{name}")
}

/// Reads a program's output up to a limit, behind which the pipe is closed.
fn bounded(pipe: Option<impl io::Read>) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(pipe) = pipe {
        // What was said before the pipe broke counts.
        let _ = pipe.take(MAX_BYTES).read_to_end(&mut bytes);
    }
    bytes
}
