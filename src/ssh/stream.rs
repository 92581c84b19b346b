//! Byte streams over channels: to unix sockets on the host, and to a command's standard input and output.

use super::connect::Connection;
use super::error::SshError;
use super::settings::Endpoint;
use bytes::Bytes;
use russh::client::Msg;
use russh::{ChannelOpenFailure, ChannelStream};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A channel as a byte stream. Closing on drop needs the runtime: keep streams inside it.
pub type ByteStream = ChannelStream<Msg>;

/// Until sshd has opened a channel.
const OPEN_DEADLINE: Duration = Duration::from_secs(15);

/// Argument: the socket. One line each, because csh cannot quote a newline. Debian and its relatives have Perl on every
/// host, Red Hat's have Python.
const PERL: &str = concat!(
    "my $s; socket($s, PF_UNIX, SOCK_STREAM, 0) && connect($s, sockaddr_un($ARGV[0])) or die qq($ARGV[0] refuses); ",
    "local $/; select((select($s), $| = 1)[0]); print {$s} scalar(<STDIN>); shutdown($s, 1); print <$s>"
);
const PYTHON: &str = concat!(
    "import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); ",
    "s.sendall(sys.stdin.buffer.read()); s.shutdown(1); ",
    "[sys.stdout.buffer.write(b) for b in iter(lambda: s.recv(65536), bytes())]"
);

impl Connection {
    /// Connects to a unix socket on the host.
    ///
    /// # Errors
    /// sshd gives one reason for a missing socket, a forbidden one and forbidden forwarding alike.
    pub async fn open_socket(self: &Arc<Self>, path: &str) -> Result<ByteStream, SshError> {
        let (connection, path) = (self.clone(), path.to_string());
        self.in_own_task("open a channel", async move {
            let channel = connection.streamlocal(&path).await;
            channel.map(|c| c.into_stream()).map_err(|e| connection.open_error(&format!("a channel to {path}"), &e))
        })
        .await
    }

    /// Connects from the host to a further one: what a jump host is for.
    ///
    /// # Errors
    /// [`SshError::JumpRefused`], or no answer in time.
    pub(super) async fn open_tcp(self: &Arc<Self>, to: &Endpoint) -> Result<ByteStream, SshError> {
        let (connection, name, port) = (self.clone(), to.host.clone(), to.port);
        let open = async move {
            let channel = connection.direct_tcp(&name, port).await;
            let refused = |reason: &str| SshError::JumpRefused { to: format!("{name}:{port}"), reason: reason.into() };
            channel.map(|c| c.into_stream()).map_err(|e| match e {
                russh::Error::ChannelOpenFailure(ChannelOpenFailure::AdministrativelyProhibited) => {
                    refused("its sshd forbids forwarding there (AllowTcpForwarding, DisableForwarding, PermitOpen)")
                }
                russh::Error::ChannelOpenFailure(_) => {
                    refused("nothing listens there, there is no route, or the name does not resolve there")
                }
                _ => connection.lost(),
            })
        };
        match self.in_own_task("open a channel", open).await {
            Err(SshError::Deadline { after, .. }) => {
                Err(SshError::NoAnswer { port, waiting_for: "TCP connection from there", after })
            }
            result => result,
        }
    }

    /// Sends a request to a TCP port as seen from the host, and reads the answer to its end, or `limit` bytes of it.
    ///
    /// # Errors
    /// Nothing listens there, sshd does not forward TCP, the deadline.
    pub async fn ask_port(
        self: &Arc<Self>,
        address: &str,
        port: u16,
        request: &[u8],
        deadline: Duration,
        limit: usize,
    ) -> Result<Vec<u8>, SshError> {
        let what = format!("ask {address}:{port}");
        let (connection, address, name) = (self.clone(), address.to_string(), what.clone());
        let open = self.in_own_task("open a channel", async move {
            let channel = connection.direct_tcp(&address, port).await;
            channel.map(|c| c.into_stream()).map_err(|e| connection.open_error(&name, &e))
        });
        let talk = async {
            let mut stream = open.await?;
            let mut answer = Vec::new();
            let exchange = async {
                stream.write_all(request).await?;
                (&mut stream).take(limit as u64).read_to_end(&mut answer).await
            };
            exchange.await.map_err(|e| SshError::ConnectionLost(e.to_string()))?;
            Ok(answer)
        };
        let late = |_| Err(SshError::Deadline { what, after: deadline });
        tokio::time::timeout(deadline, talk).await.unwrap_or_else(late)
    }

    /// Starts a command whose standard input and output are the stream. Its standard error and status are lost.
    ///
    /// # Errors
    /// A lost connection or a refused channel.
    pub async fn open_command(self: &Arc<Self>, line: String) -> Result<ByteStream, SshError> {
        let connection = self.clone();
        self.in_own_task("open a channel", async move {
            let channel = connection.session().await?;
            channel.exec(false, line).await.map_err(|_| connection.lost())?;
            Ok(channel.into_stream())
        })
        .await
    }

    /// Sends a request to a unix socket, ends the sending half, and reads the answer to its end.
    ///
    /// # Errors
    /// Those of [`Connection::open_socket`], the deadline, an answer longer than `limit` bytes.
    pub async fn ask_socket(
        self: &Arc<Self>,
        path: &str,
        request: &[u8],
        deadline: Duration,
        limit: usize,
    ) -> Result<Vec<u8>, SshError> {
        let what = format!("ask {path}");
        let talk = async {
            match self.open_socket(path).await {
                Ok(stream) => exchange(stream, request, limit).await,
                // A way round for an sshd that forwards no sockets; it also says why, if the socket is at fault.
                Err(SshError::ChannelRefused { .. }) => self.ask_by_command(path, request).await,
                Err(error) => Err(error),
            }
        };
        let answer = tokio::time::timeout(deadline, talk)
            .await
            .unwrap_or_else(|_| Err(SshError::Deadline { what: what.clone(), after: deadline }))?;
        if answer.len() > limit { Err(SshError::OutputTooLarge { what, limit }) } else { Ok(answer) }
    }

    async fn ask_by_command(self: &Arc<Self>, path: &str, request: &[u8]) -> Result<Vec<u8>, SshError> {
        let (what, source) = (format!("ask {path}"), include_str!("scripts/ask_socket.sh"));
        Ok(self.script(&what, source, &[path, PERL, PYTHON], Bytes::copy_from_slice(request)).await?.stdout)
    }

    /// Runs an open to its end even if the caller goes away: a cancelled open leaks the channel, and what it reached,
    /// until the connection ends.
    async fn in_own_task<F>(&self, what: &str, open: F) -> Result<ByteStream, SshError>
    where
        F: Future<Output = Result<ByteStream, SshError>> + Send + 'static,
    {
        let task = tokio::spawn(open);
        match tokio::time::timeout(OPEN_DEADLINE, task).await {
            Ok(Ok(result)) => result,
            Ok(Err(e)) => Err(SshError::ConnectionLost(e.to_string())),
            Err(_) => Err(SshError::Deadline { what: what.to_string(), after: OPEN_DEADLINE }),
        }
    }
}

/// At most one byte more than `limit` of the answer.
async fn exchange(mut stream: ByteStream, request: &[u8], limit: usize) -> Result<Vec<u8>, SshError> {
    let mut answer = Vec::new();
    let talk = async {
        stream.write_all(request).await?;
        stream.shutdown().await?;
        (&mut stream).take(limit as u64 + 1).read_to_end(&mut answer).await
    };
    talk.await.map_err(|e| SshError::ConnectionLost(e.to_string()))?;
    Ok(answer)
}
