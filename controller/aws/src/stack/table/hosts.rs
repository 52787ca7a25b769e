//! Hosts: what they said last, the leases on them, and whether they are up. A heartbeat and a drain set attributes of their
//! own; only leases and power are guarded by the version.

use aws_sdk_dynamodb::types::AttributeValue;
use bakehouse_controller::{leasing::Leases, ports::StoreError, power::Power, stack::HostRecord};
use bakehouse_protocol::{HostId, HostReport, Millis, Timestamp};

use super::{
    Key, Table, Written, failed,
    item::{self, Damaged, Item},
    update::{Update, n, s},
};

/// A report that claims to be from later than this is of a clock that was wrong: it does not keep later ones out.
const AHEAD: Millis = Millis::minutes(5);

/// A report counts if it is the first, or later than the last, or the last was of a clock that ran far ahead.
const NEWER: &str = "attribute_not_exists(#pk) OR #reported_at < :at OR #reported_at > :ahead";

impl Table {
    pub(super) async fn take_report(&self, report: &HostReport, now: Timestamp) -> Result<HostRecord, StoreError> {
        let host = &report.host;
        let operation = || format!("recording what the host {host} reported");
        let text = serde_json::to_string(report).map_err(|error| failed(operation(), error))?;
        let none = serde_json::to_string(&Leases::default()).map_err(|error| failed(operation(), error))?;
        let update = Update::default()
            .set("state", s("host"))
            .set("id", s(host.as_str()))
            .set("report", s(text))
            .set("reported_at", n(report.at.0))
            .set("seen", n(now.0))
            .keep("drained", AttributeValue::Bool(false))
            .keep("leases", s(none))
            .keep("busy", n(now.0))
            .keep("version", n(0))
            .speak("at", n(report.at.0))
            .speak("ahead", n((now + AHEAD).0))
            .tell();
        let item = match self.update(&Key::host(host), update, Some(NEWER)).await? {
            Written::Done(item) => item,
            Written::Not(item) => item.ok_or_else(|| no_such(operation()))?,
        };
        decode(&item)
    }

    pub(super) async fn set_drained(&self, host: &HostId, drained: bool) -> Result<(), StoreError> {
        let update = Update::default().set("drained", AttributeValue::Bool(drained));
        match self.update(&Key::host(host), update, Some("attribute_exists(#pk)")).await? {
            Written::Done(_) => Ok(()),
            Written::Not(_) => Err(no_such(format!("draining the host {host}"))),
        }
    }

    /// Every host, in no order.
    pub(super) async fn all_hosts(&self) -> Result<Vec<HostRecord>, StoreError> {
        let ids = self.ids("host").await?;
        let ids = ids.into_iter().map(HostId::new).collect::<Result<Vec<_>, _>>();
        let ids = ids.map_err(|error| failed("listing the hosts", error))?;
        let keys: Vec<_> = ids.iter().map(Key::host).collect();
        self.get_all(&keys).await?.iter().map(decode).collect()
    }

    /// One host.
    pub(super) async fn one_host(&self, id: &HostId) -> Result<Option<HostRecord>, StoreError> {
        self.get(&Key::host(id)).await?.as_ref().map(decode).transpose()
    }

    /// Sets a host's leases if they are still those of this version. False: they are not, or the host is forgotten.
    pub(super) async fn set_leases(&self, id: &HostId, leases: &Leases, version: u64) -> Result<bool, StoreError> {
        let text = serde_json::to_string(leases);
        let text = text.map_err(|error| failed(format!("keeping the leases of the host {id}"), error))?;
        let update = Update::default().set("leases", s(text)).set("busy", n(self.clock.now().0));
        self.set_guarded(id, update, version).await
    }

    /// Sets whether a host is up if it is still of this version.
    pub(super) async fn keep_power(&self, host: &HostRecord, power: Power) -> Result<bool, StoreError> {
        let id = &host.report.host;
        let text = serde_json::to_string(&power);
        let text = text.map_err(|error| failed(format!("keeping whether the host {id} is up"), error))?;
        let mut update = Update::default().set("power", s(text));
        if power == Power::On {
            update = update.set("busy", n(self.clock.now().0));
        }
        self.set_guarded(id, update, host.version).await
    }

    async fn set_guarded(&self, id: &HostId, update: Update, version: u64) -> Result<bool, StoreError> {
        let update = update.set("version", n(version + 1)).speak("was", n(version));
        Ok(matches!(self.update(&Key::host(id), update, Some("#version = :was")).await?, Written::Done(_)))
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
            drained: item::truth(item, "drained")?,
            leases: item::json(item, "leases")?,
            // Not in the records of earlier versions.
            power: if item.contains_key("power") { item::json(item, "power")? } else { Power::On },
            busy: if item.contains_key("busy") { item::time(item, "busy")? } else { Timestamp::default() },
            version: item::number(item, "version")?,
        })
    };
    let id = item::text(item, "id").unwrap_or("?");
    read().map_err(|error: Damaged| failed(format!("reading what is known of the host {id}"), error))
}
