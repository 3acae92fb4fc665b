//! An operation of AWS from its arguments to its output, in the AWS CLI's order, which decides which of several
//! errors is shown.

use std::process::ExitCode;

use serde_json::{Map, Value};

use crate::args::{self, Files};
use crate::commands::{self, block_on};
use crate::error::Error;
use crate::model::{Operation, Paginator, Service, python};
use crate::service::paginate::{PageOptions, Pages};
use crate::settings::BinaryFormat;

use super::argparse::{ArgumentValue, Parsed, Parser, Positional};
use super::help;
use super::options::{self, Argument, OptionTarget};
use super::output::{self, Presenter};
use super::session::Session;

/// The key under which pagination options travel in an input until they are taken out.
const PAGINATION: &str = "PaginationConfig";

/// An operation's input, ready to be sent, and how its pages are wanted.
pub(super) struct Invocation {
    pub(super) input: Map<String, Value>,
    /// Fetch all pages; `false` also for an operation without pages.
    pub(super) paginate: bool,
    /// `--generate-cli-skeleton`.
    pub(super) skeleton: Option<String>,
}

/// Parsed command line of an operation.
pub(super) enum ParsedOperation {
    Help,
    Call(Invocation),
}

/// Runs an operation.
pub(super) fn run(
    session: &mut Session,
    service: &'static Service,
    operation: &'static Operation,
    words: &[String],
) -> Result<ExitCode, Error> {
    let invocation = match invocation(session, service, operation, words)? {
        ParsedOperation::Help => {
            return super::show(session, |page| help::operation(page, session.ui.name(), service, operation));
        }
        ParsedOperation::Call(invocation) => invocation,
    };
    if let Some(kind) = &invocation.skeleton {
        return skeleton(session, service, operation, kind, invocation.input);
    }
    let client = commands::connect(&session.settings, service).map_err(Error::from)?;
    let mut input = invocation.input;
    let paging = if invocation.paginate { input.shift_remove(PAGINATION) } else { None };
    let input = decoded(session, service, operation, input)?;
    block_on(async {
        if invocation.paginate {
            let pages = Pages::new(&client, operation.name, input, page_options(paging.as_ref()))?;
            return Presenter::new(session, service, operation)?.pages(pages).await;
        }
        let answer = client.call(operation.name, input).await?;
        Presenter::new(session, service, operation)?.whole(answer)
    })
}

/// Prints a skeleton, without sending anything. One of the output is for an input that passes the checks.
pub(super) fn skeleton(
    session: &mut Session,
    service: &'static Service,
    operation: &'static Operation,
    kind: &str,
    input: Map<String, Value>,
) -> Result<ExitCode, Error> {
    match kind {
        "input" => session.print(&args::skeleton::input(service, operation)),
        "yaml-input" => session.print(&args::skeleton::yaml_input(service, operation)),
        _ => {
            let input = decoded(session, service, operation, input)?;
            output::stub(session, service, operation, &input)
        }
    }
}

/// Parses an operation's arguments into its input.
pub(super) fn invocation(
    session: &Session,
    service: &'static Service,
    operation: &'static Operation,
    words: &[String],
) -> Result<ParsedOperation, Error> {
    if words == ["help"] {
        return Ok(ParsedOperation::Help);
    }
    let mut arguments = options::arguments(service, operation);
    if lifts_requirements(words) {
        for argument in &mut arguments {
            argument.required = false;
        }
    }
    let help = Positional { name: "help", required: false, choices: None };
    let parser = Parser { options: options::options(&arguments), positionals: vec![help] };
    let mut parsed = parser.parse(words).map_err(|mistake| Error::CommandLine(mistake.0))?;
    let stray = parsed.one("help").unwrap_or_default().to_owned();
    if stray == "help" {
        return Ok(ParsedOperation::Help);
    }
    if !stray.is_empty() {
        parsed.rest.push(stray);
    }
    if !parsed.rest.is_empty() {
        return Err(Error::UnknownOptions(parsed.rest));
    }
    let paginator = service.paginator(operation);
    let by_hand = paginator.is_some_and(|paginator| pages_by_hand(paginator, &arguments, &parsed));
    let paginate = !session.settings.globals().no_paginate && !by_hand;
    if paginator.is_some() && !paginate {
        refuse_pagination(&parsed)?;
    }
    let mut input = unpack(session, service, operation, &arguments, &parsed)?;
    let (json, yaml) = (parsed.one("cli-input-json"), parsed.one("cli-input-yaml"));
    with_files(session, |files| args::cli_input::merge(&mut input, json, yaml, files))?;
    let is_paged =
        |p: &Paginator| ![Some(p.input_token), p.limit_key].iter().flatten().any(|k| input.contains_key(*k));
    Ok(ParsedOperation::Call(Invocation {
        paginate: paginate && paginator.is_some_and(is_paged),
        input,
        skeleton: parsed.one("generate-cli-skeleton").map(str::to_owned),
    }))
}

/// Returns whether the words lift the requirement of required options: these three do, as whole words only.
fn lifts_requirements(words: &[String]) -> bool {
    let has = |word: &str| words.iter().any(|given| given == word);
    let skeleton = words.iter().position(|word| word == "--generate-cli-skeleton");
    let of_input = skeleton.is_some_and(|at| words.get(at + 1).is_none_or(|kind| kind != "output"));
    has("--cli-input-json") || has("--cli-input-yaml") || of_input
}

