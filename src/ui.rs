//! The terminal: its streams and width, the pager, and colours.
//!
//! stdout is data and stderr is talk. A reader that closes stdout early is no error. What is printed at once counts as
//! printed, so that a command keeps its own exit code; a listing that is written page by page ends with `BrokenPipe`, of
//! which `crate::error` makes a quiet 0.

pub mod encoder;
pub mod pager;
pub mod progress;
pub mod secret;

use std::io::{self, BufRead, IsTerminal, Write};

use crate::escape::escape_lines;
use crate::platform;
use crate::settings::without_userinfo;

/// The name that this program goes by, and calls itself in its texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Name {
    /// Its own.
    Ecr,
    /// The AWS CLI, which this program replaces.
    Aws,
}

impl Name {
    /// The name as it is written.
    pub fn text(self) -> &'static str {
        match self {
            Self::Ecr => "ecr",
            Self::Aws => "aws",
        }
    }
}

/// Width of output, in columns, without a terminal.
const WIDTH_WITHOUT_TERMINAL: usize = 80;

/// Standard streams of this process, and which of them are terminals.
#[derive(Debug, Clone)]
pub struct Ui {
    name: Name,
    out_is_terminal: bool,
    err_is_terminal: bool,
    in_is_terminal: bool,
}

impl Ui {
    /// The standard streams of this process.
    pub fn new(name: Name) -> Self {
        Self {
            name,
            out_is_terminal: io::stdout().is_terminal(),
            err_is_terminal: io::stderr().is_terminal(),
            in_is_terminal: io::stdin().is_terminal(),
        }
    }

    /// The name that this program goes by.
    pub fn name(&self) -> Name {
        self.name
    }

    /// Returns whether stdout is a terminal.
    pub fn out_is_terminal(&self) -> bool {
        self.out_is_terminal
    }

    /// Returns whether stderr is a terminal.
    pub fn err_is_terminal(&self) -> bool {
        self.err_is_terminal
    }

    /// Returns whether stdin is a terminal, so that questions can be asked.
    pub fn in_is_terminal(&self) -> bool {
        self.in_is_terminal
    }

    /// The columns of the terminal at stdout; 80 where there is none.
    pub fn width(&self) -> usize {
        let size = terminal_size::terminal_size_of(io::stdout());
        size.map_or(WIDTH_WITHOUT_TERMINAL, |(width, _)| usize::from(width.0))
    }

    /// The columns of the terminal at stderr, where there is one.
    pub fn err_width(&self) -> Option<usize> {
        terminal_size::terminal_size_of(io::stderr()).map(|(width, _)| usize::from(width.0))
    }

    /// The lines of the terminal at stderr, where there is one.
    pub fn err_height(&self) -> Option<usize> {
        terminal_size::terminal_size_of(io::stderr()).map(|(_, height)| usize::from(height.0))
    }

    /// Writes data to stdout, whole and at once. Where nobody reads it any more, it counts as printed.
    pub fn print(&self, text: &str) -> io::Result<()> {
        self.print_bytes(&platform::with_line_ends(text.as_bytes()))
    }

    /// Writes bytes to stdout like [`Ui::print`].
    pub fn print_bytes(&self, bytes: &[u8]) -> io::Result<()> {
        self.print_with(|out| out.write_all(bytes))
    }

    /// Writes `write`'s output to stdout, until the reader closes it.
    ///
    /// # Errors
    ///
    /// Where it cannot be written for another reason, such as a full disk.
    pub fn print_with(&self, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
        let mut out = io::BufWriter::new(io::stdout().lock());
        match write(&mut out).and_then(|()| out.flush()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            printed => printed,
        }
    }

    /// Writes a message to stderr; passwords in URLs are removed, whatever their origin. Where nobody listens any more
    /// it is lost, and nothing is worse for it.
    pub fn say(&self, text: &str) {
        let _ = io::stderr().lock().write_all(without_userinfo(text).as_bytes());
    }

    /// Writes a message of one or several lines to stderr, with control characters escaped: much of it repeats text of
    /// others.
    pub fn note(&self, line: &str) {
        self.say(&format!("{}\n", escape_lines(line)));
    }

    /// Asks a yes-or-no question on stderr and reads the answer; anything but yes is no.
    pub fn confirm(&self, question: &str) -> io::Result<bool> {
        self.say(&format!("{question} [y/N] "));
        let mut answer = String::new();
        io::stdin().lock().read_line(&mut answer)?;
        Ok(matches!(answer.trim(), "y" | "Y" | "yes" | "Yes" | "YES"))
    }
}
