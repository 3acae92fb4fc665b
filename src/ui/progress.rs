//! Display of transfers: bars on a terminal, otherwise a line for each event. All of it on stderr.

mod throughput;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indexmap::IndexMap;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};

use self::throughput::Throughput;
use super::Ui;
use crate::escape::escape;
use crate::transfer::progress::{Descriptor, Digest, Event, Progress, Reason};

/// Templates of a blob's bar and of the total's; both fit into 80 columns.
const BLOB: &str = "{prefix}  {bar:16}  {bytes} of {total_bytes}";
const TOTAL: &str = "total         {bar:16}  {msg}";
/// Lines of a terminal that stay free of bars.
const FREE_LINES: usize = 4;
/// Lines of a terminal that does not say how many it has.
const LINES: usize = 24;
/// Interval of updates to the total's text.
const TOTAL_INTERVAL: Duration = Duration::from_millis(200);

/// Interval at which programs are told a blob's progress.
const REPORT_INTERVAL: Duration = Duration::from_millis(250);

/// Style of the progress display.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Bars on a terminal, lines elsewhere.
    Auto,
    /// Lines.
    Lines,
    /// A JSON object on each line, for programs.
    Json,
    /// Not at all.
    Quiet,
}

/// Shows a transfer while it runs.
pub struct Display {
    ui: Ui,
    style: Style,
    bars: Option<MultiProgress>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    total: Option<ProgressBar>,
    /// Blobs being transferred, in their order.
    moving: IndexMap<Digest, Moving>,
    heard: HashMap<Digest, Instant>,
    throughput: Option<Throughput>,
    /// Time of the total's last update.
    glanced: Option<Instant>,
    slow: Option<Reason>,
}

/// Blob being transferred.
struct Moving {
    size: u64,
    position: u64,
    /// Its bar, where there is room for it.
    bar: Option<ProgressBar>,
}

impl Display {
    /// Creates the display on stderr, be it a terminal or not.
    pub fn new(ui: &Ui, style: Style) -> Arc<Self> {
        let bars = (style == Style::Auto && ui.err_is_terminal())
            .then(|| MultiProgress::with_draw_target(ProgressDrawTarget::stderr()));
        Arc::new(Self { ui: ui.clone(), style, bars, state: Mutex::default() })
    }

