//! Choice of an index's images by platform.
//!
//! Indexes may be nested, and a platform may stand on the outer entry, on the inner one, or in the image's
//! configuration alone.

use std::collections::HashSet;

use serde_json::json;

use super::Error;
use super::plan::{ATTESTED, MAX_DEPTH, configuration, fetch};
use crate::image::{Content, Descriptor, Digest, Manifest, Name, Platform, media_type};
use crate::store::{self, Shared};

/// Limit of configurations read for entries that do not say their platform.
const MAX_CONFIGURATIONS: usize = 64;

/// An image that an index lists, directly or through other indexes.
struct Offer {
    entry: Descriptor,
    platform: Option<Platform>,
}

/// Resolves a name when a platform is to be chosen: several entries of that name are taken for an index.
pub(super) async fn candidates(source: &Shared, name: &Name) -> Result<Option<Manifest>, Error> {
    let entries = source.candidates(name).await?;
    if entries.len() < 2 {
        return Ok(None);
    }
    let index = json!({"schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": entries});
    let index = Manifest::parse(index.to_string().into(), None);
    Ok(Some(index.map_err(store::Error::image(source.name()))?))
}

/// Checks that of entries listed side by side only one is for a platform: an index has an order of preference, and a
/// list of images does not.
async fn sole(source: &Shared, wanted: &Platform, offers: &mut [Offer], found: &Digest) -> Result<(), Error> {
    examine(source, offers).await?;
    let same = offers.iter().filter(|offer| {
        offer.platform.as_ref().is_some_and(|platform| wanted.accepts(platform))
            && nearest(wanted, offers).is_some_and(|near| near.platform == offer.platform)
    });
    match same.map(|offer| &offer.entry.digest).find(|digest| *digest != found) {
        None => Ok(()),
        Some(other) => {
            let (place, wanted) = (source.name(), wanted.to_string());
            Err(Error::Ambiguous { place, wanted, one: found.clone(), other: other.clone() })
        }
    }
}

/// Returns the image for the platforms: the one manifest for one platform, and for several the narrowed index. `listed`
/// says that the index is a mere list of images with one name.
pub(super) async fn choose(
    source: &Shared,
    whole: Manifest,
    platforms: &[Platform],
    listed: bool,
) -> Result<Manifest, Error> {
    let absent = source.absent(&whole).await?;
    if platforms.is_empty() && absent.is_empty() {
        return Ok(whole);
    }
    if !matches!(whole.content(), Content::Index(_)) {
        return single(source, whole, platforms).await;
    }
    let mut offers = Vec::new();
    collect(source, &whole, (None, 1), platforms, &mut offers).await?;
    let (lacking, mut offers): (Vec<Offer>, Vec<Offer>) =
        offers.into_iter().partition(|offer| absent.contains(&offer.entry.digest));
    if platforms.is_empty() {
        return Err(incomplete(source, &whole, &lacking, &offers));
    }
    let mut kept: Vec<Digest> = Vec::new();
    for wanted in platforms {
        if nearest(wanted, &offers).is_none() {
            examine(source, &mut offers).await?;
        }
        let offer = nearest(wanted, &offers);
        let offer = offer.ok_or_else(|| no_platform(source, wanted, &offers, &lacking))?;
        let found = offer.entry.digest.clone();
        if listed {
            sole(source, wanted, &mut offers, &found).await?;
        }
        kept.push(found);
    }
    if let [only] = &kept[..] {
        let only = offers.iter().find(|offer| offer.entry.digest == *only);
        return fetch(source, &only.expect("it was found there").entry).await;
    }
    narrow(source, whole, offers, &kept)
}

