//! What a deployed stack keeps and sends, through the SDK.
//!
//! [`config`] finds the stack; [`table`] is its records, leases, hosts and recipes; [`inbox`], [`agents`] and [`queues`]
//! are what it sends and where; [`bundles`] are the templates' files. The clients of SQS, S3 and CloudWatch Logs are those
//! of `bakehouse_aws`. Every part is made from an [`SdkConfig`](aws_config::SdkConfig), which brings credentials, time-outs and
//! retries (`controller/aws/src/ec2/connect.rs`), and the [`StackConfig`](bakehouse_protocol::StackConfig).

pub mod agents;
pub mod bundles;
pub mod config;
pub mod inbox;
pub mod queues;
mod store_error;
pub mod table;

pub use agents::Agents;
pub use bundles::Bundles;
pub use inbox::Inbox;
pub use queues::Queues;
pub use table::Table;
