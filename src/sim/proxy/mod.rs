//! A simulated host's proxy, with HAProxy's manners: files that survive, a runtime that a reload forgets.

mod calls;
mod checks;
mod slots;

pub use calls::SimProxy;
pub(super) use slots::ProxyBox;
