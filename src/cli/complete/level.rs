//! Position in the command line that the words lead to, and what may follow there.

use std::any::TypeId;

use crate::commands::argument_types::{ProfileName, ReferenceText, RepositoryText};
use crate::commands::{self, Command};
use crate::model::help::{first_sentence, texts};
use crate::model::{self, Kind, Operation, Service, names::kebab};

use super::super::completion_scripts::SHELLS;
use super::super::help::{common_help, custom_commands};
use super::super::options::{Argument, GLOBALS, OptionTarget, arguments};
use super::Candidate;

/// Source of completed values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Source {
    /// Nowhere that we know: the shell may offer files.
    Files,
    Choices(Vec<String>),
    Profiles,
    Repositories,
    Tags,
    ImageIds,
    References,
}

/// An option that may be given.
#[derive(Debug, Clone)]
pub(super) struct OptionHint {
    pub(super) flag: String,
    pub(super) about: String,
    pub(super) takes_value: bool,
    /// The argument takes all words that follow.
    pub(super) repeats: bool,
    pub(super) source: Source,
}

/// A command of our own, or one of its subcommands.
pub(super) struct OwnCommand {
    /// Service whose names are completed.
    service: &'static Service,
    /// The command is for the embedded ECR, whatever the options say.
    is_local: bool,
    definition: Box<clap::Command>,
}

impl OwnCommand {
    fn new(service: &'static Service, command: &Command) -> Self {
        let definition = Box::new((command.define)());
        Self { service, is_local: command.name == "local", definition }
    }

    fn below(&self, word: &str) -> Option<Self> {
        let definition = Box::new(self.definition.find_subcommand(word)?.clone());
        Some(Self { definition, ..*self })
    }
}

