//! `ecr local serve` as a process, and HTTP by hand: a request's bytes go out, a whole answer comes back.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Stdio};

use sha2::{Digest as _, Sha256};

use super::Machine;

/// A server on a free port, stopped when it goes out of scope.
pub(crate) struct Serve {
    process: Option<Child>,
    pub(crate) address: String,
}

/// An answer as it came.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Serve {
    pub(crate) fn start(machine: &Machine, options: &[&str]) -> Self {
        Self::start_with(machine, &[env!("CARGO_BIN_EXE_ecr")], options)
    }

    /// Starts it through another program, whose last arguments it is.
    pub(crate) fn start_with(machine: &Machine, program: &[&str], options: &[&str]) -> Self {
        let arguments = [&program[1..], &["local", "serve", "--port", "0"], options].concat();
        let mut command = machine.command(program[0], &arguments);
        let mut process = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().rsplit('/').next().unwrap().to_owned();
        Self { process: Some(process), address }
    }

    /// One that somebody else started and stops.
    pub(crate) fn at(address: &str) -> Self {
        Self { process: None, address: address.to_owned() }
    }

    /// The most memory that it has had, in KiB.
    #[cfg(target_os = "linux")]
    pub(crate) fn peak_memory(&self) -> u64 {
        let process = self.process.as_ref().map_or(0, Child::id);
        let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// Kills it and waits until it is gone.
    pub(crate) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    /// Sends a request, `METHOD PATH` with headers behind it, and reads the answer to its end.
    pub(crate) fn send(&self, request: &str, headers: &[&str], body: &[u8]) -> Answer {
        self.raw(&self.bytes(request, headers, body))
    }

    /// Like [`Self::send`], for a server that may be gone: `None` if no whole answer comes.
    pub(crate) fn attempt(&self, request: &str, headers: &[&str], body: &[u8]) -> Option<Answer> {
        let mut stream = TcpStream::connect(&self.address).ok()?;
        stream.write_all(&self.bytes(request, headers, body)).ok()?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).ok()?;
        answer.windows(4).any(|four| four == b"\r\n\r\n").then(|| Answer::of(&answer))
    }

    fn bytes(&self, request: &str, headers: &[&str], body: &[u8]) -> Vec<u8> {
        let mut head = format!("{request} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n", self.address);
        if !headers.iter().any(|header| header.starts_with("Transfer-Encoding")) {
            head.extend(["Content-Length: ", &body.len().to_string(), "\r\n"]);
        }
        head.extend(headers.iter().flat_map(|header| [header, "\r\n"]));
        [head.as_bytes(), b"\r\n", body].concat()
    }

    /// Sends these very bytes and reads the answer to its end.
    pub(crate) fn raw(&self, bytes: &[u8]) -> Answer {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        // A server that refuses may stop reading; its answer is there all the same.
        let _ = stream.write_all(bytes);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        Answer::of(&answer)
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.send(&format!("GET {path}"), &[], b"")
    }

    /// Uploads a blob in one request; answers its digest.
    pub(crate) fn blob(&self, name: &str, content: &[u8]) -> String {
        let digest = digest(content);
        let answer = self.send(&format!("POST /v2/{name}/blobs/uploads/?digest={digest}"), &[], content);
        assert_eq!(answer.status, 201, "{}", answer.text());
        digest
    }

    /// Puts a manifest under a tag or digest.
    pub(crate) fn manifest(&self, name: &str, reference: &str, media_type: &str, content: &str) -> Answer {
        let content_type = format!("Content-Type: {media_type}");
        self.send(&format!("PUT /v2/{name}/manifests/{reference}"), &[&content_type], content.as_bytes())
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Answer {
    fn of(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("an answer with a head");
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines.map(|line| line.split_once(": ").unwrap());
        let headers = headers.map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect();
        Self { status, headers, body: bytes[end + 4..].to_vec() }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The whole answer but for the date, one line for each header in the order of their names.
    pub(crate) fn whole(&self) -> String {
        let mut lines: Vec<String> = self
            .headers
            .iter()
            .filter(|(name, _)| name != "date" && name != "connection")
            .map(|(name, value)| format!("{name}: {value}\n"))
            .collect();
        lines.sort();
        format!("{}\n{}\n{}", self.status, lines.concat(), self.text())
    }
}

/// The SHA-256 of these bytes as a digest.
pub(crate) fn digest(content: &[u8]) -> String {
    format!("sha256:{}", hex(&Sha256::digest(content)))
}

/// Bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .filter_map(|digit| char::from_digit(digit.into(), 16))
        .collect()
}
