//! Whether a policy allows a request, as far as this project's policies need it: IAM itself can't be had without an
//! account, and moto looks neither at resources' tags nor at conditions.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// One question to IAM. A call asks as many as it has resources.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Request {
    /// As `ec2:CreateVolume`.
    pub action: String,
    /// An ARN, or `*` for actions that know no resources.
    pub resource: String,
    /// The condition keys that the request comes with.
    pub context: BTreeMap<String, String>,
}

/// The statements of several policy documents.
#[derive(Clone, Debug, Default)]
pub struct Policy(Vec<Value>);

impl Policy {
    /// From policy documents.
    pub fn new<'a>(documents: impl IntoIterator<Item = &'a Value>) -> Self {
        let statements = documents.into_iter().flat_map(|document| list(&document["Statement"]).cloned());
        Self(statements.collect())
    }

    /// The actions that are allowed, whatever the conditions.
    pub fn actions(&self) -> BTreeSet<String> {
        let allowed = self.0.iter().filter(|statement| statement["Effect"] == "Allow");
        allowed.flat_map(|statement| list(&statement["Action"])).filter_map(Value::as_str).map(str::to_owned).collect()
    }

    /// Whether it allows the request.
    pub fn allows(&self, request: &Request) -> bool {
        let any = |effect: &str| {
            let mut statements = self.0.iter().filter(|statement| statement["Effect"] == effect);
            statements.any(|statement| applies(statement, request))
        };
        any("Allow") && !any("Deny")
    }

    /// Requests that it allows: one for each action and resource of each statement that allows, with what its
    /// conditions ask for.
    pub fn examples(&self) -> Vec<Request> {
        let mut examples = Vec::new();
        for statement in self.0.iter().filter(|statement| statement["Effect"] == "Allow") {
            let mut context = BTreeMap::new();
            for (_, keys) in statement["Condition"].as_object().into_iter().flatten() {
                for (key, values) in keys.as_object().into_iter().flatten() {
                    let value = list(values).next().and_then(Value::as_str).unwrap_or_default();
                    context.insert(key.clone(), value.replace('*', "x"));
                }
            }
            for action in list(&statement["Action"]).filter_map(Value::as_str) {
                for resource in list(&statement["Resource"]).filter_map(Value::as_str) {
                    let resource = if resource == "*" { "*".to_owned() } else { resource.replace('*', "x") };
                    examples.push(Request { action: action.to_owned(), resource, context: context.clone() });
                }
            }
        }
        examples
    }
}

/// One value stands for a list of one, everywhere in a policy.
fn list(value: &Value) -> impl Iterator<Item = &Value> {
    let (one, many) = match value {
        Value::Null => (None, None),
        Value::Array(many) => (None, Some(many)),
        one => (Some(one), None),
    };
    one.into_iter().chain(many.into_iter().flatten())
}

fn applies(statement: &Value, request: &Request) -> bool {
    let mut actions = list(&statement["Action"]).filter_map(Value::as_str);
    let mut resources = list(&statement["Resource"]).filter_map(Value::as_str);
    actions.any(|pattern| like(&pattern.to_lowercase(), &request.action.to_lowercase()))
        && resources.any(|pattern| like(pattern, &request.resource))
        && conditions_hold(&statement["Condition"], request)
}

fn conditions_hold(conditions: &Value, request: &Request) -> bool {
    let mut all = conditions.as_object().into_iter().flatten();
    all.all(|(operator, keys)| {
        let mut keys = keys.as_object().into_iter().flatten();
        keys.all(|(key, values)| {
            let mut values = list(values).filter_map(Value::as_str);
            let actual = request.context.get(key).map(String::as_str);
            match (operator.as_str(), actual) {
                ("StringEquals" | "Bool" | "ArnEquals", Some(actual)) => values.any(|value| value == actual),
                ("StringLike" | "ArnLike", Some(actual)) => values.any(|value| like(value, actual)),
                ("StringEquals" | "Bool" | "ArnEquals" | "StringLike" | "ArnLike", None) => false,
                // With a negated operator a key that is absent is as good as one that differs.
                ("StringNotEquals", None) => true,
                ("StringNotEquals", Some(actual)) => values.all(|value| value != actual),
                (operator, _) => panic!("the condition operator {operator} is not known here"),
            }
        })
    })
}

/// `*` stands for any text.
fn like(pattern: &str, text: &str) -> bool {
    let Some((before, after)) = pattern.split_once('*') else { return pattern == text };
    let Some(rest) = text.strip_prefix(before) else { return false };
    (0..=rest.len()).filter(|&at| rest.is_char_boundary(at)).any(|at| like(after, &rest[at..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn request(action: &str, resource: &str, context: &[(&str, &str)]) -> Request {
        Request {
            action: action.to_owned(),
            resource: resource.to_owned(),
            context: context.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
        }
    }

    fn policy() -> Policy {
        Policy::new([&json!({ "Statement": [
            { "Effect": "Allow", "Action": ["ec2:DeleteVolume", "ec2:AttachVolume"], "Resource": "arn:aws:ec2:*:1:volume/*",
              "Condition": { "StringLike": { "aws:ResourceTag/a": "b-*" } } },
            { "Effect": "Allow", "Action": "ec2:DescribeVolumes", "Resource": "*" },
            { "Effect": "Deny", "Action": "ec2:*", "Resource": "*",
              "Condition": { "StringNotEquals": { "ec2:Region": ["r", "s"] } } },
        ]})])
    }

    #[test]
    fn action_resource_and_conditions_must_all_fit() {
        let volume = "arn:aws:ec2:r:1:volume/vol-1";
        let fitting = [("aws:ResourceTag/a", "b-1"), ("ec2:Region", "r")];
        let policy = policy();
        assert!(policy.allows(&request("ec2:DeleteVolume", volume, &fitting)));
        assert!(!policy.allows(&request("ec2:CreateVolume", volume, &fitting)));
        assert!(!policy.allows(&request("ec2:DeleteVolume", "arn:aws:ec2:r:1:instance/i-1", &fitting)));
        assert!(!policy.allows(&request("ec2:DeleteVolume", volume, &fitting[1..])), "no tag");
        assert!(!policy.allows(&request(
            "ec2:DeleteVolume",
            volume,
            &[("aws:ResourceTag/a", "c-1"), ("ec2:Region", "r")]
        )));
        assert!(!policy.allows(&request("ec2:DeleteVolume", volume, &fitting[..1])), "no region");
        assert!(!policy.allows(&request("ec2:DescribeVolumes", "*", &[("ec2:Region", "t")])), "denied");
        assert!(policy.allows(&request("ec2:DescribeVolumes", "*", &[("ec2:Region", "s")])));
    }

    #[test]
    fn examples_are_allowed_but_for_what_is_denied() {
        let examples = policy().examples();
        assert_eq!(examples.len(), 3);
        for mut example in examples {
            example.context.insert("ec2:Region".to_owned(), "r".to_owned());
            assert!(policy().allows(&example), "{example:?}");
        }
    }

    #[test]
    fn actions_are_those_allowed() {
        let actions = policy().actions();
        assert_eq!(Vec::from_iter(&actions), ["ec2:AttachVolume", "ec2:DeleteVolume", "ec2:DescribeVolumes"]);
    }
}
