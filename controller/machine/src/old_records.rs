//! Reading commands in flight from records that were written before November 2026.

use alloc::{boxed::Box, string::String};

use bakehouse_ec2::{
    request::{CopyImage, RegisterImage},
    resource::Tags,
};
use bakehouse_protocol::{Region, SnapshotId};
use serde::{Deserialize, Deserializer};

use crate::in_region::InRegion;

/// The request stood in `plan`, without what was known only later.
#[derive(Deserialize)]
#[serde(untagged)]
enum AnyRegisterImage {
    Old { region: Region, plan: RegisterImage, root_snapshot: SnapshotId, description: String, tags: Tags },
    New(InRegion<RegisterImage>),
}

pub(crate) fn register_image<'de, D: Deserializer<'de>>(from: D) -> Result<Box<InRegion<RegisterImage>>, D::Error> {
    Ok(Box::new(match AnyRegisterImage::deserialize(from)? {
        AnyRegisterImage::New(new) => new,
        AnyRegisterImage::Old { region, plan, root_snapshot, description, tags } => {
            let description = (!description.is_empty()).then_some(description);
            let request = RegisterImage { description, tags, ..plan }.with_root_snapshot(&root_snapshot);
            InRegion { region: region.into(), request }
        }
    }))
}

/// The tags, which are the same on the image and on its snapshots, were written once.
pub(crate) fn copy_image<'de, D: Deserializer<'de>>(from: D) -> Result<Box<InRegion<CopyImage>>, D::Error> {
    let mut copy = Box::<InRegion<CopyImage>>::deserialize(from)?;
    if copy.request.snapshot_tags.is_empty() {
        copy.request.snapshot_tags = copy.request.image_tags.clone();
    }
    Ok(copy)
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString as _;

    use crate::Command;

    fn read(text: &str) -> Command {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn commands_in_flight_in_old_records_are_read() {
        let volume = r#"{"create_volume":{"token":"b-1-volume","region":"us-east-1","zone":"us-east-1a","size":8,
            "snapshot":"snap-01234567","volume_type":"gp3","iops":null,"tags":{}}}"#;
        assert_eq!(read(volume).to_string(), "create volume of 8 GiB in us-east-1a from snap-01234567");
        let snapshot = r#"{"create_snapshot":{"region":"us-east-1","volume":"vol-01234567","description":"web",
            "tags":{},"again":true}}"#;
        assert!(matches!(read(snapshot), Command::CreateSnapshot { again: true, .. }));
        let register = r#"{"register_image":{"region":"us-east-1","plan":{"name":"web","architecture":"x86_64",
            "virtualization":"hvm","root_device_name":"/dev/xvda","mappings":[{"device_name":"/dev/xvda",
            "no_device":false,"virtual_name":null,"delete_on_termination":true,"volume_size":2,"volume_type":"gp3",
            "snapshot_id":null,"iops":null,"throughput":null}],"ena_support":true,"sriov_net_support":null,
            "boot_mode":null,"tpm_support":null,"imds_support":null},"root_snapshot":"snap-01234567",
            "description":"","tags":{"a":"b"}}}"#;
        let command = read(register);
        assert_eq!(command.to_string(), "register \"web\" from snap-01234567");
        let Command::RegisterImage(register) = command else { panic!() };
        assert_eq!((register.request.tags["a"].as_str(), register.request.description.clone()), ("b", None));
        let copy = r#"{"copy_image":{"token":"t","from":"us-east-1","image":"ami-01234567","to":"eu-west-1","name":"web",
            "description":"","tags":{"a":"b"}}}"#;
        let Command::CopyImage(copy) = read(copy) else { panic!() };
        assert_eq!((copy.region.region.as_str(), copy.request.snapshot_tags["a"].as_str()), ("eu-west-1", "b"));
    }

    #[test]
    fn commands_are_read_as_they_were_written() {
        let register = r#"{"register_image":{"region":"us-east-1","plan":{"name":"web","block_device_mappings":[]},
            "root_snapshot":"snap-01234567","description":"d","tags":{"a":"b"}}}"#;
        let command = read(register);
        assert_eq!(read(&serde_json::to_string(&command).unwrap()), command);
    }
}
