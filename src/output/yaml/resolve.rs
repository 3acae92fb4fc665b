//! Detection of plain texts that would be read back as something other than a string: ruamel's resolver for YAML 1.2,
//! which is looser than the YAML 1.2 core schema.

/// Returns whether a reader would take this text for a boolean, a number, a time, null or a merge key.
pub(super) fn is_special(text: &str) -> bool {
    match text {
        "" | "~" | "null" | "Null" | "NULL" | "true" | "True" | "TRUE" | "false" | "False" | "FALSE"
        | "<<" | "=" => true,
        _ => {
            let first = text.as_bytes()[0];
            let is_number = first.is_ascii_digit() || matches!(first, b'-' | b'+' | b'.');
            is_number && (is_float(text) || first != b'.' && is_integer(text) || is_time(text))
        }
    }
}

fn unsigned(text: &str) -> &str {
    text.strip_prefix(['-', '+']).unwrap_or(text)
}

/// At least one character, all of them digits of this radix or underscores.
fn digits(text: &str, radix: u32) -> bool {
    !text.is_empty() && text.chars().all(|character| character == '_' || character.is_digit(radix))
}

fn is_integer(text: &str) -> bool {
    let text = unsigned(text);
    let prefixed = |prefix: &str, radix| text.strip_prefix(prefix).is_some_and(|rest| digits(rest, radix));
    digits(text, 10) || prefixed("0b", 2) || prefixed("0o", 8) || prefixed("0x", 16)
}

fn is_float(text: &str) -> bool {
    if matches!(text, ".nan" | ".NaN" | ".NAN") || matches!(unsigned(text), ".inf" | ".Inf" | ".INF") {
        return true;
    }
    let (mantissa, exponent) = match unsigned(text).split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned(text), None),
    };
    let only_digits = |text: &str| !text.is_empty() && text.bytes().all(|digit| digit.is_ascii_digit());
    if exponent.is_some_and(|exponent| !only_digits(unsigned(exponent))) {
        return false;
    }
    match mantissa.split_once('.') {
        // Without digits in front the exponent must have a sign.
        Some(("", fraction)) => {
            digits(fraction, 10) && exponent.is_none_or(|text| text.starts_with(['-', '+']))
        }
        Some((whole, fraction)) => {
            whole.starts_with(|first: char| first.is_ascii_digit())
                && digits(whole, 10)
                && (fraction.is_empty() || digits(fraction, 10))
        }
        None => {
            exponent.is_some()
                && mantissa.starts_with(|first: char| first.is_ascii_digit())
                && digits(mantissa, 10)
        }
    }
}

/// `2020-01-01`, or a date and a time with a fraction and an offset or without.
fn is_time(text: &str) -> bool {
    let mut reader = Reader(text);
    let Some(long) = reader.date() else { return false };
    (long && reader.0.is_empty()) || reader.time() == Some(())
}

/// Reader from the front; every method returns `None` if the text is otherwise.
struct Reader<'a>(&'a str);

impl Reader<'_> {
    /// Takes as many digits as there are, up to the greater number.
    fn digits(&mut self, least: usize, most: usize) -> Option<usize> {
        let count = self.0.bytes().take(most).take_while(u8::is_ascii_digit).count();
        self.0 = &self.0[count..];
        (count >= least).then_some(count)
    }

    fn one_of(&mut self, characters: &[char]) -> Option<()> {
        self.0 = self.0.strip_prefix(characters)?;
        Some(())
    }

    /// Answers whether month and day have two digits each, without which a date cannot stand alone.
    fn date(&mut self) -> Option<bool> {
        self.digits(4, 4)?;
        self.one_of(&['-'])?;
        let month = self.digits(1, 2)?;
        self.one_of(&['-'])?;
        Some(self.digits(1, 2)? + month == 4)
    }

    fn time(&mut self) -> Option<()> {
        if self.one_of(&['T', 't']).is_none() {
            self.one_of(&[' ', '\t'])?;
            self.0 = self.0.trim_start_matches([' ', '\t']);
        }
        self.digits(1, 2)?;
        self.one_of(&[':'])?;
        self.digits(2, 2)?;
        self.one_of(&[':'])?;
        self.digits(2, 2)?;
        if self.one_of(&['.']).is_some() {
            self.0 = self.0.trim_start_matches(|digit: char| digit.is_ascii_digit());
        }
        if self.0.is_empty() {
            return Some(());
        }
        self.0 = self.0.trim_start_matches([' ', '\t']);
        if self.one_of(&['Z']).is_none() {
            self.one_of(&['-', '+'])?;
            self.digits(1, 2)?;
            if self.one_of(&[':']).is_some() {
                self.digits(2, 2)?;
            }
        }
        self.0.is_empty().then_some(())
    }
}
