//! One repository and its mirror: what differs, and how that is made good.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

use futures_util::stream::{self, StreamExt as _};

use super::super::create::Creation;
use super::super::location::Location;
use super::super::registry::explained;
use super::super::summary::Row;
use super::super::transfer_command::ImageTransfer;
use super::report::{Mirrored, Report};
use super::side::Home;
use crate::image::{Digest, Name, glob};
use crate::store::{self, Buffers, Kept};
use crate::transfer::Options;
use crate::transfer::progress::Progress;
use crate::ui::progress::Display;

/// How many repositories are compared at once.
const COMPARED: usize = 8;

/// What is wanted of all mirrors.
pub(super) struct Wanted<'a> {
    /// Tags to mirror, none for all, and tags to leave out.
    pub(super) globs: Arc<(Vec<String>, Vec<String>)>,
    pub(super) delete: bool,
    pub(super) referrers: bool,
    pub(super) dry_run: bool,
    pub(super) keep_going: bool,
    pub(super) jobs: usize,
    pub(super) verify: bool,
    /// The memory for all of them.
    pub(super) buffers: Arc<Buffers>,
    pub(super) create: Option<&'a Creation>,
}

impl Wanted<'_> {
    fn chosen(&self) -> Box<store::Chosen> {
        let globs = Arc::clone(&self.globs);
        let any = |globs: &[String], tag: &str| globs.iter().any(|glob| glob::matches(glob, tag));
        Box::new(move |tag| (globs.0.is_empty() || any(&globs.0, tag)) && !any(&globs.1, tag))
    }
}

/// A repository and its mirror.
pub(super) struct Mirror {
    name: String,
    source: Location,
    destination: Location,
    /// What the mirror is called.
    below: String,
}

/// How a mirror differs from its source.
struct Difference {
    /// Images to copy, with the tags that they lack.
    images: Vec<(Digest, Vec<String>)>,
    /// Tags that name something else at the mirror, with what they are to name.
    moved: Vec<(String, Digest)>,
    /// Tags to delete.
    extra: Vec<String>,
    /// Tags that are the same.
    same: usize,
}

impl Mirror {
    pub(super) fn new(source: &Home, name: String, destination: &Home, prefix: &str) -> anyhow::Result<Self> {
        let below = format!("{prefix}{name}");
        let (source, destination) = (source.end(&name)?, destination.end(&below)?);
        Ok(Self { name, source, destination, below })
    }

    pub(super) fn keeps(&self) -> Kept {
        self.destination.store.keeps()
    }

    /// Compares the tags of both sides: one listing each.
    async fn compare(&self, wanted: &Wanted<'_>) -> anyhow::Result<Difference> {
        let chosen = wanted.chosen();
        let list = |end: &'_ Location| {
            let store = Arc::clone(&end.store);
            let chosen = &chosen;
            async move { store.named(chosen.as_ref()).await.map_err(|error| explained(error.into())) }
        };
        let (source, mirror) = tokio::try_join!(list(&self.source), list(&self.destination))?;
        let Some(mut source) = source else {
            anyhow::bail!("{} has no repository {}", self.source.store.name(), self.name);
        };
        source.sort();
        if mirror.is_none() && self.destination.target.is_some() && wanted.create.is_none() {
            anyhow::bail!("the repository {} does not exist; --create creates it", self.below);
        }
        let mirror: HashMap<String, Digest> = mirror.unwrap_or_default().into_iter().collect();
        Ok(differ(&source, &mirror, wanted))
    }

    async fn update(
        &self,
        difference: Difference,
        wanted: &Wanted<'_>,
        progress: &Arc<dyn Progress>,
        done: &mut Mirrored,
    ) -> anyhow::Result<()> {
        let transfer = ImageTransfer {
            source: &self.source.store,
            destination: &self.destination,
            create: wanted.create,
        };
        done.same = difference.same;
        // What cannot be is found before anything moves.
        for (tag, digest) in &difference.moved {
            let admitted = self.destination.store.admit(digest, std::slice::from_ref(tag)).await;
            admitted.map_err(|error| explained(error.into()))?;
        }
        for (digest, tags) in difference.images {
            let began = Instant::now();
            let options = Options {
                image: Name::Digest(digest.clone()),
                expected: Some(digest.clone()),
                platforms: Vec::new(),
                tags,
                referrers: wanted.referrers,
                buffers: Arc::clone(&wanted.buffers),
                verify: wanted.verify,
                compression: None,
                known: None,
                jobs: wanted.jobs,
            };
            let outcome = if wanted.dry_run {
                transfer.survey(&options, progress).await?
            } else {
                transfer.copy_image(&options, progress).await?
            };
            let seconds = (!wanted.dry_run).then(|| began.elapsed().as_secs_f64());
            let image = self.destination.label(&options.tags, &digest);
            done.tags.extend(options.tags);
            done.references.extend(
                done.tags[done.references.len()..].iter().map(|tag| format!("{}:{tag}@{digest}", self.below)),
            );
            done.rows.push(Row { image, outcome, seconds });
        }
        if !wanted.dry_run && !difference.extra.is_empty() {
            let removed = self.destination.store.untag(&difference.extra).await;
            removed.map_err(|error| explained(error.into()))?;
        }
        done.deleted = difference.extra;
        Ok(())
    }
}

