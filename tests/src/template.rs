//! `infra/bakehouse.yaml` as data: read, and with parameters put in as CloudFormation would do it, as far as that
//! template needs it. A short form (`!Sub`) becomes the long one (`{"Fn::Sub": ..}`).

use std::{collections::BTreeMap, path::PathBuf};

use saphyr::{LoadableYamlNode as _, ScalarOwned, YamlOwned};
use serde_json::{Map, Value};

/// The id of an instance of the template.
pub const INSTANCE: &str = "i-0f1e2d3c4b5a69788";
/// The account in which the template is thought to be deployed.
pub const ACCOUNT: &str = "123456789012";
/// The Region.
pub const REGION: &str = "us-east-1";
/// The stack's name.
pub const STACK: &str = "bakehouse";

/// The parameters without a default, with values.
pub const NEEDED: [(&str, &str); 4] = [
    ("AgentSha256", "0000000000000000000000000000000000000000000000000000000000000000"),
    ("CodeBucket", "some-code"),
    ("Subnets", "subnet-1,subnet-2"),
    ("VpcId", "vpc-1"),
];

/// Where the template is.
pub fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../infra/bakehouse.yaml")
}

/// The template.
#[derive(Clone, Debug)]
pub struct Template {
    /// All of it.
    pub json: Value,
    parameters: BTreeMap<String, Value>,
}

impl Template {
    /// Reads it. Parameters have their defaults, and those without one some value.
    ///
    /// # Errors
    /// It can't be read, in words.
    pub fn read() -> Result<Self, String> {
        let text = std::fs::read_to_string(path()).map_err(|error| format!("{}: {error}", path().display()))?;
        let template = Self::parse(&text)?;
        Ok(NEEDED.iter().fold(template, |template, (name, value)| template.with(name, value)))
    }

