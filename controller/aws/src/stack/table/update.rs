//! Builds the expressions of an UpdateItem call. Each name is sent as a placeholder, as DynamoDB reserves many words
//! (`state` among them).

use std::collections::HashMap;

use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};

#[derive(Clone, Debug, Default)]
pub(super) struct Update {
    set: Vec<(&'static str, AttributeValue)>,
    set_if_absent: Vec<(&'static str, AttributeValue)>,
    remove: Vec<&'static str>,
    condition_values: Vec<(&'static str, AttributeValue)>,
    return_new: bool,
}

pub(super) fn n(number: u64) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

pub(super) fn s(text: impl Into<String>) -> AttributeValue {
    AttributeValue::S(text.into())
}

impl Update {
    /// Sets an attribute.
    pub(super) fn set(mut self, name: &'static str, value: AttributeValue) -> Self {
        self.set.push((name, value));
        self
    }

    /// Sets an attribute if it is missing.
    pub(super) fn set_if_absent(mut self, name: &'static str, value: AttributeValue) -> Self {
        self.set_if_absent.push((name, value));
        self
    }

    /// Removes an attribute.
    pub(super) fn remove(mut self, name: &'static str) -> Self {
        self.remove.push(name);
        self
    }

    /// Adds a value that only the condition uses, as `:name`.
    pub(super) fn condition_value(mut self, name: &'static str, value: AttributeValue) -> Self {
        self.condition_values.push((name, value));
        self
    }

    /// Returns the new item. Without this the response is empty, as a record may be large.
    pub(super) fn return_item(mut self) -> Self {
        self.return_new = true;
        self
    }

    pub(super) fn returns(&self) -> ReturnValue {
        if self.return_new { ReturnValue::AllNew } else { ReturnValue::None }
    }

    pub(super) fn expression(&self) -> String {
        let sets = self.set.iter().map(|(name, _)| format!("#{name} = :{name}"));
        let keeps = self.set_if_absent.iter().map(|(name, _)| format!("#{name} = if_not_exists(#{name}, :{name})"));
        let sets: Vec<_> = sets.chain(keeps).collect();
        let removes: Vec<_> = self.remove.iter().map(|name| format!("#{name}")).collect();
        let mut parts = Vec::new();
        if !sets.is_empty() {
            parts.push(format!("SET {}", sets.join(", ")));
        }
        if !removes.is_empty() {
            parts.push(format!("REMOVE {}", removes.join(", ")));
        }
        parts.join(" ")
    }

    /// Returns the names of the placeholders, including those of the condition. DynamoDB refuses unused ones.
    pub(super) fn names(&self, condition: Option<&str>) -> HashMap<String, String> {
        let own = self.set.iter().chain(&self.set_if_absent).map(|(name, _)| *name).chain(self.remove.iter().copied());
        let of_condition = condition.into_iter().flat_map(placeholders);
        own.chain(of_condition).map(|name| (format!("#{name}"), name.to_owned())).collect()
    }

    pub(super) fn values(&self) -> HashMap<String, AttributeValue> {
        let all = self.set.iter().chain(&self.set_if_absent).chain(&self.condition_values);
        all.map(|(name, value)| (format!(":{name}"), value.clone())).collect()
    }
}

fn placeholders(condition: &str) -> impl Iterator<Item = &str> {
    condition
        .split(|c: char| c != '#' && c != '_' && !c.is_ascii_alphanumeric())
        .filter_map(|word| word.strip_prefix('#'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_placeholder_of_the_expressions_has_its_name_and_value() {
        let condition = "attribute_not_exists(#pk) OR #reported_at < :at";
        let update = Update::default()
            .set("seen", n(1))
            .set_if_absent("drained", s("x"))
            .remove("tick_at")
            .condition_value("at", n(2));
        assert_eq!(
            update.expression(),
            "SET #seen = :seen, #drained = if_not_exists(#drained, :drained) REMOVE #tick_at"
        );
        let mut names: Vec<_> = update.names(Some(condition)).into_keys().collect();
        names.sort();
        assert_eq!(names, ["#drained", "#pk", "#reported_at", "#seen", "#tick_at"]);
        let mut values: Vec<_> = update.values().into_keys().collect();
        values.sort();
        assert_eq!(values, [":at", ":drained", ":seen"]);
    }
}
