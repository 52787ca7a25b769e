//! The controller: runs the [machine](bakehouse_machine) against the world.
//!
//! Read it in this order: [`drive`] (load, decide, save, perform), [`ports`] (what it needs from the place it runs in),
//! [`perform`] (one arm a command), [`resolve`] and [`plan`] (from a spec to a plan), then the adapters of one place:
//! [`local`], the embedded cloud on this machine. Nothing outside the adapters knows which place it is.

pub mod drive;
pub mod faults;
pub mod local;
pub mod perform;
pub mod plan;
pub mod ports;
pub mod resolve;
