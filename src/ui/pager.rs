//! Output through a pager: started at the first byte, so that a missing pager matters only where there is
//! something to show.

use std::io::{self, BufWriter, ErrorKind, Stdout, Write};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use super::encoder::encoded;
use crate::platform;
use crate::settings::Encoding;

/// A pager has the terminal.
static OPEN: AtomicBool = AtomicBool::new(false);

/// Returns whether a pager has the terminal, and with it Ctrl-C.
pub fn is_open() -> bool {
    OPEN.load(Ordering::SeqCst)
}

/// The pager could not be started.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct PagerError(pub String);

/// Destination of an operation's output, and its encoding.
#[derive(Debug)]
pub struct Sink {
    way: Output,
    encoding: Encoding,
}

#[derive(Debug)]
enum Output {
    /// To stdout.
    Direct(BufWriter<Stdout>),
    /// To a pager, split as a shell would.
    Paged(Pager),
}

/// A pager that may not be running yet.
#[derive(Debug)]
pub struct Pager {
    command: String,
    less_flags: Option<&'static str>,
    child: Option<Child>,
}

impl Sink {
    /// Straight to stdout.
    pub fn direct(encoding: Encoding) -> Self {
        Self { way: Output::Direct(BufWriter::new(io::stdout())), encoding }
    }

    /// Through this command. `less_flags` become `LESS` where that is not set already.
    pub fn paged(command: &str, less_flags: Option<&'static str>, encoding: Encoding) -> Self {
        Self { way: Output::Paged(Pager { command: command.to_owned(), less_flags, child: None }), encoding }
    }

    /// Returns whether output goes to stdout without a pager.
    pub fn is_direct(&self) -> bool {
        matches!(self.way, Output::Direct(_))
    }

    /// Writes the rest, and waits for the reader to close the pager. How the pager ends is not our affair.
    pub fn finish(mut self) -> io::Result<()> {
        let flushed = self.flush();
        if let Output::Paged(Pager { child: Some(mut child), .. }) = self.way {
            drop(child.stdin.take());
            let ended = child.wait();
            OPEN.store(false, Ordering::SeqCst);
            ended?;
        }
        flushed
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = platform::with_line_ends(bytes);
        let piece = encoded(&text, self.encoding).map_err(io::Error::other)?;
        match &mut self.way {
            Output::Direct(out) => out.write_all(&piece)?,
            Output::Paged(pager) => match pager.stdin()?.write_all(&piece) {
                // Closed early by its reader: the rest is not wanted.
                Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
                result => result?,
            },
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.way {
            Output::Direct(out) => out.flush(),
            Output::Paged(_) => Ok(()),
        }
    }
}

impl Pager {
    fn stdin(&mut self) -> io::Result<&mut impl Write> {
        if self.child.is_none() {
            self.child = Some(self.start()?);
            OPEN.store(true, Ordering::SeqCst);
        }
        let child = self.child.as_mut().and_then(|child| child.stdin.as_mut());
        child.ok_or_else(|| io::Error::from(ErrorKind::BrokenPipe))
    }

    fn start(&self) -> io::Result<Child> {
        let words =
            shell_words::split(&self.command).map_err(|e| io::Error::other(PagerError(e.to_string())))?;
        let Some((program, arguments)) = words.split_first() else {
            return Err(io::Error::other(PagerError("list index out of range".to_owned())));
        };
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::piped());
        if let Some(flags) = self.less_flags {
            command.env("LESS", flags);
        }
        command.spawn().map_err(|error| {
            let reason = match (error.kind(), error.raw_os_error()) {
                (ErrorKind::NotFound, _) => "[Errno 2] No such file or directory".to_owned(),
                (ErrorKind::PermissionDenied, _) => "[Errno 13] Permission denied".to_owned(),
                (_, number) => format!("[Errno {}] {error}", number.unwrap_or_default()),
            };
            io::Error::other(PagerError(format!("{reason}: '{program}'")))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_pager_is_named_at_the_first_byte_and_not_before() {
        Sink::paged("/no/such/pager -x", None, Encoding::Utf8).finish().expect("nothing to show");
        let error =
            Sink::paged("/no/such/pager -x", None, Encoding::Utf8).write(b"x").expect_err("it is missing");
        assert_eq!(error.to_string(), "[Errno 2] No such file or directory: '/no/such/pager'");
    }

    #[test]
    fn a_pager_that_closes_early_is_no_error() {
        let mut sink = Sink::paged("true", Some("FRX"), Encoding::Utf8);
        for _ in 0..64 {
            sink.write_all(&[b'x'; 4096]).expect("the pager need not read");
        }
        sink.finish().expect("its end is not our affair");
    }
}
