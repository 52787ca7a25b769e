//! The controller: runs the [machine](bakehouse_machine) against the world.
//!
//! Read it in this order: [`drive`] (load, decide, save, perform), [`ports`] (what it needs from the place it runs in),
//! [`perform`] (one arm a command), [`resolve`] and [`plan`] (from a spec to a plan), [`cloud`] (the calls to EC2). The adapters of each place are crates of their own: `cli/runner`
//! (this machine) and `controller/aws`. Nothing here knows which place it is.

pub mod clock;
pub mod cloud;
pub mod drive;
pub mod fleet;
pub mod leasing;
pub mod perform;
pub mod place;
pub mod plan;
pub mod policy;
pub mod ports;
pub mod power;
mod refused;
pub mod resolve;
pub mod stack;

pub use bakehouse_protocol::mask;
