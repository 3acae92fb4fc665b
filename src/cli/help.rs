//! Help pages, written from the model: `ecr help`, `ecr public help`, `ecr OPERATION help`.

use crate::commands;
use crate::model::examples::{self, Example};
use crate::model::help::{HelpTexts, first_sentence, texts};
use crate::model::{Kind, Operation, Service, Shape, Waiter, names::kebab};
use crate::ui::Name;

use super::help_page::Page;
use super::options::{Argument, GLOBALS, OptionTarget, arguments};

/// Depth to which structures are shown inside another.
const MAX_DEPTH: usize = 6;

/// Returns the commands of a service that are no operations of its API, with their descriptions.
pub(super) fn custom_commands(service: &Service) -> Vec<(&'static str, &'static str)> {
    let mut commands = vec![("get-login-password", "Print a password for docker login.")];
    if is_private(service) {
        commands.push(("get-login", "Print a docker login command, as version 1 of the AWS CLI did."));
        commands.push(("wait", "Wait until an image scan or a lifecycle policy preview is complete."));
    }
    commands
}

/// Returns whether this is the private registry, which has more commands than its operations.
pub(super) fn is_private(service: &Service) -> bool {
    service.name == "ecr"
}

/// Returns the words that a service's commands begin with: `ecr`, `ecr public`, `aws ecr`, `aws ecr-public`.
pub(super) fn prefix(name: Name, service: &Service) -> String {
    let private = is_private(service);
    match (name, private) {
        (Name::Aws, _) => format!("aws {}", service.name),
        (Name::Ecr, true) => "ecr".to_owned(),
        (Name::Ecr, false) => "ecr public".to_owned(),
    }
}

/// The page of a whole service, with all its commands.
pub(super) fn service(page: &mut Page, name: Name, service: &Service) {
    let texts = texts(service);
    let prefix = prefix(name, service);
    page.heading("NAME");
    page.paragraph(1, &format!("{prefix} - {}", service.full_name));
    page.heading("SYNOPSIS");
    page.verbatim(1, &format!("{prefix} <command> [parameters]"));
    page.verbatim(1, &format!("{prefix} <command> help"));
    page.heading("DESCRIPTION");
    page.paragraph(1, &texts.service);
    if prefix == "ecr" {
        page.heading("COMMANDS OF THIS PROGRAM");
        for command in commands::COMMANDS {
            let about = (command.define)().get_about().map(ToString::to_string).unwrap_or_default();
            entry(page, command.name, &about);
        }
        entry(page, "completions", "Print the completion script of a shell: ecr completions <shell>.");
        entry(page, "public", "Commands of Amazon ECR Public: ecr public <command>.");
    }
    page.heading("OPERATIONS");
    let mut entries: Vec<(String, &str)> =
        service.operations().map(|o| (kebab(o.name), first_sentence(texts.operation(o.name)))).collect();
    entries.extend(custom_commands(service).into_iter().map(|(command, about)| (command.to_owned(), about)));
    entries.sort();
    for (command, about) in entries {
        entry(page, &command, about);
    }
    globals(page, name);
}

fn entry(page: &mut Page, command: &str, about: &str) {
    page.term(1, command, "");
    page.paragraph(2, about);
}

fn globals(page: &mut Page, name: Name) {
    page.heading("GLOBAL OPTIONS");
    for global in GLOBALS.iter().filter(|global| name == Name::Ecr || !global.extension) {
        let choices = global.choices.join(" | ");
        let value = if choices.is_empty() { "<value>" } else { &choices };
        page.term(1, &format!("--{}", global.name), if global.takes_value() { value } else { "" });
        page.paragraph(2, global.help);
    }
}

/// The page of one operation.
pub(super) fn operation(page: &mut Page, name: Name, service: &Service, operation: &Operation) {
    let command = format!("{} {}", prefix(name, service), kebab(operation.name));
    let texts = texts(service);
    let text = texts.operation(operation.name);
    head(page, &command, text, &arguments(service, operation));
    if let Some(paginator) = service.paginator(operation) {
        page.gap();
        let keys = paginator.result_keys.join(", ");
        page.paragraph(
            1,
            &format!(
                "The answer comes in pages, and all of them are fetched unless --no-paginate or --max-items says \
                 otherwise. With --output text, --query is applied to each page by itself; the pages hold {keys}."
            ),
        );
    }
    options(page, service, operation, &arguments(service, operation));
    examples(page, name, service, operation);
    page.heading("OUTPUT");
    match service.output(operation).filter(|output| !output.members.is_empty()) {
        Some(output) => {
            Members { page, service, texts }.all(operation.output.unwrap_or_default(), output, 1, 0);
        }
        None => page.paragraph(1, "None."),
    }
    page.heading("GLOBAL OPTIONS");
    page.paragraph(1, &format!("See {} help.", prefix(name, service)));
}

