//! `get-login-password`, and `get-login` as version 1 of the AWS CLI had it.

use std::process::ExitCode;

use clap::{Arg, ArgAction};
use serde_json::{Map, Value, json};

use crate::args;
use crate::commands::{self, block_on};
use crate::error::Error;
use crate::model::{Service, python};

use super::argparse::{ArgumentValue, Arity, Opt, Parsed, Parser};
use super::help;
use super::session::Session;

const OPERATION: &str = "GetAuthorizationToken";

const REGISTRY_IDS: &str = "The accounts whose registries to log in to, where it is not yours.";
const INCLUDE_EMAIL: &str =
    "Put -e none into the command, which docker before 17.06 wanted. This is the default.";
const NO_INCLUDE_EMAIL: &str = "Leave -e none out of the command.";

/// Prints the password of the first authorization token, and nothing else.
pub(super) fn get_login_password(
    session: &Session,
    service: &'static Service,
    words: &[String],
) -> Result<ExitCode, Error> {
    let command = format!("{} get-login-password", help::prefix(session.ui.name(), service));
    if words == ["help"] {
        let about = "Prints a password that docker login takes from its standard input, for the user AWS. It is \
                     valid for 12 hours.";
        return super::show(session, |page| help::custom(page, &command, about, &[]));
    }
    parse(Vec::new(), words)?;
    let answer = call(session, service, json!({}))?;
    let data = authorization(&answer)?;
    let first = match data {
        Value::Array(list) => {
            list.first().ok_or_else(|| Error::Other("list index out of range".to_owned()))?
        }
        structure => structure,
    };
    let (_, password) = credentials(first)?;
    session.print(&format!("{password}\n"))
}

/// Prints a docker login command for each registry.
pub(super) fn get_login(
    session: &Session,
    service: &'static Service,
    words: &[String],
) -> Result<ExitCode, Error> {
    if words == ["help"] {
        let command = format!("{} get-login", help::prefix(session.ui.name(), service));
        let options = [
            ("--registry-ids <value> ...", REGISTRY_IDS),
            ("--include-email", INCLUDE_EMAIL),
            ("--no-include-email", NO_INCLUDE_EMAIL),
        ];
        let about = "Prints a docker login command for each registry, with its password in it, as version 1 of the \
                     AWS CLI did. Prefer get-login-password.";
        return super::show(session, |page| help::custom(page, &command, about, &options));
    }
    let email =
        |flag: &str, value| Opt { key: "include-email".to_owned(), ..Opt::new(flag, Arity::Flag(value)) };
    let options = vec![
        Opt::new("registry-ids", Arity::Some),
        email("include-email", true),
        email("no-include-email", false),
    ];
    let parsed = parse(options, words)?;
    let mut input = Map::new();
    if let Some(ArgumentValue::Many(ids)) = parsed.values.get("registry-ids") {
        input.insert("registryIds".to_owned(), ids.clone().into());
    }
    let email = if parsed.flag("include-email").unwrap_or(true) { "-e none " } else { "" };
    let answer = call(session, service, Value::Object(input))?;
    let data =
        authorization(&answer)?.as_array().ok_or_else(|| Error::Other("'authorizationData'".to_owned()))?;
    let mut text = String::new();
    for registry in data {
        let (user, password) = credentials(registry)?;
        let endpoint = member(registry, "proxyEndpoint")?;
        let login = format!("docker login -u {user} -p {password} {email}{endpoint}\n");
        text.push_str(&login);
    }
    session.print(&text)
}

/// The options of `get-login` for the clap tree.
pub(super) fn get_login_args() -> [Arg; 3] {
    [
        Arg::new("registry-ids").long("registry-ids").value_name("VALUE").num_args(1..).help(REGISTRY_IDS),
        Arg::new("include-email").long("include-email").action(ArgAction::SetTrue).help(INCLUDE_EMAIL),
        Arg::new("no-include-email")
            .long("no-include-email")
            .action(ArgAction::SetTrue)
            .help(NO_INCLUDE_EMAIL),
    ]
}

/// Parses the options; the unknown words of a custom command are listed without blanks, and without the usage text.
fn parse(options: Vec<Opt>, words: &[String]) -> Result<Parsed, Error> {
    let parser = Parser { options, positionals: Vec::new() };
    let parsed = parser.parse(words).map_err(|mistake| Error::CommandLine(mistake.0))?;
    if parsed.rest.is_empty() {
        return Ok(parsed);
    }
    Err(Error::Usage(format!("Unknown options: {}", parsed.rest.join(","))))
}

fn call(session: &Session, service: &'static Service, input: Value) -> Result<Value, Error> {
    let client = commands::connect(&session.settings, service).map_err(Error::from)?;
    block_on(async { client.call(OPERATION, input).await.map_err(Error::from) })
}

fn authorization(answer: &Value) -> Result<&Value, Error> {
    answer.get("authorizationData").ok_or_else(|| Error::Other("'authorizationData'".to_owned()))
}

fn member<'a>(structure: &'a Value, name: &str) -> Result<&'a str, Error> {
    structure.get(name).and_then(Value::as_str).ok_or_else(|| Error::Other(format!("'{name}'")))
}

/// The user and password in an authorization token: `USER:PASSWORD` in base64.
fn credentials(data: &Value) -> Result<(String, String), Error> {
    let token = member(data, "authorizationToken")?;
    let decoded = args::blob::lenient_base64(token).map_err(|wrong| Error::Other(wrong.to_string()))?;
    let decoded = String::from_utf8(decoded)
        .map_err(|wrong| Error::Other(python::decode_complaint(wrong.as_bytes(), wrong.utf8_error())))?;
    match decoded.split(':').collect::<Vec<_>>().as_slice() {
        [user, password] => Ok(((*user).to_owned(), (*password).to_owned())),
        [_] => Err(Error::Other("not enough values to unpack (expected 2, got 1)".to_owned())),
        more => Err(Error::Other(format!("too many values to unpack (expected 2, got {})", more.len()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_a_user_and_a_password() {
        let data = |text: &str| json!({"authorizationToken": base64_simd::STANDARD.encode_to_string(text)});
        let read = |text: &str| credentials(&data(text)).map_err(|error| error.to_string());
        assert_eq!(read("AWS:bar"), Ok(("AWS".to_owned(), "bar".to_owned())));
        assert_eq!(read("AWS"), Err("not enough values to unpack (expected 2, got 1)".to_owned()));
        assert_eq!(read("a:b:c"), Err("too many values to unpack (expected 2, got 3)".to_owned()));
        assert_eq!(
            credentials(&json!({})).map_err(|e| e.to_string()),
            Err("'authorizationToken'".to_owned())
        );
    }
}
