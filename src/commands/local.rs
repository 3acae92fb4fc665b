//! `ecr local`: the embedded ECR as a server, and the care of its store.

mod findings;
mod lifecycle;
mod maintenance;
mod run;
mod serve;

use std::fmt::Write as _;
use std::path::{Path, absolute};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::ArgMatches;
use comfy_table::{Table, presets};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Command, Context, command_args};
use crate::error::Error;
use crate::local::{self, Local, ServerInfo, StoreUsage};
use crate::ui::progress::human;

/// The row of `ecr local`.
pub(super) const COMMAND: Command = Command { name: "local", in_public: false, define, run };

/// The exit code of a reset that was declined.
const DECLINED: u8 = 1;
/// The exit code of `status --serving` where no server answers.
const NOT_SERVING: u8 = 1;

/// The arguments of `ecr local status`.
#[derive(Debug, clap::Args)]
struct StatusArgs {
    /// Print only where the server answers; exits with 1 where none does: a health check
    #[arg(long)]
    serving: bool,
}

/// The arguments of `ecr local reset`.
#[derive(Debug, clap::Args)]
struct ResetArgs {
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

fn define() -> clap::Command {
    clap::Command::new("local")
        .about("Amazon ECR on this machine: a server, and the care of its store")
        .long_about(
            "Amazon ECR on this machine. Any command with --local uses the same store without a server; `ecr local serve` \
             lets other programs use it, through --endpoint-url or AWS_ENDPOINT_URL_ECR. The store is in the platform's \
             data folder unless --folder or ECR_LOCAL_FOLDER names another one.",
        )
        .subcommand_required(true)
        .disable_help_subcommand(true)
        .subcommand(serve::define())
        .subcommand(run::define())
        .subcommand(command_args::define::<StatusArgs>(
            clap::Command::new("status").about("Show what the store holds and whether a server runs on it"),
        ))
        .subcommand(command_args::define::<ResetArgs>(
            clap::Command::new("reset").about("Delete everything in the store").long_about(
                "Delete everything in the store, also while a server runs on it: the server then sees an empty store. \
                 Exits with 1 where the answer to its question is no.",
            ),
        ))
        .subcommands(maintenance::define())
        .subcommand(lifecycle::define())
        .subcommand(findings::define())
        .subcommand(clap::Command::new("path").about("Print the store's folder"))
}

fn run(context: &Context, matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    let folder = absolute(context.settings.local_folder()?).context("the working directory is gone")?;
    match matches.subcommand() {
        Some(("serve", matches)) => serve::run(context, &folder, matches),
        Some(("run", matches)) => run::run(context, &folder, matches),
        Some(("gc", matches)) => maintenance::collect(context, &folder, matches),
        Some(("check", _)) => maintenance::check(context, &folder),
        Some(("export", matches)) => maintenance::export(context, &folder, matches),
        Some(("import", matches)) => maintenance::import(context, &folder, matches),
        Some(("lifecycle", matches)) => lifecycle::run(context, &folder, matches),
        Some(("findings", matches)) => findings::run(context, &folder, matches),
        Some(("status", matches)) => {
            command_args::run(context, matches, |context, args| status(context, &folder, args))
        }
        Some(("reset", matches)) => {
            command_args::run(context, matches, |context, args| reset(context, &folder, args))
        }
        Some(("path", _)) => {
            context.ui.print(&format!("{}\n", folder.display()))?;
            Ok(ExitCode::SUCCESS)
        }
        _ => Err(Error::Usage(
            "`ecr local` takes one of serve, run, status, gc, check, export, import, lifecycle, findings, reset and path"
                .to_owned(),
        )
        .into()),
    }
}

fn status(context: &Context, folder: &Path, args: &StatusArgs) -> anyhow::Result<ExitCode> {
    if args.serving {
        return serving(context, folder);
    }
    if !Local::exists(folder) {
        context.ui.print(&format!("Folder    {}\nnothing is stored there yet\n", folder.display()))?;
        return Ok(ExitCode::SUCCESS);
    }
    let usage = Local::open(folder)?.usage().map_err(|fault| Error::Other(fault.message))?;
    let server = ServerInfo::find(folder);
    let text = if context.settings.globals().output.as_deref() == Some("json") {
        format!("{:#}\n", structure(folder, &usage, server.as_ref()))
    } else {
        report(folder, &usage, server.as_ref())
    };
    context.ui.print(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn serving(context: &Context, folder: &Path) -> anyhow::Result<ExitCode> {
    let Some(server) = ServerInfo::find(folder) else {
        context.ui.note(&format!("no server answers for {}", folder.display()));
        return Ok(ExitCode::from(NOT_SERVING));
    };
    context.ui.print(&format!("{}\n", server.url()))?;
    Ok(ExitCode::SUCCESS)
}

fn structure(folder: &Path, usage: &StoreUsage, server: Option<&ServerInfo>) -> Value {
    let registries = usage.registries.iter().map(|registry| {
        json!({
            "service": registry.service,
            "account": registry.account,
            "region": registry.region,
            "repositories": registry.repositories,
            "images": registry.images,
            "tags": registry.tags,
        })
    });
    json!({
        "folder": folder.display().to_string(),
        "server": server.map(|server| json!({
            "url": server.url(),
            "process": server.pid,
            "startedAt": started(server),
        })),
        "databaseBytes": usage.database_bytes,
        "blobs": usage.blobs,
        "blobBytes": usage.blob_bytes,
        "uploads": usage.uploads,
        "uploadBytes": usage.upload_bytes,
        "registries": registries.collect::<Vec<_>>(),
    })
}

fn report(folder: &Path, usage: &StoreUsage, server: Option<&ServerInfo>) -> String {
    let server = server.map_or_else(
        || "none runs on this folder".to_owned(),
        |server| format!("{}, process {}, since {}", server.url(), server.pid, started(server)),
    );
    let size = |bytes: i64| size(u64::try_from(bytes).unwrap_or_default());
    let mut text = format!("Folder    {}\nServer    {server}\n", folder.display());
    // Writing to a String cannot fail.
    let _ = writeln!(text, "Database  {}", self::size(usage.database_bytes));
    let _ = writeln!(text, "Blobs     {}, {}", usage.blobs, size(usage.blob_bytes));
    let _ = writeln!(text, "Uploads   {} unfinished, {}", usage.uploads, size(usage.upload_bytes));
    if usage.registries.is_empty() {
        return text;
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["SERVICE", "ACCOUNT", "REGION", "REPOSITORIES", "IMAGES", "TAGS"]);
    for registry in &usage.registries {
        let counts = [registry.repositories, registry.images, registry.tags].map(|count| count.to_string());
        let names = [registry.service.clone(), registry.account.clone(), registry.region.clone()];
        table.add_row(names.into_iter().chain(counts));
    }
    let lines = table.lines().map(|line| line.trim().to_owned() + "\n");
    text + "\n" + &lines.collect::<String>()
}

fn started(server: &ServerInfo) -> String {
    Timestamp::from_millisecond(server.started).unwrap_or_default().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// A number of bytes for people.
fn size(bytes: u64) -> String {
    if bytes < 1024 { format!("{bytes} bytes") } else { human(bytes) }
}

fn reset(context: &Context, folder: &Path, args: &ResetArgs) -> anyhow::Result<ExitCode> {
    if !Local::exists(folder) {
        context.ui.note(&format!("nothing is stored in {} yet", folder.display()));
        return Ok(ExitCode::SUCCESS);
    }
    if !args.yes {
        if !context.ui.in_is_terminal() {
            let text = format!(
                "`ecr local reset` deletes everything in {}; without a terminal to ask on, it takes --yes",
                folder.display()
            );
            return Err(Error::Usage(text).into());
        }
        if !context.ui.confirm(&format!("Delete everything in {}?", folder.display()))? {
            context.ui.note("nothing was deleted");
            return Ok(ExitCode::from(DECLINED));
        }
    }
    local::reset(folder)?;
    context.ui.note(&format!("{} is empty now", folder.display()));
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_for_people() {
        let sizes = [0, 1023, 1024, 1536, 1024 * 1024 - 1, 5 * 1024 * 1024, u64::MAX >> 10].map(size);
        assert_eq!(
            sizes,
            ["0 bytes", "1023 bytes", "1.0 KiB", "1.5 KiB", "1023.9 KiB", "5.0 MiB", "15.9 PiB"]
        );
    }

    #[test]
    fn the_command_line_is_sound() {
        define().debug_assert();
    }
}
