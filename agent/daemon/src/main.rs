//! bakehouse-agent.

fn main() {}