fn examples(page: &mut Page, name: Name, service: &Service, operation: &Operation) {
    page.heading("EXAMPLES");
    for (number, example) in examples::examples(service, operation.name).iter().enumerate() {
        if number > 0 {
            page.gap();
        }
        page.paragraph(1, example.title);
        page.gap();
        for line in shown(example, name) {
            page.verbatim(2, &line);
        }
    }
}

/// The lines of an example's transcript, with commands called by `name`.
pub(super) fn shown(example: &Example, name: Name) -> impl Iterator<Item = String> {
    example.transcript.iter().map(move |line| match name {
        Name::Aws if line.starts_with("$ ") => line
            .replace("ecr public ", "aws ecr-public ")
            .replace("$ ecr ", "$ aws ecr ")
            .replace("$(ecr ", "$(aws ecr "),
        _ => (*line).to_owned(),
    })
}

/// The page of one waiter.
pub(super) fn waiter(page: &mut Page, name: Name, service: &Service, waiter: (&str, &Waiter)) {
    let (title, waiter) = waiter;
    let Some(operation) = service.operation(waiter.operation) else { return };
    let command = format!("{} wait {}", prefix(name, service), kebab(title));
    let text = format!(
        "Polls {} every {} seconds until it succeeds, and prints nothing. Ends with exit code 255 when it fails, or \
         after {} attempts.",
        kebab(operation.name),
        waiter.delay,
        waiter.max_attempts
    );
    let arguments = arguments(service, operation);
    head(page, &command, &text, &arguments);
    options(page, service, operation, &arguments);
}

/// The page of `wait`, with its waiters.
pub(super) fn waiters(page: &mut Page, name: Name, service: &Service) {
    let command = format!("{} wait", prefix(name, service));
    page.heading("NAME");
    page.paragraph(1, &format!("{command} - Polls an operation until something is complete."));
    page.heading("COMMANDS");
    for (waiter, _) in service.waiters() {
        page.term(1, &kebab(waiter), "");
    }
}

/// The page of a command that has no options beyond the global ones, or only these.
pub(super) fn custom(page: &mut Page, command: &str, about: &str, options: &[(&str, &str)]) {
    page.heading("NAME");
    page.paragraph(1, &format!("{command} - {about}"));
    page.heading("SYNOPSIS");
    page.verbatim(1, command);
    for (option, _) in options {
        page.verbatim(2, &format!("[{option}]"));
    }
    if !options.is_empty() {
        page.heading("OPTIONS");
        for (option, text) in options {
            entry(page, option, text);
        }
    }
}

fn head(page: &mut Page, command: &str, text: &str, arguments: &[Argument]) {
    page.heading("NAME");
    page.paragraph(1, &format!("{command} - {}", first_sentence(text)));
    page.heading("SYNOPSIS");
    page.verbatim(1, command);
    for argument in arguments.iter().filter(|argument| !argument.hidden) {
        let flag = match argument.kind {
            Kind::Boolean => format!("--{0} | --no-{0}", argument.name),
            Kind::List => format!("--{} <value> ...", argument.name),
            _ => format!("--{} <value>", argument.name),
        };
        page.verbatim(2, &if argument.required { flag } else { format!("[{flag}]") });
    }
    page.heading("DESCRIPTION");
    page.paragraph(1, text);
}

fn options(page: &mut Page, service: &Service, operation: &Operation, arguments: &[Argument]) {
    page.heading("OPTIONS");
    let texts = texts(service);
    for (number, argument) in arguments.iter().filter(|argument| !argument.hidden).enumerate() {
        if number > 0 {
            page.gap();
        }
        let required = if argument.required { ", required" } else { "" };
        let flag = format!("--{}", argument.name);
        let OptionTarget::Member(member) = argument.meaning else {
            page.term(1, &flag, "");
            page.paragraph(2, common_help(argument.meaning));
            continue;
        };
        let input = operation.input.unwrap_or_default();
        let shape = service.shape(service.shape(input).members[member]);
        page.term(1, &flag, &format!("({}{required})", kind(service, shape)));
        page.paragraph(2, texts.member(input, member));
        if !shape.kind.is_scalar()
            && (shape.kind == Kind::Structure || !element(service, shape).kind.is_scalar())
        {
            page.gap();
            page.paragraph(2, &format!("Shorthand: {}", shorthand(service, shape)));
        }
        let mut members = Members { page, service, texts };
        members.values(shape, 2);
        members.below(service.shape(input).members[member], 2, 0);
    }
}

