//! `ecr sync`: repositories as they are elsewhere.
//!
//! Both sides list their tags with the digests that they name, so what is the same is never read. What differs is
//! copied by digest, all tags of an image at once.

mod deletion;
mod mirror;
mod report;
mod sync_registry;

use std::process::ExitCode;
use std::sync::Arc;

use clap::{Arg, ArgAction, ArgMatches};

use self::deletion::Deletion;
use self::mirror::{Mirror, Run, SyncOptions};
use self::report::Report;
use self::sync_registry::SyncRegistry;
use super::create::{self, Creation};
use super::location::{self, Side};
use super::{Command, Context, block_on_threads, registry, transfer_command, transfer_options};
use crate::transfer::progress::Progress;

/// The row of `ecr sync`.
pub(super) const COMMAND: Command = Command { name: "sync", define, run };

fn define() -> clap::Command {
    let command = clap::Command::new("sync")
        .about("Mirror repositories into another registry, account or region")
        .long_about(
            "Mirror repositories into another registry, account or region. A SOURCE is a repository or a glob, such \
             as 'team/*', with or without a registry's host in front; * stands for any characters, also /, and ? for \
             one. Each repository keeps its name below DESTINATION. Tags that name the same digest on both sides are \
             not looked at further, which takes one listing per repository on each side (over /v2/ one question per tag); \
             with --referrers every image that is chosen is looked at. Images without a tag are \
             not mirrored, and neither repositories nor tags are deleted unless --delete says so for tags. What was \
             copied is written to standard output, as REPOSITORY:TAG@DIGEST.",
        )
        .arg(
            Arg::new("places").value_names(["SOURCE", "DESTINATION"]).required(true).num_args(2..).help(
                "Repositories of Amazon ECR, or docker://HOST/REPOSITORY for any registry over /v2/ (its repositories \
                 are listed where it offers a catalog); and behind them HOST, HOST/PREFIX, PREFIX, or / for the \
                 configured registry without a prefix",
            ),
        )
        .arg(
            Arg::new("match")
                .long("match")
                .value_name("GLOB")
                .action(ArgAction::Append)
                .help("Only tags that match, such as 'v1.*'; repeat it for several"),
        )
        .arg(
            Arg::new("exclude")
                .long("exclude")
                .value_name("GLOB")
                .action(ArgAction::Append)
                .help("No tags that match; repeat it for several"),
        )
        .arg(Arg::new("delete").long("delete").action(ArgAction::SetTrue).help(
            "Delete tags at the destination that the source does not have, of those that --match and --exclude \
             choose. Tags such as sha256-….sig stay, and so do repositories. More than half of a repository's tags \
             go only after a question, or with --yes or --max-deletes",
        ))
        .args(deletion::arguments())
        .arg(create::argument())
        .arg(
            Arg::new("keep-going")
                .long("keep-going")
                .action(ArgAction::SetTrue)
                .help("Go on with the next tag or repository where one fails; the exit code still tells"),
        );
    location::accounts(transfer_command::shared(command))
}

fn run(context: &Context, matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    let json = transfer_command::wants_json(context)?;
    let create = Creation::asked(matches)?;
    let mut places: Vec<&String> = matches.get_many("places").into_iter().flatten().collect();
    let destination = places.pop().map_or("", String::as_str);
    let from = location::settings_by(&context.settings, matches, Side::Source);
    let to = location::settings_by(&context.settings, matches, Side::Destination);
    let (destination, prefix) = SyncRegistry::destination(&to, destination)?;
    let sources: Vec<(SyncRegistry, String)> =
        places.into_iter().map(|place| SyncRegistry::source(&from, place)).collect::<anyhow::Result<_>>()?;
    if !destination.is_ecr() && create.as_ref().is_some_and(Creation::is_particular) {
        return Err(registry::usage("--create=FILE is for repositories of Amazon ECR through its own API"));
    }

    let display = transfer_command::display(context, matches);
    let meant = block_on_threads(sync_registry::repositories(&sources, &destination, &prefix, &display))?;
    let mut report = Report::default();
    for (name, place) in &meant.invalid {
        report.no_repository(name, place);
    }
    if !matches.get_flag("keep-going") {
        report.verdict()?;
    }
    let mirrors: Vec<Mirror> = meant
        .repositories
        .into_iter()
        .map(|(source, name)| Mirror::new(source, name, &destination, &prefix))
        .collect::<anyhow::Result<_>>()?;
    let globs = |name: &str| matches.get_many(name).into_iter().flatten().cloned().collect();
    let wanted = SyncOptions {
        globs: Arc::new((globs("match"), globs("exclude"))),
        deletion: Deletion::of(matches),
        referrers: matches.get_flag("referrers"),
        dry_run: matches.get_flag("dry-run"),
        keep_going: matches.get_flag("keep-going"),
        jobs: registry::jobs(matches),
        verify: matches.get_flag("verify"),
        buffers: transfer_options::buffers(matches),
        create: create.as_ref(),
    };
    let progress: Arc<dyn Progress> = display.clone();
    let run = Run { wanted: &wanted, progress: &progress, display: &display, ui: &context.ui };
    let ended = block_on_threads(run.all(&mirrors, &mut report));
    display.end();
    if let (Err(error), Some(mirror)) = (&ended, mirrors.first()) {
        transfer_command::after(&display, error, mirror.keeps());
    }
    display.summary(&report.table(&context.ui, wanted.dry_run), &report.event(wanted.dry_run));
    if json {
        transfer_command::print_json(context, &report.value())?;
    } else {
        context.ui.print(&report.references())?;
    }
    ended.and_then(|()| report.verdict())?;
    Ok(ExitCode::SUCCESS)
}
