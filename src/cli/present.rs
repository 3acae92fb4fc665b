use super::session::Session;
use crate::error::Error;
use crate::model::*;
use serde_json::Value;
use std::process::ExitCode;
pub(super) fn stub(
    _: &Session,
    _: &'static Service,
    _: &'static Operation,
    _: &Value,
) -> Result<ExitCode, Error> {
    Ok(ExitCode::SUCCESS)
}
pub(super) struct Printer<'a>(&'a Session);
impl<'a> Printer<'a> {
    pub(super) fn new(s: &'a Session, _: &'static Service, _: &'static Operation) -> Self {
        Self(s)
    }
    pub(super) fn whole(self, v: Value) -> Result<ExitCode, Error> {
        self.0.print(&v.to_string())
    }
}
