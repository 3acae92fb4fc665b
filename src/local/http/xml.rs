//! XML as AWS's services write it.

use std::fmt::Write as _;

/// Text as it stands between two tags. Characters that XML cannot have become the one that stands for what is unknown.
fn escaped(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => result.push_str("&amp;"),
            '<' => result.push_str("&lt;"),
            '>' => result.push_str("&gt;"),
            '"' => result.push_str("&quot;"),
            '\t' | '\n' | '\r' => {
                let _ = write!(result, "&#{};", u32::from(character));
            }
            '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => result.push('\u{fffd}'),
            _ => result.push(character),
        }
    }
    result
}

/// Elements with text in them, in this order.
pub(super) fn elements(members: &[(&str, &str)]) -> String {
    let element = |(name, text): &(&str, &str)| ["<", name, ">", &escaped(text), "</", name, ">"].concat();
    members.iter().map(element).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_leave_its_element() {
        assert_eq!(elements(&[("A", "</A>&\"\n\u{1}é")]), "<A>&lt;/A&gt;&amp;&quot;&#10;\u{fffd}é</A>");
    }
}
