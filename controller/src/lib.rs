//! The controller: runs the [machine](bakehouse_machine) over ports.
//!
//! Read it in this order: [`drive`] (load, decide, save, perform), [`ports`] and [`backend`] (what it needs from where
//! it runs), [`perform`] (one match arm for each command), [`resolve`] and [`plan`] (from a spec to a plan), [`cloud`]
//! (the calls to EC2). The adapters are packages of their own: `cli/runner` (one machine) and `controller/aws`. Nothing
//! here knows which backend it runs on.

mod account_copies;
pub mod backend;
pub mod clock;
pub mod cloud;
pub mod drive;
pub mod fleet;
pub mod leasing;
pub mod perform;
mod permanent_fault;
pub mod plan;
pub mod policy;
pub mod ports;
pub mod power;
pub mod resolve;
pub mod stack;

pub use bakehouse_protocol::mask;
