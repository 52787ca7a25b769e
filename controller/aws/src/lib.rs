//! Everything that uses the AWS SDK for the controller and the command line: [`ec2`] makes the calls to EC2 (and to
//! Parameter Store, for `resolve:ssm:`), [`stack`] has a stack's table, queues, bundles and configuration.
//!
//! A package of its own so that nothing else compiles the SDK: not the path of local builds, not the agent.

pub mod ec2;
pub mod stack;
