//! Hosts: their latest reports, their leases and their power states. Heartbeats and draining set attributes of their
//! own; only leases and power are guarded by the version.

use aws_sdk_dynamodb::types::AttributeValue;
use bakehouse_controller::{leasing::Leases, ports::StoreError, power::Power, stack::HostRecord};
use bakehouse_protocol::{HostId, HostReport, Millis, Timestamp};

use super::{
    Key, Table, WriteOutcome, failed,
    item::{self, InvalidAttribute, Item},
    update::{Update, n, s},
};

/// A report from further in the future is of a wrong clock: it does not keep later reports out.
const MAX_CLOCK_SKEW: Millis = Millis::minutes(5);

/// The condition of saving a report: it is the first, or newer than the last, or the last is of a clock that is far
/// ahead.
const IS_NEWER: &str = "attribute_not_exists(#pk) OR #reported_at < :at OR #reported_at > :ahead";

impl Table {
    pub(super) async fn save_report(&self, report: &HostReport, now: Timestamp) -> Result<HostRecord, StoreError> {
        let host = &report.host;
        let operation = || format!("saving the report of the host {host}");
        let text = serde_json::to_string(report).map_err(|error| failed(operation(), error))?;
        let none = serde_json::to_string(&Leases::default()).map_err(|error| failed(operation(), error))?;
        let update = Update::default()
            .set("state", s("host"))
            .set("id", s(host.as_str()))
            .set("report", s(text))
            .set("reported_at", n(report.at.0))
            .set("seen", n(now.0))
            .set_if_absent("drained", AttributeValue::Bool(false))
            .set_if_absent("leases", s(none))
            .set_if_absent("busy", n(now.0))
            .set_if_absent("version", n(0))
            .condition_value("at", n(report.at.0))
            .condition_value("ahead", n((now + MAX_CLOCK_SKEW).0))
            .return_item();
        let item = match self.update(&Key::host(host), update, Some(IS_NEWER)).await? {
            WriteOutcome::Written(item) => item,
            WriteOutcome::ConditionFailed(item) => item.ok_or_else(|| no_such(operation()))?,
        };
        decode(&item)
    }

    pub(super) async fn set_drained(&self, host: &HostId, drained: bool) -> Result<(), StoreError> {
        let update = Update::default().set("drained", AttributeValue::Bool(drained));
        match self.update(&Key::host(host), update, Some("attribute_exists(#pk)")).await? {
            WriteOutcome::Written(_) => Ok(()),
            WriteOutcome::ConditionFailed(_) => Err(no_such(format!("draining the host {host}"))),
        }
    }

    /// Returns all hosts, in no order.
    pub(super) async fn all_hosts(&self) -> Result<Vec<HostRecord>, StoreError> {
        let ids = self.ids("host").await?;
        let ids = ids.into_iter().map(HostId::new).collect::<Result<Vec<_>, _>>();
        let ids = ids.map_err(|error| failed("listing the hosts", error))?;
        let keys: Vec<_> = ids.iter().map(Key::host).collect();
        self.get_all(&keys).await?.iter().map(decode).collect()
    }

    /// Returns a host.
    pub(super) async fn get_host(&self, id: &HostId) -> Result<Option<HostRecord>, StoreError> {
        self.get(&Key::host(id)).await?.as_ref().map(decode).transpose()
    }

    /// Sets a host's leases if its version is unchanged. False: it has changed, or the host was removed.
    pub(super) async fn set_leases(&self, id: &HostId, leases: &Leases, version: u64) -> Result<bool, StoreError> {
        let text = serde_json::to_string(leases);
        let text = text.map_err(|error| failed(format!("saving the leases of the host {id}"), error))?;
        let update = Update::default().set("leases", s(text)).set("busy", n(self.clock.now().0));
        self.update_if_version(id, update, version).await
    }

    /// Sets a host's power state if its version is unchanged.
    pub(super) async fn save_power(&self, host: &HostRecord, power: Power) -> Result<bool, StoreError> {
        let id = &host.report.host;
        let text = serde_json::to_string(&power);
        let text = text.map_err(|error| failed(format!("saving the power state of the host {id}"), error))?;
        let mut update = Update::default().set("power", s(text));
        if power == Power::On {
            update = update.set("busy", n(self.clock.now().0));
        }
        self.update_if_version(id, update, host.version).await
    }

    async fn update_if_version(&self, id: &HostId, update: Update, version: u64) -> Result<bool, StoreError> {
        let update = update.set("version", n(version + 1)).condition_value("was", n(version));
        Ok(matches!(self.update(&Key::host(id), update, Some("#version = :was")).await?, WriteOutcome::Written(_)))
    }
}

fn no_such(operation: String) -> StoreError {
    failed(operation, "there is no such host")
}

fn decode(item: &Item) -> Result<HostRecord, StoreError> {
    let read = || {
        Ok(HostRecord {
            report: item::json(item, "report")?,
            seen: item::time(item, "seen")?,
            drained: item::boolean(item, "drained")?,
            leases: item::json(item, "leases")?,
            // Missing in records of earlier versions.
            power: if item.contains_key("power") { item::json(item, "power")? } else { Power::On },
            busy: if item.contains_key("busy") { item::time(item, "busy")? } else { Timestamp::default() },
            version: item::number(item, "version")?,
        })
    };
    let id = item::text(item, "id").unwrap_or("?");
    read().map_err(|error: InvalidAttribute| failed(format!("reading the record of the host {id}"), error))
}
