//! `ecr login --helper`, `--check` and `--cache`: everything of `login` that asks for no password.

use std::path::Path;

use super::Context;
use super::login_args::LoginArgs;
use super::login_hosts::{address, in_use, registry, rules};
use crate::auth::auth_file::Client;
use crate::auth::cached_token::Freshness;
use crate::auth::ecr_registry::EcrRegistry;
use crate::auth::get_authorization_token::format_time;
use crate::auth::helper_install::{self, LinkOutcome, PROGRAM};
use crate::auth::identity::Identity;
use crate::auth::login::LoginContext;
use crate::auth::login_conf::{self, Rules};
use crate::auth::obtain_token::now;
use crate::error::Error;
use crate::settings::without_userinfo;

/// Makes docker ask this program, or takes that back.
pub(super) fn helper(context: &Context, logins: &LoginContext<'_>, args: &LoginArgs) -> anyhow::Result<()> {
    if args.places.names_another() {
        anyhow::bail!(Error::Usage(
            "--helper changes docker's file, which podman, helm and the others read too; DOCKER_CONFIG names another"
                .to_owned()
        ));
    }
    let settings = &context.settings;
    let file = Client::Docker.file(settings)?;
    let dry_run = args.dry_run;
    let hosts = args.places.hosts.iter();
    let named: Vec<String> =
        hosts.map(|host| address(host).map(|address| address.to_string())).collect::<anyhow::Result<_>>()?;
    if args.undo {
        return undo_helper(context, &file, &named, dry_run);
    }
    let rules = rules(settings)?;
    let hosts = if named.is_empty() || args.all { in_use(context, logins, &rules, named)? } else { named };
    for host in &hosts {
        registry(&rules, &address(host)?)?;
    }
    let change = helper_install::install(settings, &file, &hosts, dry_run)?;
    if dry_run {
        context.ui.print(&change.diff())?;
    } else {
        context.ui.note(&format!("docker asks the helper for {} ({})", hosts.join(", "), file.display()));
    }
    say_program(context, helper_install::link(settings, dry_run), dry_run);
    context.ui.note(
        "podman, skopeo and buildah read the same lines of docker's file where they have no login of their own. For all \
         hosts at once, put this into /etc/containers/registries.conf: credential-helpers = [\"containers-auth.json\", \
         \"ecr-login\"]",
    );
    Ok(())
}

/// Takes the helper out of docker's file: for these hosts, or with its link where none is named.
fn undo_helper(context: &Context, file: &Path, hosts: &[String], dry_run: bool) -> anyhow::Result<()> {
    let settings = &context.settings;
    let change = helper_install::undo(settings, file, hosts, dry_run)?;
    let gone = if hosts.is_empty() { helper_install::unlink(settings, dry_run) } else { None };
    if dry_run {
        context.ui.print(&change.diff())?;
    } else {
        super::login::told(context, &change);
        let done = if change.has_effect() { "no longer asks the helper" } else { "did not ask the helper" };
        context.ui.note(&format!("docker {done} ({})", file.display()));
    }
    if let Some(link) = gone {
        let done = if dry_run { "Would remove" } else { "Removed" };
        context.ui.note(&format!("{done} {}", link.display()));
    }
    Ok(())
}

fn say_program(context: &Context, program: Option<LinkOutcome>, dry_run: bool) {
    let line = match program {
        None | Some(LinkOutcome::AlreadyLinked(_)) => return,
        Some(LinkOutcome::Linked(link)) => {
            format!(
                "{} the link {} for docker to find",
                if dry_run { "Would make" } else { "Made" },
                link.display()
            )
        }
        Some(LinkOutcome::OtherProgram(path)) => format!(
            "docker will find another program of the helper's name first, {}: replace it, or put this one before it \
             on PATH",
            path.display()
        ),
        Some(LinkOutcome::Failed { own, reason }) => format!(
            "docker needs {PROGRAM} on PATH ({reason}): ln -s '{}' /usr/local/bin/{PROGRAM}",
            own.display()
        ),
    };
    context.ui.note(&line);
}