    /// Reads this text.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut documents = YamlOwned::load_from_str(text).map_err(|error| error.to_string())?;
        let document = documents.pop().ok_or("there is no document in it")?;
        let json = to_json(document)?;
        let mut parameters = BTreeMap::from(
            [
                ("AWS::AccountId", ACCOUNT),
                ("AWS::Partition", "aws"),
                ("AWS::Region", REGION),
                ("AWS::StackName", STACK),
                ("AWS::URLSuffix", "amazonaws.com"),
            ]
            .map(|(name, value)| (name.to_owned(), Value::from(value))),
        );
        for (name, parameter) in json["Parameters"].as_object().into_iter().flatten() {
            if let Some(default) = parameter.get("Default") {
                parameters.insert(name.clone(), typed(parameter, default.clone()));
            }
        }
        Ok(Self { json, parameters })
    }

    /// With this parameter.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        let parameter = &self.json["Parameters"][name];
        assert!(parameter.is_object(), "the template has no parameter {name}");
        let value = typed(parameter, Value::from(value));
        self.parameters.insert(name.to_owned(), value);
        self
    }

    /// One of its resources with everything put in; `Null` if its condition does not hold.
    ///
    /// # Panics
    /// If it has none of this name.
    pub fn resource(&self, name: &str) -> Value {
        let resource = &self.json["Resources"][name];
        assert!(resource.is_object(), "the template has no resource {name}");
        match resource["Condition"].as_str() {
            Some(condition) if !self.holds(condition) => Value::Null,
            _ => self.resolve(resource),
        }
    }

    /// The names of the resources of a type, such as `AWS::IAM::Role`.
    pub fn of_type(&self, kind: &str) -> Vec<String> {
        let resources = self.json["Resources"].as_object();
        let matching = resources.into_iter().flatten().filter(|(_, resource)| resource["Type"] == kind);
        matching.map(|(name, _)| name.clone()).collect()
    }

    /// Whether a condition holds.
    ///
    /// # Panics
    /// If there is none of this name.
    pub fn holds(&self, condition: &str) -> bool {
        let text = &self.json["Conditions"][condition];
        assert!(text.is_object(), "the template has no condition {condition}");
        self.resolve(text) == Value::Bool(true)
    }

    /// With everything put in.
    ///
    /// # Panics
    /// If it uses what the template does not have, or a function that is not known here.
    pub fn resolve(&self, value: &Value) -> Value {
        match value {
            Value::Array(all) => {
                let all = all.iter().map(|one| self.resolve(one)).filter(|one| !one.is_null());
                Value::Array(all.collect())
            }
            Value::Object(map) => match map.iter().next().filter(|_| map.len() == 1) {
                Some((name, argument)) if name == "Ref" || name.starts_with("Fn::") => self.call(name, argument),
                _ => {
                    let members = map.iter().map(|(key, value)| (key.clone(), self.resolve(value)));
                    Value::Object(members.filter(|(_, value)| !value.is_null()).collect())
                }
            },
            other => other.clone(),
        }
    }

    fn call(&self, function: &str, argument: &Value) -> Value {
        let arguments = || argument.as_array().map(Vec::as_slice).unwrap_or_default();
        match (function, arguments()) {
            ("Ref", _) => self.reference(argument.as_str().unwrap_or_default()),
            ("Fn::GetAtt", [name, attribute]) => Value::String(self.attribute(&text(name), &text(attribute))),
            ("Fn::GetAtt", _) => {
                let (name, attribute) = argument.as_str().and_then(|text| text.split_once('.')).unwrap_or_default();
                Value::String(self.attribute(name, attribute))
            }
            ("Fn::Sub", _) => Value::String(self.substitute(argument.as_str().unwrap_or_default())),
            ("Fn::If", [condition, yes, no]) => {
                self.resolve(if self.holds(condition.as_str().unwrap_or_default()) { yes } else { no })
            }
            ("Fn::Equals", [one, other]) => Value::Bool(text(&self.resolve(one)) == text(&self.resolve(other))),
            ("Fn::Not", [one]) => Value::Bool(self.resolve(one) != Value::Bool(true)),
            ("Fn::Join", [separator, list]) => {
                let list = self.resolve(list);
                let parts: Vec<String> = list.as_array().into_iter().flatten().map(text).collect();
                Value::String(parts.join(&text(separator)))
            }
            ("Fn::Split", [separator, whole]) => {
                text(&self.resolve(whole)).split(&text(separator)).map(Value::from).collect()
            }
            ("Fn::Select", [index, list]) => {
                let index = text(index).parse::<usize>().unwrap_or_default();
                self.resolve(list).get(index).cloned().unwrap_or_default()
            }
            ("Fn::Base64", _) => self.resolve(argument),
            _ => panic!("{function} of {argument} is not known here"),
        }
    }

    fn reference(&self, name: &str) -> Value {
        if name == "AWS::NoValue" {
            return Value::Null;
        }
        if let Some(value) = self.parameters.get(name) {
            return value.clone();
        }
        let resource = &self.json["Resources"][name];
        let properties = &resource["Properties"];
        let named = |key: &str| self.resolve(&properties[key]);
        match resource["Type"].as_str() {
            Some("AWS::SQS::Queue") => {
                format!("https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/{}", text(&named("QueueName"))).into()
            }
            Some("AWS::DynamoDB::Table") => named("TableName"),
            Some("AWS::S3::Bucket") => named("BucketName"),
            Some("AWS::Logs::LogGroup") => named("LogGroupName"),
            Some("AWS::Lambda::Function") => named("FunctionName"),
            Some("AWS::AutoScaling::AutoScalingGroup") => named("AutoScalingGroupName"),
            Some("AWS::SSM::Parameter" | "AWS::Scheduler::ScheduleGroup") => named("Name"),
            Some("AWS::EC2::Instance") => Value::from(INSTANCE),
            Some(_) => Value::from(name),
            None => panic!("{name} is no parameter without a value and no resource"),
        }
    }

    fn attribute(&self, name: &str, attribute: &str) -> String {
        let own = text(&self.reference(name));
        let kind = self.json["Resources"][name]["Type"].as_str().unwrap_or_default();
        let last = own.rsplit('/').next().unwrap_or_default();
        match (kind, attribute) {
            ("AWS::SQS::Queue", "Arn") => format!("arn:aws:sqs:{REGION}:{ACCOUNT}:{last}"),
            ("AWS::SQS::Queue", "QueueName") => last.to_owned(),
            ("AWS::DynamoDB::Table", "Arn") => format!("arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{own}"),
            ("AWS::S3::Bucket", "Arn") => format!("arn:aws:s3:::{own}"),
            ("AWS::IAM::Role", "Arn") => format!("arn:aws:iam::{ACCOUNT}:role/{STACK}-{own}"),
            ("AWS::Events::Rule", "Arn") => format!("arn:aws:events:{REGION}:{ACCOUNT}:rule/{own}"),
            _ => format!("{own}.{attribute}"),
        }
    }

    fn substitute(&self, pattern: &str) -> String {
        let mut done = String::new();
        let mut rest = pattern;
        while let Some((before, after)) = rest.split_once("${") {
            let Some((name, after)) = after.split_once('}') else { break };
            done.push_str(before);
            match name.split_once('.') {
                Some((resource, attribute)) => done.push_str(&self.attribute(resource, attribute)),
                None => done.push_str(&text(&self.reference(name))),
            }
            rest = after;
        }
        done + rest
    }
}

