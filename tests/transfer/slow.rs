//! Reports of the cause of a slow transfer while it lasts.

use std::sync::Mutex;

use ecr::transfer::progress::{Event, Reason};
use tokio::sync::Notify;

use super::compress::{PLAIN, compressed, store_of};
use super::halting::Halting;
use super::*;

/// Lets a store go on as soon as a reason is named.
struct Named {
    go: Arc<Notify>,
    reasons: Mutex<Vec<Option<Reason>>>,
}

impl Progress for Named {
    fn hear(&self, event: Event<'_>) {
        if let Event::Slow(reason) = event {
            self.reasons.lock().unwrap().push(reason);
            if reason.is_some() {
                self.go.notify_one();
            }
        }
    }
}

fn named() -> (Arc<Notify>, Arc<Named>) {
    let go = Arc::new(Notify::new());
    (Arc::clone(&go), Arc::new(Named { go, reasons: Mutex::default() }))
}

#[tokio::test]
async fn a_layer_that_takes_long_to_compress() {
    let (layer, (go, heard)) = (noise(1000, 1), named());
    let (memory, _) = store_of(&[(PLAIN, layer.clone(), &layer)], false).await;
    let source: Shared = Arc::new(Halting::new(memory, go));
    let target: Shared = Arc::new(Memory::new());
    copy(&source, &target, &compressed("gzip:1", &["1"]), &(heard.clone() as _)).await.unwrap();
    assert_eq!(*heard.reasons.lock().unwrap(), [Some(Reason::Compressing)]);
}

#[tokio::test]
async fn a_destination_that_takes_long_to_hash_what_is_there() {
    let (source, _) = single(&[noise(1000, 1)]).await;
    let (go, heard) = named();
    let target: Shared = Arc::new(Halting::new(Arc::new(Memory::new()), go).hashing());
    copy(&(source as Shared), &target, &options(&["1"]), &(heard.clone() as _)).await.unwrap();
    assert_eq!(*heard.reasons.lock().unwrap(), [Some(Reason::Hashing), None]);
}
