//! Which identity for which registry: the file `login.conf`.
//!
//! It is found at `ECR_LOGIN_CONFIG`, else at `$XDG_CONFIG_HOME/ecr/login.conf`, else at `~/.config/ecr/login.conf`,
//! and need not exist. It is a list of rules; the first one whose conditions all hold decides, and where none does,
//! the credentials are those that every AWS tool would take. A rule is a section with a name of your own;
//! [`EXAMPLE`] has one of each kind.
//!
//! Conditions are globs (`*`, `?`), several of them separated by blanks or commas; one of them must fit. A host glob
//! with a colon is compared with `HOST:PORT`, one without with the host alone. Of an alias (`registry`), account and
//! region are those of the registry that it stands for.
//!
//! The format is that of the AWS configuration files, without their nested blocks: whoever has an ECR has one of
//! those. Unknown keys are errors, because a misspelt `profile` would otherwise log in as somebody else.

use std::path::{Path, PathBuf};

use super::target::Target;
use crate::image::host::{Address, Ecr, PUBLIC_REGION};
use crate::settings::{Settings, without_login};

/// A file with a rule of each kind, as the manual page shows it.
pub const EXAMPLE: &str = "\
# All registries of the production account, in any region
[production]
match_account = 111111111111
profile = production

# Several, through a role
[partners]
match_account = 2222* 3333*
match_region = eu-*
role_arn = arn:aws:iam::444444444444:role/pull

# A host of one's own in front of a registry
[mirror]
match_host = registry.example.com
registry = 111111111111.dkr.ecr.eu-west-1.amazonaws.com

# The embedded ECR (`ecr local serve --port 4510`)
[embedded]
match_host = localhost:4510
registry = 000000000000.dkr.ecr.us-east-1.amazonaws.com
endpoint_url = http://localhost:4510

# The public gallery, always without an account
[gallery]
match_host = public.ecr.aws ecr-public.aws.com
anonymous = true
";

/// A rule: conditions, and what holds where they do.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rule {
    /// The section's name.
    pub name: String,
    /// The line on which it starts.
    pub line: usize,
    match_host: Option<Vec<String>>,
    match_account: Option<Vec<String>>,
    match_region: Option<Vec<String>>,
    registry: Option<Ecr>,
    /// The profile whose credentials are used.
    pub profile: Option<String>,
    /// The role that is assumed with them.
    pub role_arn: Option<String>,
    /// The external id for the role.
    pub external_id: Option<String>,
    /// The name of the role's session.
    pub role_session_name: Option<String>,
    /// The region that is asked.
    pub region: Option<String>,
    /// The endpoint that is asked.
    pub endpoint_url: Option<String>,
    /// Whether no credentials are handed out.
    pub anonymous: bool,
}

/// The rules in their order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rules {
    /// Where they stand, or would stand.
    pub file: Option<PathBuf>,
    /// The rules.
    pub rules: Vec<Rule>,
}

/// Error in `login.conf`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It cannot be read.
    #[error("{file} cannot be read: {reason}")]
    Unreadable {
        /// The file.
        file: String,
        /// Why.
        reason: String,
    },
    /// A line of it makes no sense.
    #[error("{file}, line {line}: {what}")]
    Line {
        /// The file.
        file: String,
        /// The line's number.
        line: usize,
        /// The problem.
        what: String,
    },
}

/// Where the file is looked for.
pub fn file(settings: &Settings) -> Option<PathBuf> {
    if let Some(file) = settings.filled_variable("ECR_LOGIN_CONFIG") {
        return Some(settings.expanded(&file));
    }
    Some(settings.base_folder("XDG_CONFIG_HOME", ".config")?.join("ecr/login.conf"))
}

impl Rules {
    /// Reads the file; one that does not exist has no rules, unless it was named in the environment.
    pub fn load(settings: &Settings) -> Result<Self, Error> {
        let Some(file) = file(settings) else { return Ok(Self::default()) };
        match std::fs::read_to_string(&file) {
            Ok(text) => Ok(Self { rules: parse(&text, &file)?, file: Some(file) }),
            Err(error) => {
                let absent = matches!(
                    error.kind(),
                    std::io::ErrorKind::NotFound
                        | std::io::ErrorKind::NotADirectory
                        | std::io::ErrorKind::PermissionDenied
                );
                // A home that one may not look into has no rules either; a file that was asked for must be there.
                if absent && settings.filled_variable("ECR_LOGIN_CONFIG").is_none() {
                    return Ok(Self { file: Some(file), rules: Vec::new() });
                }
                Err(Error::Unreadable { file: file.display().to_string(), reason: error.to_string() })
            }
        }
    }

