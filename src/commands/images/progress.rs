//! Status line of a listing on a terminal, shown once the listing has taken a second.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::{Instant, interval_at};

use crate::ui::Ui;
use crate::ui::progress::{StatusLine, count};

/// Time without a status line.
const DELAY: Duration = Duration::from_secs(1);
/// Time between two updates of the line.
const UPDATE_INTERVAL: Duration = Duration::from_millis(200);

/// Number of images this process has read.
static IMAGES: AtomicUsize = AtomicUsize::new(0);
static REPOSITORIES: AtomicUsize = AtomicUsize::new(0);

/// Notes that so many more images were read.
pub(in crate::commands) fn images_read(number: usize) {
    IMAGES.fetch_add(number, Ordering::Relaxed);
}

/// Notes that one more repository was read.
pub(in crate::commands) fn repository_read() {
    REPOSITORIES.fetch_add(1, Ordering::Relaxed);
}

/// Runs `work` and shows its progress on a terminal: of `repositories`, if their number is known.
pub(in crate::commands) async fn watch<T>(
    ui: &Ui,
    repositories: Option<usize>,
    work: impl Future<Output = T>,
) -> T {
    let Some(line) = StatusLine::new(ui) else { return work.await };
    let mut ticks = interval_at(Instant::now() + DELAY, UPDATE_INTERVAL);
    tokio::pin!(work);
    loop {
        tokio::select! {
            biased;
            result = &mut work => return result,
            _ = ticks.tick() => {
                let (images, done) = (IMAGES.load(Ordering::Relaxed), REPOSITORIES.load(Ordering::Relaxed));
                line.show(&text(repositories, done, images));
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
