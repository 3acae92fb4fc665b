//! Log of `--debug`, available to everything below the command line. Nothing is worked out for it unless somebody reads
//! it.

use std::fmt;
use std::sync::Arc;

/// Function that writes a log line, given with the part of the program that it is from.
type Writer = Arc<dyn Fn(&str, &str) + Send + Sync>;

/// Destination of the debug log; none unless `--debug` was given.
#[derive(Clone, Default)]
pub struct Log(Option<Writer>);

impl Log {
    /// Creates a log that `write` receives.
    pub fn to(writer: impl Fn(&str, &str) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(writer)))
    }

    /// Returns whether logging is on.
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Writes a line about a part of the program.
    pub fn line(&self, part: &str, text: impl FnOnce() -> String) {
        if let Some(writer) = &self.0 {
            writer(part, &text());
        }
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_on() { "Log(on)" } else { "Log(off)" })
    }
}
