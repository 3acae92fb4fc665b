//! Relay between a program and a server that lets only a few connections through.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};

/// Treatment of a connection beyond the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Excess {
    /// The connection waits for another one to end.
    Waits,
    /// The connection is closed at once.
    IsClosed,
}

/// Starts one in front of a server, and answers its address.
pub(super) fn start(server: &str, most: usize, excess: Excess) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let server = server.to_owned();
    let free = Arc::new((Mutex::new(most), Condvar::new()));
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let (client, (left, freed)) = (client.unwrap(), &*free);
            let mut left = left.lock().unwrap();
            if *left == 0 && excess == Excess::IsClosed {
                continue;
            }
            left = freed.wait_while(left, |left| *left == 0).unwrap();
            *left -= 1;
            let (server, free) = (TcpStream::connect(&server).unwrap(), Arc::clone(&free));
            std::thread::spawn(move || {
                forward(&client, &server);
                *free.0.lock().unwrap() += 1;
                free.1.notify_one();
            });
        }
    });
    address
}

/// Passes on what comes from either side until both are done.
fn forward(client: &TcpStream, server: &TcpStream) {
    std::thread::scope(|scope| {
        scope.spawn(|| pass_on(server, client));
        pass_on(client, server);
    });
}

fn pass_on(mut from: &TcpStream, mut to: &TcpStream) {
    let mut bytes = vec![0; 64 << 10];
    while let Ok(count) = from.read(&mut bytes)
        && count > 0
        && to.write_all(&bytes[..count]).is_ok()
    {}
    let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
}
