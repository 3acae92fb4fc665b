//! Thread for work that takes a lot of memory, one piece after the other: threads that each have a pool of the
//! allocator would together keep many times the memory in use.

use std::io;
use std::sync::mpsc::{Sender, channel};

use tokio::sync::oneshot;

type Work = Box<dyn FnOnce() + Send>;

/// The thread, which ends with this.
#[derive(Debug)]
pub(in crate::local) struct SerialThread(Sender<Work>);

impl SerialThread {
    pub(in crate::local) fn start() -> io::Result<Self> {
        let (sender, receiver) = channel::<Work>();
        let run = move || receiver.iter().for_each(|work| work());
        std::thread::Builder::new().name("ecr-large".to_owned()).spawn(run)?;
        Ok(Self(sender))
    }

    /// Runs `work` in its turn; `None` if it panicked.
    pub(in crate::local) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let (tell, told) = oneshot::channel();
        let work = move || {
            // A bug in one piece of work must not take the thread with it.
            if let Ok(done) = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)) {
                let _ = tell.send(done);
            }
        };
        self.0.send(Box::new(work)).ok()?;
        told.await.ok()
    }
}
