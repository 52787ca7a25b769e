//! The least IAM policy that a template needs.
