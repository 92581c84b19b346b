//! The command line.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::process::exit;
use std::time::Duration;

pub const USAGE: &str = "usage: hammer [options] URL[@HOST]...
  URL is http://ADDRESS[:PORT][/PATH]; HOST is what to send as Host header (default: the address)
  --connections N     keep-alive connections per target (20)
  --rate R            requests a second and connection, instead of as many as are answered
  --seconds S         stop after S seconds
  --until-file F      stop when F exists
  --timeout S         a request that takes longer has failed (10)
  --long S            one more connection per target with /slow?s=S always in flight, counted on its own
  --report-every S    a JSON line on stderr every S seconds
Stops at SIGTERM and SIGINT too; requests in flight are finished. One JSON object on stdout at the end.
`ready` on stderr: every target has answered 200 at least once.";

pub struct Options {
    pub targets: Vec<Target>,
    pub connections: usize,
    /// Between an answer and the next request.
    pub pause: Duration,
    pub seconds: Option<f64>,
    pub until_file: Option<PathBuf>,
    pub timeout: Duration,
    pub long: Option<f64>,
    pub report_every: Option<Duration>,
}

#[derive(Clone)]
pub struct Target {
    pub name: String,
    pub address: SocketAddr,
    pub host: String,
    pub path: String,
}

impl Options {
    pub fn parse(mut args: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self {
            targets: Vec::new(),
            connections: 20,
            pause: Duration::ZERO,
            seconds: None,
            until_file: None,
            timeout: Duration::from_secs(10),
            long: None,
            report_every: None,
        };
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or(format!("{arg} wants a value"));
            match arg.as_str() {
                "--connections" => options.connections = number(&value()?)?,
                "--rate" => options.pause = pause(&value()?)?,
                "--seconds" => options.seconds = Some(number(&value()?)?),
                "--until-file" => options.until_file = Some(value()?.into()),
                "--timeout" => options.timeout = Duration::from_secs_f64(number(&value()?)?),
                "--long" => options.long = Some(number(&value()?)?),
                "--report-every" => {
                    options.report_every = Some(Duration::from_secs_f64(number(&value()?)?))
                }
                "--help" | "-h" => {
                    println!("{USAGE}");
                    exit(0)
                }
                flag if flag.starts_with('-') => return Err(format!("unknown option {flag}")),
                url => options.targets.push(Target::parse(url)?),
            }
        }
        if options.targets.is_empty() {
            return Err("no target".to_owned());
        }
        Ok(options)
    }
}

fn pause(rate: &str) -> Result<Duration, String> {
    let rate: f64 = number(rate)?;
    Duration::try_from_secs_f64(1.0 / rate).map_err(|_| format!("not a rate: {rate}"))
}

pub fn number<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("not a number: {text}"))
}

impl Target {
    pub fn parse(text: &str) -> Result<Self, String> {
        let (url, host) = text
            .rsplit_once('@')
            .map_or((text, None), |(u, h)| (u, Some(h)));
        let rest = url
            .strip_prefix("http://")
            .ok_or(format!("only http:// URLs: {url}"))?;
        let (authority, path) = rest.find('/').map_or((rest, "/"), |at| rest.split_at(at));
        let with_port = if authority.contains(':') {
            authority.to_owned()
        } else {
            format!("{authority}:80")
        };
        let address = with_port
            .to_socket_addrs()
            .ok()
            .and_then(|mut found| found.next())
            .ok_or(format!("no address for {authority}"))?;
        let host = host.unwrap_or(authority).to_owned();
        Ok(Self {
            name: text.to_owned(),
            address,
            host,
            path: path.to_owned(),
        })
    }
}
