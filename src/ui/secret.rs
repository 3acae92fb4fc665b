//! A question whose answer is not shown: the code of an MFA device.

use std::io;

/// Prompts at the terminal, whatever stdin and stderr are, and reads a line without showing it. Where there is no
/// terminal, the question goes to stderr and the answer comes from stdin.
pub fn ask(question: &str) -> io::Result<String> {
    #[cfg(unix)]
    if let Ok(terminal) = std::fs::OpenOptions::new().read(true).write(true).open("/dev/tty") {
        return ask_at(&terminal, question);
    }
    let mut answer = String::new();
    io::Write::write_all(&mut io::stderr(), question.as_bytes())?;
    if io::stdin().read_line(&mut answer)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(answer.trim_end().to_owned())
}

#[cfg(unix)]
fn ask_at(mut terminal: &std::fs::File, question: &str) -> io::Result<String> {
    use std::io::{BufRead, BufReader, Write};

    use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, tcgetattr, tcsetattr};

    /// The byte of Ctrl-C.
    const INTERRUPT: u8 = 3;
    terminal.write_all(question.as_bytes())?;
    let before = tcgetattr(terminal)?;
    let mut hidden = before.clone();
    // A signal would leave the terminal without echo: Ctrl-C ends the line instead, and is seen there.
    hidden.local_modes.remove(LocalModes::ECHO | LocalModes::ISIG);
    hidden.special_codes[SpecialCodeIndex::VEOL] = INTERRUPT;
    tcsetattr(terminal, OptionalActions::Flush, &hidden)?;
    let mut answer = Vec::new();
    let mut reader = BufReader::new(terminal);
    let read = loop {
        match reader.fill_buf() {
            Ok([]) if answer.is_empty() => break Err(io::ErrorKind::UnexpectedEof.into()),
            Ok([]) => break Ok(()),
            Ok(bytes) => {
                let length = bytes.len();
                answer.extend_from_slice(bytes);
                reader.consume(length);
                if matches!(answer.last(), Some(b'\n' | &INTERRUPT)) {
                    break Ok(());
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => break Err(error),
        }
    };
    tcsetattr(terminal, OptionalActions::Flush, &before)?;
    terminal.write_all(b"\n")?;
    read?;
    if answer.contains(&INTERRUPT) {
        return Err(io::ErrorKind::Interrupted.into());
    }
    Ok(String::from_utf8_lossy(&answer).trim_end().to_owned())
}
