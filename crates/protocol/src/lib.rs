//! What the controller, the agent and the template reader exchange: ids, the description of a build
//! ([`BuildSpec`]), the agent's jobs ([`Job`]), its reports ([`Report`]), and how calls fail ([`Fault`]).
//!
//! No I/O, no clock, no SDK: the crate is `no_std`, so the compiler keeps it that way.
#![no_std]

extern crate alloc;

pub mod access;
mod bundle_ref;
pub mod error;
mod fault;
pub mod id;
mod interaction;
pub mod job;
mod mapping;
pub mod mask;
pub mod message;
pub mod report;
pub mod size;
pub mod spec;
pub mod splitmix64;
pub mod stack;
pub mod time;
mod version;

pub use access::Access;
pub use bundle_ref::BundleRef;
pub use error::chain;
pub use fault::{Fault, FaultKind};
pub use id::{
    BuildId, DeviceName, HostId, ImageId, InstanceId, InvalidId, Region, RoleArn, SnapshotId, VolumeId, Zone,
};
pub use interaction::{Answer, Interaction, InvalidAnswer, OnError, Waiting};
pub use job::{Job, RunData};
pub use mapping::{BlockDeviceMapping, EbsBlockDevice};
pub use message::{BuildTarget, Envelope, HostMessage, HostReport, InboxMessage, Request};
pub use report::{AgentPhase, Failure, Outcome, Proof, Report, ReportBody, Stream};
pub use size::Bytes;
pub use spec::{BuildSpec, DeferredTemplate};
pub use stack::{OnDemand, StackConfig};
pub use time::{Millis, Timestamp};
pub use version::VERSION;
