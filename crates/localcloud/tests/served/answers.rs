//! The XML of each answer as a snapshot: every line of it is a claim about EC2.

use crate::client::{Fixture, INSTANCE};

#[test]
fn a_build_from_source_to_image() {
    let fixture = Fixture::new();
    let images = fixture.call("DescribeImages", "Owner.1=self&Filter.1.Name=name&Filter.1.Value.1=b*e").ok();
    insta::assert_snapshot!("describe_images", images.pretty());

    let snapshot = images.text("snapshotId").to_owned();
    let volume = fixture
        .call(
            "CreateVolume",
            &format!(
                "AvailabilityZone=us-east-1a&SnapshotId={snapshot}&Size=3&VolumeType=gp3&Iops=3000&Throughput=125&\
                 ClientToken=t&TagSpecification.1.ResourceType=volume&TagSpecification.1.Tag.1.Key=a&\
                 TagSpecification.1.Tag.1.Value=b+%26+c&TagSpecification.1.Tag.2.Key=empty&\
                 TagSpecification.1.Tag.2.Value="
            ),
        )
        .ok();
    insta::assert_snapshot!("create_volume", volume.pretty());
    let volume = volume.text("volumeId").to_owned();

    let attach = format!("VolumeId={volume}&InstanceId={INSTANCE}&Device=%2Fdev%2Fsdf");
    insta::assert_snapshot!("attach_volume", fixture.call("AttachVolume", &attach).ok().pretty());
    let volumes = fixture.call("DescribeVolumes", &format!("VolumeId.1={volume}")).ok();
    insta::assert_snapshot!("describe_volumes", volumes.pretty());
    let instances = fixture.call("DescribeInstances", &format!("InstanceId.1={INSTANCE}")).ok();
    insta::assert_snapshot!("describe_instances", instances.pretty());

    let snapshot = fixture
        .call(
            "CreateSnapshot",
            &format!(
                "VolumeId={volume}&Description=root&TagSpecification.1.ResourceType=snapshot&\
                 TagSpecification.1.Tag.1.Key=k&TagSpecification.1.Tag.1.Value=v"
            ),
        )
        .ok();
    insta::assert_snapshot!("create_snapshot", snapshot.pretty());
    let snapshot = snapshot.text("snapshotId").to_owned();
    let snapshots = fixture.call("DescribeSnapshots", &format!("SnapshotId.1={snapshot}&Owner.1=self")).ok();
    insta::assert_snapshot!("describe_snapshots", snapshots.pretty());

    insta::assert_snapshot!("detach_volume", fixture.call("DetachVolume", &format!("VolumeId={volume}")).ok().pretty());
    insta::assert_snapshot!("delete_volume", fixture.call("DeleteVolume", &format!("VolumeId={volume}")).ok().pretty());

    let register = fixture.call(
        "RegisterImage",
        &format!(
            "Name=web&Description=a+web+server&Architecture=x86_64&VirtualizationType=hvm&RootDeviceName=/dev/xvda&\
             EnaSupport=true&SriovNetSupport=simple&BootMode=uefi&ImdsSupport=v2.0&TpmSupport=v2.0&\
             BlockDeviceMapping.1.DeviceName=/dev/xvda&BlockDeviceMapping.1.Ebs.SnapshotId={snapshot}&\
             BlockDeviceMapping.1.Ebs.VolumeType=gp3&BlockDeviceMapping.1.Ebs.DeleteOnTermination=true&\
             BlockDeviceMapping.2.DeviceName=/dev/sdb&BlockDeviceMapping.2.VirtualName=ephemeral0&\
             BlockDeviceMapping.3.DeviceName=/dev/sdc&BlockDeviceMapping.3.NoDevice=&\
             TagSpecification.1.ResourceType=image&TagSpecification.1.Tag.1.Key=k&TagSpecification.1.Tag.1.Value=v"
        ),
    );
    insta::assert_snapshot!("register_image", register.ok().pretty());
    let web = fixture.call("DescribeImages", "Filter.1.Name=name&Filter.1.Value.1=web").ok();
    insta::assert_snapshot!("describe_registered_image", web.pretty());
    let web = web.text("imageId").to_owned();

    let copy = format!(
        "Name=web&SourceImageId={web}&SourceRegion=us-east-1&ClientToken=t&CopyImageTags=true&Encrypted=false&\
         TagSpecification.1.ResourceType=image&TagSpecification.1.Tag.1.Key=copy&TagSpecification.1.Tag.1.Value=1&\
         TagSpecification.2.ResourceType=snapshot&TagSpecification.2.Tag.1.Key=copy&TagSpecification.2.Tag.1.Value=2"
    );
    let copy = fixture.call_in("eu-west-1", "CopyImage", &copy).ok();
    insta::assert_snapshot!("copy_image", copy.pretty());
    let copied = fixture.call_in("eu-west-1", "DescribeImages", &format!("ImageId.1={}", copy.text("imageId"))).ok();
    insta::assert_snapshot!("describe_copied_image", copied.pretty());
    let tags = fixture.call_in("eu-west-1", "DescribeTags", "Filter.1.Name=key&Filter.1.Value.1=copy").ok();
    insta::assert_snapshot!("describe_tags", tags.pretty());

    let deregister = format!("ImageId={web}&DeleteAssociatedSnapshots=true");
    insta::assert_snapshot!("deregister_image", fixture.call("DeregisterImage", &deregister).ok().pretty());
}

