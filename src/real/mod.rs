//! Real hosts: ssh, docker and haproxy put together behind the traits of `effect`.

mod clock;
mod connector;

pub use clock::SystemClock;
pub use connector::RealConnector;
