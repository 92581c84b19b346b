//! What the tests against real programs share.
#![allow(dead_code, unreachable_pub)]

pub mod sshd;
pub mod wait;