#[test]
fn attributes_are_changed_in_each_form() {
    let fixture = Fixture::new();
    let (image, snapshot) = {
        let images = fixture.call("DescribeImages", "").ok();
        (images.text("imageId").to_owned(), images.text("snapshotId").to_owned())
    };
    let modify = |rest: &str| fixture.call("ModifyImageAttribute", &format!("ImageId={image}&{rest}")).ok();
    let launch = || {
        let asked = fixture.call("DescribeImageAttribute", &format!("ImageId={image}&Attribute=launchPermission"));
        let asked = asked.ok();
        [asked.texts("group"), asked.texts("userId")].concat().join(" ")
    };
    insta::assert_snapshot!(
        "modify_image_attribute",
        modify("LaunchPermission.Add.1.UserId=123456789012&LaunchPermission.Add.2.Group=all").pretty()
    );
    assert_eq!(launch(), "all 123456789012");
    modify("LaunchPermission.Remove.1.Group=all");
    assert_eq!(launch(), "123456789012");
    // As Packer sends it: in both forms at once.
    modify("LaunchPermission.Add.1.UserId=210987654321&UserId.1=210987654321");
    modify("LaunchPermission.Remove.1.UserId=210987654321&UserId.1=210987654321&OperationType=remove");
    assert_eq!(launch(), "123456789012");
    modify("Attribute=launchPermission&OperationType=add&UserId.1=999999999999&UserGroup.1=all");
    modify("OperationType=remove&UserId.1=123456789012");
    assert_eq!(launch(), "all 999999999999");
    let asked = fixture.call("DescribeImageAttribute", &format!("ImageId={image}&Attribute=launchPermission")).ok();
    insta::assert_snapshot!("describe_image_attribute_launch_permission", asked.pretty());

    modify("Description.Value=one");
    assert_eq!(fixture.call("DescribeImages", "").text("description"), "one");
    modify("Attribute=description&Value=two");
    let asked = fixture.call("DescribeImageAttribute", &format!("ImageId={image}&Attribute=description")).ok();
    insta::assert_snapshot!("describe_image_attribute_description", asked.pretty());
    modify("ProductCode.1=abc");
    let asked = fixture.call("DescribeImageAttribute", &format!("ImageId={image}&Attribute=productCodes")).ok();
    insta::assert_snapshot!("describe_image_attribute_product_codes", asked.pretty());

    let modify = |rest: &str| fixture.call("ModifySnapshotAttribute", &format!("SnapshotId={snapshot}&{rest}")).ok();
    modify("CreateVolumePermission.Add.1.UserId=123456789012");
    modify("Attribute=createVolumePermission&OperationType=add&UserGroup.1=all&UserId.1=999999999999");
    modify("CreateVolumePermission.Remove.1.UserId=123456789012");
    let asked =
        fixture.call("DescribeSnapshotAttribute", &format!("SnapshotId={snapshot}&Attribute=createVolumePermission"));
    insta::assert_snapshot!("describe_snapshot_attribute", asked.ok().pretty());

    let organization = "arn:aws:organizations::111122223333:organization/o-abcdefghij";
    let unit = "arn:aws:organizations::111122223333:ou/o-abcdefghij/ou-ab12-cdefghij";
    let modify = |rest: &str| fixture.call("ModifyImageAttribute", &format!("ImageId={image}&{rest}")).ok();
    // As Packer sends it: in both forms at once.
    modify(&format!("LaunchPermission.Add.1.OrganizationArn={organization}&OrganizationArn.1={organization}"));
    modify(&format!("OperationType=add&OrganizationalUnitArn.1={unit}"));
    let asked = fixture.call("DescribeImageAttribute", &format!("ImageId={image}&Attribute=launchPermission")).ok();
    assert_eq!((asked.text("organizationArn"), asked.text("organizationalUnitArn")), (organization, unit));
    modify("ImdsSupport.Value=v2.0");
    assert_eq!(fixture.call("DescribeImages", "").text("imdsSupport"), "v2.0");

    fixture.call("CreateTags", &format!("ResourceId.1={image}&ResourceId.2={snapshot}&Tag.1.Key=k&Tag.1.Value=v")).ok();
    let tags = fixture.call("DescribeTags", "").ok();
    assert_eq!(tags.texts("resourceId"), [image.as_str(), snapshot.as_str()]);
}

