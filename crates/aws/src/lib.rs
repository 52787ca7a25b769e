//! SQS, S3, CloudWatch Logs and the instance metadata service through the SDK, for the controller, the command line and
//! the agent's daemon: one client for each, one table of errors, one encoder of messages.
//!
//! [`Call`] names a call in errors, and turns the SDK's error into a [`CallError`], and that into a
//! [`Fault`](bakehouse_protocol::Fault) by the table in `crates/ec2/src/faults.rs`.
//!
//! A package of its own so that the agent's daemon has no SDK of EC2 or DynamoDB, which take minutes to compile.

mod bundles;
mod call;
pub mod instance;
mod limits;
pub mod logs;
pub mod message;
pub mod sdk_error;
mod sqs;

pub use bundles::Bundles;
pub use call::{Call, CallError};
pub use limits::Limits;
pub use logs::Logs;
pub use message::MessageError;
pub use sqs::{Received, SendError, Sqs};
