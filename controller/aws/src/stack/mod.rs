//! A deployed stack through the SDK.
//!
//! [`config`] reads the stack's configuration; [`table`] stores records, leases, hosts and recipes; [`inbox`],
//! [`agents`] and [`queues`] send messages; [`bundles`] fetches bundles. The clients of SQS, S3 and CloudWatch Logs are
//! those of `bakehouse_aws`. Each part is created from an [`SdkConfig`](aws_config::SdkConfig), which has credentials,
//! time-outs and retries (`controller/aws/src/ec2/connect.rs`), and the
//! [`StackConfig`](bakehouse_protocol::StackConfig).

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