#[test]
fn encryption_and_lifecycle_are_shown() {
    let fixture = Fixture::new();
    let base = fixture.call("DescribeImages", "").ok();
    let create = format!(
        "AvailabilityZone=us-east-1a&SnapshotId={}&VolumeType=gp3&Throughput=250&Encrypted=true&KmsKeyId=alias/ours&\
         VolumeInitializationRate=200",
        base.text("snapshotId")
    );
    let volume = fixture.call("CreateVolume", &create).ok();
    let shown = (volume.text("encrypted"), volume.text("kmsKeyId"), volume.text("volumeInitializationRate"));
    assert_eq!(shown, ("true", "alias/ours", "200"));
    let snapshot = fixture.call("CreateSnapshot", &format!("VolumeId={}", volume.text("volumeId"))).ok();
    assert_eq!((snapshot.text("encrypted"), snapshot.text("kmsKeyId")), ("true", "alias/ours"));

    let register = format!(
        "Name=web&Architecture=x86_64&VirtualizationType=hvm&BootMode=uefi&UefiData=AAAA&\
         BlockDeviceMapping.1.DeviceName=/dev/sda1&BlockDeviceMapping.1.Ebs.SnapshotId={}",
        snapshot.text("snapshotId")
    );
    let web = fixture.call("RegisterImage", &register).ok().text("imageId").to_owned();
    let attribute =
        |name: &str| fixture.call("DescribeImageAttribute", &format!("ImageId={web}&Attribute={name}")).ok();
    assert_eq!(attribute("uefiData").text("value"), "AAAA");
    fixture.call("AttachImageWatermark", &format!("ImageId={web}&WatermarkName=approved")).ok();
    let copy = format!(
        "Name=web&SourceImageId={web}&SourceRegion=us-east-1&Encrypted=true&KmsKeyId=alias/theirs&\
         SnapshotCopyCompletionDurationMinutes=30"
    );
    let copy = fixture.call_in("eu-west-1", "CopyImage", &copy).ok();
    let copied = fixture.call_in("eu-west-1", "DescribeImages", &format!("ImageId.1={}", copy.text("imageId"))).ok();
    assert_eq!((copied.text("encrypted"), copied.text("watermarkKey")), ("true", "111122223333:approved"));

    fixture.call("EnableImageDeprecation", &format!("ImageId={web}&DeprecateAt=2027-03-01T10:20:29.000Z")).ok();
    let protect = format!("ImageId={web}&WithCooldown=true");
    let protected = fixture.call("EnableImageDeregistrationProtection", &protect).ok();
    assert_eq!(protected.text("return"), "enabled-with-cooldown");
    let described = fixture.call("DescribeImages", &format!("ImageId.1={web}")).ok();
    insta::assert_snapshot!("describe_protected_image", described.pretty());
    let refused = fixture.call("DeregisterImage", &format!("ImageId={web}"));
    assert_eq!(refused.refused().1, "OperationNotPermitted");
    fixture.call("DisableImageDeprecation", &format!("ImageId={web}")).ok();
    let disabled = fixture.call("DisableImageDeregistrationProtection", &format!("ImageId={web}")).ok();
    assert_eq!(disabled.text("return"), "disabled-in-cooldown");
}

