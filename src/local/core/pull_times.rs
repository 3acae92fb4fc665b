//! Pull times of images. A pull needs no write: on a full disk its time is remembered, and written when there is room
//! again.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use rusqlite::params;

use crate::local::core::error::Error;
use crate::local::core::local::Local;
use crate::local::store::storage_error::TransactionError as _;

/// Pulls that are remembered at most; of further images the time is lost.
const MAX_COUNT: usize = 100_000;

/// Pulls whose time could not be written yet: the image's row and milliseconds since 1970.
#[derive(Debug, Default)]
pub(in crate::local) struct Pulls(Mutex<HashMap<i64, i64>>);

impl Pulls {
    fn take(&self) -> HashMap<i64, i64> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn put_back(&self, pulls: HashMap<i64, i64>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (image, at) in pulls {
            if known.len() < MAX_COUNT || known.contains_key(&image) {
                known.insert(image, at);
            }
        }
    }
}

impl Local {
    /// Records a pull of images, named by their rows, and those remembered until now.
    pub(in crate::local) fn record_pulls(&self, images: &[i64], now: i64) -> Result<(), Error> {
        let mut pulls = self.pulls.take();
        pulls.extend(images.iter().map(|image| (*image, now)));
        if pulls.is_empty() {
            return Ok(());
        }
        let written = self.write(|transaction| {
            let mut statement =
                transaction.prepare_cached("UPDATE image SET pulled_at = ?2 WHERE id = ?1")?;
            for (image, at) in &pulls {
                statement.execute(params![image, at])?;
            }
            Ok(())
        });
        match written {
            Err(error) if error.is_full() => {
                self.pulls.put_back(pulls);
                Ok(())
            }
            written => written,
        }
    }
}
