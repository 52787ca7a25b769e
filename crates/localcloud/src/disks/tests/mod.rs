//! Tests of [`super::LocalCloud`]. Those that need loop devices, and so root, are in `loop_devices` and `processes`.

mod cloud;
mod files;
mod fixture;
mod interrupted;
mod loop_devices;
mod lost_state;
mod processes;
