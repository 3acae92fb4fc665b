//! Errors of the operating system, worded as Python does.

use std::io;

use crate::model::python::string_repr;

/// Python's error for a file that cannot be opened: the number, the reason and, if known, the file.
pub(super) fn of_file(error: &io::Error, file: Option<&str>) -> String {
    let words = error.to_string();
    let words = match (error.raw_os_error(), words.split_once(" (os error")) {
        (Some(code), Some((words, _))) => format!("[Errno {code}] {words}"),
        _ => words,
    };
    match file {
        Some(file) => format!("{words}: {}", string_repr(file)),
        None => words,
    }
}
