//! Lists, from the index, which is behind the table by mostly less than a second.

use aws_sdk_dynamodb::types::AttributeValue;
use bakehouse_aws::Call;
use bakehouse_controller::{ports::StoreError, stack::BuildSummary};
use bakehouse_machine::build::PhaseName;
use bakehouse_protocol::BuildId;

use super::{
    INDEX, Table, failed,
    item::{self, InvalidAttribute, Item},
};
use crate::stack::store_error;

impl Table {
    pub(super) async fn list_running(&self) -> Result<Vec<BuildSummary>, StoreError> {
        summaries(&self.in_state("running", usize::MAX).await?)
    }

    pub(super) async fn list_newest(&self, limit: usize) -> Result<Vec<BuildSummary>, StoreError> {
        let mut builds = summaries(&self.in_state("running", limit).await?)?;
        builds.extend(summaries(&self.in_state("ended", limit).await?)?);
        // A build that ended between the two queries is in both.
        builds.sort_by(|a, b| b.id.cmp(&a.id));
        builds.dedup_by(|a, b| a.id == b.id);
        builds.truncate(limit);
        Ok(builds)
    }

    /// Returns the ids of all items in a state.
    pub(super) async fn ids(&self, state: &str) -> Result<Vec<String>, StoreError> {
        let items = self.in_state(state, usize::MAX).await?;
        let ids = items.iter().map(|item| item::text(item, "id").map(str::to_owned));
        ids.collect::<Result<_, _>>().map_err(|error| failed(format!("listing what is in state {state}"), error))
    }

    /// Returns items in a state in descending order of their ids, at most `limit`.
    async fn in_state(&self, state: &str, limit: usize) -> Result<Vec<Item>, StoreError> {
        let call = Call::new("dynamodb", "Query", format!("{state} in the index {INDEX} of the table {}", self.name));
        let query = self
            .client
            .query()
            .table_name(&self.name)
            .index_name(INDEX)
            .key_condition_expression("#state = :state")
            .expression_attribute_names("#state", "state")
            .expression_attribute_values(":state", AttributeValue::S(state.to_owned()))
            .scan_index_forward(false);
        let query = match i32::try_from(limit) {
            Ok(limit) => query.limit(limit.max(1)),
            Err(_) => query,
        };
        let mut pages = query.into_paginator().items().send();
        let mut found = Vec::new();
        while found.len() < limit
            && let Some(item) = pages.next().await
        {
            found.push(item.map_err(|error| store_error::failed(&call, error))?);
        }
        Ok(found)
    }
}

fn summaries(items: &[Item]) -> Result<Vec<BuildSummary>, StoreError> {
    items.iter().map(summary).collect()
}

fn summary(item: &Item) -> Result<BuildSummary, StoreError> {
    let id = item::text(item, "id").unwrap_or("?");
    decode(item).map_err(|error| failed(format!("reading the build {id} in the list of builds"), error))
}

fn decode(item: &Item) -> Result<BuildSummary, InvalidAttribute> {
    Ok(BuildSummary {
        id: BuildId::new(item::text(item, "id")?).map_err(|_| InvalidAttribute("id"))?,
        recipe: item::text(item, "recipe")?.to_owned(),
        phase: phase(item::text(item, "phase")?)?,
        accepted_at: item::time(item, "accepted_at")?,
        tick_at: item.contains_key("tick_at").then(|| item::time(item, "tick_at")).transpose()?,
        resources: item::texts(item, "resources")?,
    })
}

/// Parses a phase by its serialised name, which is that of [`PhaseName::as_str`].
fn phase(name: &str) -> Result<PhaseName, InvalidAttribute> {
    serde_json::from_value(serde_json::Value::from(name)).map_err(|_| InvalidAttribute("phase"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phase_is_read_back_from_its_name() {
        for name in [PhaseName::Accepted, PhaseName::Undoing, PhaseName::Succeeded, PhaseName::Cancelled] {
            assert_eq!(phase(name.as_str()), Ok(name));
        }
        assert_eq!(phase("asleep"), Err(InvalidAttribute("phase")));
    }
}
