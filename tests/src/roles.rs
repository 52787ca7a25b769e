//! What the stack's roles allow, read out of its template. A test that records what was really called compares that
//! with
//! [`actions`]: none missing, none unused.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{iam::Policy, template::Template};

/// The controller's role.
pub const CONTROLLER: &str = "ControllerRole";
/// The hosts'.
pub const HOST: &str = "HostRole";
/// The schedules'.
pub const SCHEDULE: &str = "ScheduleRole";
/// What may be attached to those who submit builds: a managed policy, no role.
pub const USER: &str = "UserRights";

/// What a host may do besides its role: the policy of its own queue, which the controller writes
/// (`controller/aws/src/stack/queues.rs`), lets that one instance read it.
pub const OWN_QUEUE: [&str; 4] =
    ["sqs:ChangeMessageVisibility", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"];

/// The rights of a role (or of [`USER`]): its own policies and those attached to it by the template, with the
/// template's parameters put in. AWS's managed policies are not in it.
///
/// # Panics
/// If the template has no such role.
pub fn policy(template: &Template, role: &str) -> Policy {
    let own = template.resource(role);
    let mut documents: Vec<Value> = Vec::new();
    documents.push(own["Properties"]["PolicyDocument"].clone());
    documents.extend(
        own["Properties"]["Policies"].as_array().into_iter().flatten().map(|policy| policy["PolicyDocument"].clone()),
    );
    for name in template.of_type("AWS::IAM::Policy") {
        let attached = template.resource(&name);
        let roles = attached["Properties"]["Roles"].as_array();
        if roles.is_some_and(|roles| roles.iter().any(|name| name == role)) {
            documents.push(attached["Properties"]["PolicyDocument"].clone());
        }
    }
    Policy::new(&documents)
}

/// The actions that a role is allowed with the template's defaults, as `ec2:CreateVolume`.
///
/// # Errors
/// The template can't be read.
pub fn actions(role: &str) -> Result<BTreeSet<String>, String> {
    Ok(policy(&Template::read()?, role).actions())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_inside_and_beside_a_role_count() {
        let template = Template::parse(
            "
Conditions: { Never: !Equals [a, b] }
Resources:
  Role:
    Type: AWS::IAM::Role
    Properties:
      Policies:
        - PolicyDocument: { Statement: [{ Effect: Allow, Action: a:Inside, Resource: '*' }] }
  Beside:
    Type: AWS::IAM::Policy
    Properties:
      Roles: [!Ref Role]
      PolicyDocument: { Statement: { Effect: Allow, Action: [a:Beside, a:Inside], Resource: '*' } }
  Elsewhere:
    Type: AWS::IAM::Policy
    Properties:
      Roles: [another]
      PolicyDocument: { Statement: [{ Effect: Allow, Action: a:Elsewhere, Resource: '*' }] }
  Absent:
    Type: AWS::IAM::Policy
    Condition: Never
    Properties:
      Roles: [!Ref Role]
      PolicyDocument: { Statement: [{ Effect: Allow, Action: a:Absent, Resource: '*' }] }
",
        )
        .unwrap();
        assert_eq!(Vec::from_iter(policy(&template, "Role").actions()), ["a:Beside", "a:Inside"]);
    }

    #[test]
    fn each_of_ours_has_rights() {
        for role in [CONTROLLER, HOST, SCHEDULE, USER] {
            assert!(!actions(role).unwrap().is_empty(), "{role}");
        }
    }
}
