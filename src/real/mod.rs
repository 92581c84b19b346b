//! Real hosts: ssh, docker and haproxy put together behind the traits of `effect`.

mod clock;
mod connector;
mod route;

pub use clock::SystemClock;
pub use connector::RealConnector;
pub use route::{Operator, RouteError, Routes};
