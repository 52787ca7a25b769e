//! Errors, with EC2's codes and statuses.

use crate::client::Fixture;

#[track_caller]
fn code(fixture: &Fixture, action: &str, parameters: &str) -> (u16, String) {
    let answer = fixture.call(action, parameters);
    let (status, code, _) = answer.refused();
    (status, code.to_owned())
}

#[test]
fn an_error_has_the_form_of_ec2() {
    let fixture = Fixture::new();
    let answer = fixture.call("DescribeVolumes", "VolumeId.1=vol-0123456789abcdef0");
    insta::assert_snapshot!("error", answer.pretty());
    assert_eq!(answer.status, 400);
}

#[test]
fn unknown_actions_and_parameters_are_refused_by_name() {
    let fixture = Fixture::new();
    let refused = |action: &str, parameters: &str| {
        let answer = fixture.call(action, parameters);
        let (_, code, message) = answer.refused();
        format!("{code}: {message}")
    };
    assert!(refused("RunInstances", "").starts_with("InvalidAction: The action RunInstances is not valid"));
    assert!(refused("", "").starts_with("InvalidAction"));
    let unknown = refused("DescribeVolumes", "Filter.1.Name=size&Filter.1.Value.1=1&Filter.1.Colour=red");
    assert!(unknown.starts_with("UnknownParameter: The parameter Filter.1.Colour"), "{unknown}");
    let unknown = refused("CreateVolume", "AvailabilityZone=us-east-1a&Size=1&OutpostArn=k");
    assert!(unknown.starts_with("UnsupportedOperation: "), "{unknown}");
    // A wrong index makes an unknown parameter.
    for name in ["VolumeId", "VolumeId.x", "VolumeId.01"] {
        let unknown = refused("DescribeVolumes", &format!("{name}=vol-00000001"));
        assert!(unknown.starts_with(&format!("UnknownParameter: The parameter {name} ")), "{unknown}");
    }
    assert_eq!(fixture.cloud.calls(), [], "nothing of this reached the cloud");
}

#[test]
fn values_are_checked() {
    let fixture = Fixture::new();
    let check = |action: &str, parameters: &str, wanted: &str| {
        assert_eq!(code(&fixture, action, parameters), (400, wanted.to_owned()), "{action} {parameters}");
    };
    check("CreateVolume", "Size=1", "MissingParameter");
    check("CreateVolume", "AvailabilityZone=us-east-1a&Size=one", "InvalidParameterValue");
    check("CreateVolume", "AvailabilityZone=us-east-1a&Size=1&MultiAttachEnabled=true", "UnsupportedOperation");
    check("CreateVolume", "AvailabilityZone=us-east-1a&Size=1&KmsKeyId=k", "InvalidParameterDependency");
    check("CreateVolume", "AvailabilityZone=Mars&Size=1", "InvalidZone.NotFound");
    let tag = "TagSpecification.1.ResourceType=snapshot&TagSpecification.1.Tag.1.Key=k";
    check("CreateVolume", &format!("AvailabilityZone=us-east-1a&Size=1&{tag}"), "InvalidParameterValue");
    check("DescribeVolumes", "VolumeId.1=disk", "InvalidVolumeID.Malformed");
    check("DescribeImages", "ImageId.1=disk", "InvalidAMIID.Malformed");
    check("DescribeVolumes", "Filter.1.Name=colour&Filter.1.Value.1=red", "InvalidParameterValue");
    check("DescribeTags", "Filter.1.Name=colour&Filter.1.Value.1=red", "InvalidParameterValue");
    check("DescribeVolumes", "MaxResults=3", "InvalidParameterValue");
    check("DescribeVolumes", "MaxResults=5&VolumeId.1=vol-00000001", "InvalidParameterCombination");
    check("DescribeVolumes", "NextToken=xyz", "InvalidNextToken");
    check("AttachVolume", "VolumeId=vol-00000001&InstanceId=i-00000001&Device=sdf", "InvalidParameterValue");
    check("DetachVolume", "VolumeId=vol-00000001&Force=true", "UnsupportedOperation");
    check("CreateTags", "ResourceId.1=vol-00000001", "MissingParameter");
    let image = format!("ImageId={}", fixture.base);
    check("ModifyImageAttribute", &image, "InvalidParameterCombination");
    check("ModifyImageAttribute", &format!("{image}&ImdsSupport.Value=v1.0"), "InvalidParameterValue");
    check("EnableImageDeprecation", &format!("{image}&DeprecateAt=tomorrow"), "InvalidParameterValue");
    check("EnableImageDeprecation", &format!("{image}&DeprecateAt=2001-01-01T00:00:00Z"), "InvalidParameterValue");
    check("AttachImageWatermark", &image, "MissingParameter");
    check("ModifyImageAttribute", &format!("{image}&UserId.1=123456789012"), "MissingParameter");
    let two = format!("{image}&Description.Value=x&ProductCode.1=y");
    check("ModifyImageAttribute", &two, "InvalidParameterCombination");
    let other = format!("{image}&Attribute=description&LaunchPermission.Add.1.Group=all");
    check("ModifyImageAttribute", &other, "InvalidParameterCombination");
    let both = format!("{image}&LaunchPermission.Add.1.UserId=210987654321&UserId.1=123456789012");
    check("ModifyImageAttribute", &both, "InvalidParameterCombination");
    check("DescribeImageAttribute", &format!("{image}&Attribute=colour"), "InvalidParameterValue");
    assert_eq!(code(&fixture, "DescribeVolumes", "MaxResults=5&MaxResults=6").1, "InvalidParameterCombination");
}

#[test]
fn a_dry_run_does_nothing() {
    let fixture = Fixture::new();
    let create = "AvailabilityZone=us-east-1a&Size=1&DryRun=true";
    assert_eq!(code(&fixture, "CreateVolume", create), (412, "DryRunOperation".to_owned()));
    assert_eq!(fixture.cloud.calls(), []);
    fixture.call("CreateVolume", &create.replace("true", "false")).ok();
    assert_eq!(fixture.cloud.calls()[0].action, "CreateVolume");
}

#[test]
fn calls_without_a_signature_are_refused() {
    let fixture = Fixture::new();
    let ask = |headers: &str| fixture.http("POST", "/", headers, "Action=DescribeRegions&Version=2016-11-15").unwrap();
    assert_eq!(ask("").refused().0, 403);
    assert_eq!(ask("").refused().1, "MissingAuthenticationToken");
    let answer = ask("Authorization: Basic eDp5\r\n");
    assert_eq!((answer.refused().0, answer.refused().1), (401, "AuthFailure"));
    let signed = "Authorization: AWS4-HMAC-SHA256 Credential=AKID/20260101/us-east-1/ec2/aws4_request, Signature=0\r\n";
    let old = fixture.http("POST", "/", signed, "Action=DescribeRegions&Version=2009-01-01").unwrap();
    assert_eq!(old.refused().1, "NoSuchVersion");
    assert_eq!(fixture.http("PUT", "/", signed, "").unwrap().status, 405);
}