    /// Returns how to log in to a host; `None` if it is not a registry of ECR and no rule names it.
    pub fn target(&self, address: &Address) -> Option<Target> {
        let own = address.ecr();
        let rule = self.rules.iter().find(|rule| rule.fits(address, own.as_ref()));
        let ecr = rule.and_then(|rule| rule.registry.clone()).or(own);
        let (fips, dualstack, public) = match &ecr {
            Some(Ecr::Private { fips, dualstack, .. }) => (*fips, *dualstack, false),
            Some(Ecr::Public { dualstack }) => (false, *dualstack, true),
            None => (false, false, false),
        };
        let region = rule.and_then(|rule| rule.region.clone());
        let region = region.or_else(|| ecr.as_ref().map(|ecr| ecr.region().to_owned()))?;
        Some(Target {
            host: address.to_string(),
            account: ecr.as_ref().and_then(|ecr| ecr.account().map(str::to_owned)),
            public,
            region: if public { PUBLIC_REGION.to_owned() } else { region },
            fips,
            dualstack,
            rule: rule.cloned(),
        })
    }

    /// Hosts that a rule names without a glob, and that are served by it.
    pub fn named_hosts(&self) -> Vec<String> {
        let globs =
            self.rules.iter().filter(|rule| !rule.anonymous).filter_map(|rule| rule.match_host.as_ref());
        let plain = globs.flatten().filter(|glob| !glob.contains(['*', '?']));
        plain
            .filter(|host| Address::parse(host).is_some_and(|a| self.target(&a).is_some()))
            .cloned()
            .collect()
    }
}

impl Rule {
    fn fits(&self, address: &Address, own: Option<&Ecr>) -> bool {
        let ecr = self.registry.as_ref().or(own);
        let host = |glob: &String| {
            let whole = glob.contains(':') && !glob.contains('[');
            if whole { fits(glob, &address.to_string()) } else { fits(glob, &address.name) }
        };
        let any = |globs: &Option<Vec<String>>, text: Option<&str>| {
            globs
                .as_ref()
                .is_none_or(|globs| text.is_some_and(|text| globs.iter().any(|glob| fits(glob, text))))
        };
        // A rule without a host condition speaks of ECR's own hosts only: `match_region = *` makes no alias.
        self.match_host.as_ref().map_or(own.is_some(), |globs| globs.iter().any(host))
            && any(&self.match_account, ecr.and_then(Ecr::account))
            && any(&self.match_region, ecr.map(Ecr::region))
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        let globs = || -> Vec<String> {
            let parts = value.split([' ', '\t', ',']).filter(|part| !part.is_empty());
            parts.map(str::to_ascii_lowercase).collect()
        };
        let text = Some(value.to_owned());
        match key {
            "match_host" => self.match_host = Some(globs()),
            "match_account" => self.match_account = Some(globs()),
            "match_region" => self.match_region = Some(globs()),
            "registry" => {
                let ecr = Address::parse(value).and_then(|address| address.ecr());
                self.registry = Some(ecr.ok_or_else(|| {
                    format!("'{value}' is no registry host of ECR such as 111111111111.dkr.ecr.eu-west-1.amazonaws.com")
                })?);
            }
            "profile" => self.profile = text,
            "role_arn" if value.starts_with("arn:") => self.role_arn = text,
            "role_arn" => return Err(format!("'{value}' is no ARN of a role")),
            "external_id" => self.external_id = text,
            "role_session_name" => self.role_session_name = text,
            "region" => self.region = text,
            "endpoint_url" if ["http://", "https://"].iter().any(|scheme| value.starts_with(scheme)) => {
                self.endpoint_url = text;
            }
            "endpoint_url" => {
                let shown = without_login(value);
                return Err(format!("'{shown}' is no URL: it starts with http:// or https://"));
            }
            "anonymous" => match value.to_ascii_lowercase().as_str() {
                "true" => self.anonymous = true,
                "false" => self.anonymous = false,
                _ => return Err(format!("anonymous is true or false, not '{value}'")),
            },
            _ => {
                return Err(format!(
                    "'{key}' is no key of a rule (match_host, match_account, match_region, registry, profile, role_arn, \
                     external_id, role_session_name, region, endpoint_url, anonymous)"
                ));
            }
        }
        Ok(())
    }

