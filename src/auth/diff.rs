//! Two versions of a file as a unified diff, for `--dry-run`.

use std::fmt::Write as _;
use std::ops::Range;
use std::time::{Duration, Instant};

use similar::algorithms::{Capture, Compact, Replace, myers};
use similar::{ChangeTag, DiffOp, group_diff_ops};

/// Unchanged lines that are shown around a change.
const CONTEXT: usize = 3;
/// Most time to look for the shortest diff; beyond, a longer one is shown.
const TIMEOUT: Duration = Duration::from_secs(1);

/// Formats the difference between two texts of one name; empty if there is none.
pub fn unified(name: &str, before: Option<&str>, after: &str) -> String {
    if before == Some(after) {
        return String::new();
    }
    let from = before.map_or("/dev/null", |_| name);
    let mut text = format!("--- {from}\n+++ {name}\n");
    let (old, new): (Vec<&str>, Vec<&str>) =
        (before.unwrap_or_default().lines().collect(), after.lines().collect());
    for hunk in group_diff_ops(differences(&old, &new), CONTEXT) {
        let (Some(first), Some(last)) = (hunk.first(), hunk.last()) else { continue };
        let old_lines = range(first.old_range().start..last.old_range().end);
        let new_lines = range(first.new_range().start..last.new_range().end);
        let _ = writeln!(text, "@@ -{old_lines} +{new_lines} @@");
        for change in hunk.iter().flat_map(|operation| operation.iter_changes(&*old, &*new)) {
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

/// The lines that differ, by one algorithm alone: similar's `TextDiff` has every one of its algorithms compiled, which
/// are 600 KiB of a release.
fn differences(old: &[&str], new: &[&str]) -> Vec<DiffOp> {
    let mut hook = Compact::new(Replace::new(Capture::new()), old, new);
    let deadline = Instant::now().checked_add(TIMEOUT);
    let Ok(()) = myers::diff_deadline_raw(&mut hook, old, 0..old.len(), new, 0..new.len(), deadline);
    hook.into_inner().into_inner().into_ops()
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
