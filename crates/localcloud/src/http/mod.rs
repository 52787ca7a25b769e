//! EC2's Query protocol over HTTP, version 2016-11-15: an endpoint for the AWS CLI, the SDKs and Packer, which serves
//! any [`EmbeddedCloud`](crate::EmbeddedCloud). Read it in this order:
//!
//! - `server`: receives a request, performs it and answers; `connection` is the port below it.
//! - `caller`: who calls, and which region is meant, from the signature. **Signatures are not checked**: any
//!   credentials are accepted, so a server should listen on this machine alone.
//! - `params`, `decode`: from flat parameters to EC2's requests. What is not understood is refused by name.
//! - `call`, `actions`, `describe_misc`, `sts`: each action. `page`: MaxResults and NextToken.
//! - `response`, `error_response`, `xml`: the answer.
//! - [`Imds`]: the instance metadata service, on a port of its own and under `/latest/` of the endpoint.
//! - `test_api`: [`Journal`], [`Faults`] and [`Notification`]s, for tests of clients. Disabled by default.

mod actions;
mod call;
mod caller;
mod clock;
mod connection;
mod decode;
mod describe_misc;
mod error_response;
mod imds;
mod page;
mod params;
mod response;
mod server;
mod sts;
mod test_api;
mod xml;

pub use actions::names;
pub use caller::Caller;
pub use clock::Clock;
pub use imds::{Imds, Metadata};
pub use params::Params;
pub use server::{Server, Settings};
pub use test_api::{Change, Effect, Fault, Faults, Journal, JournalEntry, Notification};
