//! Reasons for keeping and removing images.

use crate::image::graph::Graph;

/// Reason for keeping an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeepReason {
    /// A criterion is not satisfied.
    Unmatched(Unmatched),
    /// It is one of the newest.
    Newest(usize),
    /// It has a protected tag (`--keep-tag`).
    KeepTag,
    /// It is protected.
    Protected(Protector),
    /// It is younger than the grace period.
    Young,
    /// Its push time is unknown.
    UnknownAge,
    /// It is being restored from the archive.
    Activating,
    /// It is archived already.
    Archived,
    /// The index at this position lists it and stays.
    HeldBy(usize),
    /// The image at this position, which it is about, stays.
    About(usize),
    /// The children of the index at this position are not known, and it may be one of them.
    MayBelongTo(usize),
    /// The image at this position, which it lists or which is about it, has to stay.
    WaitsFor(usize),
    /// It has a tag of its own, and goes with no other image.
    OwnTag,
    /// It has tags that stay.
    HasTags,
}

/// Criterion that an image does not satisfy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unmatched {
    /// It has tags.
    Tagged,
    /// It has no tags.
    Untagged,
    /// No tag matches.
    NoMatch,
    /// It is too young.
    Pushed,
    /// It was used.
    Used,
    /// It is no orphan.
    NoOrphan,
    /// It is an orphan, and only orphans are chosen as such.
    Orphan,
    /// It was not named.
    NotNamed,
}

/// Protection of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protector {
    /// A list of references names it.
    Reference,
    /// A running task or pod uses it.
    InUse,
    /// Its use is unknown.
    UnknownUse,
}

/// Reason for removing an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RemovalReason {
    /// It was chosen.
    Chosen,
    /// It was chosen as an orphan.
    Orphan,
    /// The index at this position, which lists it, goes.
    ChildOf(usize),
    /// The image at this position, which it is about, goes.
    CompanionOf(usize),
}

impl KeepReason {
    /// Returns whether the image has to stay, so that its indexes and its subject stay as well.
    pub(super) fn is_binding(self) -> bool {
        matches!(
            self,
            Self::KeepTag
                | Self::Protected(_)
                | Self::Young
                | Self::UnknownAge
                | Self::Activating
                | Self::WaitsFor(_)
        )
    }

    /// Describes the reason.
    pub fn text(self, graph: &Graph) -> String {
        let digest = |position: usize| graph.image(position).digest();
        match self {
            Self::Unmatched(unmatched) => unmatched.text().to_owned(),
            Self::Newest(keep) => format!("newest {keep}"),
            Self::KeepTag => "a tag that is kept".to_owned(),
            Self::Protected(Protector::Reference) => "protected by a reference".to_owned(),
            Self::Protected(Protector::InUse) => "in use".to_owned(),
            Self::Protected(Protector::UnknownUse) => "cannot be told whether it is in use".to_owned(),
            Self::Young => "younger than the grace".to_owned(),
            Self::UnknownAge => "push time not known".to_owned(),
            Self::Activating => "on its way back from the archive".to_owned(),
            Self::Archived => "archived already".to_owned(),
            Self::HeldBy(index) => format!("held by {}", digest(index)),
            Self::About(subject) => format!("about {}", digest(subject)),
            Self::MayBelongTo(index) => {
                let archived = graph.image(index).status() == crate::image::graph::Status::Archived;
                format!("may belong to {}{}", if archived { "archived " } else { "" }, digest(index))
            }
            Self::WaitsFor(other) => format!("waits for {}, which has to stay", digest(other)),
            Self::OwnTag => "has a tag of its own".to_owned(),
            Self::HasTags => "has tags that stay".to_owned(),
        }
    }
}

impl Unmatched {
    fn text(self) -> &'static str {
        match self {
            Self::Tagged => "has a tag",
            Self::Untagged => "has no tag",
            Self::NoMatch => "no tag matches",
            Self::Pushed => "pushed too recently",
            Self::Used => "used too recently",
            Self::NoOrphan => "no orphan",
            Self::Orphan => "an orphan, which only --orphans chooses",
            Self::NotNamed => "not named",
        }
    }
}

impl RemovalReason {
    /// Describes the reason; `chosen` describes why chosen images were.
    pub fn text(self, graph: &Graph, chosen: &str) -> String {
        match self {
            Self::Chosen => chosen.to_owned(),
            Self::Orphan => "orphan".to_owned(),
            Self::ChildOf(index) => format!("goes with its index {}", graph.image(index).digest()),
            Self::CompanionOf(subject) => format!("goes with {}", graph.image(subject).digest()),
        }
    }
}
