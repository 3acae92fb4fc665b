//! How far a listing is: a line on a terminal, once it has taken a second.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::time::{Instant, interval_at};

use crate::ui::Ui;
use crate::ui::progress::count;

/// How long nothing is shown.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often the line is drawn anew.
const BEAT: Duration = Duration::from_millis(200);

/// How many images and repositories this process has read.
static IMAGES: AtomicUsize = AtomicUsize::new(0);
static REPOSITORIES: AtomicUsize = AtomicUsize::new(0);

/// Notes that so many more images were read.
pub(super) fn images_read(number: usize) {
    IMAGES.fetch_add(number, Ordering::Relaxed);
}

/// Notes that one more repository was read.
pub(super) fn repository_read() {
    REPOSITORIES.fetch_add(1, Ordering::Relaxed);
}

/// The line of progress. It goes when its owner goes, also when a signal ends the work.
struct Line(ProgressBar);

impl Drop for Line {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// Does the work, and shows on a terminal how far it is: of so many repositories, where their number is known.
pub(super) async fn watch<T>(ui: &Ui, repositories: Option<usize>, work: impl Future<Output = T>) -> T {
    let plain = ProgressStyle::with_template("{msg}").ok().filter(|_| ui.err_is_terminal());
    let Some(style) = plain else { return work.await };
    let line = Line(ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr()).with_style(style));
    let mut beat = interval_at(Instant::now() + PATIENCE, BEAT);
    tokio::pin!(work);
    loop {
        tokio::select! {
            biased;
            result = &mut work => return result,
            _ = beat.tick() => {
                let (images, done) = (IMAGES.load(Ordering::Relaxed), REPOSITORIES.load(Ordering::Relaxed));
                line.0.set_message(text(repositories, done, images));
                line.0.tick();
            }
        }
    }
}

fn text(repositories: Option<usize>, done: usize, images: usize) -> String {
    let images = count(images, "image");
    match repositories {
        Some(all) if all > 1 => format!("read {done} of {all} repositories, {images}"),
        _ => format!("read {images}"),
    }
}

#[cfg(test)]
mod tests {
    use super::text;

    #[test]
    fn what_the_line_says() {
        assert_eq!(text(Some(40), 3, 12_000), "read 3 of 40 repositories, 12000 images");
        assert_eq!(text(Some(1), 0, 1), "read 1 image");
        assert_eq!(text(None, 7, 0), "read 0 images");
    }
}
