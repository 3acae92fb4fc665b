//! Two versions of a file as a unified diff, for `--dry-run`.

use std::fmt::Write as _;

/// Unchanged lines that are shown around a change.
const CONTEXT: usize = 3;
/// Up to so many lines are compared one with another; beyond, the changed middle is shown as a whole.
const COMPARED: usize = 2_000;

/// A line and what became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line<'a> {
    Same(&'a str),
    Old(&'a str),
    New(&'a str),
}

/// The difference between two texts of one name; empty where there is none.
pub fn unified(name: &str, before: Option<&str>, after: &str) -> String {
    if before == Some(after) {
        return String::new();
    }
    let old: Vec<&str> = before.unwrap_or_default().lines().collect();
    let new: Vec<&str> = after.lines().collect();
    let from = before.map_or("/dev/null", |_| name);
    let mut text = format!("--- {from}\n+++ {name}\n");
    let lines = compared(&old, &new);
    let mut at = 0;
    while let Some(next) = lines[at..].iter().position(|line| !matches!(line, Line::Same(_))) {
        let start = (at + next).saturating_sub(CONTEXT).max(at);
        let mut end = at + next;
        // A hunk goes on while the next change is near.
        while let Some(more) =
            lines[end..].iter().take(2 * CONTEXT + 1).position(|line| !matches!(line, Line::Same(_)))
        {
            end += more + 1;
        }
        let end = (end + CONTEXT).min(lines.len());
        hunk(&mut text, &lines, start, end);
        at = end;
    }
    text
}

fn hunk(text: &mut String, lines: &[Line<'_>], start: usize, end: usize) {
    let count = |range: &[Line<'_>], skipped: fn(&Line<'_>) -> bool| {
        range.iter().filter(|line| !skipped(line)).count()
    };
    let new = |line: &Line<'_>| matches!(line, Line::New(_));
    let old = |line: &Line<'_>| matches!(line, Line::Old(_));
    let (before, hunk) = (&lines[..start], &lines[start..end]);
    let place = |first: usize, length: usize| if length == 0 { first } else { first + 1 };
    let (old_length, new_length) = (count(hunk, new), count(hunk, old));
    let (old_start, new_start) =
        (place(count(before, new), old_length), place(count(before, old), new_length));
    let _ = writeln!(text, "@@ -{old_start},{old_length} +{new_start},{new_length} @@");
    for line in hunk {
        let _ = match line {
            Line::Same(line) => writeln!(text, " {line}"),
            Line::Old(line) => writeln!(text, "-{line}"),
            Line::New(line) => writeln!(text, "+{line}"),
        };
    }
}

fn compared<'a>(old: &[&'a str], new: &[&'a str]) -> Vec<Line<'a>> {
    let head = old.iter().zip(new).take_while(|(one, other)| one == other).count();
    let (old_rest, new_rest) = (&old[head..], &new[head..]);
    let tail =
        old_rest.iter().rev().zip(new_rest.iter().rev()).take_while(|(one, other)| one == other).count();
    let (old_middle, new_middle) = (&old_rest[..old_rest.len() - tail], &new_rest[..new_rest.len() - tail]);
    let mut lines: Vec<Line<'a>> = old[..head].iter().map(|line| Line::Same(line)).collect();
    lines.extend(middle(old_middle, new_middle));
    lines.extend(old[old.len() - tail..].iter().map(|line| Line::Same(line)));
    lines
}

/// The longest common subsequence, by the table that every textbook has.
fn middle<'a>(old: &[&'a str], new: &[&'a str]) -> Vec<Line<'a>> {
    let mut lines = Vec::with_capacity(old.len() + new.len());
    if old.len().max(new.len()) > COMPARED {
        lines.extend(old.iter().map(|line| Line::Old(line)));
        lines.extend(new.iter().map(|line| Line::New(line)));
        return lines;
    }
    let width = new.len() + 1;
    let mut common = vec![0_u32; (old.len() + 1) * width];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            common[i * width + j] = if old[i] == new[j] {
                common[(i + 1) * width + j + 1] + 1
            } else {
                common[(i + 1) * width + j].max(common[i * width + j + 1])
            };
        }
    }
    let (mut i, mut j) = (0, 0);
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            lines.push(Line::Same(old[i]));
            (i, j) = (i + 1, j + 1);
        } else if j == new.len()
            || (i < old.len() && common[(i + 1) * width + j] >= common[i * width + j + 1])
        {
            lines.push(Line::Old(old[i]));
            i += 1;
        } else {
            lines.push(Line::New(new[j]));
            j += 1;
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_with_their_surroundings() {
        let old = (1..=20).map(|n| n.to_string()).collect::<Vec<_>>().join("\n") + "\n";
        let new = old.replace("3\n4\n", "3\nthree and a half\n4\n").replace("\n18\n", "\n");
        let expected = "\
--- f
+++ f
@@ -1,6 +1,7 @@
 1
 2
 3
+three and a half
 4
 5
 6
@@ -15,6 +16,5 @@
 15
 16
 17
-18
 19
 20
";
        assert_eq!(unified("f", Some(&old), &new), expected);
        assert_eq!(unified("f", Some(&old), &old), "");
    }

    #[test]
    fn a_new_file() {
        assert_eq!(unified("f", None, "{}\n"), "--- /dev/null\n+++ f\n@@ -0,0 +1,1 @@\n+{}\n");
    }
}
