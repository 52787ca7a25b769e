//! Everything that speaks the AWS SDK for the controller and the command: [`ec2`] makes EC2's calls (and Parameter Store's,
//! for `resolve:ssm:`), [`stack`] keeps a stack's records, messages, bundles and logs.
//!
//! A package of its own so that nothing else compiles the SDK: not the path of local builds, not the agent.

pub mod ec2;
pub mod stack;
