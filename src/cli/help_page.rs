//! A page of help: headings, terms and paragraphs, wrapped to a width.

/// Columns by which each level is indented.
const STEP: usize = 4;
/// Text beyond this width is hard to read, however wide the terminal.
const WIDEST: usize = 100;

/// A page in the making.
#[derive(Debug)]
pub(super) struct Page {
    width: usize,
    bold: bool,
    text: String,
}

impl Page {
    /// An empty page; `bold` where the reader's terminal or pager understands it.
    pub(super) fn new(width: usize, bold: bool) -> Self {
        Self { width: width.clamp(40, WIDEST), bold, text: String::new() }
    }

    /// The whole page.
    pub(super) fn finish(self) -> String {
        self.text
    }

    /// A section's heading.
    pub(super) fn heading(&mut self, text: &str) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        let text = self.strong(text);
        self.text.push_str(&text);
        self.text.push('\n');
    }

    /// Writes a term on a line of its own: the term itself stands out, its type does not.
    pub(super) fn term(&mut self, level: usize, term: &str, kind: &str) {
        let term = self.strong(term);
        let space = if kind.is_empty() { "" } else { " " };
        self.line(level, &format!("{term}{space}{kind}"));
    }

    /// A paragraph.
    pub(super) fn paragraph(&mut self, level: usize, text: &str) {
        let indent = level * STEP;
        for line in wrap(text, self.width.saturating_sub(indent).max(20)) {
            self.line(level, &line);
        }
    }

    /// A line that is shown as it is.
    pub(super) fn verbatim(&mut self, level: usize, text: &str) {
        self.line(level, text);
    }

    /// An empty line.
    pub(super) fn gap(&mut self) {
        self.text.push('\n');
    }

    fn line(&mut self, level: usize, text: &str) {
        self.text.extend(std::iter::repeat_n(' ', level * STEP));
        self.text.push_str(text);
        self.text.push('\n');
    }

    fn strong(&self, text: &str) -> String {
        if self.bold { format!("\u{1b}[1m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

/// Breaks a text at blanks into lines of at most this width. A longer word has a line for itself.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        let length = line.chars().count() + 1 + word.chars().count();
        if !line.is_empty() && length > width {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.push(line);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_indented_and_wrapped() {
        let mut page = Page::new(40, false);
        page.heading("OPTIONS");
        page.term(1, "--registry-id", "(string)");
        page.paragraph(2, "The account whose registry this is, where it is not yours.");
        assert_eq!(
            page.finish(),
            "OPTIONS\n    --registry-id (string)\n        The account whose registry this\n        is, where it is not yours.\n"
        );
    }
}