    /// Removes the bars; the next output begins on a line of its own.
    pub fn end(&self) {
        if let Some(bars) = &self.bars {
            let mut state = self.state();
            let left: Vec<ProgressBar> = state.moving.drain(..).filter_map(|(_, blob)| blob.bar).collect();
            for bar in state.total.take().into_iter().chain(left) {
                bar.finish_and_clear();
            }
            // Where the terminal is gone there is nothing to clear.
            let _ = bars.clear();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a bar below the others, or above one of them.
    fn bar(&self, size: u64, template: &str, below: Option<&ProgressBar>) -> Option<ProgressBar> {
        let style = ProgressStyle::with_template(template).ok()?.progress_chars("━━╌");
        let (bars, bar) = (self.bars.as_ref()?, ProgressBar::new(size).with_style(style));
        let bar = below.map_or_else(|| bars.add(bar.clone()), |below| bars.insert_before(below, bar.clone()));
        bar.enable_steady_tick(Duration::from_millis(200));
        Some(bar)
    }

    fn planned(&self, blobs: usize, bytes: u64, present: usize) {
        match (blobs, present) {
            (0, present) => {
                return self.line(&format!("nothing to move, {} there already", count(present, "blob")));
            }
            (_, 0) => self.line(&format!("{} to move, {}", count(blobs, "blob"), human(bytes))),
            (..) => {
                self.line(&format!(
                    "{} to move, {}, {present} there already",
                    count(blobs, "blob"),
                    human(bytes)
                ));
            }
        }
        let mut state = self.state();
        // The total of the image before.
        if let Some(total) = state.total.take() {
            total.finish_and_clear();
        }
        state.total = self.bar(bytes, TOTAL, None);
        state.moving.clear();
        state.slow = None;
        state.throughput = Some(Throughput::new(bytes, Instant::now()));
    }

    fn started(&self, blob: &Descriptor) {
        let mut state = self.state();
        state.moving.insert(blob.digest.clone(), Moving { size: blob.size, position: 0, bar: None });
        self.fill(&mut state);
    }

    /// Gives bars to as many blobs as there is room for, the first ones first. A terminal may have changed its size.
    fn fill(&self, state: &mut State) {
        if self.bars.is_none() {
            return;
        }
        let room = self.ui.err_height().unwrap_or(LINES).saturating_sub(FREE_LINES).max(1);
        let total = state.total.clone();
        for (digest, blob) in state.moving.iter_mut().take(room) {
            if blob.bar.is_none()
                && let Some(bar) = self.bar(blob.size, BLOB, total.as_ref())
            {
                bar.set_prefix(digest.short().to_owned());
                bar.set_position(blob.position);
                blob.bar = Some(bar);
            }
        }
        for (_, blob) in state.moving.iter_mut().skip(room) {
            if let Some(bar) = blob.bar.take() {
                bar.finish_and_clear();
            }
        }
    }

    fn arrived(&self, digest: &Digest, position: u64) {
        let now = Instant::now();
        let mut state = self.state();
        let blob = state.moving.get_mut(digest);
        let before = blob.map_or(0, |blob| std::mem::replace(&mut blob.position, position));
        if let Some(throughput) = &mut state.throughput {
            throughput.moved(before, position, now);
        }
        if let Some(total) = &state.total {
            total.inc(position.saturating_sub(before));
            total.dec(before.saturating_sub(position));
            if let Some(bar) = state.moving.get(digest).and_then(|blob| blob.bar.as_ref()) {
                bar.set_position(position);
            }
            self.glance(&mut state, now);
            return;
        }
        let line = state.throughput.as_mut().and_then(|throughput| throughput.line(now));
        let line = line.map(|line| suffixed(line, state.slow));
        drop(state);
        if let Some(line) = line {
            self.line(&line);
        }
    }

    /// Renews the total's text, now and then.
    fn glance(&self, state: &mut State, now: Instant) {
        if state.glanced.is_some_and(|last| now.duration_since(last) < TOTAL_INTERVAL) {
            return;
        }
        state.glanced = Some(now);
        self.fill(state);
        let hidden = state.moving.values().filter(|blob| blob.bar.is_none()).count();
        if let (Some(total), Some(throughput)) = (&state.total, &state.throughput) {
            let text = suffixed(throughput.text(now), state.slow);
            total.set_message(if hidden > 0 { format!("{text}, {hidden} more") } else { text });
        }
    }

    fn slow(&self, reason: Option<Reason>) {
        let mut state = self.state();
        let line = state.set_slow(reason);
        if let Some(line) = line {
            drop(state);
            self.line(line);
        } else if state.total.is_some() {
            self.glance(&mut state, Instant::now());
        }
    }

    fn finished(&self, blob: &Descriptor) {
        self.arrived(&blob.digest, blob.size);
        let mut state = self.state();
        if let Some(bar) = state.moving.shift_remove(&blob.digest).and_then(|blob| blob.bar) {
            bar.finish_and_clear();
        }
        self.fill(&mut state);
        drop(state);
        self.line(&format!("{}  {}", blob.digest.short(), human(blob.size)));
    }

    /// A remark for a person.
    pub fn note(&self, text: &str) {
        match self.style {
            Style::Json => self.object(&json!({"event": "note", "text": text})),
            _ => self.line(text),
        }
    }

    /// Prints the summary: a table for a person, an event for a program.
    pub fn summary(&self, table: &str, event: &Value) {
        if self.style == Style::Json {
            self.object(event);
        } else {
            self.end();
            self.line(table);
        }
    }

    fn object(&self, value: &Value) {
        self.ui.note(&value.to_string());
    }

    /// Prints an event as JSON; a blob's progress only now and then.
    fn tell(&self, event: Event<'_>) {
        let value = match event {
            Event::Planned { blobs, bytes, present } => {
                json!({"event": "planned", "blobs": blobs, "bytes": bytes, "present": present})
            }
            Event::Started(blob) => json!({"event": "started", "digest": blob.digest, "bytes": blob.size}),
            Event::Arrived { digest, position } => {
                let now = Instant::now();
                let mut state = self.state();
                if state.heard.get(digest).is_some_and(|last| now.duration_since(*last) < REPORT_INTERVAL) {
                    return;
                }
                state.heard.insert(digest.clone(), now);
                json!({"event": "arrived", "digest": digest, "position": position})
            }
            Event::Finished(blob) => json!({"event": "finished", "digest": blob.digest, "bytes": blob.size}),
            Event::Manifest(digest) => json!({"event": "manifest", "digest": digest}),
            Event::Again(bytes) => json!({"event": "again", "bytes": bytes}),
            Event::Slow(reason) => {
                let mut state = self.state();
                if state.slow == reason {
                    return;
                }
                state.slow = reason;
                json!({"event": "slow", "reason": reason.map(Reason::words)})
            }
        };
        self.object(&value);
    }

    fn line(&self, text: &str) {
        if self.style == Style::Quiet {
            return;
        }
        match &self.bars {
            Some(bars) => bars.suspend(|| self.ui.note(text)),
            None => self.ui.note(text),
        }
    }
}

impl Progress for Display {
    fn hear(&self, event: Event<'_>) {
        if self.style == Style::Json {
            return self.tell(event);
        }
        match event {
            Event::Planned { blobs, bytes, present } => self.planned(blobs, bytes, present),
            Event::Started(blob) => self.started(blob),
            Event::Arrived { digest, position } => self.arrived(digest, position),
            Event::Finished(blob) => self.finished(blob),
            Event::Manifest(digest) => self.line(&format!("{}  manifest", digest.short())),
            Event::Slow(reason) => self.slow(reason),
            Event::Again(bytes) => {
                self.line(&format!("{} moved again", human(bytes)));
            }
        }
    }
}

impl State {
    /// Sets the cause of a slow transfer, and returns a line for it if no line of a moving blob can show it.
    fn set_slow(&mut self, reason: Option<Reason>) -> Option<&'static str> {
        let before = std::mem::replace(&mut self.slow, reason);
        reason.filter(|_| self.moving.is_empty() && before != reason).map(Reason::words)
    }
}

/// Returns a text with the cause of a slow transfer.
fn suffixed(text: String, slow: Option<Reason>) -> String {
    match slow {
        Some(reason) => format!("{text}, {}", reason.words()),
        None => text,
    }
}

/// One line on the terminal, drawn over itself. It goes when its owner goes, also when a signal ends the work.
#[derive(Debug)]
pub struct StatusLine(ProgressBar);

impl StatusLine {
    /// A line on standard error, nothing shown yet; `None` where that is no terminal.
    pub fn new(ui: &Ui) -> Option<Self> {
        let style = ProgressStyle::with_template("{msg}").ok().filter(|_| ui.err_is_terminal())?;
        Some(Self(ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr()).with_style(style)))
    }

    /// Shows this text, escaped: parts of it may come from a registry.
    pub fn show(&self, text: &str) {
        self.0.set_message(escape(text).into_owned());
        self.0.tick();
    }
}

impl Drop for StatusLine {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// Returns a number with its noun: `1 blob`, `2 blobs`, `2 repositories`, `2 indexes`.
pub fn count(number: usize, noun: &str) -> String {
    if number == 1 {
        return format!("1 {noun}");
    }
    match noun.strip_suffix('y').filter(|stem| !stem.ends_with(['a', 'e', 'o', 'u'])) {
        Some(stem) => format!("{number} {stem}ies"),
        None if noun.ends_with(['x', 's']) => format!("{number} {noun}es"),
        None => format!("{number} {noun}s"),
    }
}

/// A number of bytes for a person: `999 B`, `1.5 KiB`, `12.0 MiB`.
pub fn human(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut tenths = u128::from(bytes) * 10;
    let mut unit = 0;
    tenths /= 1024;
    while tenths >= 10_240 && unit + 1 < UNITS.len() {
        tenths /= 1024;
        unit += 1;
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}

#[cfg(test)]
mod tests;
