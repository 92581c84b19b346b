//! Docker's DNS: names of containers, and `no such name` for everything else.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use tokio::net::UdpSocket;

#[derive(Clone, Default)]
pub(crate) struct Dns {
    names: Arc<Mutex<BTreeMap<String, Ipv4Addr>>>,
    /// Queries by name.
    asked: Arc<Mutex<BTreeMap<String, u64>>>,
}

impl Dns {
    /// Starts it and says where it listens.
    pub(crate) async fn start() -> (Self, String) {
        let dns = Self::default();
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
        let address = socket.local_addr().expect("bound").to_string();
        tokio::spawn(dns.clone().serve(socket));
        (dns, address)
    }

    pub(crate) fn set(&self, name: &str, address: Ipv4Addr) {
        self.names.lock().expect("not poisoned").insert(name.to_string(), address);
    }

    pub(crate) fn remove(&self, name: &str) {
        self.names.lock().expect("not poisoned").remove(name);
    }

    pub(crate) fn asked(&self, name: &str) -> u64 {
        self.asked.lock().expect("not poisoned").get(name).copied().unwrap_or_default()
    }

    async fn serve(self, socket: UdpSocket) {
        let mut buffer = [0; 2048];
        while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
            if let Some(answer) = self.answer(&buffer[..length]) {
                drop(socket.send_to(&answer, from).await);
            }
        }
    }

    /// Single-label names only, which is what containers have.
    fn answer(&self, query: &[u8]) -> Option<Vec<u8>> {
        let length = usize::from(*query.get(12)?);
        let name = String::from_utf8_lossy(query.get(13..13 + length)?).into_owned();
        let question = query.get(12..13 + length + 5)?;
        let is_a = question.get(question.len() - 4..question.len() - 2)? == [0, 1];
        *self.asked.lock().expect("not poisoned").entry(name.clone()).or_default() += 1;
        let known = self.names.lock().expect("not poisoned").get(&name).copied();
        let found = known.filter(|_| is_a);
        let code = if known.is_some() { 0x80 } else { 0x83 };
        let mut answer =
            [&query[..2], &[0x81, code, 0, 1, 0, u8::from(found.is_some()), 0, 0, 0, 0], question].concat();
        if let Some(address) = found {
            answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4]);
            answer.extend(address.octets());
        }
        Some(answer)
    }
}