/// Command, or the position of one.
pub(super) enum CommandContext {
    Root,
    Public,
    Wait(&'static Service),
    Operation(&'static Service, &'static Operation),
    /// A command of our own.
    OwnCommand(OwnCommand),
    /// The shell whose script is wanted.
    Completions,
    /// A command without anything to complete.
    End(&'static Service),
}

impl CommandContext {
    /// Returns the service whose repositories are completed.
    pub(super) fn service(&self) -> &'static Service {
        match self {
            Self::Public => model::ecr_public(),
            Self::OwnCommand(command) => command.service,
            Self::Wait(service) | Self::Operation(service, _) | Self::End(service) => service,
            Self::Root | Self::Completions => model::ecr(),
        }
    }

    /// Returns whether the command is for the embedded ECR only.
    pub(super) fn is_local(&self) -> bool {
        matches!(self, Self::OwnCommand(command) if command.is_local)
    }

    /// Returns the level that this word leads to, if it is a command.
    pub(super) fn below(&self, word: &str) -> Option<Self> {
        match self {
            Self::Root if word == "public" => Some(Self::Public),
            Self::Root if word == "completions" => Some(Self::Completions),
            Self::Root => match commands::COMMANDS.iter().find(|command| command.name == word) {
                Some(command) => Some(Self::OwnCommand(OwnCommand::new(model::ecr(), command))),
                None => Some(Self::of_service(model::ecr(), word)),
            },
            Self::Public => match commands::of_public().find(|command| command.name == word) {
                Some(command) => Some(Self::OwnCommand(OwnCommand::new(model::ecr_public(), command))),
                None => Some(Self::of_service(model::ecr_public(), word)),
            },
            Self::Wait(service) => {
                let waiter = service.waiters().find(|(name, _)| kebab(name) == word);
                let operation = waiter.and_then(|(_, waiter)| service.operation(waiter.operation));
                Some(operation.map_or(Self::End(service), |operation| Self::Operation(service, operation)))
            }
            Self::OwnCommand(command) => command.below(word).map(Self::OwnCommand),
            Self::Operation(..) | Self::Completions | Self::End(_) => None,
        }
    }

    fn of_service(service: &'static Service, word: &str) -> Self {
        match service.operation_of_command(word) {
            Some(operation) => Self::Operation(service, operation),
            None if word == "wait" => Self::Wait(service),
            None => Self::End(service),
        }
    }

    /// Returns the commands that may come next.
    pub(super) fn commands(&self) -> Vec<Candidate> {
        let own = |command: &clap::Command| {
            let about = command.get_about().map(ToString::to_string).unwrap_or_default();
            Candidate::new(command.get_name(), &about)
        };
        match self {
            Self::Root => {
                let own_commands = commands::COMMANDS.iter().map(|command| (command.define)());
                let mut all: Vec<Candidate> = own_commands
                    .filter(|command| !command.is_hide_set())
                    .map(|command| own(&command))
                    .collect();
                all.push(Candidate::new("public", "Commands of Amazon ECR Public"));
                all.push(Candidate::new("completions", "Print the completion script of a shell"));
                all.extend(operations(model::ecr()));
                all
            }
            Self::Public => {
                let mut all: Vec<Candidate> = commands::of_public()
                    .map(|command| own(&(command.define)().name(command.name)))
                    .collect();
                all.extend(operations(model::ecr_public()));
                all
            }
            Self::Wait(service) => {
                service.waiters().map(|(name, _)| Candidate::new(kebab(name), "")).collect()
            }
            Self::OwnCommand(OwnCommand { definition: command, .. }) => {
                command.get_subcommands().filter(|below| !below.is_hide_set()).map(own).collect()
            }
            Self::Operation(..) | Self::Completions | Self::End(_) => Vec::new(),
        }
    }

    /// The options that may be given here.
    pub(super) fn options(&self) -> Vec<OptionHint> {
        let mut hints = match self {
            Self::Operation(service, operation) => arguments(service, operation)
                .iter()
                .filter(|argument| !argument.hidden)
                .flat_map(|argument| of_argument(service, operation, argument))
                .collect(),
            Self::OwnCommand(command) => command.definition.get_arguments().filter_map(of_clap).collect(),
            _ => Vec::new(),
        };
        hints.extend(GLOBALS.iter().map(|global| OptionHint {
            flag: format!("--{}", global.name),
            about: global.help.to_owned(),
            takes_value: global.takes_value(),
            repeats: false,
            source: match global.name {
                "profile" => Source::Profiles,
                _ => choices(global.choices.iter().copied()),
            },
        }));
        hints
    }

    /// Returns candidates for the word at this position of the command, if it is no option.
    pub(super) fn positional(&self, index: usize) -> Option<Source> {
        match self {
            Self::OwnCommand(OwnCommand { definition: command, .. }) => {
                // The last argument takes all words that follow, if it takes several.
                let several = |arg: &&clap::Arg| {
                    arg.get_num_args().is_some_and(|range| range.max_values() > 1)
                        || matches!(arg.get_action(), clap::ArgAction::Append)
                };
                let last = || command.get_positionals().last().filter(several);
                command.get_positionals().nth(index).or_else(last).map(source_of)
            }
            Self::Completions if index == 0 => Some(choices(SHELLS.into_iter())),
            _ => None,
        }
    }
}

fn operations(service: &'static Service) -> Vec<Candidate> {
    let texts = texts(service);
    let mut all: Vec<Candidate> = service
        .operations()
        .map(|operation| {
            Candidate::new(kebab(operation.name), first_sentence(texts.operation(operation.name)))
        })
        .collect();
    all.extend(custom_commands(service).into_iter().map(|(name, about)| Candidate::new(name, about)));
    all.push(Candidate::new("help", "Show help for all commands"));
    all
}

fn choices<'a>(words: impl Iterator<Item = &'a str>) -> Source {
    let words: Vec<String> = words.map(str::to_owned).collect();
    if words.is_empty() { Source::Files } else { Source::Choices(words) }
}

fn of_argument(service: &'static Service, operation: &Operation, argument: &Argument) -> Vec<OptionHint> {
    let (about, source) = match argument.meaning {
        OptionTarget::Member(member) => {
            let input = operation.input.unwrap_or_default();
            let shape = service.shape(service.shape(input).members[member]);
            let element = shape.member.map_or(shape, |element| service.shape(element));
            let source = match member {
                "repositoryName" if operation.name == "CreateRepository" => Source::Files,
                "repositoryName" | "repositoryNames" => Source::Repositories,
                "imageId" | "imageIds" => Source::ImageIds,
                "imageTag" | "imageTags" => Source::Tags,
                _ => choices(element.values.iter().copied()),
            };
            (first_sentence(texts(service).member(input, member)), source)
        }
        OptionTarget::Skeleton => {
            (common_help(argument.meaning), choices(["input", "output", "yaml-input"].into_iter()))
        }
        other => (common_help(other), Source::Files),
    };
    let hint = |flag: String, takes_value| OptionHint {
        flag,
        about: about.to_owned(),
        takes_value,
        repeats: argument.kind == Kind::List,
        source: source.clone(),
    };
    if argument.kind == Kind::Boolean {
        return vec![
            hint(format!("--{}", argument.name), false),
            hint(format!("--no-{}", argument.name), false),
        ];
    }
    vec![hint(format!("--{}", argument.name), true)]
}

