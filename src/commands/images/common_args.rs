//! Arguments common to commands that read many repositories.

use futures_util::stream::{self, StreamExt as _};

use super::super::Context;
use super::manifest_cache::ManifestCache;
use super::progress;

/// The arguments of commands that ask much.
#[derive(Debug, Clone, clap::Args)]
pub(in crate::commands) struct ReadingArgs {
    /// How many repositories are asked about at once
    #[arg(long, value_name = "NUMBER", default_value = "8", value_parser = clap::value_parser!(u8).range(1..=64))]
    pub(in crate::commands) jobs: u8,
    /// Neither use nor keep manifests in the cache
    #[arg(long)]
    pub(in crate::commands) no_cache: bool,
}

impl ReadingArgs {
    /// The manifest cache, as far as it may be used.
    pub(in crate::commands) fn cache(&self, context: &Context) -> ManifestCache {
        ManifestCache::open(&context.settings, self.no_cache)
    }

    /// Reads each of several repositories like [`ReadingArgs::for_each`], and shows on a terminal how far it is.
    pub(in crate::commands) async fn for_each_shown<'a, I, T, F>(
        &self,
        context: &Context,
        items: &'a [I],
        work: impl Fn(&'a I) -> F,
    ) -> Vec<T>
    where
        F: Future<Output = T>,
    {
        let read = self.for_each(items, |item| {
            let read = work(item);
            async {
                let result = read.await;
                progress::repository_read();
                result
            }
        });
        progress::watch(&context.ui, Some(items.len()), read).await
    }

    /// Runs `work` for each item, at most `--jobs` at once.
    pub(in crate::commands) async fn for_each_mut<'a, I, F>(
        &self,
        items: &'a mut [I],
        work: impl FnMut(&'a mut I) -> F,
    ) where
        F: Future<Output = ()>,
    {
        stream::iter(items.iter_mut().map(work))
            .for_each_concurrent(usize::from(self.jobs), |done| done)
            .await;
    }

    /// Runs `work` for each item, at most `--jobs` at once, and returns the results in the items' order.
    pub(in crate::commands) async fn for_each<'a, I, T, F>(
        &self,
        items: &'a [I],
        work: impl Fn(&'a I) -> F,
    ) -> Vec<T>
    where
        F: Future<Output = T>,
    {
        let numbered = items.iter().enumerate().map(|(number, item)| {
            let done = work(item);
            async move { (number, done.await) }
        });
        let mut done: Vec<(usize, T)> =
            stream::iter(numbered).buffer_unordered(usize::from(self.jobs)).collect().await;
        done.sort_by_key(|(number, _)| *number);
        done.into_iter().map(|(_, result)| result).collect()
    }
}
