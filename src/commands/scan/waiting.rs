//! Progress while scans are waited for: a line on a terminal, else a sentence at each change.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use tokio::time::Instant;

use super::target::Target;
use crate::ui::Ui;
use crate::ui::progress::{StatusLine, count};

/// The scans that are waited for.
pub(super) struct Waiting {
    ui: Ui,
    line: Option<StatusLine>,
    begun: Instant,
    images: usize,
    /// The images that are waited for, with their statuses.
    statuses: Mutex<BTreeMap<String, String>>,
}

impl Waiting {
    /// Waits for so many images; nothing is shown yet.
    pub(super) fn new(ui: &Ui, images: usize) -> Self {
        let line = StatusLine::new(ui);
        Self { ui: ui.clone(), line, begun: Instant::now(), images, statuses: Mutex::default() }
    }

    /// Says that an image is still waited for.
    pub(super) fn tell(&self, target: &Target, status: &str) {
        let platform = target.platform.as_ref().map(|platform| format!(" ({platform})")).unwrap_or_default();
        let image = format!("{}{platform}", target.reference);
        let mut statuses = self.statuses.lock().unwrap_or_else(PoisonError::into_inner);
        let is_news = statuses.insert(image.clone(), status.to_owned()).as_deref() != Some(status);
        match &self.line {
            Some(line) => line.show(format!(
                "waiting for {} of {}, {} s: {image} {status}",
                statuses.len(),
                count(self.images, "scan"),
                self.begun.elapsed().as_secs()
            )),
            None if is_news => self.ui.note(&format!("waiting for the scan of {image}: {status}")),
            None => {}
        }
    }
}
