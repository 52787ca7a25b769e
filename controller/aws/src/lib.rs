//! EC2 and Parameter Store through the SDK.
