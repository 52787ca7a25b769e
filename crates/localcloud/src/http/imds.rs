//! The instance metadata service: what a program on an instance asks about the instance that it runs on.
//!
//! Version 2 only, unless version 1 is allowed: first `PUT /latest/api/token`, then `GET /latest/…` with the token.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, io,
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use bakehouse_ec2::resource::Instance;
use bakehouse_protocol::{Millis, Region, Timestamp, splitmix64::nth};
use http_body_util::Full;
use hyper::{Method, Response, body::Bytes};
use serde_json::json;

use crate::{
    http::{
        clock::Clock,
        connection::{Request, Running, text},
    },
    timestamp::iso8601_seconds,
};

/// The most seconds that a token may be good for: six hours.
const LONGEST: u64 = 21_600;

/// How long the role's credentials are said to be good for.
const CREDENTIALS: Millis = Millis::minutes(360);

/// The network card's address. Not one of anybody's: its second bit says so.
const MAC: &str = "02:00:00:00:00:01";

/// What an instance is told about itself.
#[derive(Clone)]
pub struct Metadata {
    /// The instance.
    pub instance: Instance,
    /// Where it is.
    pub region: Region,
    /// Whose it is.
    pub account: String,
    /// The role that it has, as its profile's name.
    pub role: String,
    /// The role's access key: how a journal tells who called.
    pub access_key_id: String,
    /// Whether questions without a token are answered (version 1).
    pub v1: bool,
    /// Where tokens come from.
    pub seed: u64,
    /// The time.
    pub clock: Clock,
}

impl fmt::Debug for Metadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metadata").field("instance", &self.instance.instance_id).finish_non_exhaustive()
    }
}

/// A metadata service. It runs in a thread of its own until it is dropped.
#[derive(Debug)]
pub struct Imds {
    running: Running,
}

impl Imds {
    /// Serves them; port 0 takes any that is free.
    ///
    /// # Errors
    /// That the address can't be bound, or no thread be started.
    pub fn start(listen: SocketAddr, metadata: Metadata) -> io::Result<Self> {
        let service = Arc::new(Service::new(metadata));
        let answer = move |request| {
            let service = Arc::clone(&service);
            async move { Ok(service.answer(&request)) }
        };
        Ok(Self { running: Running::start("imds", listen, answer, async {})? })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.running.address()
    }

    /// What clients are to be told (`AWS_EC2_METADATA_SERVICE_ENDPOINT`): `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }
}

/// The service without its port.
pub(crate) struct Service {
    metadata: Metadata,
    tokens: Mutex<BTreeMap<String, Timestamp>>,
    given: AtomicU64,
}

impl Service {
    pub(crate) fn new(metadata: Metadata) -> Self {
        Self { metadata, tokens: Mutex::default(), given: AtomicU64::new(0) }
    }

    pub(crate) fn answer(&self, request: &Request) -> Response<Full<Bytes>> {
        let now = (self.metadata.clock)();
        if request.path == "/latest/api/token" {
            return self.token(now, request);
        }
        if request.method != Method::GET {
            return text(405, "text/plain", "the metadata are read with GET\n");
        }
        let known = match request.header("x-aws-ec2-metadata-token") {
            Some(token) => self.tokens().get(token).is_some_and(|until| *until > now),
            None => self.metadata.v1,
        };
        if !known {
            return text(401, "text/plain", "a token is needed: PUT /latest/api/token\n");
        }
        match find(&self.all(now), &request.path) {
            Some(found) => text(200, "text/plain", found),
            None => text(404, "text/plain", "there is nothing here\n"),
        }
    }

