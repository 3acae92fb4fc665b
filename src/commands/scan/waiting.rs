//! Progress while scans are waited for: a line on a terminal, else a sentence at each change.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use tokio::time::Instant;

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

/// An image whose scan is waited for until this is dropped.
pub(super) struct WaitedFor<'a> {
    waiting: &'a Waiting,
    image: String,
}

impl Waiting {
    /// Waits for so many images; nothing is shown yet.
    pub(super) fn new(ui: &Ui, images: usize) -> Self {
        let line = StatusLine::new(ui);
        Self { ui: ui.clone(), line, begun: Instant::now(), images, statuses: Mutex::default() }
    }

    /// Begins with an image.
    pub(super) fn image(&self, image: String) -> WaitedFor<'_> {
        WaitedFor { waiting: self, image }
    }

    /// Text of the line: how many are waited for, and one of them.
    fn line(&self, statuses: &BTreeMap<String, String>, (image, status): (&str, &str)) -> String {
        format!(
            "waiting for {} of {}, {} s: {image} {status}",
            statuses.len(),
            count(self.images, "scan"),
            self.begun.elapsed().as_secs()
        )
    }
}

impl WaitedFor<'_> {
    /// Prints that the scan is still in progress.
    pub(super) fn tell(&self, status: &str) {
        let Waiting { ui, line, statuses, .. } = self.waiting;
        let mut statuses = statuses.lock().unwrap_or_else(PoisonError::into_inner);
        let is_news = statuses.insert(self.image.clone(), status.to_owned()).as_deref() != Some(status);
        match line {
            Some(line) => line.show(&self.waiting.line(&statuses, (&self.image, status))),
            None if is_news => ui.note(&format!("waiting for the scan of {}: {status}", self.image)),
            None => {}
        }
    }
}

impl Drop for WaitedFor<'_> {
    fn drop(&mut self) {
        let mut statuses = self.waiting.statuses.lock().unwrap_or_else(PoisonError::into_inner);
        statuses.remove(&self.image);
        if let (Some(line), Some((image, status))) = (&self.waiting.line, statuses.iter().next()) {
            line.show(&self.waiting.line(&statuses, (image, status)));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::PoisonError;

    use super::Waiting;
    use crate::ui::{Name, Ui};

    #[test]
    fn the_number_falls_when_a_scan_has_ended() {
        let waiting = Waiting::new(&Ui::new(Name::Ecr), 2);
        let (one, other) = (waiting.image("app:1".to_owned()), waiting.image("app:2".to_owned()));
        one.tell("PENDING");
        other.tell("IN_PROGRESS");
        drop(one);
        let statuses = waiting.statuses.lock().unwrap_or_else(PoisonError::into_inner);
        let line = waiting.line(&statuses, ("app:2", "IN_PROGRESS"));
        assert_eq!(line, "waiting for 1 of 2 scans, 0 s: app:2 IN_PROGRESS");
        drop(statuses);
    }
}
