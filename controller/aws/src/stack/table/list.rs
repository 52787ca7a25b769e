//! Lists, from the index. It follows the table with a delay of mostly less than a second.

use aws_sdk_dynamodb::types::AttributeValue;
use bakehouse_aws::Call;
use bakehouse_controller::{ports::StoreError, stack::BuildSummary};
use bakehouse_machine::build::PhaseName;
use bakehouse_protocol::BuildId;

use super::{
    INDEX, Table, failed,
    item::{self, Damaged, Item},
};
use crate::stack::store_error;

impl Table {
    pub(super) async fn list_running(&self) -> Result<Vec<BuildSummary>, StoreError> {
        listed(&self.in_state("running", usize::MAX).await?)
    }

    pub(super) async fn list_newest(&self, most: usize) -> Result<Vec<BuildSummary>, StoreError> {
        let mut builds = listed(&self.in_state("running", most).await?)?;
        builds.extend(listed(&self.in_state("ended", most).await?)?);
        // A build that has ended between the two looks is in both.
        builds.sort_by(|a, b| b.id.cmp(&a.id));
        builds.dedup_by(|a, b| a.id == b.id);
        builds.truncate(most);
        Ok(builds)
    }

    /// The names of everything in a state.
    pub(super) async fn ids(&self, state: &str) -> Result<Vec<String>, StoreError> {
        let items = self.in_state(state, usize::MAX).await?;
        let ids = items.iter().map(|item| item::text(item, "id").map(str::to_owned));
        ids.collect::<Result<_, _>>().map_err(|error| failed(format!("listing what is in state {state}"), error))
    }

    /// The last items of a state by name, last first; page after page until there are so many.
    async fn in_state(&self, state: &str, most: usize) -> Result<Vec<Item>, StoreError> {
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
        let query = match i32::try_from(most) {
            Ok(most) => query.limit(most.max(1)),
            Err(_) => query,
        };
        let mut pages = query.into_paginator().items().send();
        let mut found = Vec::new();
        while found.len() < most
            && let Some(item) = pages.next().await
        {
            found.push(item.map_err(|error| store_error::failed(&call, error))?);
        }
        Ok(found)
    }
}

fn listed(items: &[Item]) -> Result<Vec<BuildSummary>, StoreError> {
    items.iter().map(line).collect()
}

fn line(item: &Item) -> Result<BuildSummary, StoreError> {
    let id = item::text(item, "id").unwrap_or("?");
    decode(item).map_err(|error| failed(format!("reading the line of {id} in the list of builds"), error))
}

fn decode(item: &Item) -> Result<BuildSummary, Damaged> {
    Ok(BuildSummary {
        id: BuildId::new(item::text(item, "id")?).map_err(|_| Damaged("id"))?,
        recipe: item::text(item, "recipe")?.to_owned(),
        phase: phase(item::text(item, "phase")?)?,
        accepted_at: item::time(item, "accepted_at")?,
        tick_at: item.contains_key("tick_at").then(|| item::time(item, "tick_at")).transpose()?,
        resources: item::texts(item, "resources")?,
    })
}

/// A phase by the word that [`PhaseName::as_str`] has for it, which is also how it is serialised.
fn phase(word: &str) -> Result<PhaseName, Damaged> {
    serde_json::from_value(serde_json::Value::from(word)).map_err(|_| Damaged("phase"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phase_is_read_back_from_its_word() {
        for name in [PhaseName::Accepted, PhaseName::Undoing, PhaseName::Succeeded, PhaseName::Cancelled] {
            assert_eq!(phase(name.as_str()), Ok(name));
        }
        assert_eq!(phase("asleep"), Err(Damaged("phase")));
    }
}