/// Help text of the options that every operation has.
pub(super) fn common_help(meaning: OptionTarget) -> &'static str {
    match meaning {
        OptionTarget::Member(_) => "",
        OptionTarget::CliInputJson => {
            "Read arguments from this JSON text, or from a file with file://. Arguments on the command line win."
        }
        OptionTarget::CliInputYaml => {
            "Read arguments from this YAML text, or from a file with file://. Arguments on the command line win."
        }
        OptionTarget::StartingToken => {
            "Go on where an earlier command with --max-items stopped: its NextToken."
        }
        OptionTarget::PageSize => {
            "How many items to ask the service for in one call. All pages are fetched all the same."
        }
        OptionTarget::MaxItems => "Print at most this many items, and a NextToken where there are more.",
        OptionTarget::Skeleton => {
            "Send nothing. Print an empty input as JSON (input, the default) or as YAML (yaml-input), or check the \
             arguments and print what an answer looks like (output)."
        }
    }
}

/// The element of a list, or the shape itself.
fn element<'s>(service: &'s Service, shape: &'s Shape) -> &'s Shape {
    shape.member.map_or(shape, |member| service.shape(member))
}

/// Describes a type.
pub(super) fn kind(service: &Service, shape: &Shape) -> String {
    let word = |kind: Kind| match kind {
        Kind::String => "string",
        Kind::Integer | Kind::Long => "integer",
        Kind::Float | Kind::Double => "number",
        Kind::Boolean => "boolean",
        Kind::Timestamp => "timestamp",
        Kind::Blob => "blob",
        Kind::List => "list",
        Kind::Map => "map",
        Kind::Structure => "structure",
    };
    match shape.kind {
        Kind::List => format!("list of {}s", word(element(service, shape).kind)),
        kind => word(kind).to_owned(),
    }
}

/// The shorthand syntax of a structure, or of a list of them.
fn shorthand(service: &Service, shape: &Shape) -> String {
    let structure = element(service, shape);
    let members = structure.members.iter().map(|(name, shape)| {
        let shape = service.shape(shape);
        match shape.kind {
            Kind::List => format!("{name}=[{}]", kind_of_value(service, element(service, shape))),
            _ => format!("{name}={}", kind_of_value(service, shape)),
        }
    });
    let text = members.collect::<Vec<_>>().join(",");
    if shape.kind == Kind::List { format!("{text} ...") } else { text }
}

fn kind_of_value(service: &Service, shape: &Shape) -> String {
    if shape.kind == Kind::Structure {
        format!("{{{}}}", shorthand(service, shape))
    } else {
        kind(service, shape)
    }
}

/// Writes the members of structures.
struct Members<'a> {
    page: &'a mut Page,
    service: &'a Service,
    texts: &'a HelpTexts,
}

impl Members<'_> {
    /// All members of a structure, each with its own members below it.
    fn all(&mut self, name: &str, structure: &Shape, level: usize, depth: usize) {
        for (member, shape_name) in &structure.members {
            let shape = self.service.shape(shape_name);
            self.page.term(level, member, &format!("({})", kind(self.service, shape)));
            self.page.paragraph(level + 1, self.texts.member(name, member));
            self.values(shape, level + 1);
            self.below(shape_name, level + 1, depth + 1);
        }
    }

    fn values(&mut self, shape: &Shape, level: usize) {
        let values = &element(self.service, shape).values;
        if !values.is_empty() {
            self.page.paragraph(level, &format!("Values: {}.", values.join(", ")));
        }
    }

    /// Returns the members of the elements of this shape.
    fn below(&mut self, name: &str, level: usize, depth: usize) {
        let shape = self.service.shape(name);
        match (shape.kind, shape.member.or(shape.value)) {
            _ if depth > MAX_DEPTH => {}
            (Kind::Structure, _) => self.all(name, shape, level, depth),
            (_, Some(inner)) => self.below(inner, level, depth),
            _ => {}
        }
    }
}
