//! One body for what we build on EC2, run on the embedded cloud's model and, through the SDK and HTTP, on the same
//! model: what holds for one holds for the other, codes and all.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod batch;
mod cloud;
mod connect;
mod ec2;
mod errors;
mod lifecycle;
mod place;
mod sdk;
mod servers;
