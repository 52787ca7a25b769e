//! The stack's table in memory. It keeps the contract that the table of DynamoDB keeps (`contract.rs`).

use std::{cmp::Reverse, collections::BTreeSet};

use bakehouse_controller::{
    ports::{LeaseRequest, Store, StoreError, Version},
    power::Power,
    stack::{BuildSummary, HostRecord, Recipe, Registry},
};
use bakehouse_machine::{Build, Fault, resources::Lease};
use bakehouse_protocol::{BuildId, HostId, HostReport, Millis, Timestamp, VERSION};

use crate::{
    stack::{Memory, gone},
    state::State,
};

/// How far a host's clock may be ahead: a report from later than that is replaced by any other.
const CLOCK_AHEAD: Millis = Millis::minutes(5);

fn failed(operation: String, why: impl Into<String>) -> StoreError {
    StoreError::Failed { operation, source: why.into().into() }
}

impl Memory {
    fn check_size(&self, record: &str) -> Result<(), StoreError> {
        match self.function.simulation.state().largest {
            Some(most) if record.len() > most => Err(StoreError::TooLarge(format!("{} bytes", record.len()))),
            _ => Ok(()),
        }
    }
}

impl Store for Memory {
    async fn load(&self, id: &BuildId) -> Result<(Build, Version), StoreError> {
        let hangs = self.function.simulation.state().hangs.as_ref() == Some(id);
        if hangs {
            std::future::pending::<()>().await;
        }
        self.call(|state, _| {
            assert!(state.panics.as_ref() != Some(id), "the record of {id} makes us panic");
            let (text, version) = state.records.get(id).ok_or_else(|| StoreError::NotFound(id.clone()))?;
            let build: Build = serde_json::from_str(text).expect("a record");
            if build.format != VERSION {
                let why = format!("it is of format {}, and this program knows {VERSION}", build.format);
                return Err(failed(format!("reading the record of {id}"), why));
            }
            Ok((build, *version))
        })
        .await
    }

    async fn save(&self, build: &Build, version: Version) -> Result<Version, StoreError> {
        let text = serde_json::to_string(build).expect("a record");
        self.check_size(&text)?;
        self.call(|state, now| {
            let storm = state.conflicts.is_some_and(|(percent, until)| now < until && state.chance(percent));
            match state.records.get_mut(&build.id) {
                None => Err(StoreError::NotFound(build.id.clone())),
                Some((_, current)) if *current != version || storm => Err(StoreError::Conflict(build.id.clone())),
                Some(entry) => {
                    let version = Version(version.0 + 1);
                    *entry = (text, version);
                    state.saved(build);
                    Ok(version)
                }
            }
        })
        .await
    }

    async fn lease(&self, request: &LeaseRequest<'_>) -> Result<Option<Lease>, Fault> {
        let silence = Millis::seconds(self.function.simulation.config.host_silence_seconds);
        self.call(|state, now| lease(state, request, now, silence)).await
    }

    async fn renew(&self, build: &BuildId, lease: &Lease, until: Timestamp) -> Result<Lease, Fault> {
        self.call(|state, now| {
            let host = holder(state, build, lease).ok_or_else(|| gone(format!("lease of {build}")))?;
            let renewed = host.leases.renew(build, until)?;
            leases_changed(host, now);
            Ok(renewed)
        })
        .await
    }

    async fn release(&self, build: &BuildId, lease: &Lease) -> Result<(), Fault> {
        self.call(|state, now| {
            if let Some(host) = holder(state, build, lease) {
                host.leases.release(build);
                leases_changed(host, now);
            }
            Ok(())
        })
        .await
    }
}

/// The build's own slot, unless its host is lost; else one on the ready host with the most free slots.
fn lease(
    state: &mut State,
    request: &LeaseRequest<'_>,
    now: Timestamp,
    silence: Millis,
) -> Result<Option<Lease>, Fault> {
    let is_dead = |_: &BuildId| false;
    let mut lease = None;
    for host in state.hosts.values_mut().filter(|host| held(host, request.build).is_some()) {
        let is_lost = host.seen + silence <= now;
        if lease.is_none() && !is_lost && host.report.architecture == request.architecture {
            lease = host.leases.lease(&host.host(), request, now, is_dead)?;
        } else {
            host.leases.release(request.build);
        }
        leases_changed(host, now);
    }
    if lease.is_some() {
        return Ok(lease);
    }
    let ready =
        |host: &&mut HostRecord| host.report.architecture == request.architecture && host.is_ready(now, silence);
    let mut hosts: Vec<_> = state.hosts.values_mut().filter(ready).collect();
    hosts.sort_by_key(|host| Reverse(host.host().slots.saturating_sub(host.leases.held(now).count())));
    for host in hosts {
        if let Some(lease) = host.leases.lease(&host.host(), request, now, is_dead)? {
            leases_changed(host, now);
            return Ok(Some(lease));
        }
    }
    Ok(None)
}

fn leases_changed(host: &mut HostRecord, now: Timestamp) {
    host.busy = now;
    host.version += 1;
}

