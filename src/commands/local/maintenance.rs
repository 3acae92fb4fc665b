//! `ecr local gc`, `check`, `export` and `import`: the care of a store.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::ArgMatches;

use super::{Context, Error, size};
use crate::commands::command_args;
use crate::local::{self, Local, RequestError};

/// The exit code of a check that found damage.
const DAMAGED: u8 = 1;
/// Minutes that a layer stays that no image refers to yet.
const GRACE: u32 = 60;

/// The arguments of `ecr local gc`.
#[derive(Debug, clap::Args)]
struct GcArgs {
    /// Keep layers that were stored, and uploads that received something, within so many minutes: their image may be on
    /// its way
    #[arg(long, value_name = "MINUTES", default_value_t = GRACE)]
    grace: u32,
}

/// The arguments of `ecr local export`.
#[derive(Debug, clap::Args)]
struct ExportArgs {
    /// The file to write; stdout where none is named, or -
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
}

/// The arguments of `ecr local import`.
#[derive(Debug, clap::Args)]
struct ImportArgs {
    /// The file to read; stdin where none is named, or -
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
}

pub(super) fn define() -> [clap::Command; 4] {
    [
        command_args::define::<GcArgs>(
            clap::Command::new("gc")
                .about("Free the blobs that no image needs, and unfinished uploads")
                .long_about("Free the blobs that no image needs, and unfinished uploads. Others may push and pull meanwhile."),
        ),
        clap::Command::new("check").about("Find damaged blobs and manifests").long_about(
            "Read every blob and manifest and compare it with its digest. Exits with 1 where one is damaged.",
        ),
        command_args::define::<ExportArgs>(
            clap::Command::new("export").about("Write the whole store to one tar file").long_about(
                "Write the whole store to one tar file, as it is at this moment; it may be in use meanwhile. Unfinished \
                 uploads are left out.",
            ),
        ),
        command_args::define::<ImportArgs>(
            clap::Command::new("import").about("Make the store from what `export` wrote").long_about(
                "Make the store from what `ecr local export` wrote. The folder must hold no store, or an empty one. Every \
                 blob is compared with its digest first.",
            ),
        ),
    ]
}

/// Returns the named file, or `None` for the standard stream.
fn named(file: Option<&PathBuf>) -> Option<&PathBuf> {
    file.filter(|path| path.as_os_str() != "-")
}

fn failed(error: RequestError) -> Error {
    Error::Other(error.message)
}

/// The store in a folder, which must have one.
pub(super) fn open(folder: &Path) -> anyhow::Result<Local> {
    if Local::exists(folder) {
        return Ok(Local::open(folder)?);
    }
    Err(Error::Other(format!("nothing is stored in {} yet", folder.display())).into())
}

pub(super) fn collect(context: &Context, folder: &Path, matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    command_args::run(context, matches, |context, args| collect_garbage(context, folder, args))
}

fn collect_garbage(context: &Context, folder: &Path, args: &GcArgs) -> anyhow::Result<ExitCode> {
    let freed = open(folder)?.collect(i64::from(args.grace) * 60_000).map_err(failed)?;
    let bytes = size(u64::try_from(freed.bytes).unwrap_or_default());
    let uploads = match freed.uploads {
        0 => String::new(),
        uploads => format!(" and {uploads} unfinished uploads"),
    };
    context.ui.print(&format!("freed {} blobs{uploads}, {bytes}\n", freed.blobs))?;
    Ok(ExitCode::SUCCESS)
}

pub(super) fn check(context: &Context, folder: &Path) -> anyhow::Result<ExitCode> {
    let checked = open(folder)?.check().map_err(failed)?;
    for damaged in &checked.damaged {
        let places = damaged.repositories.join(", ");
        context.ui.print(&format!("{}: {}; in {places}\n", damaged.digest, damaged.reason))?;
    }
    let bytes = size(u64::try_from(checked.bytes).unwrap_or_default());
    let sum = format!("{} blobs and manifests, {bytes}: {} damaged", checked.objects, checked.damaged.len());
    context.ui.note(&sum);
    Ok(if checked.damaged.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(DAMAGED) })
}

pub(super) fn export(context: &Context, folder: &Path, matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    command_args::run(context, matches, |context, args| export_store(context, folder, args))
}

fn export_store(context: &Context, folder: &Path, args: &ExportArgs) -> anyhow::Result<ExitCode> {
    let store = open(folder)?;
    let Some(path) = named(args.file.as_ref()) else {
        if context.ui.out_is_terminal() {
            let text = "`ecr local export` does not write an archive to a terminal; name a file";
            return Err(Error::Usage(text.to_owned()).into());
        }
        store.export(BufWriter::new(io::stdout().lock())).map_err(failed)?;
        return Ok(ExitCode::SUCCESS);
    };
    // The file is there whole or not at all.
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let failure = || format!("cannot write {}", path.display());
    let mut temporary = tempfile::NamedTempFile::new_in(parent).with_context(failure)?;
    store.export(BufWriter::new(&mut temporary)).map_err(failed)?;
    temporary.flush().with_context(failure)?;
    temporary.as_file().sync_all().with_context(failure)?;
    temporary.persist(path).with_context(failure)?;
    Ok(ExitCode::SUCCESS)
}

pub(super) fn import(context: &Context, folder: &Path, matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    command_args::run(context, matches, |context, args| import_store(context, folder, args))
}

fn import_store(context: &Context, folder: &Path, args: &ImportArgs) -> anyhow::Result<ExitCode> {
    match named(args.file.as_ref()) {
        Some(path) => {
            let opened = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
            local::import(folder, BufReader::new(opened))?;
        }
        None => local::import(folder, io::stdin().lock())?,
    }
    context.ui.note(&format!("the store is in {}", folder.display()));
    Ok(ExitCode::SUCCESS)
}