/// A scalar as CloudFormation writes it into text.
fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn typed(parameter: &Value, value: Value) -> Value {
    let kind = parameter["Type"].as_str().unwrap_or_default();
    if kind == "CommaDelimitedList" || kind.starts_with("List<") {
        return text(&value).split(',').map(Value::from).collect();
    }
    if kind == "Number"
        && let Ok(number) = text(&value).parse::<i64>()
    {
        return number.into();
    }
    value
}

fn to_json(yaml: YamlOwned) -> Result<Value, String> {
    Ok(match yaml {
        YamlOwned::Value(ScalarOwned::Null) => Value::Null,
        YamlOwned::Value(ScalarOwned::Boolean(value)) => value.into(),
        YamlOwned::Value(ScalarOwned::Integer(value)) => value.into(),
        YamlOwned::Value(ScalarOwned::FloatingPoint(value)) => value.into_inner().into(),
        YamlOwned::Value(ScalarOwned::String(value)) => value.into(),
        YamlOwned::Sequence(all) => all.into_iter().map(to_json).collect::<Result<_, _>>()?,
        YamlOwned::Mapping(members) => {
            let mut map = Map::new();
            for (key, value) in members {
                let key = to_json(key)?;
                map.insert(key.as_str().map_or_else(|| key.to_string(), str::to_owned), to_json(value)?);
            }
            Value::Object(map)
        }
        YamlOwned::Tagged(tag, value) => {
            let name = match tag.suffix.as_str() {
                "Ref" => "Ref".to_owned(),
                other => format!("Fn::{other}"),
            };
            Value::Object(Map::from_iter([(name, to_json(*value)?)]))
        }
        other => return Err(format!("YAML that CloudFormation does not take: {other:?}")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const SMALL: &str = r#"
Parameters:
  Regions: { Type: CommaDelimitedList, Default: "" }
  Days: { Type: Number, Default: 30 }
Conditions:
  Copies: !Not [!Equals [!Join ["", !Ref Regions], ""]]
Resources:
  Queue:
    Type: AWS::SQS::Queue
    Properties: { QueueName: !Sub "${AWS::StackName}-inbox" }
  Only:
    Type: AWS::SQS::Queue
    Condition: Copies
    Properties: { QueueName: only }
  Some:
    Type: AWS::Some::Thing
    Properties:
      Url: !Ref Queue
      Arn: !GetAtt Queue.Arn
      Days: !Sub 'after ${Days} days, "${Queue.Arn}"'
      All: !If [Copies, !Split [",", !Join [",", [home, !Join [",", !Ref Regions]]]], home]
      Gone: !If [Copies, there, !Ref AWS::NoValue]
"#;

    #[test]
    fn functions_are_worked_out_as_cloudformation_does() {
        let template = Template::parse(SMALL).unwrap();
        assert!(!template.holds("Copies"));
        assert_eq!(template.resource("Only"), Value::Null);
        let url = "https://sqs.us-east-1.amazonaws.com/123456789012/bakehouse-inbox";
        let arn = "arn:aws:sqs:us-east-1:123456789012:bakehouse-inbox";
        assert_eq!(
            template.resource("Some")["Properties"],
            json!({ "Url": url, "Arn": arn, "Days": format!("after 30 days, \"{arn}\""), "All": "home" })
        );
        let template = template.with("Regions", "a,b");
        assert_eq!(template.resource("Some")["Properties"]["All"], json!(["home", "a", "b"]));
        assert_eq!(template.resource("Some")["Properties"]["Gone"], "there");
        assert_eq!(template.resource("Only")["Properties"]["QueueName"], "only");
        assert_eq!(template.of_type("AWS::SQS::Queue"), ["Only", "Queue"]);
    }

    #[test]
    #[should_panic(expected = "Nobody is no parameter")]
    fn a_name_that_is_not_there_is_no_empty_text() {
        let template = Template::parse(&SMALL.replace("!Ref Queue", "!Ref Nobody")).unwrap();
        template.resource("Some");
    }
}
