use std::io;

use serde_json::json;

use super::*;
use crate::service;
use crate::ui::pager::PagerError;

fn refused() -> Error {
    let members = json!({
        "Message": "no such part",
        "Code": "InvalidLayerPartException",
        "uploadId": "u-1",
        "lastValidByteReceived": 42,
        "message": "no such part",
    });
    let text = "An error occurred (InvalidLayerPartException) when calling the UploadLayerPart operation: no such part";
    Error::Refused { text: text.to_owned(), members: members.as_object().cloned().unwrap_or_default() }
}

fn rendered(error: &Error, format: Format) -> String {
    error.render(Name::Aws, format, |_, value| format!("{value}\n"))
}

fn assert_rendered(cases: impl IntoIterator<Item = (Error, Format, String)>) {
    for (error, format, expected) in cases {
        assert_eq!(rendered(&error, format), expected);
    }
}

/// Recorded from AWS CLI 2.38.1.
#[test]
fn errors_read_as_in_the_aws_cli() {
    const USAGE: &str = "usage: aws [options] <command> <subcommand> [<subcommand> ...] [parameters]\nTo see help \
                         text, you can run:\n\n  aws help\n  aws <command> help\n  aws <command> <subcommand> help\n";
    assert_rendered([
        (
            Error::Usage("x\n".into()),
            Format::Enhanced,
            "\naws: [ERROR]: An error occurred (ParamValidation): x\n".to_owned(),
        ),
        (Error::Usage("x\n".into()), Format::Legacy, "\naws: [ERROR]: x\n".to_owned()),
        (Error::Other(" x ".into()), Format::Json, "\naws: [ERROR]: x\n".to_owned()),
        (Error::Other(String::new()), Format::Enhanced, "\naws: [ERROR]:\n".to_owned()),
        (Error::CommandLine("x".into()), Format::Legacy, format!("\naws: [ERROR]: x\n\n{USAGE}")),
        (
            Error::UnknownOptions(vec!["--foo".into(), "bar".into()]),
            Format::Json,
            format!("\n{USAGE}\n\naws: [ERROR]: Unknown options: --foo, bar\n"),
        ),
        (Error::Interrupted(Signal::Interrupt), Format::Enhanced, String::new()),
    ]);
}

/// Recorded from AWS CLI 2.38.1.
#[test]
fn service_errors_read_as_in_the_aws_cli() {
    let region = Error::from(service::Error::NoRegion);
    let region_text =
        "You must specify a region. You can also configure your region by running \"aws configure\".";
    assert_rendered([
        (
            region.clone(),
            Format::Enhanced,
            format!("\naws: [ERROR]: An error occurred (NoRegion): {region_text}\n"),
        ),
        (region, Format::Json, format!("{}\n", json!({"Code": "NoRegion", "Message": region_text}))),
        (
            refused(),
            Format::Enhanced,
            "\naws: [ERROR]: An error occurred (InvalidLayerPartException) when calling the UploadLayerPart \
             operation: no such part\n\nAdditional error details:\nuploadId: u-1\nlastValidByteReceived: 42\n"
                .to_owned(),
        ),
        (
            refused(),
            Format::Legacy,
            "\naws: [ERROR]: An error occurred (InvalidLayerPartException) when calling the UploadLayerPart \
             operation: no such part\n"
                .to_owned(),
        ),
    ]);
}

#[test]
fn a_cause_decides_the_exit_code_and_all_words_are_kept() {
    let code = |error: anyhow::Error| {
        let error = Error::from(error);
        (error.exit_code(), error.to_string())
    };
    for (error, expected) in [
        (anyhow::anyhow!("plain"), (255, "plain")),
        (anyhow::Error::new(Error::Usage("wrong".into())), (252, "wrong")),
        (
            anyhow::Error::new(service::Error::Invalid("bad".into())).context("pushing x"),
            (252, "pushing x: bad"),
        ),
        (anyhow::Error::new(refused()).context("pushing x").context("all"), (254, "")),
        (anyhow::Error::new(io::Error::from(io::ErrorKind::BrokenPipe)).context("x"), (0, "")),
    ] {
        let (found, text) = code(error);
        assert_eq!(found, expected.0, "{text}");
        assert!(expected.1.is_empty() || text == expected.1, "{text}");
    }
}

#[test]
fn a_missing_pager_is_a_configuration_error() {
    let error =
        Error::from(io::Error::other(PagerError("[Errno 2] No such file or directory: 'less'".into())));
    assert_eq!(error.exit_code(), 253);
}
