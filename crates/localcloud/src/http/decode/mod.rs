//! From parameters to the requests of [`crate::request`].

mod change;
mod describe;
mod fields;
mod permission;

pub(crate) use change::{
    attach_volume, copy_image, create_snapshot, create_tags, create_volume, delete_snapshot, delete_volume,
    deregister_image, detach_volume, register_image, start_instances, stop_instances,
};
pub(crate) use describe::{
    describe_images, describe_instances, describe_snapshots, describe_volumes, filters, image_attribute,
    snapshot_attribute,
};
pub(crate) use permission::{modify_image_attribute, modify_snapshot_attribute};