/// Mirrors all repositories. They are compared several at once; what differs is copied one after another, as each
/// image moves several layers at once and ECR takes few manifests a second.
pub(super) async fn all(
    mirrors: &[Mirror],
    wanted: &Wanted<'_>,
    progress: &Arc<dyn Progress>,
    display: &Display,
    report: &mut Report,
) -> anyhow::Result<()> {
    let compare = |mirror| async move { (mirror, Mirror::compare(mirror, wanted).await) };
    let mut compared = stream::iter(mirrors).map(compare).buffered(COMPARED);
    while let Some((mirror, difference)) = compared.next().await {
        let mut done = Mirrored::new(&mirror.name, &mirror.below);
        let began = Instant::now();
        let result = match difference {
            Ok(difference) => {
                if !difference.images.is_empty() || !difference.extra.is_empty() {
                    display.note(&format!("{}:", mirror.below));
                }
                let deletes = if wanted.dry_run { "would delete" } else { "deletes" };
                for tag in &difference.extra {
                    display.note(&format!("{deletes} the tag {tag}"));
                }
                mirror.update(difference, wanted, progress, &mut done).await
            }
            Err(error) => Err(error),
        };
        done.seconds = began.elapsed().as_secs_f64();
        let failed = result.err();
        if let Some(error) = &failed {
            done.error = Some(format!("{error:#}"));
            if wanted.keep_going {
                display.note(&format!("{}: {error:#}", mirror.name));
            }
        }
        report.mirrored.push(done);
        match failed {
            None => {}
            Some(error) if wanted.keep_going => report.failed(&mirror.name, error),
            Some(error) => return Err(error.context(format!("cannot mirror {}", mirror.name))),
        }
    }
    Ok(())
}

fn differ(source: &[(String, Digest)], mirror: &HashMap<String, Digest>, wanted: &Wanted<'_>) -> Difference {
    let mut images: Vec<(Digest, Vec<String>)> = Vec::new();
    let mut places: HashMap<&Digest, usize> = HashMap::new();
    let (mut same, mut moved) = (0, Vec::new());
    for (tag, digest) in source {
        let there = mirror.get(tag) == Some(digest);
        if !there && mirror.contains_key(tag) {
            moved.push((tag.clone(), digest.clone()));
        }
        same += usize::from(there);
        // What is about an image may be newer than its tag.
        if there && !wanted.referrers {
            continue;
        }
        let place = *places.entry(digest).or_insert_with(|| {
            images.push((digest.clone(), Vec::new()));
            images.len() - 1
        });
        if !there {
            images[place].1.push(tag.clone());
        }
    }
    let tags: HashSet<&String> = source.iter().map(|(tag, _)| tag).collect();
    let goes = |tag: &&String| wanted.delete && !tags.contains(tag) && !is_digest_tag(tag);
    let mut extra: Vec<String> = mirror.keys().filter(goes).cloned().collect();
    extra.sort();
    Difference { images, moved, extra, same }
}

/// Whether a tag has a digest in it. What it names is about the image of that digest, and a registry that lists
/// referrers itself needs no such tag: so that the source has none says nothing.
fn is_digest_tag(tag: &str) -> bool {
    const DIGITS: usize = 64;
    let digits = tag.strip_prefix("sha256-").or_else(|| tag.strip_prefix("sha512-"));
    digits
        .and_then(|digits| digits.get(..DIGITS))
        .is_some_and(|digits| digits.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(delete: bool, referrers: bool) -> Wanted<'static> {
        let globs = Arc::default();
        Wanted {
            globs,
            delete,
            referrers,
            dry_run: false,
            keep_going: false,
            jobs: 4,
            verify: false,
            buffers: Buffers::within(64 << 20),
            create: None,
        }
    }

    #[test]
    fn what_differs() {
        let [one, two, three] = [b"1", b"2", b"3"].map(|bytes| Digest::of(bytes));
        let tags = |tags: &[(&str, &Digest)]| -> Vec<(String, Digest)> {
            tags.iter().map(|(tag, digest)| ((*tag).to_owned(), (*digest).clone())).collect()
        };
        let source = tags(&[("1", &one), ("1.0", &one), ("2", &two), ("3", &three)]);
        let signature = format!("sha256-{}.sig", one.hexadecimal());
        let mirror = tags(&[("1", &one), ("2", &one), ("old", &three), (&signature, &two)]);
        let mirror: HashMap<String, Digest> = mirror.into_iter().collect();
        let copied = |tags: &[&str]| tags.iter().map(|tag| (*tag).to_owned()).collect::<Vec<_>>();
        let difference = differ(&source, &mirror, &wanted(true, false));
        assert_eq!(difference.moved, tags(&[("2", &two)]));
        let expected = [(one.clone(), copied(&["1.0"])), (two, copied(&["2"])), (three, copied(&["3"]))];
        assert_eq!(difference.images, expected);
        assert_eq!((difference.extra, difference.same), (copied(&["old"]), 1));
        assert_eq!(differ(&source, &mirror, &wanted(false, false)).extra, copied(&[]));
        // With referrers every image is looked at, those with nothing to copy too.
        let same: HashMap<String, Digest> = source.iter().cloned().collect();
        assert_eq!(differ(&source, &same, &wanted(true, false)).images, []);
        let all = differ(&source, &same, &wanted(true, true)).images;
        assert_eq!((all.len(), &all[0]), (3, &(one, copied(&[]))));
    }
}