/// Prints the identity that would be used, and the problems of login.conf.
pub(super) fn check(context: &Context, logins: &LoginContext<'_>, hosts: &[String]) -> anyhow::Result<()> {
    let settings = &context.settings;
    let rules = rules(settings)?;
    let profiles = settings.profiles()?;
    for rule in &rules.rules {
        if let Some(profile) = rule.profile.as_deref().filter(|name| !profiles.contains(name)) {
            anyhow::bail!(Error::Configuration {
                code: "Configuration",
                message: format!(
                    "{}, line {}: there is no profile {profile} in {} or {}",
                    rules.file.as_deref().unwrap_or_else(|| "login.conf".as_ref()).display(),
                    rule.line,
                    settings.configuration_file().display(),
                    settings.credentials_file().display()
                ),
            });
        }
    }
    let mut text = match login_conf::file(settings) {
        Some(file) if !rules.rules.is_empty() => {
            format!("{}: {} rules, sound\n", file.display(), rules.rules.len())
        }
        Some(file) => format!("{}: no rules\n", file.display()),
        None => "no home directory, and so no login.conf\n".to_owned(),
    };
    for host in hosts {
        let registry = registry(&rules, &address(host)?)?;
        text.push_str(&described(logins, &rules, &registry));
    }
    Ok(context.ui.print(&text)?)
}

fn described(logins: &LoginContext<'_>, rules: &Rules, registry: &EcrRegistry) -> String {
    let identity = Identity::of(logins.settings, registry);
    let rule = registry.rule.as_ref();
    let role =
        rule.and_then(|rule| rule.role_arn.as_ref()).map(|role| format!(", as {role}")).unwrap_or_default();
    let whom =
        if registry.anonymous() { "nobody: no login is used".to_owned() } else { identity.label() + &role };
    let forms = [(registry.fips, ", FIPS endpoint"), (registry.dualstack, ", dual-stack endpoint")];
    let forms: String = forms.into_iter().filter(|(on, _)| *on).map(|(_, text)| text).collect();
    let endpoint =
        rule.and_then(|rule| rule.endpoint_url.as_ref()).map(|url| format!(" at {}", without_userinfo(url)));
    let endpoint = endpoint.unwrap_or_default();
    let kept =
        logins.cache.as_ref().ok().and_then(|cache| cache.read(&identity.key(logins.settings, registry)));
    let kept = kept.filter(|entry| entry.freshness(now()) != Freshness::Expired);
    let kept = match (&logins.cache, kept) {
        (Err(unusable), _) => unusable.to_string(),
        (Ok(_), Some(entry)) => format!("a password until {}", format_time(entry.expires)),
        (Ok(_), None) => "none".to_owned(),
    };
    let line = rule.map_or_else(
        || if rules.rules.is_empty() { "none".to_owned() } else { "none that fits".to_owned() },
        |rule| format!("{} (line {})", rule.name, rule.line),
    );
    format!(
        "\n{}\n  rule         {line}\n  credentials  {whom}\n  asks         {} in {}{forms}{endpoint}\n  kept         {kept}\n",
        registry.host,
        registry.service(),
        registry.region,
    )
}

/// Lists or clears the cache.
pub(super) fn cache(context: &Context, logins: &LoginContext<'_>, action: &str) -> anyhow::Result<()> {
    let cache = logins
        .cache
        .as_ref()
        .map_err(|unusable| Error::Configuration { code: "Configuration", message: unusable.to_string() })?;
    if action == "clear" {
        let removed = cache.clear()?;
        context.ui.note(&format!("{removed} passwords removed from {}", cache.folder().display()));
        return Ok(());
    }
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING).set_header([
        "SERVICE",
        "REGION",
        "CREDENTIALS",
        "STATE",
        "EXPIRES",
        "HOSTS",
    ]);
    let entries = cache.entries();
    for (_, entry) in &entries {
        let state = match entry.freshness(now()) {
            Freshness::Fresh => "fresh",
            Freshness::RefreshDue => "renewed next",
            Freshness::NearExpiry => "about to end",
            Freshness::Expired => "over",
        };
        let until = format_time(entry.expires);
        let hosts = entry.hosts.join("\n");
        table.add_row([entry.service.as_str(), &entry.region, &entry.source, state, &until, &hosts]);
    }
    if entries.is_empty() {
        context.ui.note(&format!("No passwords in {}", cache.folder().display()));
        return Ok(());
    }
    Ok(context.ui.print(&format!("{}\n", table.trim_fmt()))?)
}
