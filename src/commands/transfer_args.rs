//! Arguments of the commands that move images, in the groups that they share.

use clap::ValueHint;

use std::sync::Arc;

use super::argument_types::ProfileName;
use super::registry::wrong;
use crate::image::Platform;
use crate::platform::open_files;
use crate::settings::{Globals, Settings};
use crate::store::{Buffers, MIN_MEMORY};
use crate::transfer::compress::Compression;

/// Arguments of `push`, `pull` and `copy`.
#[derive(Debug, clap::Args)]
pub(super) struct TransferArgs {
    /// Only the image for this platform, such as linux/arm64; repeat it for several. All by default
    #[arg(long = "platform", value_name = "PLATFORM", value_hint = ValueHint::Other)]
    platforms: Vec<String>,
    /// A further tag for the image; repeat it for several
    #[arg(long = "tag", value_name = "TAG", value_hint = ValueHint::Other)]
    pub(super) tags: Vec<String>,
    /// Every tag of the source, each under its own name
    #[arg(long, conflicts_with_all = ["tags", "globs"])]
    pub(super) all_tags: bool,
    /// The tags of the source that match, such as 'v1.*'; repeat it for several
    #[arg(long = "match", value_name = "GLOB", value_hint = ValueHint::Other, conflicts_with = "tags")]
    pub(super) globs: Vec<String>,
    /// Go on with the next image where one fails; the exit code still tells
    #[arg(long)]
    pub(super) keep_going: bool,
    /// Compress the layers with gzip or zstd, which changes the image's digest; with a level, 1 to 9 or 1 to 19
    /// (zstd:9), also those that have this form already
    #[arg(long, value_name = "METHOD", conflicts_with = "referrers")]
    pub(super) compress: Option<Compression>,
    #[command(flatten)]
    pub(super) common: CommonArgs,
}

impl TransferArgs {
    /// Returns the requested platforms; none for all.
    pub(super) fn platforms(&self) -> anyhow::Result<Vec<Platform>> {
        self.platforms.iter().map(|text| text.parse().map_err(wrong)).collect()
    }
}

/// Arguments that these share with `sync`.
#[derive(Debug, clap::Args)]
pub(super) struct CommonArgs {
    /// Also what refers to the images: signatures, bills of materials, attestations
    #[arg(
        long,
        long_help = "Also what refers to the images and to each platform's image, and what refers to that in turn: \
                     manifests with a subject, such as signatures, bills of materials and attestations, and what \
                     cosign keeps under tags such as sha256-….sig, .att and .sbom. A registry that does not list \
                     referrers gets the index under a tag that the OCI distribution specification has for it."
    )]
    pub(super) referrers: bool,
    /// Only say what would move, and what is there already
    #[arg(long)]
    pub(super) dry_run: bool,
    /// How to show it: bars on a terminal and lines elsewhere, or lines, or JSON lines on stderr
    #[arg(long, value_name = "STYLE", value_parser = ["auto", "lines", "json"], default_value = "auto")]
    pub(super) progress: String,
    /// Nothing but the digest, and errors
    #[arg(long)]
    pub(super) quiet: bool,
    /// The most layers that move at once; by default as many as their sizes, --memory and the network allow
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u8).range(1..=i64::from(MAX_JOBS)))]
    jobs: Option<u8>,
    /// About how much memory the program takes while layers move, however large and many they are: 28 MiB for itself,
    /// the rest for their bytes; at least 48MiB
    #[arg(long, value_name = "SIZE", default_value = "64MiB", value_parser = size)]
    memory: usize,
    /// Hash layers from files on this machine too, before the registry does; by default their digests are trusted on
    /// the way to a registry, which refuses what does not have them
    #[arg(long)]
    pub(super) verify: bool,
}

/// The most blobs that move at once: each takes a connection and up to two files.
const MAX_JOBS: u8 = 128;

impl CommonArgs {
    /// The most blobs that move at once.
    pub(super) fn jobs(&self) -> usize {
        // Each takes up to two connections and two files of those that a process may have open.
        let open = open_files().and_then(|open| usize::try_from(open).ok());
        let most = open.map_or(usize::MAX, |open| open.saturating_sub(64) / 4).max(4);
        usize::from(self.jobs.unwrap_or(MAX_JOBS)).min(most)
    }

    /// The buffers that `--memory` leaves room for.
    pub(super) fn buffers(&self) -> Arc<Buffers> {
        Buffers::within(self.memory)
    }
}

/// Accounts and regions of each side's own, for `copy` and `sync`.
#[derive(Debug, clap::Args)]
pub(super) struct SideArgs {
    /// The profile for the source
    #[arg(long, value_name = "PROFILE")]
    source_profile: Option<ProfileName>,
    /// The region of the source, where its host does not say it
    #[arg(long, value_name = "REGION", value_hint = ValueHint::Other)]
    source_region: Option<String>,
    /// The profile for the destination
    #[arg(long, value_name = "PROFILE")]
    destination_profile: Option<ProfileName>,
    /// The region of the destination, where its host does not say it
    #[arg(long, value_name = "REGION", value_hint = ValueHint::Other)]
    destination_region: Option<String>,
}

impl SideArgs {
    /// The settings with which the source is reached.
    pub(super) fn of_source(&self, settings: &Settings) -> Settings {
        settings_of(settings, self.source_profile.as_ref(), self.source_region.as_ref())
    }

    /// The settings with which the destination is reached.
    pub(super) fn of_destination(&self, settings: &Settings) -> Settings {
        settings_of(settings, self.destination_profile.as_ref(), self.destination_region.as_ref())
    }
}

/// The settings with another profile and region, where they are given.
fn settings_of(settings: &Settings, profile: Option<&ProfileName>, region: Option<&String>) -> Settings {
    if profile.is_none() && region.is_none() {
        return settings.clone();
    }
    let globals = settings.globals().clone();
    settings.with_globals(Globals {
        profile: profile.cloned().map(String::from).or(globals.profile),
        region: region.cloned().or(globals.region),
        ..globals
    })
}

/// A number of bytes with its unit: `64MiB`, `1GiB`.
fn size(text: &str) -> Result<usize, String> {
    const UNITS: [(&str, usize); 2] = [("MiB", 1 << 20), ("GiB", 1 << 30)];
    let wrong = || format!("{text:?} is no size; expected a number with MiB or GiB behind it, such as 64MiB");
    let (unit, factor) = UNITS.into_iter().find(|(unit, _)| text.ends_with(unit)).ok_or_else(wrong)?;
    let number: usize = text[..text.len() - unit.len()].trim_end().parse().map_err(|_| wrong())?;
    let size = number.checked_mul(factor).ok_or_else(wrong)?;
    if size < MIN_MEMORY {
        return Err(format!("{text} is too little; expected at least {}MiB", MIN_MEMORY >> 20));
    }
    Ok(size)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::DEFAULT_MEMORY;

    #[test]
    fn sizes() {
        assert_eq!(size("64MiB"), Ok(DEFAULT_MEMORY));
        assert_eq!(size("1 GiB"), Ok(1 << 30));
        for (text, reason) in [
            ("64", r#""64" is no size; expected a number with MiB or GiB behind it, such as 64MiB"#),
            ("MiB", r#""MiB" is no size; expected a number with MiB or GiB behind it, such as 64MiB"#),
            ("47MiB", "47MiB is too little; expected at least 48MiB"),
        ] {
            assert_eq!(size(text), Err(reason.to_owned()));
        }
    }
}
