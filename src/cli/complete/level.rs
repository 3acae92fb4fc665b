//! Position in the command line that the words lead to, and what may follow there.

use crate::commands;
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

/// Command, or the position of one.
pub(super) enum CommandContext {
    Root,
    Public,
    Wait(&'static Service),
    Operation(&'static Service, &'static Operation),
    /// A command of our own.
    OwnCommand(Box<clap::Command>),
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
            Self::Wait(service) | Self::Operation(service, _) | Self::End(service) => service,
            Self::Root | Self::OwnCommand(_) | Self::Completions => model::ecr(),
        }
    }

    /// Returns the level that this word leads to, if it is a command.
    pub(super) fn below(&self, word: &str) -> Option<Self> {
        match self {
            Self::Root if word == "public" => Some(Self::Public),
            Self::Root if word == "completions" => Some(Self::Completions),
            Self::Root => match commands::COMMANDS.iter().find(|command| command.name == word) {
                Some(command) => Some(Self::OwnCommand(Box::new((command.define)()))),
                None => Some(Self::of_service(model::ecr(), word)),
            },
            Self::Public => match commands::of_public().find(|command| command.name == word) {
                Some(command) => Some(Self::OwnCommand(Box::new((command.define)()))),
                None => Some(Self::of_service(model::ecr_public(), word)),
            },
            Self::Wait(service) => {
                let waiter = service.waiters().find(|(name, _)| kebab(name) == word);
                let operation = waiter.and_then(|(_, waiter)| service.operation(waiter.operation));
                Some(operation.map_or(Self::End(service), |operation| Self::Operation(service, operation)))
            }
            Self::OwnCommand(command) => {
                command.find_subcommand(word).map(|below| Self::OwnCommand(Box::new(below.clone())))
            }
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
            Self::OwnCommand(command) => {
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
            Self::OwnCommand(command) => command.get_arguments().filter_map(of_clap).collect(),
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
            Self::OwnCommand(command) => {
                // The last argument takes all words that follow, if it takes several.
                let several = |arg: &&clap::Arg| {
                    arg.get_num_args().is_some_and(|range| range.max_values() > 1)
                        || matches!(arg.get_action(), clap::ArgAction::Append)
                };
                let last = || command.get_positionals().last().filter(several);
                command.get_positionals().nth(index).or_else(last).map(|arg| of_id(arg.get_id().as_str()))
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

fn of_clap(arg: &clap::Arg) -> Option<OptionHint> {
    let flag = format!("--{}", arg.get_long()?);
    let values: Vec<String> =
        arg.get_possible_values().iter().map(|value| value.get_name().to_owned()).collect();
    let takes_value = arg.get_action().takes_values();
    Some(OptionHint {
        flag,
        about: arg.get_help().map(ToString::to_string).unwrap_or_default(),
        takes_value,
        repeats: false,
        source: if takes_value && !values.is_empty() {
            Source::Choices(values)
        } else {
            of_id(arg.get_id().as_str())
        },
    })
}

/// Returns what completes an argument of our own commands, by the name of its field in the clap struct.
fn of_id(id: &str) -> Source {
    match id {
        "repository" | "repositories" => Source::Repositories,
        "reference" | "references" | "image" | "images" => Source::References,
        _ => Source::Files,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Positional arguments that are not completed with names in a registry: the shell may offer files.
    const FILES: &[&str] = &[
        "action",
        "command",
        "destination",
        "file",
        "files",
        "hosts",
        "new",
        "places",
        "source",
        "wanted",
        "words",
    ];

    fn assert_known(path: &str, command: &clap::Command) {
        for argument in command.get_positionals() {
            let id = argument.get_id().as_str();
            assert!(
                of_id(id) != Source::Files || FILES.contains(&id),
                "{path}: is `{id}` a repository or an image? Name its field as `of_id` has them, or add it to FILES"
            );
        }
        for below in command.get_subcommands() {
            assert_known(&format!("{path} {}", below.get_name()), below);
        }
    }

    #[test]
    fn every_positional_argument_has_a_completion() {
        for command in commands::COMMANDS {
            assert_known(&format!("ecr {}", command.name), &(command.define)());
        }
    }
}
