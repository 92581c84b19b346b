//! One keep-alive connection that asks as fast as it is answered, or at a rate.

use std::io::{BufReader, ErrorKind, Write};
use std::net::TcpStream;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crate::STOP;
use crate::http::read_response;
use crate::options::{Options, Target};
use crate::tally::{Failure, Tally, locked};

pub struct Client {
    pub target: Target,
    pub request: Vec<u8>,
    pub timeout: Duration,
    pub pause: Duration,
    pub tally: Arc<Mutex<Tally>>,
    pub connection: Option<BufReader<TcpStream>>,
}

impl Client {
    pub fn new(
        options: &Options,
        target: &Target,
        long: Option<f64>,
        tally: Arc<Mutex<Tally>>,
    ) -> Self {
        let path = long.map_or(target.path.clone(), |s| format!("/slow?s={s}"));
        let timeout = options.timeout + Duration::from_secs_f64(long.unwrap_or(0.0));
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {}\r\nUser-Agent: hammer\r\n\r\n",
            target.host
        )
        .into_bytes();
        Self {
            target: target.clone(),
            request,
            timeout,
            pause: if long.is_some() { Duration::ZERO } else { options.pause },
            tally,
            connection: None,
        }
    }

    pub fn run(&mut self) {
        while !STOP.load(SeqCst) {
            let began = Instant::now();
            let outcome = self.one_request();
            let took = began.elapsed();
            match outcome {
                Ok(body) => {
                    locked(&self.tally).succeeded(&body, took);
                    thread::sleep(self.pause);
                }
                Err((failure, detail)) => {
                    self.connection = self
                        .connection
                        .take()
                        .filter(|_| matches!(failure, Failure::Status(_)));
                    locked(&self.tally).failed(&self.target, failure, &detail, took);
                    // A dead target would otherwise be asked a hundred thousand times a second.
                    thread::sleep(Duration::from_millis(10));
                }
            }
        }
    }

    /// The body of a 200, or why there is none.
    pub fn one_request(&mut self) -> Result<String, (Failure, String)> {
        let mut connection = match self.connection.take() {
            Some(open) => open,
            None => self.connect()?,
        };
        // A write to a connection reset meanwhile fails here: the request was lost either way.
        if let Err(error) = connection.get_mut().write_all(&self.request) {
            return Err((Failure::reading(&error, false), format!("sending: {error}")));
        }
        let mut answering = false;
        let response = read_response(&mut connection, &mut answering).map_err(|error| {
            (
                Failure::reading(&error, answering),
                format!("reading: {error}"),
            )
        })?;
        if !response.close {
            self.connection = Some(connection);
        }
        if response.status == 200 {
            return Ok(response.body);
        }
        let first_line = response.body.lines().next().unwrap_or_default();
        Err((
            Failure::Status(response.status),
            format!("status {}: {first_line}", response.status),
        ))
    }

    pub fn connect(&self) -> Result<BufReader<TcpStream>, (Failure, String)> {
        let stream =
            TcpStream::connect_timeout(&self.target.address, self.timeout).map_err(|error| {
                let failure = match error.kind() {
                    ErrorKind::ConnectionRefused => Failure::ConnectRefused,
                    ErrorKind::TimedOut => Failure::Timeout,
                    _ => Failure::ConnectFailed,
                };
                (failure, format!("connecting: {error}"))
            })?;
        locked(&self.tally).connects += 1;
        stream
            .set_nodelay(true)
            .and_then(|()| stream.set_read_timeout(Some(self.timeout)))
            .and_then(|()| stream.set_write_timeout(Some(self.timeout)))
            .map_err(|error| (Failure::ConnectFailed, format!("socket options: {error}")))?;
        Ok(BufReader::new(stream))
    }
}
