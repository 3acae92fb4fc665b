//! Output of an operation's answer: timestamps, format, query, and pager.

use std::borrow::Cow;
use std::io::Write;
use std::process::ExitCode;

use jiff::Timestamp;
use serde_json::Value;

use crate::args;
use crate::error::Error;
use crate::escape::escape_lines;
use crate::model::{Operation, Service};
use crate::output::{Format, Printer, TableStyle, Timestamps, Zone, timestamps};
use crate::service::paginate::Pages;
use crate::service::{self, validate::validate};
use crate::settings::TimestampFormat;
use crate::ui::pager::Sink;

use super::session::Session;

/// Prints the answer of one operation.
pub(super) struct Presenter {
    service: &'static Service,
    /// The name of the answer's structure.
    shape: Option<&'static str>,
    printer: Printer,
    sink: Sink,
    timestamps: Timestamps,
    /// Escape control characters in texts, which would otherwise reach a terminal.
    escaped: bool,
}

impl Presenter {
    /// Creates the presenter of an operation. An unknown output format is reported here, not earlier.
    pub(super) fn new(
        session: &mut Session,
        service: &'static Service,
        operation: &Operation,
    ) -> Result<Self, Error> {
        let name = session.settings.output()?;
        let format =
            Format::find(&name).ok_or_else(|| Error::Other(format!("Unknown output type: {name}")))?;
        let sink = session.sink()?;
        let timestamps = match session.settings.timestamp_format()? {
            TimestampFormat::Iso8601 => {
                Timestamps::Iso8601(Zone::new(session.settings.time_zone(), Timestamp::now()))
            }
            TimestampFormat::Wire => Timestamps::Wire,
        };
        let printer = Printer {
            format,
            query: session.query.take(),
            title: operation.name.to_owned(),
            table: table_style(session, sink.is_direct()),
        };
        let escaped = session.ui.out_is_terminal() && matches!(format, Format::Text | Format::Table);
        Ok(Self { service, shape: operation.output, printer, sink, timestamps, escaped })
    }

    /// Prints an answer that has no pages.
    pub(super) fn whole(mut self, answer: Value) -> Result<ExitCode, Error> {
        let answer = self.with_timestamps(answer)?;
        self.printer.whole(&mut self.sink, &answer)?;
        self.end()
    }

    /// Fetches and prints all pages: joined, or one by one where the format streams.
    pub(super) async fn pages(mut self, mut pages: Pages<'_>) -> Result<ExitCode, Error> {
        if !self.printer.format.streams() {
            return self.whole(pages.whole().await?);
        }
        while let Some(page) = pages.next().await? {
            let page = if self.printer.format == Format::Text { pages.as_text(&page) } else { page };
            let page = self.with_timestamps(page)?;
            self.printer.page(&mut self.sink, &page)?;
        }
        if let Some(token) = pages.next_token() {
            self.printer.resume(&mut self.sink, token)?;
        }
        self.end()
    }

    fn with_timestamps(&self, mut answer: Value) -> Result<Value, Error> {
        if let Some(shape) = self.shape {
            let shape = self.service.shape(shape);
            timestamps::rewrite(self.service, shape, &mut answer, &self.timestamps)?;
        }
        if self.escaped {
            escape_texts(&mut answer);
        }
        Ok(answer)
    }

    fn end(self) -> Result<ExitCode, Error> {
        self.sink.finish()?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Escapes control characters in every text of an answer. JSON and YAML do that themselves.
pub(super) fn escape_texts(value: &mut Value) {
    match value {
        Value::String(text) => {
            if let Cow::Owned(escaped) = escape_lines(text) {
                *text = escaped;
            }
        }
        Value::Array(values) => values.iter_mut().for_each(escape_texts),
        Value::Object(members) => members.values_mut().for_each(escape_texts),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Returns the style of tables: coloured on a terminal, unless `--color` says otherwise.
pub(super) fn table_style(session: &Session, direct: bool) -> TableStyle {
    let terminal = session.ui.out_is_terminal();
    let color = match session.settings.globals().color.as_deref() {
        Some("on") => true,
        Some("off") => false,
        _ => terminal,
    };
    TableStyle { width: session.ui.width(), color, direct, terminal }
}

/// Runs `--generate-cli-skeleton output`: checks the input as a call would, and prints a sample answer.
pub(super) fn stub(
    session: &mut Session,
    service: &'static Service,
    operation: &'static Operation,
    input: &Value,
) -> Result<ExitCode, Error> {
    if session.settings.region()?.is_none() && !session.settings.local() {
        return Err(service::Error::NoRegion.into());
    }
    let name = session.settings.output()?;
    let yaml = matches!(Format::find(&name), Some(Format::Yaml | Format::YamlStream));
    let separator = if name == "json" { 'T' } else { ' ' };
    let answer = args::skeleton::output(service, operation, &format!("1970-01-01{separator}00:00:00"));
    // The AWS CLI checks even what it made up, so that for some operations it shows no answer but this error.
    if let Some(shape) = operation.output {
        validate(service, shape, &answer).map_err(|invalid| Error::Usage(invalid.to_string()))?;
    }
    if let Some(shape) = operation.input.filter(|_| session.settings.parameter_validation().unwrap_or(true)) {
        validate(service, shape, input).map_err(|invalid| Error::Usage(invalid.to_string()))?;
    }
    let mut presenter = Presenter::new(session, service, operation)?;
    let mut bytes = Vec::new();
    presenter.printer.whole(&mut bytes, &answer)?;
    let mut text = String::from_utf8_lossy(&bytes).into_owned();
    if yaml {
        // In YAML an instant is a value of its own, not a text that looks like one.
        text = text.replace("'1970-01-01 00:00:00'", "1970-01-01 00:00:00");
    }
    presenter.sink.write_all(text.as_bytes())?;
    presenter.end()
}
