//! `ecr sync`: mirrors repositories.
//!
//! Both sides list their tags with the digests that they name, so what is the same is never read. What differs is
//! copied by digest, all tags of an image at once.

mod deletion;
mod difference;
mod mirror;
mod options;
mod report;
mod sync_registry;

use std::process::ExitCode;
use std::sync::Arc;

use clap::{ArgMatches, ValueHint};

use self::deletion::Deletion;
use self::mirror::{Mirror, SyncContext};
use self::options::SyncOptions;
use self::report::SyncReport;
use self::sync_registry::SyncRegistry;
use super::create::{CreateArgs, Creation};
use super::transfer_args::{CommonArgs, SideArgs};
use super::{Command, Context, block_on_threads, command_args, registry, transfer_command};
use crate::transfer::progress::Progress;

/// The row of `ecr sync`.
pub(super) const COMMAND: Command = Command { name: "sync", in_public: false, define, run };

/// The arguments of `ecr sync`.
#[derive(Debug, clap::Args)]
struct SyncArgs {
    /// Repositories of Amazon ECR, or docker://HOST/REPOSITORY for any registry over /v2/ (its repositories are listed
    /// where it offers a catalog); and behind them HOST, HOST/PREFIX, PREFIX, or / for the configured registry without
    /// a prefix
    #[arg(value_names = ["SOURCE", "DESTINATION"], value_hint = ValueHint::AnyPath, required = true, num_args = 2..)]
    places: Vec<String>,
    /// Only tags that match, such as 'v1.*'; repeat it for several
    #[arg(long = "match", value_name = "GLOB", value_hint = ValueHint::Other)]
    globs: Vec<String>,
    /// No tags that match; repeat it for several
    #[arg(long, value_name = "GLOB", value_hint = ValueHint::Other)]
    exclude: Vec<String>,
    #[command(flatten)]
    deletion: Deletion,
    #[command(flatten)]
    create: CreateArgs,
    /// Go on with the next tag or repository where one fails; the exit code still tells
    #[arg(long)]
    keep_going: bool,
    #[command(flatten)]
    common: CommonArgs,
    #[command(flatten)]
    sides: SideArgs,
}

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
        );
    command_args::define::<SyncArgs>(command)
}

fn run(context: &Context, matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    command_args::run(context, matches, sync)
}

fn options<'a>(args: &SyncArgs, create: Option<&'a Creation>) -> SyncOptions<'a> {
    SyncOptions {
        globs: Arc::new((args.globs.clone(), args.exclude.clone())),
        deletion: args.deletion,
        referrers: args.common.referrers,
        dry_run: args.common.dry_run,
        keep_going: args.keep_going,
        jobs: args.common.jobs(),
        verify: args.common.verify,
        buffers: args.common.buffers(),
        create,
    }
}

fn sync(context: &Context, args: &SyncArgs) -> anyhow::Result<ExitCode> {
    let json = transfer_command::wants_json(context)?;
    let create = args.create.creation()?;
    let (destination, places) =
        args.places.split_last().map_or(("", &[][..]), |(last, rest)| (last.as_str(), rest));
    let from = args.sides.of_source(&context.settings);
    let to = args.sides.of_destination(&context.settings);
    let (destination, prefix) = SyncRegistry::destination(&to, destination)?;
    let sources: Vec<(SyncRegistry, String)> =
        places.iter().map(|place| SyncRegistry::source(&from, place)).collect::<anyhow::Result<_>>()?;
    if !destination.is_ecr() && create.as_ref().is_some_and(Creation::has_file) {
        return Err(registry::usage("--create=FILE is for repositories of Amazon ECR through its own API"));
    }

    let display = transfer_command::display(context, &args.common);
    let meant = block_on_threads(sync_registry::repositories(&sources, &destination, &prefix, &display))?;
    let mut report = SyncReport::default();
    for (name, place) in &meant.invalid {
        report.no_repository(name, place);
    }
    if !args.keep_going {
        report.verdict()?;
    }
    let mirrors: Vec<Mirror> = meant
        .repositories
        .into_iter()
        .map(|(source, name)| Mirror::new(source, name, &destination, &prefix))
        .collect::<anyhow::Result<_>>()?;
    let wanted = options(args, create.as_ref());
    let progress: Arc<dyn Progress> = display.clone();
    let run = SyncContext { wanted: &wanted, progress: &progress, display: &display, ui: &context.ui };
    let ended = block_on_threads(run.all(&mirrors, &mut report));
    display.end();
    if let (Err(error), Some(mirror)) = (&ended, mirrors.first()) {
        transfer_command::after(&display, error, mirror.keeps());
    }
    display.summary(&report.table(&context.ui, wanted.dry_run), &report.event(wanted.dry_run));
    print(context, &report, json)?;
    ended.and_then(|()| report.verdict())?;
    Ok(ExitCode::SUCCESS)
}

/// Writes what was copied to standard output.
fn print(context: &Context, report: &SyncReport, json: bool) -> anyhow::Result<()> {
    if json {
        return transfer_command::print_json(context, &report.value());
    }
    Ok(context.ui.print(&report.references())?)
}
