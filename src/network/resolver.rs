//! Resolution of names, once for all connections of a moment.
//!
//! A transfer opens a hundred connections to the same few hosts, and a resolver that is slow for one of them would be
//! slow for each. What a name may stand for is for those to check who use it, each time.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use hyper_util::client::legacy::connect::dns::Name;
use tokio::sync::OnceCell;
use tower_service::Service;

/// Time that an answer is used. The system does not say how long it lasts; AWS's own records last for 5 to 60 seconds.
/// Connections of a transfer are opened together, and attempts that fail for longer than this get new addresses.
const CACHE_TIME: Duration = Duration::from_secs(10);

/// The addresses that the system names for a host. Their order changes from one answer to the next as that of a name
/// server does, so that connections go to all of them.
pub async fn look_up(name: &str) -> io::Result<Vec<IpAddr>> {
    static NAMES: LazyLock<Names> = LazyLock::new(Names::default);
    NAMES.look_up(name, ask_system).await
}

async fn ask_system(name: String) -> io::Result<Vec<IpAddr>> {
    let mut addresses = Vec::new();
    for address in tokio::net::lookup_host((name.as_str(), 0)).await? {
        if !addresses.contains(&address.ip()) {
            addresses.push(address.ip());
        }
    }
    Ok(addresses)
}

/// Looks names up for hyper's connections.
#[derive(Debug, Clone, Copy, Default)]
pub struct Resolver;

impl Service<Name> for Resolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        Box::pin(async move {
            let found = look_up(name.as_str()).await?;
            let addresses: Vec<SocketAddr> = found.into_iter().map(|address| (address, 0).into()).collect();
            Ok(addresses.into_iter())
        })
    }
}

/// Names that were looked up.
#[derive(Debug, Default)]
struct Names(Mutex<HashMap<String, Arc<Entry>>>);

#[derive(Debug, Default)]
struct Entry {
    answer: OnceCell<(Instant, Result<Vec<IpAddr>, Failure>)>,
    /// Number of uses.
    uses: AtomicUsize,
}

/// An error that several get.
#[derive(Debug, Clone)]
struct Failure(io::ErrorKind, String);

impl Names {
    async fn look_up<F>(&self, name: &str, ask: impl FnOnce(String) -> F) -> io::Result<Vec<IpAddr>>
    where
        F: Future<Output = io::Result<Vec<IpAddr>>>,
    {
        let entry = self.entry(name, Instant::now());
        let asked = async || {
            let answer = ask(name.to_owned()).await;
            (Instant::now(), answer.map_err(|error| Failure(error.kind(), error.to_string())))
        };
        let (_, answer) = entry.answer.get_or_init(asked).await;
        match answer {
            Ok(addresses) => Ok(rotated(addresses, entry.uses.fetch_add(1, Ordering::Relaxed))),
            Err(Failure(kind, words)) => Err(io::Error::new(*kind, words.clone())),
        }
    }

    /// Returns the entry of a name: a current or valid one, or a new one. A failure is no answer.
    fn entry(&self, name: &str, now: Instant) -> Arc<Entry> {
        let mut names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_good = |entry: &Arc<Entry>| match entry.answer.get() {
            Some((since, answer)) => answer.is_ok() && now.saturating_duration_since(*since) < CACHE_TIME,
            None => true,
        };
        if let Some(entry) = names.get(name).filter(|entry| is_good(entry)) {
            return Arc::clone(entry);
        }
        names.retain(|_, entry| is_good(entry));
        Arc::clone(names.entry(name.to_owned()).or_default())
    }
}

/// Puts another one of the addresses in front. Those of the family that the system prefers stay before the others
/// (RFC 6724).
fn rotated(addresses: &[IpAddr], by: usize) -> Vec<IpAddr> {
    let mut addresses = addresses.to_vec();
    let is_preferred = addresses.first().map(IpAddr::is_ipv4);
    let preferred = addresses.iter().take_while(|address| Some(address.is_ipv4()) == is_preferred).count();
    if preferred > 0 {
        addresses[..preferred].rotate_left(by % preferred);
    }
    addresses
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(texts: &[&str]) -> Vec<IpAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    /// A hundred connections that are opened at the same time, to a host whose name server is slow.
    #[tokio::test]
    async fn a_name_is_asked_for_once() {
        let (names, asked) = (Names::default(), AtomicUsize::new(0));
        let ask = |_| async {
            asked.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(50)).await;
            Ok(addresses(&["10.0.0.1", "10.0.0.2", "fd00::1"]))
        };
        let all = futures_util::future::join_all((0..100).map(|_| names.look_up("a.example", ask))).await;
        let first: Vec<IpAddr> = all.iter().map(|found| found.as_ref().unwrap()[0]).collect();
        assert_eq!(first.iter().filter(|address| **address == first[0]).count(), 50, "all of them are used");
        assert!(all.iter().all(|found| found.as_ref().unwrap()[2] == addresses(&["fd00::1"])[0]));
        assert_eq!(asked.load(Ordering::Relaxed), 1);
        names.look_up("b.example", ask).await.unwrap();
        assert_eq!(asked.load(Ordering::Relaxed), 2);
        // The requester may be gone before the answer comes.
        let gone = tokio::time::timeout(Duration::from_millis(10), names.look_up("c.example", ask)).await;
        assert!(gone.is_err());
        names.look_up("c.example", ask).await.unwrap();
        assert_eq!(asked.load(Ordering::Relaxed), 4);
    }

    #[tokio::test]
    async fn answers_grow_old_and_failures_are_none() {
        let names = Names::default();
        let fails = |_| async { Err(io::Error::new(io::ErrorKind::NotFound, "no such name")) };
        let error = names.look_up("a.example", fails).await.unwrap_err();
        assert_eq!((error.kind(), error.to_string()), (io::ErrorKind::NotFound, "no such name".to_owned()));
        let answers = |_| async { Ok(addresses(&["10.0.0.1"])) };
        assert_eq!(names.look_up("a.example", answers).await.unwrap(), addresses(&["10.0.0.1"]));
        assert!(names.look_up("a.example", fails).await.is_ok(), "it is known");
        let later = Instant::now() + CACHE_TIME;
        assert!(names.entry("a.example", later).answer.get().is_none());
    }
}
