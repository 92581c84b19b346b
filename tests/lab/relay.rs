//! `relay LISTEN TARGET MS`: a TCP relay that adds MS of round-trip time, half of it in each direction.
//!
//! It stands in for netem, which the lab's kernels may lack. Bandwidth is not limited. The TCP handshake itself
//! is not delayed: only bytes are.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::exit;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

/// Chunks in flight in one direction; at 64 KiB each this is 16 MiB, more than any window in use.
const IN_FLIGHT: usize = 256;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [listen, target, ms] = args.as_slice() else {
        fail("usage: relay LISTEN TARGET MS")
    };
    let Ok(ms) = ms.parse::<u64>() else {
        fail(&format!("not milliseconds: {ms}"))
    };
    let one_way = Duration::from_micros(ms * 500);
    let listener = TcpListener::bind(listen)
        .unwrap_or_else(|error| fail(&format!("cannot listen on {listen}: {error}")));
    for client in listener.incoming() {
        let Ok(client) = client else { continue };
        match TcpStream::connect(target) {
            Ok(server) => join(client, server, one_way),
            Err(error) => eprintln!("{target}: {error}"),
        }
    }
}

fn fail(why: &str) -> ! {
    eprintln!("{why}");
    exit(2)
}

fn join(client: TcpStream, server: TcpStream, delay: Duration) {
    for stream in [&client, &server] {
        let _ = stream.set_nodelay(true);
    }
    if let (Ok(c), Ok(s)) = (client.try_clone(), server.try_clone()) {
        one_direction(c, s, delay);
        one_direction(server, client, delay);
    }
}

fn one_direction(from: TcpStream, to: TcpStream, delay: Duration) {
    let (sender, receiver) = sync_channel(IN_FLIGHT);
    thread::spawn(move || read_all(from, &sender, delay));
    thread::spawn(move || write_all(&to, &receiver));
}

fn read_all(mut from: TcpStream, sender: &SyncSender<(Instant, Vec<u8>)>, delay: Duration) {
    let mut buffer = vec![0; 64 << 10];
    // An empty chunk is the end: it travels as long as the bytes before it.
    loop {
        let n = from.read(&mut buffer).unwrap_or(0);
        if sender
            .send((Instant::now() + delay, buffer[..n].to_vec()))
            .is_err()
            || n == 0
        {
            return;
        }
    }
}

fn write_all(mut to: &TcpStream, receiver: &Receiver<(Instant, Vec<u8>)>) {
    while let Ok((due, chunk)) = receiver.recv() {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        if chunk.is_empty() {
            let _ = to.shutdown(Shutdown::Write);
            return;
        }
        if to.write_all(&chunk).is_err() {
            let _ = to.shutdown(Shutdown::Both);
            return;
        }
    }
}