    /// Checks the rule as a whole: which keys exclude or need each other.
    fn sense(&self) -> Result<(), String> {
        let who = format!("the rule '{}'", self.name);
        if self.match_host.is_none() && self.match_account.is_none() && self.match_region.is_none() {
            return Err(format!("{who} has no condition: give it match_host, match_account or match_region"));
        }
        let settings = [&self.profile, &self.role_arn, &self.region, &self.endpoint_url];
        if self.anonymous && settings.iter().any(|setting| setting.is_some()) {
            return Err(format!("{who} is anonymous and names credentials too"));
        }
        if self.role_arn.is_none() && (self.external_id.is_some() || self.role_session_name.is_some()) {
            return Err(format!("{who} has external_id or role_session_name, but no role_arn"));
        }
        if self.registry.is_some() && self.match_host.is_none() {
            return Err(format!("{who} has a registry, but no match_host that stands for it"));
        }
        let strangers = |glob: &&String| {
            !glob.contains(['*', '?']) && Address::parse(glob).is_none_or(|address| address.ecr().is_none())
        };
        if self.registry.is_none()
            && self.region.is_none()
            && !self.anonymous
            && let Some(host) = self.match_host.iter().flatten().find(strangers)
        {
            return Err(format!(
                "{who}: {host} is no host of ECR; say which registry it stands for \
                 (registry = ACCOUNT.dkr.ecr.REGION.amazonaws.com), or its region (region = REGION)"
            ));
        }
        Ok(())
    }
}

fn parse(text: &str, file: &Path) -> Result<Vec<Rule>, Error> {
    let wrong = |line: usize, what: String| Error::Line { file: file.display().to_string(), line, what };
    let mut rules: Vec<Rule> = Vec::new();
    let mut seen: Vec<String> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        let line = line.trim().trim_start_matches('\u{feff}');
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(name) = line.strip_prefix('[') {
            let name = name.strip_suffix(']').map(str::trim).filter(|name| !name.is_empty());
            let name =
                name.ok_or_else(|| wrong(number, "a rule starts with its name in brackets: [NAME]".into()))?;
            if rules.iter().any(|rule| rule.name == name) {
                return Err(wrong(number, format!("there are two rules named '{name}'")));
            }
            rules.push(Rule { name: name.to_owned(), line: number, ..Rule::default() });
            seen.clear();
            continue;
        }
        let Some((key, value)) = line.split_once('=') else {
            return Err(wrong(number, "neither [NAME] nor KEY = VALUE".into()));
        };
        let (key, value) = (key.trim().to_ascii_lowercase(), value.trim());
        let Some(rule) = rules.last_mut() else {
            return Err(wrong(
                number,
                format!("'{key}' stands before the first rule: start one with [NAME]"),
            ));
        };
        if value.is_empty() {
            return Err(wrong(number, format!("'{key}' has no value")));
        }
        if seen.contains(&key) {
            return Err(wrong(number, format!("'{key}' stands twice in the rule '{}'", rule.name)));
        }
        rule.set(&key, value).map_err(|what| wrong(number, what))?;
        seen.push(key);
    }
    for rule in &rules {
        rule.sense().map_err(|what| wrong(rule.line, what))?;
    }
    Ok(rules)
}

