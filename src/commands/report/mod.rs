//! Results in files: `--report FORMAT=FILE`, and the formats that are more than a table or JSON.

pub(super) mod html;
pub(super) mod junit;
pub(super) mod sarif;

use clap::ValueHint;

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::Context;
use super::images::output::{Document, Format, Style, write_document};
use super::registry::usage;

/// The option `--report`.
#[derive(Debug, Clone, Default, clap::Args)]
pub(super) struct ReportArgs {
    /// Also write the result into FILE, as table, json, text, markdown or another format that the command has; repeat
    /// it for several. A file that $GITHUB_STEP_SUMMARY names is appended to
    #[arg(long = "report", value_name = "FORMAT=FILE", value_hint = ValueHint::Other)]
    reports: Vec<String>,
}

/// A file that a result is to be written into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ReportFile {
    format: Format,
    file: PathBuf,
}

impl ReportArgs {
    /// Reads the options. What is wrong with them is found before any call.
    pub(super) fn read(&self, formats: &[Format]) -> anyhow::Result<Vec<ReportFile>> {
        let reports = self.reports.iter().map(|text| ReportFile::read(text, formats));
        let reports: Vec<ReportFile> = reports.collect::<anyhow::Result<_>>()?;
        for (number, report) in reports.iter().enumerate() {
            if reports[..number].iter().any(|other| other.file == report.file) {
                return Err(usage(format!("two reports would be written into {}", report.file.display())));
            }
        }
        Ok(reports)
    }
}

impl ReportFile {
    fn read(text: &str, formats: &[Format]) -> anyhow::Result<Self> {
        let common = [Format::Json, Format::Markdown, Format::Text, Format::Table];
        let possible: Vec<Format> = formats.iter().copied().chain(common).collect();
        let found = text.split_once('=').filter(|(_, file)| !file.is_empty()).and_then(|(name, file)| {
            let format = possible.iter().find(|format| format.name() == name)?;
            Some(Self { format: *format, file: PathBuf::from(file) })
        });
        let report = found.ok_or_else(|| {
            let names: Vec<&str> = possible.iter().map(|format| format.name()).collect();
            usage(format!(
                "--report {text}: expected FORMAT=FILE, where FORMAT is one of {}",
                names.join(", ")
            ))
        })?;
        let folder = report.file.parent().filter(|folder| !folder.as_os_str().is_empty());
        match folder.filter(|folder| !folder.is_dir()) {
            Some(folder) => Err(usage(format!("--report {text}: there is no folder {}", folder.display()))),
            None => Ok(report),
        }
    }

    /// Writes a result into the file.
    pub(super) fn write(&self, context: &Context, document: &dyn Document) -> anyhow::Result<()> {
        let mut bytes = Vec::new();
        write_document(&mut bytes, document, self.format, Style { width: None, color: false })?;
        let summary = context.settings.variable("GITHUB_STEP_SUMMARY").filter(|file| !file.is_empty());
        let appends = summary.is_some_and(|summary| Path::new(&summary) == self.file);
        let mut options = OpenOptions::new();
        options.create(true).write(true).append(appends).truncate(!appends);
        let written = options.open(&self.file).and_then(|mut file| file.write_all(&bytes));
        written.with_context(|| format!("the report {} cannot be written", self.file.display()))
    }
}

/// Writes a result into each of these files. The first that cannot be written ends it, with the others written.
pub(super) fn write_all(
    context: &Context,
    reports: &[ReportFile],
    document: &dyn Document,
) -> anyhow::Result<()> {
    let written: Vec<anyhow::Result<()>> =
        reports.iter().map(|report| report.write(context, document)).collect();
    written.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_are_read_before_anything_is_done() {
        let read = |reports: &[&str]| {
            let reports = reports.iter().map(|text| (*text).to_owned()).collect();
            ReportArgs { reports }.read(&[Format::Sarif]).map_err(|error| error.to_string())
        };
        let sarif = ReportFile { format: Format::Sarif, file: "a=b".into() };
        assert_eq!(read(&["sarif=a=b"]), Ok(vec![sarif]));
        for wrong in ["sarif", "sarif=", "html=x", "=x", "off=x"] {
            let told = read(&[wrong]).unwrap_err();
            assert!(told.ends_with("is one of sarif, json, markdown, text, table"), "{told}");
        }
        assert!(read(&["json=/nowhere/x"]).unwrap_err().ends_with("there is no folder /nowhere"));
        assert!(read(&["json=x", "sarif=x"]).unwrap_err().ends_with("written into x"));
    }
}
