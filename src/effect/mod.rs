//! What windlass can ask of the world: traits only, and their errors.
//!
//! Two families implement them: `ssh`, `docker` and `haproxy` for real hosts, `sim` in memory. One contract suite
//! holds both to the same behaviour. Every method is one call of the real interface (create is not start, start is
//! not healthy), so that a fault can fall between any two.

mod archive;
mod clock;
mod connect;
mod engine;
mod host;
mod process;
mod proxy;

pub use archive::ArchivedFile;
pub use clock::Clock;
pub use connect::{ConnectError, ConnectErrorKind, Connector, Node};
pub use engine::{
    Archive, Engine, EngineError, EngineErrorKind, LogLine, LogStream, LogsRequest, NewContainer, PullProgress,
    RegistryLogin, ResolvedImage, Volume,
};
pub use host::{FileSet, Host, HostError, HostProbe, Lease, LeaseError, LeaseRequest};
pub use process::{ExecCommand, Exit, HostCommand, Process, ProcessError, ProcessEvent, Terminal, WindowSize};
pub use proxy::{Backend, Probe, Proxy, ProxyError, ProxySettings, Target};
