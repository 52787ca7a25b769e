//! EC2's vocabulary: the calls that a build makes ([`Ec2`]), what they ask ([`request`]), what they answer
//! ([`resource`]) and how they fail ([`ApiError`]). Names, states and error codes are EC2's. No SDK and no I/O: the
//! embedded cloud answers these calls, the SDK adapters pass them on, and the controller knows nothing else.

pub mod blocking;
mod calls;
mod error;
pub mod request;
pub mod resource;

pub use calls::{Blocking, Ec2, Instances};
pub use error::ApiError;
