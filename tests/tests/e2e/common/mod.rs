//! What every test needs: a state directory of its own with a small base image, the program, and the certainty that
//! nothing is left.

mod disk;
mod fixture;
mod follow;
mod leaks;
pub(crate) mod program;
mod requirements;
mod run;
pub(crate) mod wait;

pub(crate) use disk::{Inside, ROOT_OFFSET, base_disk, sh};
pub(crate) use fixture::{Fixture, SECRET, image_in};
pub(crate) use follow::Follow;
pub(crate) use run::Run;
