//! From parameters to the requests of [`crate::request`].

mod change;
mod describe;
mod fields;
mod permission;

pub(crate) use change::{
    attach_image_watermark_request, attach_volume_request, copy_image_request, create_snapshot_request,
    create_tags_request, create_volume_request, delete_snapshot_request, delete_volume_request,
    deregister_image_request, detach_volume_request, enable_image_deprecation_request,
    enable_image_deregistration_protection_request, image_id, register_image_request, start_instances_request,
    stop_instances_request,
};
pub(crate) use describe::{
    describe_images_request, describe_instances_request, describe_snapshots_request, describe_volumes_request, filters,
    image_attribute, snapshot_attribute,
};
pub(crate) use permission::{modify_image_attribute_request, modify_snapshot_attribute_request};
