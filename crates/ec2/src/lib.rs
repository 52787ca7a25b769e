//! The calls of EC2 that a build makes ([`Ec2`]), what they ask ([`request`]), what they answer ([`resource`]), how
//! they fail ([`ApiError`]) and what follows from AWS's error codes ([`faults`]). Names, states and error codes are
//! EC2's.
//!
//! No SDK and no I/O: the embedded cloud answers these calls, the SDK adapters pass them on, and the controller knows
//! nothing else.

#![no_std]

extern crate alloc;

mod calls;
mod error;
pub mod faults;
pub mod request;
pub mod resource;

pub use calls::Ec2;
pub use error::ApiError;
