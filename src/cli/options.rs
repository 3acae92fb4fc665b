//! The options of every level of the command line, as tables for `argparse`: the global ones, and those of an
//! operation, which follow from the model.

use crate::model::{Kind, Operation, Service, names::kebab};

use super::argparse::{Arity, Opt};

/// The values of `--output`.
pub(crate) const OUTPUTS: &[&str] = &["json", "text", "table", "yaml", "yaml-stream", "off"];
const COLORS: &[&str] = &["on", "off", "auto"];
const BINARY_FORMATS: &[&str] = &["base64", "raw-in-base64-out"];
const ERROR_FORMATS: &[&str] = &["legacy", "json", "yaml", "text", "table", "enhanced"];
const SKELETONS: &[&str] = &["input", "output", "yaml-input"];

/// One global option: its name, what it takes, its values, and its help text.
pub(crate) struct Global {
    pub(crate) name: &'static str,
    arity: Arity,
    pub(crate) choices: &'static [&'static str],
    pub(crate) help: &'static str,
    /// An extension: not part of the AWS CLI.
    pub(crate) extension: bool,
}

impl Global {
    /// Returns whether the option takes a value.
    pub(crate) fn takes_value(&self) -> bool {
        self.arity == Arity::One
    }
}

const fn value(name: &'static str, choices: &'static [&'static str], help: &'static str) -> Global {
    Global { name, arity: Arity::One, choices, help, extension: false }
}

const fn flag(name: &'static str, help: &'static str) -> Global {
    Global { name, arity: Arity::Flag(true), choices: &[], help, extension: false }
}

/// The global options in the AWS CLI's order, which decides the order of candidates for an abbreviation; then ours.
pub(crate) const GLOBALS: &[Global] = &[
    flag("debug", "Write a log of what happens to stderr."),
    value("endpoint-url", &[], "Talk to this URL instead of the service's own endpoint."),
    flag("no-verify-ssl", "Accept any TLS certificate."),
    flag("no-paginate", "Make one call and print its page, instead of fetching all pages."),
    value("output", OUTPUTS, "How results are printed."),
    value("query", &[], "A JMESPath expression that picks what is printed."),
    value("profile", &[], "The profile to take settings and credentials from."),
    value("region", &[], "The region to talk to."),
    value("color", COLORS, "Whether tables are coloured."),
    flag("no-sign-request", "Send requests without a signature; no credentials are looked for."),
    value("ca-bundle", &[], "A file with the certificate authorities to trust."),
    value("cli-read-timeout", &[], "Seconds to wait for an answer, 60 by default; 0 waits for ever."),
    value("cli-connect-timeout", &[], "Seconds to wait for a connection, 60 by default; 0 waits for ever."),
    value("cli-binary-format", BINARY_FORMATS, "How binary values are written in arguments."),
    flag("no-cli-pager", "Print directly, without a pager."),
    flag("cli-auto-prompt", "Not supported; accepted so that it can be refused clearly."),
    flag("no-cli-auto-prompt", "Accepted; there is no prompting to switch off."),
    value("cli-error-format", ERROR_FORMATS, "How errors are printed."),
    Global {
        name: "version",
        arity: Arity::Stop,
        choices: &[],
        help: "Print the version.",
        extension: false,
    },
    Global {
        name: "local",
        arity: Arity::Flag(true),
        choices: &[],
        help: "Use the embedded ECR on this machine instead of AWS.",
        extension: true,
    },
    Global {
        name: "folder",
        arity: Arity::One,
        choices: &[],
        help: "The folder of the embedded ECR.",
        extension: true,
    },
];

/// The global options for the parser; the extensions only where this program goes by its own name.
pub(super) fn globals(extensions: bool) -> Vec<Opt> {
    let named = |global: &Global| Opt {
        choices: global.choices,
        extension: global.extension,
        ..Opt::new(global.name, global.arity)
    };
    let mut options: Vec<Opt> =
        GLOBALS.iter().filter(|global| extensions || !global.extension).map(named).collect();
    if extensions {
        for flag in ["--help", "-h"] {
            options.push(Opt {
                flag: flag.to_owned(),
                extension: true,
                ..Opt::new("help", Arity::Flag(true))
            });
        }
    }
    options
}

/// Target of an operation's option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OptionTarget {
    /// A member of the input, by its name in the model.
    Member(&'static str),
    CliInputJson,
    CliInputYaml,
    StartingToken,
    PageSize,
    MaxItems,
    Skeleton,
}

/// One option of an operation.
#[derive(Debug)]
pub(crate) struct Argument {
    /// The name without its hyphens; the key of its value.
    pub(crate) name: String,
    pub(crate) meaning: OptionTarget,
    pub(crate) kind: Kind,
    pub(crate) required: bool,
    /// Accepted, but not shown: pagination replaces it.
    pub(crate) hidden: bool,
}

/// The options of an operation in the AWS CLI's order: the members of its input, then what every operation has.
pub(crate) fn arguments(service: &Service, operation: &Operation) -> Vec<Argument> {
    let paginator = service.paginator(operation);
    let mut arguments = Vec::new();
    if let Some(input) = service.input(operation) {
        for (member, shape) in &input.members {
            let paged =
                |p: &crate::model::Paginator| p.input_token == *member || p.limit_key == Some(*member);
            arguments.push(Argument {
                name: kebab(member),
                meaning: OptionTarget::Member(member),
                kind: service.shape(shape).kind,
                required: input.required.contains(member),
                hidden: paginator.is_some_and(paged),
            });
        }
    }
    let mut add = |name: &str, meaning, kind| {
        arguments.push(Argument { name: name.to_owned(), meaning, kind, required: false, hidden: false });
    };
    add("cli-input-json", OptionTarget::CliInputJson, Kind::String);
    add("cli-input-yaml", OptionTarget::CliInputYaml, Kind::String);
    if let Some(paginator) = paginator {
        add("starting-token", OptionTarget::StartingToken, Kind::String);
        if paginator.limit_key.is_some() {
            add("page-size", OptionTarget::PageSize, Kind::Long);
        }
        add("max-items", OptionTarget::MaxItems, Kind::Long);
    }
    add("generate-cli-skeleton", OptionTarget::Skeleton, Kind::String);
    arguments
}

/// Returns the arguments as options of the parser. A boolean has two options with one value.
pub(super) fn options(arguments: &[Argument]) -> Vec<Opt> {
    let mut options = Vec::with_capacity(arguments.len() + 1);
    for argument in arguments {
        if argument.kind == Kind::Boolean {
            options.push(Opt::new(&argument.name, Arity::Flag(true)));
            let negative = Opt::new(&format!("no-{}", argument.name), Arity::Flag(false));
            options.push(Opt { key: argument.name.clone(), ..negative });
            continue;
        }
        let arity = match (argument.meaning, argument.kind) {
            (OptionTarget::Skeleton, _) => Arity::Optional("input"),
            (_, Kind::List) => Arity::Any,
            _ => Arity::One,
        };
        options.push(Opt {
            integer: argument.kind == Kind::Long,
            choices: if argument.meaning == OptionTarget::Skeleton { SKELETONS } else { &[] },
            required: argument.required,
            ..Opt::new(&argument.name, arity)
        });
    }
    options
}