/// Whether a text fits a glob of `*` (any characters) and `?` (one).
fn fits(glob: &str, text: &str) -> bool {
    let (glob, text): (Vec<char>, Vec<char>) = (glob.chars().collect(), text.chars().collect());
    let (mut at, mut seen, mut star) = (0, 0, None);
    while seen < text.len() {
        if glob.get(at) == Some(&'*') {
            star = Some((at, seen));
            at += 1;
        } else if glob.get(at).is_some_and(|one| *one == '?' || *one == text[seen]) {
            at += 1;
            seen += 1;
        } else if let Some((starred, taken)) = star {
            // The last star takes one character more.
            star = Some((starred, taken + 1));
            at = starred + 1;
            seen = taken + 1;
        } else {
            return false;
        }
    }
    glob[at..].iter().all(|rest| *rest == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(text: &str) -> Rules {
        Rules { file: None, rules: parse(text, Path::new("login.conf")).unwrap() }
    }

    fn error(text: &str) -> String {
        parse(text, Path::new("login.conf")).unwrap_err().to_string()
    }

    /// Rule and region for a host.
    fn chosen(rules: &Rules, host: &str) -> Option<(Option<String>, String)> {
        let target = rules.target(&Address::parse(host).unwrap())?;
        Some((target.rule.map(|rule| rule.name), target.region))
    }

    #[test]
    fn the_example_does_what_it_says() {
        let rules = rules(EXAMPLE);
        let named = |name: &str, region: &str| Some((Some(name.to_owned()), region.to_owned()));
        assert_eq!(
            chosen(&rules, "111111111111.dkr.ecr.us-west-2.amazonaws.com"),
            named("production", "us-west-2")
        );
        assert_eq!(
            chosen(&rules, "222233334444.dkr.ecr.eu-west-1.amazonaws.com"),
            named("partners", "eu-west-1")
        );
        let free = Some((None, "us-west-1".to_owned()));
        assert_eq!(chosen(&rules, "222233334444.dkr.ecr.us-west-1.amazonaws.com"), free);
        assert_eq!(chosen(&rules, "https://Registry.example.com/v2/"), named("mirror", "eu-west-1"));
        assert_eq!(chosen(&rules, "localhost:4510"), named("embedded", "us-east-1"));
        assert_eq!(chosen(&rules, "localhost:4511"), None);
        assert_eq!(chosen(&rules, "public.ecr.aws"), named("gallery", "us-east-1"));
        assert_eq!(chosen(&rules, "docker.io"), None);
        let hosts = ["registry.example.com", "localhost:4510"].map(str::to_owned).to_vec();
        assert_eq!(rules.named_hosts(), hosts);
    }

    #[test]
    fn an_alias_takes_the_form_of_the_registry_behind_it() {
        let rules = rules("[a]\nmatch_host=*.example\nregistry=123456789012.dkr-ecr-fips.us-east-2.on.aws\n");
        let target = rules.target(&Address::parse("x.example:8443").unwrap()).unwrap();
        assert_eq!(target.host, "x.example:8443");
        assert_eq!(target.account.as_deref(), Some("123456789012"));
        assert_eq!((target.fips, target.dualstack, target.public), (true, true, false));
    }

    #[test]
    fn what_makes_no_sense_is_named_with_its_line() {
        for (text, expected) in [
            ("profile=x", "line 1: 'profile' stands before the first rule: start one with [NAME]"),
            ("[a", "line 1: a rule starts with its name in brackets: [NAME]"),
            ("\n[a]\nwhat", "line 3: neither [NAME] nor KEY = VALUE"),
            ("[a]\nprofile=", "line 2: 'profile' has no value"),
            ("[a]\nprofile=x\nprofile=y", "line 3: 'profile' stands twice in the rule 'a'"),
            ("[a]\nmatch_host=*\n[a]", "line 3: there are two rules named 'a'"),
            (
                "[a]\nprofile=x",
                "line 1: the rule 'a' has no condition: give it match_host, match_account or match_region",
            ),
            ("[a]\nanonymous=maybe", "line 2: anonymous is true or false, not 'maybe'"),
            ("[a]\nrole_arn=x", "line 2: 'x' is no ARN of a role"),
            ("[a]\nendpoint_url=x", "line 2: 'x' is no URL: it starts with http:// or https://"),
            (
                "[a]\nmatch_host=*\nanonymous=true\nprofile=x",
                "line 1: the rule 'a' is anonymous and names credentials too",
            ),
            (
                "[a]\nmatch_host=*\nexternal_id=x",
                "line 1: the rule 'a' has external_id or role_session_name, but no role_arn",
            ),
        ] {
            assert_eq!(error(text), format!("login.conf, {expected}"));
        }
        assert!(
            error("[a]\nprofle=x")
                .starts_with("login.conf, line 2: 'profle' is no key of a rule (match_host,")
        );
        assert!(
            error("[a]\nmatch_host=r.example").contains("r.example is no host of ECR; say which registry")
        );
    }

    #[test]
    fn globs() {
        for (glob, text, expected) in [
            ("*", "", true),
            ("a*c", "abc", true),
            ("a*c", "abcd", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*.dkr.ecr.*.amazonaws.com", "1.dkr.ecr.eu.amazonaws.com", true),
            ("1111*", "2111", false),
            ("**a", "bca", true),
        ] {
            assert_eq!(fits(glob, text), expected, "{glob} {text}");
        }
    }
}
