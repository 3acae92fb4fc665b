//! INI files, in the dialect of the AWS configuration files: Python's `RawConfigParser` with its defaults.
//!
//! [`parse`] reads whole files. Sections and keys must be unique, keys are lower-cased, `=` and `:` both separate,
//! comments fill whole lines, a line that is indented deeper than its key continues the value, and `[DEFAULT]` gives
//! every section its keys.
//!
//! [`lines`] has the lines alone, for who needs their numbers, or something of a file that is not well formed.

use indexmap::IndexMap;

/// The section that gives all others its keys.
pub const DEFAULT: &str = "DEFAULT";

/// A line that is no comment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line<'a> {
    /// Line number, from 1.
    pub number: usize,
    /// The characters of white space in front.
    pub indent: usize,
    /// Text without white space around; empty where the line is blank.
    pub text: &'a str,
}

impl<'a> Line<'a> {
    /// The name in `[name]`, whatever follows the last bracket.
    pub fn header(&self) -> Option<&'a str> {
        let rest = self.text.strip_prefix('[')?;
        let end = rest.rfind(']')?;
        (end > 0).then(|| &rest[..end])
    }

    /// Key and value, on both sides of the first `=` or `:`.
    pub fn option(&self) -> Option<(&'a str, &'a str)> {
        let (key, value) = self.text.split_once(['=', ':'])?;
        Some((key.trim(), value.trim()))
    }
}

/// The lines of a text, blank ones too, but no comments.
pub fn lines(text: &str) -> impl Iterator<Item = Line<'_>> {
    let lines = text.split('\n').enumerate().map(|(index, line)| {
        let line = line.strip_suffix('\r').unwrap_or(line);
        let indent = line.chars().take_while(|character| character.is_whitespace()).count();
        Line { number: index + 1, indent, text: line.trim() }
    });
    lines.filter(|line| !line.text.starts_with(['#', ';']))
}

/// The keys of one section in file order, with their raw values; lines of a continued value are joined by `\n`.
pub type RawSection = IndexMap<String, String>;

/// The text is not of the dialect; nothing of the file is used then.
#[derive(Debug, PartialEq, Eq)]
pub struct Malformed;

/// Reads a whole file.
pub fn parse(text: &str) -> Result<IndexMap<String, RawSection>, Malformed> {
    let mut reader = Reader::default();
    for line in lines(text) {
        reader.line(line)?;
    }
    Ok(reader.finish())
}

#[derive(Default)]
struct Reader {
    sections: IndexMap<String, IndexMap<String, Vec<String>>>,
    section: Option<String>,
    key: Option<String>,
    indent: usize,
}

impl Reader {
    fn line(&mut self, line: Line<'_>) -> Result<(), Malformed> {
        if line.text.is_empty() {
            if let Some(value) = self.value() {
                value.push(String::new());
            }
            return Ok(());
        }
        if line.indent > self.indent
            && let Some(value) = self.value()
        {
            value.push(line.text.to_owned());
            return Ok(());
        }
        self.indent = line.indent;
        match line.header() {
            Some(name) => self.open(name),
            None => self.option(line),
        }
    }

    fn value(&mut self) -> Option<&mut Vec<String>> {
        self.sections.get_mut(self.section.as_ref()?)?.get_mut(self.key.as_ref()?)
    }

    fn open(&mut self, name: &str) -> Result<(), Malformed> {
        if name != DEFAULT && self.sections.contains_key(name) {
            return Err(Malformed);
        }
        self.sections.entry(name.to_owned()).or_default();
        self.section = Some(name.to_owned());
        self.key = None;
        Ok(())
    }

    fn option(&mut self, line: Line<'_>) -> Result<(), Malformed> {
        let section = self.section.as_ref().ok_or(Malformed)?;
        let (key, value) = line.option().filter(|(key, _)| !key.is_empty()).ok_or(Malformed)?;
        let key = key.to_lowercase();
        let options = self.sections.get_mut(section).ok_or(Malformed)?;
        if options.insert(key.clone(), vec![value.to_owned()]).is_some() {
            return Err(Malformed);
        }
        self.key = Some(key);
        Ok(())
    }

    fn finish(mut self) -> IndexMap<String, RawSection> {
        let defaults = self.sections.shift_remove(DEFAULT).unwrap_or_default();
        let joined = |options: IndexMap<String, Vec<String>>| -> RawSection {
            options.into_iter().map(|(key, lines)| (key, lines.join("\n").trim_end().to_owned())).collect()
        };
        let defaults = joined(defaults);
        self.sections
            .into_iter()
            .map(|(name, options)| {
                let mut section = joined(options);
                for (key, value) in &defaults {
                    section.entry(key.clone()).or_insert_with(|| value.clone());
                }
                (name, section)
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Vec<(String, Vec<(String, String)>)> {
        let sections = parse(text).expect("the text is well formed");
        sections.into_iter().map(|(name, section)| (name, section.into_iter().collect())).collect()
    }

    fn section(name: &str, options: &[(&str, &str)]) -> (String, Vec<(String, String)>) {
        (name.to_owned(), options.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect())
    }

    #[test]
    fn keys_are_lowered_and_both_separators_work() {
        let text = "# hello\n[default]\nRegion : eu-west-1\nOutput=json ; no comment\n\n[profile a b]\nx=\n";
        assert_eq!(
            parsed(text),
            [
                section("default", &[("region", "eu-west-1"), ("output", "json ; no comment")]),
                section("profile a b", &[("x", "")]),
            ]
        );
    }

    #[test]
    fn deeper_lines_continue_a_value() {
        let text =
            "[services s]\necr =\n  endpoint_url = http://a\n  # no\n\n  x = y\nnext = 1\r\n  2\r\n\n\n";
        assert_eq!(
            parsed(text),
            [section("services s", &[("ecr", "\nendpoint_url = http://a\n\nx = y"), ("next", "1\n2")])]
        );
    }

    #[test]
    fn the_default_section_is_everyones() {
        let text = "[a]\nx=1\n[DEFAULT]\nx=2\ny=3\n[b]\n[DEFAULT]\nz=4";
        assert_eq!(
            parsed(text),
            [
                section("a", &[("x", "1"), ("y", "3"), ("z", "4")]),
                section("b", &[("x", "2"), ("y", "3"), ("z", "4")]),
            ]
        );
    }

    #[test]
    fn texts_that_python_refuses_are_refused() {
        for text in ["a=1", "[a]\nx=1\nx=2", "[a]\n[a]", "[a]\nword", "[a]\n=1", "\u{feff}[a]", "[]\n"] {
            assert_eq!(parse(text), Err(Malformed), "{text:?}");
        }
    }

    #[test]
    fn lines_have_numbers_and_no_comments() {
        let found: Vec<Line<'_>> = lines("; one\r\n\t[a b] c ]\n\nx : y = z\n  # two\nalone").collect();
        let line = |number, indent, text| Line { number, indent, text };
        assert_eq!(
            found,
            [line(2, 1, "[a b] c ]"), line(3, 0, ""), line(4, 0, "x : y = z"), line(6, 0, "alone")]
        );
        assert_eq!(found[0].header(), Some("a b] c "));
        assert_eq!((found[2].header(), found[2].option()), (None, Some(("x", "y = z"))));
        assert_eq!((found[3].header(), found[3].option()), (None, None));
    }

    #[test]
    fn an_indented_first_line_is_an_option_of_its_own() {
        assert_eq!(parsed("[a]\n   x=1\n   y=2\n"), [section("a", &[("x", "1"), ("y", "2")])]);
    }
}
