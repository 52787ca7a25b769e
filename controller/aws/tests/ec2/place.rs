//! The two implementations: the model itself, and the SDK in front of the same model over HTTP.

use std::{sync::Arc, time::Duration};

use aws_config::{BehaviorVersion, SdkConfig};
use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use bakehouse_aws::Limits;
use bakehouse_controller_aws::ec2::SdkEc2;
use bakehouse_localcloud::http::{Server, Settings};
use bakehouse_localcloud::{Delays, Model, VirtualCloud, model::Import};
use bakehouse_protocol::{ImageId, InstanceId, Region, Timestamp, Zone, spec::Architecture};

pub const ACCOUNT: &str = "111122223333";
pub const NOW: Timestamp = Timestamp(1_767_225_600_000);

pub fn region(name: &str) -> Region {
    Region::new(name).unwrap()
}

pub fn home() -> Region {
    region("us-east-1")
}

pub fn abroad() -> Region {
    region("eu-west-1")
}

pub fn zone() -> Zone {
    Zone::new("us-east-1a").unwrap()
}

pub fn instance() -> InstanceId {
    InstanceId::new("i-0000000000000000a").unwrap()
}

/// Two regions, an instance in the first, the delays of EC2.
pub fn cloud() -> VirtualCloud {
    let mut model = Model::new(ACCOUNT, [home(), abroad()], 7, Delays::like_ec2());
    model.add_instance(&home(), instance(), zone(), Architecture::X86_64).unwrap();
    let elsewhere = InstanceId::new("i-0000000000000000b").unwrap();
    model.add_instance(&home(), elsewhere, Zone::new("us-east-1b").unwrap(), Architecture::Arm64).unwrap();
    VirtualCloud::new(model, NOW)
}

/// A public image of another account, already visible.
pub fn base(cloud: &VirtualCloud) -> ImageId {
    let import = Import {
        owner: Some("999988887777".to_owned()),
        owner_alias: Some("amazon".to_owned()),
        ..Import::new("base", 2, Architecture::X86_64)
    };
    let id = cloud.with(|model, now| model.import_image(now, &home(), &import).unwrap().image_id);
    cloud.pass(bakehouse_protocol::Millis::seconds(10));
    id
}

pub fn config(url: &str) -> SdkConfig {
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(url)
        .region(aws_config::Region::new("us-east-1"))
        .credentials_provider(SharedCredentialsProvider::new(Credentials::new("AKID", "secret", None, None, "test")))
        .sleep_impl(aws_smithy_async::rt::sleep::SharedAsyncSleep::new(aws_smithy_async::rt::sleep::TokioSleep::new()))
        .build()
}

/// The usual limits with short waits.
pub fn limits() -> Limits {
    Limits { pause: Duration::from_millis(5), ..Limits::default() }
}

/// A cloud behind an endpoint, and the SDK in front of it.
pub struct Served {
    pub cloud: Arc<VirtualCloud>,
    pub server: Server,
    pub ec2: SdkEc2,
}

impl Served {
    pub fn new() -> Self {
        Self::with(limits())
    }

    pub fn with(limits: Limits) -> Self {
        let cloud = Arc::new(cloud());
        let clock = Arc::clone(&cloud);
        let settings =
            Settings { account: ACCOUNT.to_owned(), test_api: true, ..Settings::new(1, move || clock.now()) };
        let server = Server::start(Arc::clone(&cloud) as _, settings).unwrap();
        // Small pages, so that every list has several.
        let ec2 = SdkEc2::new(config(&server.url()), home(), limits).page_size(5);
        Self { cloud, server, ec2 }
    }

    /// The names of the calls of this action, with the code of each answer.
    pub fn answers(&self, action: &str) -> Vec<Option<String>> {
        self.server.calls().into_iter().filter(|call| call.action == action).map(|call| call.code).collect()
    }
}

/// Declares each test for both implementations; its function takes the `Ec2` and the model behind it.
macro_rules! in_both_places {
    ($($body:ident)*) => {
        mod model {
            $(#[tokio::test]
            async fn $body() {
                let ec2 = $crate::place::cloud();
                super::$body(&ec2, &ec2).await;
            })*
        }
        mod sdk {
            $(#[tokio::test]
            async fn $body() {
                let place = $crate::place::Served::new();
                super::$body(&place.ec2, &place.cloud).await;
            })*
        }
    };
}
pub(crate) use in_both_places;