/// Returns whether the service's own paging options are used, which work but are not shown.
fn pages_by_hand(paginator: &Paginator, arguments: &[Argument], parsed: &Parsed) -> bool {
    let own = [Some(paginator.input_token), paginator.limit_key];
    arguments.iter().any(|argument| {
        matches!(argument.meaning, OptionTarget::Member(member) if own.contains(&Some(member)))
            && parsed.values.contains_key(&argument.name)
    })
}

/// Without pagination its options have no meaning.
fn refuse_pagination(parsed: &Parsed) -> Result<(), Error> {
    let given = |name: &&&str| parsed.one(name).is_some_and(|value| !value.is_empty() && value != "0");
    let used: Vec<String> = ["starting-token", "page-size", "max-items"]
        .iter()
        .filter(given)
        .map(|name| format!("--{name}"))
        .collect();
    if used.is_empty() {
        return Ok(());
    }
    let used = used.join(", ");
    Err(Error::Usage(format!("Cannot specify --no-paginate along with pagination arguments: {used}")))
}

/// The values of the options, in their order.
fn unpack(
    session: &Session,
    service: &'static Service,
    operation: &Operation,
    arguments: &[Argument],
    parsed: &Parsed,
) -> Result<Map<String, Value>, Error> {
    let mut input = Map::new();
    for argument in arguments {
        let Some(given) = parsed.values.get(&argument.name) else { continue };
        let value = match (argument.meaning, given) {
            (OptionTarget::CliInputJson | OptionTarget::CliInputYaml | OptionTarget::Skeleton, _) => continue,
            (OptionTarget::PageSize | OptionTarget::MaxItems, ArgumentValue::One(digits)) => number(digits),
            (_, given) => {
                let words = match given {
                    ArgumentValue::Many(words) => words.clone(),
                    ArgumentValue::One(word) => vec![word.clone()],
                    ArgumentValue::Flag(flag) => vec![flag.to_string()],
                };
                let option = format!("--{}", argument.name);
                let shape = shape(service, operation, argument);
                with_files(session, |files| args::unpack(service, shape, &option, &words, files))?
            }
        };
        let paging = |input: &mut Map<String, Value>, key: &str, value| {
            let config = input.entry(PAGINATION).or_insert_with(|| Value::Object(Map::new()));
            if let Value::Object(config) = config {
                config.insert(key.to_owned(), value);
            }
        };
        match argument.meaning {
            OptionTarget::Member(member) => drop(input.insert(member.to_owned(), value)),
            OptionTarget::StartingToken => paging(&mut input, "StartingToken", value),
            OptionTarget::PageSize => paging(&mut input, "PageSize", value),
            _ => {
                if matches!(given, ArgumentValue::One(digits) if digits == "0" || digits.starts_with('-')) {
                    session.ui.note(
                        "warning: Non-positive values for --max-items may result in undefined behavior.",
                    );
                }
                paging(&mut input, "MaxItems", value);
            }
        }
    }
    Ok(input)
}

/// The pagination options out of an input. They may also have come from `--cli-input-json`, as texts.
fn page_options(config: Option<&Value>) -> PageOptions {
    let number = |name: &str| match config?.get(name)? {
        Value::String(text) => python::int(text)?.parse().ok(),
        other => other.as_i64(),
    };
    let token = config.and_then(|config| config.get("StartingToken")).and_then(Value::as_str);
    PageOptions {
        starting_token: token.map(str::to_owned),
        page_size: number("PageSize"),
        max_items: number("MaxItems"),
    }
}

/// Returns the shape of an option's value: its member's, or that of the token that the option replaces.
fn shape(service: &'static Service, operation: &Operation, argument: &Argument) -> &'static str {
    let member = match argument.meaning {
        OptionTarget::Member(member) => Some(member),
        _ => service.paginator(operation).map(|paginator| paginator.input_token),
    };
    let members = service.input(operation).map(|input| &input.members);
    let shape = member.zip(members).and_then(|(member, members)| members.get(member));
    shape.copied().expect("an option stands for a member of the input")
}

/// A number from the digits that the parser has checked.
fn number(digits: &str) -> Value {
    serde_json::from_str(digits).expect("digits are a JSON number")
}

/// Calls `read` with the settings for the files that arguments name.
fn with_files<T>(session: &Session, read: impl FnOnce(Files) -> T) -> T {
    let settings = &session.settings;
    let (home, encoding) = (settings.home(), settings.variable("AWS_CLI_FILE_ENCODING"));
    let variable = |name: &str| settings.variable(name);
    read(Files { home: home.as_deref(), variable: &variable, encoding: encoding.as_deref() })
}

/// Blobs as they are sent.
pub(super) fn decoded(
    session: &Session,
    service: &'static Service,
    operation: &Operation,
    input: Map<String, Value>,
) -> Result<Value, Error> {
    let format = match session.settings.binary_format()? {
        BinaryFormat::Base64 => args::blob::Format::Base64,
        BinaryFormat::Raw => args::blob::Format::Raw,
    };
    let mut input = Value::Object(input);
    if let Some(shape) = operation.input {
        args::blob::decode(service, shape, &mut input, format)?;
    }
    Ok(input)
}
