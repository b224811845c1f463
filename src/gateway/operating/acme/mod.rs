//! The task that orders and renews the certificates of `[server.acme]` (contract: The edge). What is
//! ordered, and when, is decided in [`crate::acme`].

mod found;
mod http;
mod store;