/// Collects every image that an index lists, with those of inner indexes in their place. What an outer entry says is
/// for a platform that nobody asked for is not looked into.
async fn collect(
    source: &Shared,
    index: &Manifest,
    (outer, depth): (Option<&Platform>, usize),
    wanted: &[Platform],
    offers: &mut Vec<Offer>,
) -> Result<(), Error> {
    for entry in index.children() {
        let platform = entry.platform().or_else(|| outer.cloned());
        let fits = |own: &Platform| wanted.is_empty() || wanted.iter().any(|wanted| wanted.accepts(own));
        if !media_type::is_index(&entry.media_type) || platform.as_ref().is_some_and(|own| !fits(own)) {
            offers.push(Offer { entry: entry.clone(), platform });
            continue;
        }
        if depth == MAX_DEPTH {
            return Err(Error::TooDeep { place: source.name(), digest: index.digest().clone() });
        }
        match fetch(source, entry).await {
            Ok(inner) => {
                Box::pin(collect(source, &inner, (platform.as_ref(), depth + 1), wanted, offers)).await?;
            }
            Err(Error::Store(store::Error::Missing { .. })) => {
                offers.push(Offer { entry: entry.clone(), platform });
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Returns the image that is nearest to a platform, the first of equals.
fn nearest<'a>(wanted: &Platform, offers: &'a [Offer]) -> Option<&'a Offer> {
    let distance = |offer: &Offer| {
        let platform = offer.platform.as_ref().filter(|platform| wanted.accepts(platform))?;
        let is_image = !media_type::is_index(&offer.entry.media_type);
        // An index of SOCI stands beside its image, for the same platform.
        let is_artifact =
            offer.entry.other.get("artifactType").is_some_and(|kind| !kind.is_null() && kind != "");
        is_image.then(|| (is_artifact, wanted.match_rank(platform)))
    };
    let near = offers.iter().filter_map(|offer| Some((distance(offer)?, offer)));
    near.min_by_key(|(distance, _)| *distance).map(|(_, offer)| offer)
}

/// Reads the configurations of entries without a platform, as containerd does.
async fn examine(source: &Shared, offers: &mut [Offer]) -> Result<(), Error> {
    let silent = |offer: &&mut Offer| {
        offer.platform.is_none()
            && media_type::is_image(&offer.entry.media_type)
            && attested(&offer.entry).is_none()
    };
    for offer in offers.iter_mut().filter(silent).take(MAX_CONFIGURATIONS) {
        let image = fetch(source, &offer.entry).await?;
        offer.platform = of_configuration(source, &image).await?;
    }
    Ok(())
}

/// Returns the index with the kept images and buildkit's attestations about them.
fn narrow(source: &Shared, whole: Manifest, offers: Vec<Offer>, kept: &[Digest]) -> Result<Manifest, Error> {
    let kept: HashSet<String> = kept.iter().map(Digest::to_string).collect();
    let all = offers.len();
    let remaining: Vec<Descriptor> = offers
        .into_iter()
        .filter(|Offer { entry, .. }| {
            kept.contains(&entry.digest.to_string())
                || attested(entry).is_some_and(|digest| kept.contains(digest))
        })
        .map(|Offer { mut entry, platform }| {
            // What only the index around it said about it is said here.
            if entry.platform.is_none() {
                entry.platform = platform.and_then(|platform| serde_json::to_value(platform).ok());
            }
            entry
        })
        .collect();
    if remaining.len() == all {
        return Ok(whole);
    }
    Ok(whole.with_children(&remaining).map_err(store::Error::image(source.name()))?)
}

fn attested(entry: &Descriptor) -> Option<&str> {
    entry.annotation(ATTESTED)
}

/// Reads the platform of a single image from its configuration.
async fn single(source: &Shared, image: Manifest, platforms: &[Platform]) -> Result<Manifest, Error> {
    let offered = of_configuration(source, &image).await?;
    let refused = |wanted: &&Platform| !offered.as_ref().is_some_and(|offered| wanted.accepts(offered));
    match platforms.iter().find(refused) {
        None => Ok(image),
        Some(wanted) => Err(Error::NoPlatform {
            place: source.name(),
            wanted: wanted.clone(),
            offered: offered.map_or_else(|| "an unknown platform".to_owned(), |offered| offered.to_string()),
        }),
    }
}

async fn of_configuration(source: &Shared, image: &Manifest) -> Result<Option<Platform>, Error> {
    let Content::Image { config, .. } = image.content() else { return Ok(None) };
    Ok(configuration(source, config).await?.and_then(|bytes| Platform::of_configuration(&bytes)))
}

fn incomplete(source: &Shared, whole: &Manifest, lacking: &[Offer], offers: &[Offer]) -> Error {
    let place = source.name();
    let (absent, present) = (named(lacking), names(offers));
    if present.is_empty() {
        let digest = lacking.first().map_or(whole.digest(), |offer| &offer.entry.digest).clone();
        return store::Error::Missing { place, what: "manifest", digest }.into();
    }
    let present =
        present.iter().map(|platform| format!("--platform {platform}")).collect::<Vec<_>>().join(" ");
    Error::Incomplete { place, digest: whole.digest().clone(), absent, present }
}

fn no_platform(source: &Shared, wanted: &Platform, offers: &[Offer], lacking: &[Offer]) -> Error {
    let offered = names(offers);
    let mut offered = if offered.is_empty() { "no platform by name".to_owned() } else { offered.join(", ") };
    if nearest(wanted, lacking).is_some() {
        offered = format!("{offered}, and its index lists {} without the content", named(lacking));
    }
    Error::NoPlatform { place: source.name(), wanted: wanted.clone(), offered }
}

/// Lists the platforms of these images, each once; without buildkit's `unknown`, which marks attestations.
fn names(offers: &[Offer]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for platform in offers.iter().filter_map(|offer| offer.platform.as_ref()) {
        let name = platform.to_string();
        if platform.os != "unknown" && !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// The platforms of these images, or digests where they say none.
fn named(offers: &[Offer]) -> String {
    let names = names(offers);
    if names.is_empty() {
        offers.iter().map(|offer| offer.entry.digest.short()).collect::<Vec<_>>().join(", ")
    } else {
        names.join(", ")
    }
}
