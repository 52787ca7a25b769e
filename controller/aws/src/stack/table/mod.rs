//! The stack's table: builds, hosts and recipes, one item each.
//!
//! ```text
//! pk           sk      guarded by            other attributes
//! build#ID     record  version               state running|ended, id, recipe, phase, accepted_at, tick_at, resources,
//!                                            format, record or record_gz, saved_by, expires
//! host#ID      host    version               state host, id, report, reported_at, seen, drained;
//!                                            guarded alone: leases, power, busy
//! recipe#NAME  recipe  -                     state recipe, id, recipe
//! ```
//!
//! The index `by_state` (state, id) lists each kind. It is eventually consistent: what must be certain is read from the
//! item. Each writer sets only its own attributes, so a saved record, a recorded tick and a heartbeat never overwrite
//! each other; only decisions are guarded by a version.

mod hosts;
mod item;
mod leases;
mod list;
mod recipes;
mod records;
mod update;

use std::{collections::HashMap, sync::Arc};

use aws_config::SdkConfig;
use aws_sdk_dynamodb::{
    Client,
    error::SdkError,
    operation::update_item::UpdateItemError,
    types::{AttributeValue, KeysAndAttributes, ReturnValue, ReturnValuesOnConditionCheckFailure},
};
use bakehouse_aws::Call;
use bakehouse_controller::{
    ports::{Clock, LeaseRequest, Store, StoreError, Version},
    power::Power,
    stack::{BuildSummary, HostRecord, Recipe, Registry},
};
use bakehouse_machine::{Build, Fault, resources::Lease};
use bakehouse_protocol::{BuildId, HostId, HostReport, Millis, StackConfig, Timestamp};

use crate::stack::store_error;
use item::Item;
use update::Update;

/// The index that lists items by their state.
pub const INDEX: &str = "by_state";

/// DynamoDB's limit of keys in one BatchGetItem.
const MAX_BATCH_KEYS: usize = 100;

/// The stack's table.
pub struct Table {
    client: Client,
    name: String,
    silence: Millis,
    clock: Arc<dyn Clock>,
}

/// An item's two keys.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Key {
    pk: String,
    sk: &'static str,
}

impl Key {
    fn build(id: &BuildId) -> Self {
        Self { pk: format!("build#{id}"), sk: "record" }
    }

    fn host(id: &HostId) -> Self {
        Self { pk: format!("host#{id}"), sk: "host" }
    }

    fn recipe(name: &str) -> Self {
        Self { pk: format!("recipe#{name}"), sk: "recipe" }
    }

    fn attributes(&self) -> Item {
        let text = |text: &str| AttributeValue::S(text.to_owned());
        HashMap::from([("pk".to_owned(), text(&self.pk)), ("sk".to_owned(), text(self.sk))])
    }
}

/// The outcome of a conditional write.
enum WriteOutcome {
    /// Written; the new item, if the update returns it.
    Written(Item),
    /// The condition did not hold; the present item, if there is one.
    ConditionFailed(Option<Item>),
}

impl Table {
    /// Returns the table of a stack.
    pub fn new(sdk: &SdkConfig, stack: &StackConfig, clock: Arc<dyn Clock>) -> Self {
        let silence = Millis::seconds(stack.host_silence_seconds);
        Self { client: Client::new(sdk), name: stack.table.clone(), silence, clock }
    }

    fn call(&self, action: &'static str, key: &Key) -> Call {
        Call::new("dynamodb", action, format!("{} in the table {}", key.pk, self.name))
    }

    /// Reads an item, consistently.
    async fn get(&self, key: &Key) -> Result<Option<Item>, StoreError> {
        let get = self.client.get_item().table_name(&self.name).set_key(Some(key.attributes())).consistent_read(true);
        let response = get.send().await.map_err(|error| store_error::failed(&self.call("GetItem", key), error))?;
        Ok(response.item)
    }

    /// Reads items, consistently, in no order. Missing ones are left out.
    async fn get_all(&self, keys: &[Key]) -> Result<Vec<Item>, StoreError> {
        let mut found = Vec::new();
        let mut left: Vec<Item> = keys.iter().map(Key::attributes).collect();
        while !left.is_empty() {
            let rest = left.split_off(left.len().min(MAX_BATCH_KEYS));
            let call = Call::new("dynamodb", "BatchGetItem", format!("in the table {}", self.name));
            let wanted = KeysAndAttributes::builder().set_keys(Some(left)).consistent_read(true).build();
            let wanted = wanted.map_err(|error| failed("BatchGetItem", error))?;
            let response = self.client.batch_get_item().request_items(&self.name, wanted).send().await;
            let response = response.map_err(|error| store_error::failed(&call, error))?;
            found.extend(response.responses.into_iter().flat_map(HashMap::into_values).flatten());
            // Those that the response had no room for.
            let unprocessed = response.unprocessed_keys.into_iter().flat_map(HashMap::into_values);
            left = unprocessed.flat_map(|keys| keys.keys).collect();
            left.extend(rest);
        }
        Ok(found)
    }

