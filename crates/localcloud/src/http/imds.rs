//! The instance metadata service, for programs on an instance.
//!
//! Version 2, and version 1 if it is allowed: first `PUT /latest/api/token`, then `GET /latest/…` with the token.

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
        connection::{HttpServer, Request, response},
    },
    timestamp::iso8601_seconds,
};

/// The longest lifetime of a token, in seconds: six hours.
const MAX_TTL: u64 = 21_600;

/// The lifetime of the role's credentials.
const CREDENTIALS_TTL: Millis = Millis::minutes(360);

/// The address of the network card. Its second bit says that it is locally administered.
const MAC: &str = "02:00:00:00:00:01";

/// The metadata of an instance.
#[derive(Clone)]
pub struct Metadata {
    /// The instance.
    pub instance: Instance,
    /// Its region.
    pub region: Region,
    /// Its account.
    pub account: String,
    /// The name of its role and of its instance profile.
    pub role: String,
    /// The id of the role's access key, by which the journal identifies the caller.
    pub access_key_id: String,
    /// Whether requests without a token are answered (version 1).
    pub v1: bool,
    /// The seed of tokens.
    pub seed: u64,
    /// Returns the time of now.
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
    running: HttpServer,
}

impl Imds {
    /// Serves the metadata; port 0 selects a free port.
    ///
    /// # Errors
    /// The address can't be bound, or no thread started.
    pub fn start(listen: SocketAddr, metadata: Metadata) -> io::Result<Self> {
        let service = Arc::new(MetadataService::new(metadata));
        let answer = move |request| {
            let service = Arc::clone(&service);
            async move { Ok(service.answer(&request)) }
        };
        Ok(Self { running: HttpServer::start("imds", listen, answer, async {})? })
    }

    /// The address that it listens on.
    pub fn address(&self) -> SocketAddr {
        self.running.address()
    }

    /// The URL for clients (`AWS_EC2_METADATA_SERVICE_ENDPOINT`): `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }
}

/// The service without its port.
pub(crate) struct MetadataService {
    metadata: Metadata,
    tokens: Mutex<BTreeMap<String, Timestamp>>,
    issued: AtomicU64,
}

impl MetadataService {
    pub(crate) fn new(metadata: Metadata) -> Self {
        Self { metadata, tokens: Mutex::default(), issued: AtomicU64::new(0) }
    }

    pub(crate) fn answer(&self, request: &Request) -> Response<Full<Bytes>> {
        let now = (self.metadata.clock)();
        if request.path == "/latest/api/token" {
            return self.token(now, request);
        }
        if request.method != Method::GET {
            return response(405, "text/plain", "the metadata are read with GET\n");
        }
        let known = match request.header("x-aws-ec2-metadata-token") {
            Some(token) => self.tokens().get(token).is_some_and(|until| *until > now),
            None => self.metadata.v1,
        };
        if !known {
            return response(401, "text/plain", "a token is needed: PUT /latest/api/token\n");
        }
        match find(&self.values(now), &request.path) {
            Some(found) => response(200, "text/plain", found),
            None => response(404, "text/plain", "not found\n"),
        }
    }

    fn tokens(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Timestamp>> {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn token(&self, now: Timestamp, request: &Request) -> Response<Full<Bytes>> {
        if request.method != Method::PUT {
            return response(405, "text/plain", "a token is requested with PUT\n");
        }
        // A token must not pass a proxy.
        if request.header("x-forwarded-for").is_some() {
            return response(403, "text/plain", "no token is issued through a proxy\n");
        }
        let header = "x-aws-ec2-metadata-token-ttl-seconds";
        let length = request.header(header).and_then(|text| text.parse::<u64>().ok());
        let Some(length) = length.filter(|length| (1..=MAX_TTL).contains(length)) else {
            return response(400, "text/plain", format!("{header} must be 1 to {MAX_TTL}\n"));
        };
        let number = self.issued.fetch_add(1, Ordering::Relaxed);
        let half = |salt: u64| nth(nth(self.metadata.seed ^ salt, 0) ^ number, 0);
        let token = format!("{:016x}{:016x}{:016x}==", half(1), half(2), half(3));
        let mut tokens = self.tokens();
        tokens.retain(|_, until| *until > now);
        tokens.insert(token.clone(), now + Millis::seconds(length));
        drop(tokens);
        let mut response = response(200, "text/plain", token);
        if let Ok(length) = length.to_string().parse() {
            response.headers_mut().insert(header, length);
        }
        response
    }

    /// The values of all paths.
    fn values(&self, now: Timestamp) -> BTreeMap<String, String> {
        let Metadata { instance, region, account, role, access_key_id, .. } = &self.metadata;
        let zone = &instance.availability_zone;
        let image = "ami-00000000000000000";
        let host = if region.as_str() == "us-east-1" {
            "ip-127-0-0-1.ec2.internal".to_owned()
        } else {
            format!("ip-127-0-0-1.{region}.compute.internal")
        };
        let expires = iso8601_seconds(now + CREDENTIALS_TTL);
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

/// A value, or for a directory the names in it, one a line, those of directories with a slash.
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
    // The role is listed without a slash, because it is a value.
    (!names.is_empty()).then(|| names.into_iter().collect::<Vec<_>>().join("\n"))
}
