//! A real HAProxy process, driven through `effect::Proxy`. What a container engine would do is done by processes of this
//! machine: the proxy is a child process, a service's container a small HTTP server on an address of its own.
//!
//! Needs `haproxy` (Debian: `apt-get install haproxy`); the tests fail without it.

mod app;
mod certificate;
mod client;
mod dns;
mod edge;
mod engine;
mod host;
mod load;
mod replace;
mod routes;
mod servers;
mod tls;
mod world;