/// Returns the option of a command of our own; `None` for a positional argument.
fn of_clap(arg: &clap::Arg) -> Option<OptionHint> {
    Some(OptionHint {
        flag: format!("--{}", arg.get_long()?),
        about: arg.get_help().map(ToString::to_string).unwrap_or_default(),
        takes_value: arg.get_action().takes_values(),
        repeats: false,
        source: source_of(arg),
    })
}

/// Returns what completes an argument of our own commands, by the type of its value.
fn source_of(arg: &clap::Arg) -> Source {
    if !arg.get_action().takes_values() {
        return Source::Files;
    }
    let values = arg.get_possible_values();
    if !values.is_empty() {
        return Source::Choices(values.iter().map(|value| value.get_name().to_owned()).collect());
    }
    let value_type = arg.get_value_parser().type_id();
    let sources = [
        (TypeId::of::<RepositoryText>(), Source::Repositories),
        (TypeId::of::<ReferenceText>(), Source::References),
        (TypeId::of::<ProfileName>(), Source::Profiles),
    ];
    let source = sources.into_iter().find(|(known, _)| value_type == *known);
    source.map_or(Source::Files, |(_, source)| source)
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use clap::ValueHint;

    use super::*;

    /// Returns the arguments whose text is of no type and without a hint, so that nobody knows what completes it.
    fn unclassified(path: &str, command: &clap::Command) -> Vec<String> {
        let is_unclassified = |arg: &&clap::Arg| {
            let value_type = arg.get_value_parser().type_id();
            let is_text = value_type == TypeId::of::<String>() || value_type == TypeId::of::<OsString>();
            let is_chosen = !arg.get_possible_values().is_empty();
            arg.get_action().takes_values()
                && is_text
                && !is_chosen
                && arg.get_value_hint() == ValueHint::Unknown
        };
        let own = command.get_arguments().filter(is_unclassified);
        let mut all: Vec<String> = own.map(|arg| format!("{path}: {}", arg.get_id())).collect();
        for below in command.get_subcommands() {
            all.extend(unclassified(&format!("{path} {}", below.get_name()), below));
        }
        all
    }

    #[test]
    fn every_argument_of_text_says_what_it_is() {
        let all = commands::COMMANDS
            .iter()
            .flat_map(|command| unclassified(&format!("ecr {}", command.name), &(command.define)()));
        let all: Vec<String> = all.collect();
        assert!(
            all.is_empty(),
            "give these a type of `commands::argument_types`, or a `value_hint` if they name no repository, image or \
             profile: {all:#?}"
        );
    }

    #[test]
    fn a_new_argument_of_text_must_say_what_it_is() {
        let define = |arg: clap::Arg| clap::Command::new("new").arg(arg);
        let plain = || clap::Arg::new("repository");
        for (command, expected) in [
            (define(plain()), &["new: repository"][..]),
            (define(plain().long("repository")), &["new: repository"]),
            (clap::Command::new("new").subcommand(define(plain())), &["new new: repository"]),
            (define(plain().value_hint(ValueHint::Other)), &[]),
            (define(plain().value_parser(["a", "b"])), &[]),
            (define(plain().value_parser(clap::value_parser!(RepositoryText))), &[]),
            (define(plain().action(clap::ArgAction::SetTrue)), &[]),
        ] {
            assert_eq!(unclassified("new", &command), expected);
        }
    }

    #[test]
    fn the_type_of_a_value_decides_whatever_the_argument_is_called() {
        let name = || clap::Arg::new("name").long("name");
        assert_eq!(
            source_of(&name().value_parser(clap::value_parser!(RepositoryText))),
            Source::Repositories
        );
        assert_eq!(source_of(&name().value_parser(clap::value_parser!(ReferenceText))), Source::References);
        assert_eq!(source_of(&name().value_parser(clap::value_parser!(ProfileName))), Source::Profiles);
        assert_eq!(source_of(&clap::Arg::new("repository")), Source::Files);
    }
}
