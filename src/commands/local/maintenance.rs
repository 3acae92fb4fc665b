//! `ecr local gc`, `check`, `export` and `import`: the care of a store.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Arg, ArgMatches};

use super::{Context, Error, size};
use crate::local::{self, Local, RequestError};

/// The exit code of a check that found damage.
const DAMAGED: u8 = 1;
/// How many minutes a layer stays that no image refers to yet.
const GRACE: &str = "60";

pub(super) fn define() -> [clap::Command; 4] {
    let file = |help: &'static str| {
        Arg::new("file").value_name("FILE").value_parser(clap::value_parser!(PathBuf)).help(help)
    };
    [
        clap::Command::new("gc")
            .about("Free the blobs that no image needs, and unfinished uploads")
            .long_about("Free the blobs that no image needs, and unfinished uploads. Others may push and pull meanwhile.")
            .arg(
                Arg::new("grace")
                    .long("grace")
                    .value_name("MINUTES")
                    .value_parser(clap::value_parser!(u32))
                    .default_value(GRACE)
                    .help(
                        "Keep layers that were stored, and uploads that received something, within so many minutes: their \
                         image may be on its way",
                    ),
            ),
        clap::Command::new("check").about("Find damaged blobs and manifests").long_about(
            "Read every blob and manifest and compare it with its digest. Exits with 1 where one is damaged.",
        ),
        clap::Command::new("export")
            .about("Write the whole store to one tar file")
            .long_about(
                "Write the whole store to one tar file, as it is at this moment; it may be in use meanwhile. Unfinished \
                 uploads are left out.",
            )
            .arg(file("The file to write; stdout where none is named, or -")),
        clap::Command::new("import")
            .about("Make the store from what `export` wrote")
            .long_about(
                "Make the store from what `ecr local export` wrote. The folder must hold no store, or an empty one. Every \
                 blob is compared with its digest first.",
            )
            .arg(file("The file to read; stdin where none is named, or -")),
    ]
}

/// The file that was named; nothing where the standard stream is meant.
fn file(matches: &ArgMatches) -> Option<&PathBuf> {
    matches.get_one::<PathBuf>("file").filter(|path| path.as_os_str() != "-")
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
    let minutes = matches.get_one::<u32>("grace").copied().unwrap_or_default();
    let freed = open(folder)?.collect(i64::from(minutes) * 60_000).map_err(failed)?;
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
    let store = open(folder)?;
    let Some(path) = file(matches) else {
        if context.ui.out_is_terminal() {
            let text = "`ecr local export` does not write an archive to a terminal; name a file";
            return Err(Error::Usage(text.to_owned()).into());
        }
        store.export(BufWriter::new(io::stdout().lock())).map_err(failed)?;
        return Ok(ExitCode::SUCCESS);
    };
    // The file is there whole or not at all.
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let named = || format!("cannot write {}", path.display());
    let mut temporary = tempfile::NamedTempFile::new_in(parent).with_context(named)?;
    store.export(BufWriter::new(&mut temporary)).map_err(failed)?;
    temporary.flush().with_context(named)?;
    temporary.as_file().sync_all().with_context(named)?;
    temporary.persist(path).with_context(named)?;
    Ok(ExitCode::SUCCESS)
}

pub(super) fn import(context: &Context, folder: &Path, matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    match file(matches) {
        Some(path) => {
            let opened = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
            local::import(folder, BufReader::new(opened))?;
        }
        None => local::import(folder, io::stdin().lock())?,
    }
    context.ui.note(&format!("the store is in {}", folder.display()));
    Ok(ExitCode::SUCCESS)
}
