//! Text that others wrote, made fit for a terminal.
//!
//! A terminal obeys control characters: ESC sequences move the cursor, change the title, or answer with what somebody
//! then sends to a shell. Characters that reorder or hide text make a line say something else than its bytes. Neither
//! gets to a terminal from a registry, an archive or a file.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Replaces each character that a terminal would not show as itself by its code, as JSON writes it: `\u001b`.
pub fn escape(text: &str) -> Cow<'_, str> {
    replace(text, is_hidden)
}

/// Like [`escape`], for text of several lines, such as a table or an error with its hint: line ends and tabs stay.
pub fn escape_lines(text: &str) -> Cow<'_, str> {
    replace(text, |character| !matches!(character, '\n' | '\t') && is_hidden(character))
}

fn replace(text: &str, hidden: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.chars().any(&hidden) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        if hidden(character) {
            for unit in character.encode_utf16(&mut [0; 2]) {
                // Writing to a String cannot fail.
                let _ = write!(shown, "\\u{unit:04x}");
            }
        } else {
            shown.push(character);
        }
    }
    Cow::Owned(shown)
}

/// Returns whether a character is a control character, a separator of lines, or one that reorders, joins or hides text
/// (Unicode's `Cc`, `Zl`, `Zp`, and of `Cf` the directional and invisible ones).
fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_escaped() {
        for (text, shown) in [
            ("plain – text ✓ 日本", "plain – text ✓ 日本"),
            ("\u{1b}]0;x\u{7}", "\\u001b]0;x\\u0007"),
            ("\u{9b}31m", "\\u009b31m"),
            ("a\r\nb\tc", "a\\u000d\\u000ab\\u0009c"),
            ("\u{202e}gpj.exe\u{2066}", "\\u202egpj.exe\\u2066"),
            ("\0\u{7f}\u{2028}\u{200b}\u{e0041}", "\\u0000\\u007f\\u2028\\u200b\\udb40\\udc41"),
        ] {
            assert_eq!(escape(text), shown);
        }
        assert_eq!(escape_lines("a\n\tb\r\u{1b}[2J"), "a\n\tb\\u000d\\u001b[2J");
        // What is JSON stays JSON.
        let json = serde_json::json!("\u{1b}\u{9b}\u{202e}\u{e0041}\n").to_string();
        assert_eq!(
            serde_json::from_str::<String>(&escape(&json)).unwrap(),
            "\u{1b}\u{9b}\u{202e}\u{e0041}\n"
        );
    }
}
