//! EC2's Query protocol over HTTP, version 2016-11-15: an endpoint for the AWS CLI, the SDKs and Packer, before any
//! [`EmbeddedCloud`](crate::EmbeddedCloud). Read it in this order:
//!
//! - `server`: a request is taken in, performed and noted; `http` is the port below it.
//! - `caller`: whose it is and to which region, from its signature. **Signatures are not checked**: any credentials will
//!   do, so a server is to listen on this machine alone.
//! - `params`, `decode`: flat parameters as EC2's requests. What is not understood is refused by name.
//! - `actions`, `looking`: each action's three steps. `page`: MaxResults and NextToken.
//! - `answer`, `xml`, [`Refusal`]: what is answered.
//! - [`Imds`]: the instance metadata service, on a port of its own and under `/latest/` of the endpoint.
//! - [`Journal`], [`Faults`], [`Notification`], `control`: for tests.

mod actions;
mod call;
mod caller;
mod clock;
mod connection;
mod control;
mod decode;
mod describe_misc;
mod events;
mod faults;
mod imds;
mod instruments;
mod journal;
mod page;
mod params;
mod refusal;
mod response;
mod server;
mod xml;

pub use actions::names;
pub use caller::Caller;
pub use clock::Clock;
pub use events::{Change, Notification};
pub use faults::{Effect, Fault, Faults};
pub use imds::{Imds, Metadata};
pub use journal::{Journal, Served};
pub use params::Params;
pub use refusal::Refusal;
pub use server::{Server, Settings};