#[test]
fn regions_zones_instance_types_and_identity() {
    let fixture = Fixture::new();
    insta::assert_snapshot!("describe_regions", fixture.call("DescribeRegions", "AllRegions=true").ok().pretty());
    let zones = fixture.call("DescribeAvailabilityZones", "ZoneName.1=us-east-1b").ok();
    insta::assert_snapshot!("describe_availability_zones", zones.pretty());
    insta::assert_snapshot!("describe_instance_status", fixture.call("DescribeInstanceStatus", "").ok().pretty());
    let types = fixture.call("DescribeInstanceTypes", "InstanceType.1=m7i.large").ok();
    insta::assert_snapshot!("describe_instance_types", types.pretty());
    let attributes = fixture.call("DescribeAccountAttributes", "AttributeName.1=supported-platforms").ok();
    insta::assert_snapshot!("describe_account_attributes", attributes.pretty());
    let sts = "Authorization: AWS4-HMAC-SHA256 Credential=AKID/20260101/us-east-1/sts/aws4_request, Signature=0\r\n";
    let identity = fixture.http("POST", "/", sts, "Action=GetCallerIdentity&Version=2011-06-15").unwrap().ok();
    insta::assert_snapshot!("get_caller_identity", identity.pretty());
    // The parameters may be in the URL, too.
    let address = "/?Action=DescribeRegions&Version=2016-11-15&RegionName.1=eu-west-1&\
                   X-Amz-Credential=AKID%2F20260101%2Fus-east-1%2Fec2%2Faws4_request&X-Amz-Signature=0";
    assert_eq!(fixture.http("GET", address, "", "").unwrap().ok().texts("regionName"), ["eu-west-1"]);
}

#[test]
fn a_page_continues_after_its_last_resource_was_deleted() {
    let fixture = Fixture::new();
    let create = |zone: &str| {
        let made = fixture.call("CreateVolume", &format!("AvailabilityZone={zone}&Size=1")).ok();
        made.text("volumeId").to_owned()
    };
    let mut all: Vec<String> = (0..12).map(|_| create("us-east-1a")).collect();
    all.sort();
    let first = fixture.call("DescribeVolumes", "MaxResults=5").ok();
    assert_eq!(first.texts("volumeId"), all[..5]);
    // The last volume of the page is deleted: the next page begins where it would have begun.
    fixture.call("DeleteVolume", &format!("VolumeId={}", all[4])).ok();
    let second = fixture.call("DescribeVolumes", &format!("MaxResults=5&NextToken={}", first.text("nextToken"))).ok();
    assert_eq!(second.texts("volumeId"), all[5..10]);
    let third = fixture.call("DescribeVolumes", &format!("NextToken={}", second.text("nextToken"))).ok();
    assert_eq!(
        (third.texts("volumeId"), third.texts("nextToken").len()),
        (all[10..].iter().map(String::as_str).collect(), 0)
    );
}

#[test]
fn a_role_of_another_account_sees_and_copies_what_is_shared_with_it() {
    let fixture = Fixture::new();
    let other = "444455556666";
    let sts = "Authorization: AWS4-HMAC-SHA256 Credential=AKID/20260101/us-east-1/sts/aws4_request, Signature=0\r\n";
    let assume = format!(
        "Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A{other}%3Arole%2Fimages&\
         RoleSessionName=bakehouse&ExternalId=outside"
    );
    let session = fixture.http("POST", "/", sts, &assume).unwrap().ok();
    insta::assert_snapshot!("assume_role", session.pretty());
    let signed = |service: &str| {
        let key = session.text("AccessKeyId");
        format!(
            "Authorization: AWS4-HMAC-SHA256 Credential={key}/20260101/us-east-1/{service}/aws4_request, Signature=0\r\n"
        )
    };
    let identity = fixture.http("POST", "/", &signed("sts"), "Action=GetCallerIdentity&Version=2011-06-15").unwrap();
    assert_eq!(identity.ok().text("Account"), other);

    let image = &fixture.base;
    let copy = format!(
        "Action=CopyImage&Version=2016-11-15&Name=base&SourceImageId={image}&SourceRegion=us-east-1&ClientToken=t"
    );
    let copy = || fixture.http("POST", "/", &signed("ec2"), &copy).unwrap();
    assert_eq!(copy().refused().1, "InvalidAMIID.NotFound");
    let snapshot = fixture.call("DescribeImages", &format!("ImageId.1={image}")).ok().text("snapshotId").to_owned();
    let share = format!("ImageId={image}&LaunchPermission.Add.1.UserId={other}");
    fixture.call("ModifyImageAttribute", &share).ok();
    let share = format!("SnapshotId={snapshot}&CreateVolumePermission.Add.1.UserId={other}");
    fixture.call("ModifySnapshotAttribute", &share).ok();
    let copied = copy().ok().text("imageId").to_owned();
    let described = fixture.http(
        "POST",
        "/",
        &signed("ec2"),
        &format!("Action=DescribeImages&Version=2016-11-15&ImageId.1={copied}"),
    );
    assert_eq!(described.unwrap().ok().text("imageOwnerId"), other);
    assert_eq!(fixture.call("DescribeImages", &format!("ImageId.1={copied}")).refused().1, "InvalidAMIID.NotFound");
}