    /// Updates an item if a condition holds.
    async fn update(&self, key: &Key, update: Update, condition: Option<&str>) -> Result<WriteOutcome, StoreError> {
        let response = self
            .client
            .update_item()
            .table_name(&self.name)
            .set_key(Some(key.attributes()))
            .update_expression(update.expression())
            .set_condition_expression(condition.map(str::to_owned))
            .set_expression_attribute_names(Some(update.names(condition)))
            .set_expression_attribute_values(Some(update.values()).filter(|values| !values.is_empty()))
            .return_values(update.returns())
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        match response {
            Ok(done) => Ok(WriteOutcome::Written(done.attributes.unwrap_or_default())),
            Err(SdkError::ServiceError(error)) if error.err().is_conditional_check_failed_exception() => {
                let UpdateItemError::ConditionalCheckFailedException(failed) = error.into_err() else {
                    return Ok(WriteOutcome::ConditionFailed(None));
                };
                Ok(WriteOutcome::ConditionFailed(failed.item.filter(|item| !item.is_empty())))
            }
            Err(error) => Err(store_error::failed(&self.call("UpdateItem", key), error)),
        }
    }

    /// Removes an item. False: there was none.
    async fn delete(&self, key: &Key) -> Result<bool, StoreError> {
        let delete = self.client.delete_item().table_name(&self.name).set_key(Some(key.attributes()));
        let response = delete.return_values(ReturnValue::AllOld).send().await;
        let response = response.map_err(|error| store_error::failed(&self.call("DeleteItem", key), error))?;
        Ok(response.attributes.is_some_and(|item| !item.is_empty()))
    }
}

fn failed(operation: impl Into<String>, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> StoreError {
    StoreError::Failed { operation: operation.into(), source: source.into() }
}

impl Store for Table {
    async fn load(&self, id: &BuildId) -> Result<(Build, Version), StoreError> {
        self.load_record(id).await
    }
    async fn save(&self, build: &Build, version: Version) -> Result<Version, StoreError> {
        self.save_record(build, version).await
    }
    async fn lease(&self, request: &LeaseRequest<'_>) -> Result<Option<Lease>, Fault> {
        self.lease_slot(request).await
    }
    async fn renew(&self, build: &BuildId, lease: &Lease, until: Timestamp) -> Result<Lease, Fault> {
        self.renew_lease(build, lease, until).await
    }
    async fn release(&self, build: &BuildId, lease: &Lease) -> Result<(), Fault> {
        self.release_lease(build, lease).await
    }
}

impl Registry for Table {
    async fn create(&self, build: &Build) -> Result<bool, StoreError> {
        self.create_record(build).await
    }
    async fn running(&self) -> Result<Vec<BuildSummary>, StoreError> {
        self.list_running().await
    }
    async fn builds(&self, limit: usize) -> Result<Vec<BuildSummary>, StoreError> {
        self.list_newest(limit).await
    }
    async fn host_seen(&self, report: &HostReport, now: Timestamp) -> Result<HostRecord, StoreError> {
        self.save_report(report, now).await
    }
    async fn hosts(&self) -> Result<Vec<HostRecord>, StoreError> {
        let mut hosts = self.all_hosts().await?;
        hosts.sort_by(|a, b| a.report.host.cmp(&b.report.host));
        Ok(hosts)
    }
    async fn drain(&self, host: &HostId, drained: bool) -> Result<(), StoreError> {
        self.set_drained(host, drained).await
    }
    async fn set_power(&self, host: &HostRecord, power: Power) -> Result<bool, StoreError> {
        self.save_power(host, power).await
    }
    async fn forget_host(&self, host: &HostId) -> Result<(), StoreError> {
        self.delete(&Key::host(host)).await.map(|_| ())
    }
    async fn recipes(&self) -> Result<Vec<Recipe>, StoreError> {
        self.all_recipes().await
    }
    async fn recipe(&self, name: &str) -> Result<Option<Recipe>, StoreError> {
        self.get_recipe(name).await
    }
    async fn put_recipe(&self, recipe: &Recipe) -> Result<(), StoreError> {
        self.save_recipe(recipe).await
    }
    async fn remove_recipe(&self, name: &str) -> Result<bool, StoreError> {
        self.delete(&Key::recipe(name)).await
    }
}