/// The lease that a build has on a host. One whose time is over is the build's until another takes the slot.
fn held<'a>(host: &'a HostRecord, build: &BuildId) -> Option<&'a Lease> {
    host.leases.held(Timestamp(0)).find_map(|(holder, lease)| (holder == build).then_some(lease))
}

/// The host on which a build holds this lease.
fn holder<'a>(state: &'a mut State, build: &BuildId, lease: &Lease) -> Option<&'a mut HostRecord> {
    let host = state.hosts.get_mut(&lease.host)?;
    held(host, build).is_some_and(|held| held.device == lease.device).then_some(host)
}

fn listed(build: &Build, state: &State) -> BuildSummary {
    let resources = &build.resources;
    let volume = resources.volume.iter().map(|volume| volume.id.to_string());
    let snapshot = resources.snapshot.iter().map(|snapshot| snapshot.id.to_string());
    let images = resources.images.iter().map(|image| image.id.to_string());
    let copies = resources.images.iter().flat_map(|image| &image.snapshots).map(ToString::to_string);
    let ids: BTreeSet<String> = volume.chain(snapshot).chain(images).chain(copies).collect();
    BuildSummary {
        id: build.id.clone(),
        recipe: build.recipe.clone(),
        phase: build.phase.name(),
        accepted_at: build.accepted_at,
        tick_at: state.ticks.get(&build.id).copied(),
        resources: ids.into_iter().collect(),
    }
}

impl Registry for Memory {
    async fn create(&self, build: &Build) -> Result<bool, StoreError> {
        let text = serde_json::to_string(build).expect("a record");
        self.check_size(&text)?;
        Ok(self
            .call(|state, _| {
                let is_new = !state.records.contains_key(&build.id);
                if is_new {
                    state.saved(build);
                    state.records.insert(build.id.clone(), (text, Version(1)));
                }
                is_new
            })
            .await)
    }
    async fn running(&self) -> Result<Vec<BuildSummary>, StoreError> {
        Ok(self
            .call(|state, _| {
                let builds = state.builds();
                builds.iter().filter(|build| !build.phase.has_ended()).map(|build| listed(build, state)).collect()
            })
            .await)
    }
    async fn builds(&self, most: usize) -> Result<Vec<BuildSummary>, StoreError> {
        Ok(self
            .call(|state, _| state.builds().iter().rev().take(most).map(|build| listed(build, state)).collect())
            .await)
    }
    async fn host_seen(&self, report: &HostReport, now: Timestamp) -> Result<HostRecord, StoreError> {
        Ok(self
            .call(|state, _| {
                assert!(state.queues.contains(&report.host), "a host that could be given a job has no queue");
                let host = state.hosts.entry(report.host.clone()).or_insert_with(|| HostRecord {
                    report: report.clone(),
                    seen: now,
                    drained: false,
                    leases: Default::default(),
                    power: Power::On,
                    busy: now,
                    version: 0,
                });
                if host.report.at < report.at || host.report.at > now + CLOCK_AHEAD {
                    (host.report, host.seen) = (report.clone(), now);
                }
                host.clone()
            })
            .await)
    }
    async fn hosts(&self) -> Result<Vec<HostRecord>, StoreError> {
        Ok(self.call(|state, _| state.hosts.values().cloned().collect()).await)
    }
    async fn drain(&self, host: &HostId, drained: bool) -> Result<(), StoreError> {
        self.call(|state, _| match state.hosts.get_mut(host) {
            Some(host) => {
                host.drained = drained;
                Ok(())
            }
            None => Err(failed(format!("draining the host {host}"), "there is no such host")),
        })
        .await
    }
    async fn set_power(&self, host: &HostRecord, power: Power) -> Result<bool, StoreError> {
        Ok(self
            .call(|state, now| match state.hosts.get_mut(&host.report.host) {
                Some(kept) if kept.version == host.version => {
                    kept.power = power;
                    kept.version += 1;
                    if power == Power::On {
                        kept.busy = now;
                    }
                    true
                }
                _ => false,
            })
            .await)
    }
    async fn forget_host(&self, host: &HostId) -> Result<(), StoreError> {
        self.call(|state, _| state.hosts.remove(host)).await;
        Ok(())
    }
    async fn recipes(&self) -> Result<Vec<Recipe>, StoreError> {
        Ok(self.call(|state, _| state.recipes.values().cloned().collect()).await)
    }
    async fn recipe(&self, name: &str) -> Result<Option<Recipe>, StoreError> {
        Ok(self.call(|state, _| state.recipes.get(name).cloned()).await)
    }
    async fn put_recipe(&self, recipe: &Recipe) -> Result<(), StoreError> {
        self.call(|state, _| state.recipes.insert(recipe.name.clone(), recipe.clone())).await;
        Ok(())
    }
    async fn remove_recipe(&self, name: &str) -> Result<bool, StoreError> {
        Ok(self.call(|state, _| state.recipes.remove(name).is_some()).await)
    }
}