    fn tokens(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Timestamp>> {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn token(&self, now: Timestamp, request: &Request) -> Response<Full<Bytes>> {
        if request.method != Method::PUT {
            return text(405, "text/plain", "a token is asked for with PUT\n");
        }
        // A proxy must not hand tokens to the world.
        if request.header("x-forwarded-for").is_some() {
            return text(403, "text/plain", "not through a proxy\n");
        }
        let header = "x-aws-ec2-metadata-token-ttl-seconds";
        let length = request.header(header).and_then(|text| text.parse::<u64>().ok());
        let Some(length) = length.filter(|length| (1..=LONGEST).contains(length)) else {
            return text(400, "text/plain", format!("{header} must be 1 to {LONGEST}\n"));
        };
        let number = self.given.fetch_add(1, Ordering::Relaxed);
        let half = |salt: u64| nth(nth(self.metadata.seed ^ salt, 0) ^ number, 0);
        let token = format!("{:016x}{:016x}{:016x}==", half(1), half(2), half(3));
        let mut tokens = self.tokens();
        tokens.retain(|_, until| *until > now);
        tokens.insert(token.clone(), now + Millis::seconds(length));
        drop(tokens);
        let mut response = text(200, "text/plain", token);
        if let Ok(length) = length.to_string().parse() {
            response.headers_mut().insert(header, length);
        }
        response
    }

    /// Every path and what is there.
    fn all(&self, now: Timestamp) -> BTreeMap<String, String> {
        let Metadata { instance, region, account, role, access_key_id, .. } = &self.metadata;
        let zone = &instance.availability_zone;
        let image = "ami-00000000000000000";
        let host = if region.as_str() == "us-east-1" {
            "ip-127-0-0-1.ec2.internal".to_owned()
        } else {
            format!("ip-127-0-0-1.{region}.compute.internal")
        };
        let expires = iso8601_seconds(now + CREDENTIALS);
        let profile = format!("arn:aws:iam::{account}:instance-profile/{role}");
        let credentials = json!({
            "Code": "Success",
            "LastUpdated": iso8601_seconds(now),
            "Type": "AWS-HMAC",
            "AccessKeyId": access_key_id,
            "SecretAccessKey": "local",
            "Token": "local",
            "Expiration": expires,
        });
        let info = json!({
            "Code": "Success",
            "LastUpdated": iso8601_seconds(now),
            "InstanceProfileArn": profile,
            "InstanceProfileId": "AIPALOCAL",
        });
        let document = json!({
            "accountId": account,
            "architecture": instance.architecture.as_str(),
            "availabilityZone": zone,
            "billingProducts": null,
            "devpayProductCodes": null,
            "imageId": image,
            "instanceId": instance.instance_id,
            "instanceType": instance.instance_type,
            "kernelId": null,
            "marketplaceProductCodes": null,
            "pendingTime": "2026-01-01T00:00:00Z",
            "privateIp": "127.0.0.1",
            "ramdiskId": null,
            "region": region,
            "version": "2017-09-30",
        });
        let meta = [
            ("ami-id", image.to_owned()),
            ("ami-launch-index", "0".to_owned()),
            ("hostname", host.clone()),
            ("iam/info", pretty(&info)),
            (&format!("iam/security-credentials/{role}"), pretty(&credentials)),
            ("instance-action", "none".to_owned()),
            ("instance-id", instance.instance_id.to_string()),
            ("instance-life-cycle", "on-demand".to_owned()),
            ("instance-type", instance.instance_type.clone()),
            ("local-hostname", host),
            ("local-ipv4", "127.0.0.1".to_owned()),
            ("mac", MAC.to_owned()),
            ("placement/availability-zone", zone.to_string()),
            ("placement/region", region.to_string()),
            ("services/domain", "amazonaws.com".to_owned()),
            ("services/partition", "aws".to_owned()),
        ];
        let mut all: BTreeMap<String, String> =
            meta.into_iter().map(|(path, value)| (format!("/latest/meta-data/{path}"), value)).collect();
        all.insert("/latest/dynamic/instance-identity/document".to_owned(), pretty(&document));
        all
    }
}

fn pretty(value: &serde_json::Value) -> String {
    format!("{value:#}")
}

/// A value, or for a directory the names in it, each on its line, those of directories with a slash.
fn find(all: &BTreeMap<String, String>, path: &str) -> Option<String> {
    let path = path.trim_end_matches('/');
    if let Some(value) = all.get(path) {
        return Some(value.clone());
    }
    let directory = format!("{path}/");
    let names: BTreeSet<&str> = all
        .keys()
        .filter_map(|key| key.strip_prefix(&directory))
        .map(|rest| rest.find('/').map_or(rest, |slash| &rest[..=slash]))
        .collect();
    // The role is listed without a slash: it is a file.
    (!names.is_empty()).then(|| names.into_iter().collect::<Vec<_>>().join("\n"))
}
