//! `bakehouse local serve` as its user sees it. Needs neither root nor any client.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod common;

use std::io::Read as _;

use common::served::{Served, get};
use nix::sys::signal::Signal;

#[test]
fn it_says_what_to_paste_serves_and_ends_on_a_signal() {
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let arguments = ["--listen", "127.0.0.1:0", "--imds", "127.0.0.1:0", "--region", "eu-west-1", "--test-api"];
        let mut served = Served::start(&arguments);
        let ec2 = served.export("AWS_ENDPOINT_URL_EC2");
        assert_eq!(served.export("AWS_ENDPOINT_URL_STS"), ec2);
        let imds = served.export("AWS_EC2_METADATA_SERVICE_ENDPOINT");
        assert_eq!(served.export("AWS_ACCESS_KEY_ID"), "local AWS_SECRET_ACCESS_KEY=local");
        assert_eq!(served.export("AWS_REGION"), "eu-west-1 AWS_DEFAULT_REGION=eu-west-1");

        let address = "/?Action=DescribeAvailabilityZones&Version=2016-11-15&X-Amz-Signature=0&\
                       X-Amz-Credential=local%2F20260101%2Feu-west-1%2Fec2%2Faws4_request";
        assert!(get(&ec2, address).contains("<zoneName>eu-west-1a</zoneName>"));
        assert!(get(&ec2, "/_bakehouse/calls").contains("DescribeAvailabilityZones"));
        assert!(get(&imds, "/latest/meta-data/").starts_with("HTTP/1.1 401 "));
        assert!(get(&ec2, "/latest/meta-data/").starts_with("HTTP/1.1 401 "), "they are here, too");

        let (code, said) = served.end(signal);
        assert_eq!(code, Some(0), "{said}");
        assert!(said.contains("serving the embedded cloud in ") && said.ends_with("ended\n"), "{said}");
    }
}

#[test]
fn a_port_that_is_taken_is_told() {
    let mut first = Served::start(&["--listen", "127.0.0.1:0", "--imds-v1"]);
    let url = first.export("AWS_ENDPOINT_URL_EC2");
    assert!(
        get(&url, "/latest/meta-data/instance-id").ends_with("\r\n\r\ni-0000000000000000a"),
        "version 1 is allowed"
    );
    assert!(get(&url, "/_bakehouse/calls").starts_with("HTTP/1.1 403 "), "there is no test API unless asked for");
    let address = url.strip_prefix("http://").unwrap();
    let mut second = Served::start(&["--listen", address]);
    let mut said = String::new();
    second.child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(second.child.wait().unwrap().code(), Some(1));
    assert!(said.contains(&format!("listening on {address}")) && said.contains("Port 0 takes one"), "{said}");
}
