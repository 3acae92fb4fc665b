//! Two versions of a file as a unified diff, for `--dry-run`.

use std::fmt::Write as _;
use std::ops::Range;
use std::time::Duration;

use similar::{ChangeTag, TextDiff};

/// Unchanged lines that are shown around a change.
const CONTEXT: usize = 3;
/// Most time to look for the shortest diff; beyond, a longer one is shown.
const PATIENCE: Duration = Duration::from_secs(1);

/// Formats the difference between two texts of one name; empty if there is none.
pub fn unified(name: &str, before: Option<&str>, after: &str) -> String {
    if before == Some(after) {
        return String::new();
    }
    let from = before.map_or("/dev/null", |_| name);
    let mut text = format!("--- {from}\n+++ {name}\n");
    let (old, new): (Vec<&str>, Vec<&str>) =
        (before.unwrap_or_default().lines().collect(), after.lines().collect());
    let diff = TextDiff::configure().timeout(PATIENCE).diff_slices(&old, &new);
    for hunk in diff.unified_diff().context_radius(CONTEXT).iter_hunks() {
        let (Some(first), Some(last)) = (hunk.ops().first(), hunk.ops().last()) else { continue };
        let old = range(first.old_range().start..last.old_range().end);
        let new = range(first.new_range().start..last.new_range().end);
        let _ = writeln!(text, "@@ -{old} +{new} @@");
        for change in hunk.iter_changes() {
            let sign = match change.tag() {
                ChangeTag::Equal => ' ',
                ChangeTag::Delete => '-',
                ChangeTag::Insert => '+',
            };
            let _ = writeln!(text, "{sign}{}", change.value());
        }
    }
    text
}

/// `START,LENGTH` as a hunk's header has it: lines are counted from 1, and an empty range names the line before it.
fn range(lines: Range<usize>) -> String {
    format!("{},{}", if lines.is_empty() { lines.start } else { lines.start + 1 }, lines.len())
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
