//! A deployed stack, as far as its table, inbox and bucket go.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use aws_config::SdkConfig;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection, ProjectionType,
    ScalarAttributeType,
};
use bakehouse_controller::ports::Clock;
use bakehouse_controller_aws::stack::{Table, table::INDEX};
use bakehouse_protocol::{Millis, Region, StackConfig, Timestamp};
use bakehouse_tests::{
    contract::HOST_SILENCE,
    moto::{ACCOUNT, Moto, REGION},
};

/// A clock that a test sets.
#[derive(Debug)]
pub struct SetClock(AtomicU64);

impl SetClock {
    pub fn new() -> Arc<Self> {
        Arc::new(Self(AtomicU64::new(1_000_000_000)))
    }

    pub fn advance(&self, by: Millis) {
        self.0.fetch_add(by.0, Ordering::SeqCst);
    }
}

impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

pub struct Stack {
    pub moto: Moto,
    pub sdk: SdkConfig,
    pub config: StackConfig,
    pub clock: Arc<SetClock>,
}

/// The table of a stack as its template makes it.
pub async fn with_table(test: &str) -> Option<(Stack, Table)> {
    let stack = bare(test)?;
    make_table(&stack).await;
    let table = stack.table();
    Some((stack, table))
}

/// A stack's names, and nothing that they name.
pub fn bare(test: &str) -> Option<Stack> {
    let moto = Moto::start(test)?;
    let config = StackConfig {
        version: bakehouse_protocol::VERSION,
        name: "bakehouse".to_owned(),
        region: Region::new(REGION).unwrap(),
        account: ACCOUNT.to_owned(),
        table: "bakehouse".to_owned(),
        inbox_url: format!("{}/{ACCOUNT}/bakehouse-inbox", moto.endpoint()),
        bucket: format!("bakehouse-bundles-{ACCOUNT}-{REGION}"),
        builds_log_group: "/bakehouse/bakehouse/builds".to_owned(),
        host_queue_prefix: "bakehouse-host-".to_owned(),
        host_role_arn: format!("arn:aws:iam::{ACCOUNT}:role/bakehouse-host"),
        host_role_id: String::new(),
        allow_host_access: false,
        host_silence_seconds: HOST_SILENCE.0 / 1000,
    };
    let sdk = moto.config();
    Some(Stack { moto, sdk, config, clock: SetClock::new() })
}

impl Stack {
    pub fn table(&self) -> Table {
        Table::new(&self.sdk, &self.config, self.clock.clone())
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

async fn make_table(stack: &Stack) {
    let text = |name: &str| {
        let builder = AttributeDefinition::builder().attribute_name(name);
        builder.attribute_type(ScalarAttributeType::S).build().unwrap()
    };
    let key = |name: &str, kind| KeySchemaElement::builder().attribute_name(name).key_type(kind).build().unwrap();
    let projection = Projection::builder().projection_type(ProjectionType::Include).set_non_key_attributes(Some(
        ["recipe", "phase", "accepted_at", "tick_at", "resources"].map(str::to_owned).to_vec(),
    ));
    let index = GlobalSecondaryIndex::builder()
        .index_name(INDEX)
        .key_schema(key("state", KeyType::Hash))
        .key_schema(key("id", KeyType::Range))
        .projection(projection.build())
        .build()
        .unwrap();
    let create = aws_sdk_dynamodb::Client::new(&stack.sdk).create_table().table_name(&stack.config.table);
    create
        .set_attribute_definitions(Some(["pk", "sk", "state", "id"].map(text).to_vec()))
        .key_schema(key("pk", KeyType::Hash))
        .key_schema(key("sk", KeyType::Range))
        .global_secondary_indexes(index)
        .billing_mode(BillingMode::PayPerRequest)
        .send()
        .await
        .unwrap();
}
