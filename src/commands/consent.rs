//! Consent to a change: a question at a terminal, `--yes` elsewhere, and nothing with `--dry-run`.

use super::Context;
use super::registry::usage;
use crate::ui::Ui;

/// Arguments of commands that change something irrevocably.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
pub(super) struct ConsentArgs {
    /// Do it without a question; required where nobody can be asked
    #[arg(long, short)]
    yes: bool,
    /// Show what would be done, and change nothing
    #[arg(long)]
    pub(super) dry_run: bool,
}

/// Answer to a plan that was shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Consent {
    /// Carry it out.
    Given,
    /// Carry nothing out: it was only to be shown.
    DryRun,
    /// The question was answered with no.
    Refused,
}

impl ConsentArgs {
    /// Refuses, before its first call, a command that needs a question and cannot ask it. `stdin_is_read` where
    /// standard input brings references and no answers.
    pub(super) fn check(self, ui: &Ui, stdin_is_read: bool) -> anyhow::Result<()> {
        if self.dry_run || self.yes || (!stdin_is_read && ui.in_is_terminal() && ui.err_is_terminal()) {
            return Ok(());
        }
        Err(usage(
            "this changes what is in the registry, and there is no terminal to ask: --yes does it without a question, \
             --dry-run only shows it",
        ))
    }

    /// Returns whether a person will be asked.
    pub(super) fn asks(self) -> bool {
        !self.yes && !self.dry_run
    }

    /// Asks a person, unless `--yes` or `--dry-run` answers.
    pub(super) async fn ask(self, context: &Context, question: String) -> anyhow::Result<Consent> {
        if self.dry_run {
            return Ok(Consent::DryRun);
        }
        if self.yes || ask(&context.ui, question).await? {
            return Ok(Consent::Given);
        }
        context.ui.note("nothing was changed");
        Ok(Consent::Refused)
    }
}

/// Asks on a thread of its own, so that Ctrl-C ends the program during the question.
pub(super) async fn ask(ui: &Ui, question: String) -> anyhow::Result<bool> {
    let (answer, answered) = tokio::sync::oneshot::channel();
    let ui = ui.clone();
    std::thread::spawn(move || answer.send(ui.confirm(&question)));
    Ok(answered.await??)
}
