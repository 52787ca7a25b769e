//! The instance metadata service.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use bakehouse_localcloud::http::{Imds, Metadata};
use bakehouse_protocol::{InstanceId, Region, Timestamp, Zone, spec::Architecture};

use crate::client::{Answer, INSTANCE, http};

struct Host {
    imds: Imds,
    now: Arc<AtomicU64>,
}

impl Host {
    fn new(v1: bool) -> Self {
        let now = Arc::new(AtomicU64::new(1_767_225_600_000));
        let clock = Arc::clone(&now);
        let instance = bakehouse_localcloud::resource::Instance {
            image_id: None,
            instance_id: InstanceId::new(INSTANCE).unwrap(),
            availability_zone: Zone::new("eu-west-1a").unwrap(),
            state: bakehouse_localcloud::resource::InstanceState::Running,
            architecture: Architecture::Arm64,
            instance_type: "m7g.large".to_owned(),
            block_device_mappings: Vec::new(),
            tags: bakehouse_localcloud::resource::Tags::new(),
        };
        let metadata = Metadata {
            instance,
            region: Region::new("eu-west-1").unwrap(),
            account: "111122223333".to_owned(),
            role: "bakehouse-host".to_owned(),
            access_key_id: "ASIAHOST".to_owned(),
            v1,
            seed: 1,
            clock: Arc::new(move || Timestamp(clock.load(Ordering::SeqCst))),
        };
        Self { imds: Imds::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), metadata).unwrap(), now }
    }

    fn request(&self, method: &str, path: &str, headers: &str) -> Answer {
        http(self.imds.address(), method, path, headers, "").unwrap()
    }

    fn token(&self, seconds: &str) -> Answer {
        let header = format!("X-aws-ec2-metadata-token-ttl-seconds: {seconds}\r\n");
        self.request("PUT", "/latest/api/token", &header)
    }

    fn with(&self, token: &str, path: &str) -> Answer {
        self.request("GET", path, &format!("X-aws-ec2-metadata-token: {token}\r\n"))
    }
}

#[test]
fn all_metadata_of_an_instance() {
    let host = Host::new(false);
    let token = host.token("60").ok().body;
    let get = |path: &str| host.with(&token, path).ok().body;
    let mut open = vec!["/latest/meta-data/".to_owned()];
    let mut all = Vec::new();
    while let Some(directory) = open.pop() {
        for name in get(&directory).lines() {
            let path = format!("{directory}{name}");
            // A role is listed without a slash, because it is a value.
            if name.ends_with('/') { open.push(path) } else { all.push(format!("{path}\n{}", get(&path))) }
        }
    }
    all.push(get("/latest/dynamic/instance-identity/document"));
    insta::assert_snapshot!("imds", all.join("\n\n"));
    assert_eq!(get("/latest/meta-data/placement/region/"), "eu-west-1");
    assert_eq!(host.with(&token, "/latest/meta-data/nothing").status, 404);
    assert_eq!(get("/"), "latest/");
    assert_eq!(host.request("POST", "/latest/meta-data/", "").status, 405);
}

#[test]
fn a_token_is_required_and_expires() {
    let host = Host::new(false);
    let path = "/latest/meta-data/instance-id";
    assert_eq!(host.request("GET", path, "").status, 401);
    assert_eq!(host.with("made-up", path).status, 401);
    for seconds in ["0", "21601", "many", "-1"] {
        assert_eq!(host.token(seconds).status, 400, "{seconds}");
    }
    assert_eq!(host.request("PUT", "/latest/api/token", "").status, 400);
    let forwarded = "X-Forwarded-For: 192.0.2.1\r\nX-aws-ec2-metadata-token-ttl-seconds: 60\r\n";
    assert_eq!(host.request("PUT", "/latest/api/token", forwarded).status, 403);
    let (one, two) = (host.token("60").ok().body, host.token("120").ok().body);
    assert_ne!(one, two);
    assert_eq!(host.with(&one, path).ok().body, INSTANCE);
    host.now.fetch_add(60_000, Ordering::SeqCst);
    assert_eq!((host.with(&one, path).status, host.with(&two, path).status), (401, 200));
}

#[test]
fn version_1_is_answered_only_if_allowed() {
    let host = Host::new(true);
    assert_eq!(host.request("GET", "/latest/meta-data/instance-id", "").ok().body, INSTANCE);
    assert_eq!(host.with("made-up", "/latest/meta-data/instance-id").status, 401);
}
