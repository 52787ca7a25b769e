//! The deployed pair in memory: the real dispatcher, machine and driver, several functions at once, a queue that
//! behaves as SQS does, hosts with agents, EC2's model; all in virtual time. No SDK, no network.

#![allow(clippy::expect_used, reason = "a test that can't go on has failed")]

mod agent;
mod agent_job;
mod builds;
mod contract;
mod ec2;
mod failures;
mod fleet;
mod function;
mod instances;
mod mapping;
mod on_demand;
mod recipes;
mod refused;
mod run;
mod simulation;
mod stack;
mod state;
mod table;
mod time;
