//! Tags that may be deleted at a mirror. Deleting needs proof: complete lists of both sides, and a yes where most
//! would go.

use super::super::consent::ask;
use super::super::registry::usage;
use crate::escape::escape;
use crate::image::Tag;
use crate::ui::Ui;

/// Options about deleting.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
pub(super) struct Deletion {
    /// Delete tags at the destination that the source does not have, of those that --match and --exclude choose. Tags
    /// such as sha256-….sig stay, and so do repositories. More than half of a repository's tags go only after a
    /// question, or with --yes or --max-deletes
    #[arg(long = "delete", id = "delete")]
    pub(super) wanted: bool,
    /// Believe a source that lists no tags, and delete those of its mirror
    #[arg(long, requires = "delete")]
    pub(super) allow_empty: bool,
    /// Delete also more than half of a repository's tags without a question
    #[arg(long, requires = "delete")]
    pub(super) yes: bool,
    /// Delete up to so many tags of a repository without a question, and none where more would go
    #[arg(long = "max-deletes", value_name = "NUMBER", requires = "delete")]
    pub(super) most: Option<usize>,
}

/// Tags of a mirror that its source does not have, with the state of both sides.
pub(super) struct ExtraTags<'a> {
    /// The mirror's name.
    pub(super) mirror: &'a str,
    pub(super) tags: &'a [Tag],
    /// Number of the chosen tags that the mirror has.
    pub(super) of: usize,
    /// The source lists a tag, readable or not.
    pub(super) source_has_tags: bool,
    /// The source answered a list, and not `null`.
    pub(super) source_is_list: bool,
}

/// Decision about deleting tags: delete, ask first, or refuse with a reason.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Delete,
    Ask(String),
    Refuse(String),
}

impl Deletion {
    /// Returns whether the tags may be deleted; asks at a terminal where the verdict is a question.
    pub(super) async fn allows(&self, extra: &ExtraTags<'_>, ui: &Ui) -> anyhow::Result<bool> {
        match self.verdict(extra) {
            Verdict::Delete => Ok(true),
            Verdict::Refuse(reason) => Err(usage(reason)),
            Verdict::Ask(question) if ui.in_is_terminal() && ui.err_is_terminal() => ask(ui, question).await,
            Verdict::Ask(_) => Err(usage(format!(
                "{} of the {} tags of {} would be deleted, more than half; --yes deletes them, and --max-deletes \
                 says how many may go",
                extra.tags.len(),
                extra.of,
                extra.mirror
            ))),
        }
    }

    fn verdict(&self, extra: &ExtraTags<'_>) -> Verdict {
        let (count, mirror) = (extra.tags.len(), extra.mirror);
        if count == 0 {
            return Verdict::Delete;
        }
        if !extra.source_has_tags && !self.allow_empty {
            let what = if extra.source_is_list { "has no such tags" } else { "answers no list of tags" };
            return Verdict::Refuse(format!(
                "the source {what}, and {count} of {mirror} would be deleted; --allow-empty deletes them"
            ));
        }
        if extra.source_has_tags && !extra.source_is_list {
            return Verdict::Refuse(format!(
                "the source's list of tags is not whole, so nothing of {mirror} is deleted; run it without --delete"
            ));
        }
        match self.most {
            Some(most) if count > most => Verdict::Refuse(format!(
                "{count} tags of {mirror} would be deleted, and --max-deletes allows {most}"
            )),
            None if count * 2 > extra.of && !self.yes => {
                Verdict::Ask(format!("Delete {count} of the {} tags of {}?", extra.of, escape(mirror)))
            }
            Some(_) | None => Verdict::Delete,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deleting_needs_proof() {
        let tags: Vec<Tag> = (0..10).map(|number| format!("v{number}").parse().unwrap()).collect();
        let verdict = |deletion: Deletion, count: usize, of, source_has_tags, source_is_list| {
            let tags = &tags[..count];
            match deletion.verdict(&ExtraTags { mirror: "m", tags, of, source_has_tags, source_is_list }) {
                Verdict::Delete => "delete",
                Verdict::Ask(_) => "ask",
                Verdict::Refuse(_) => "refuse",
            }
        };
        let plain = Deletion { wanted: true, ..Deletion::default() };
        let yes = Deletion { yes: true, ..plain };
        let empty = Deletion { allow_empty: true, ..plain };
        let most = |most| Deletion { most: Some(most), ..plain };
        for (deletion, count, of, has, is_list, expected) in [
            (plain, 0, 10, false, false, "delete"),
            (plain, 5, 10, true, true, "delete"),
            (plain, 6, 10, true, true, "ask"),
            (plain, 1, 1, true, true, "ask"),
            (yes, 10, 10, true, true, "delete"),
            (most(6), 6, 10, true, true, "delete"),
            (most(5), 6, 10, true, true, "refuse"),
            (Deletion { yes: true, ..most(5) }, 6, 10, true, true, "refuse"),
            (yes, 1, 10, false, true, "refuse"),
            (yes, 1, 10, false, false, "refuse"),
            (empty, 1, 10, false, true, "delete"),
            (empty, 10, 10, false, true, "ask"),
            (Deletion { yes: true, ..empty }, 10, 10, false, false, "delete"),
            (Deletion { yes: true, ..empty }, 1, 10, true, false, "refuse"),
        ] {
            assert_eq!(verdict(deletion, count, of, has, is_list), expected, "{deletion:?} {count} of {of}");
        }
    }
}
