//! A backend that builds run on: one adapter for each of the [`ports`](crate::ports).

use bakehouse_ec2::Ec2;

use crate::{
    cloud::Cloud,
    ports::{Agents, Clock, Inbox, Keys, Parameters, Store},
};

/// A backend that builds run on (one machine, an EC2 instance, a stack): one set of adapters.
pub trait Backend: Send + Sync {
    /// EC2, or the embedded cloud.
    type Ec2: Ec2;
    /// See [`Parameters`] and [`Keys`].
    type Parameters: Parameters + Keys;
    /// See [`Agents`].
    type Agents: Agents;
    /// See [`Store`].
    type Store: Store;
    /// See [`Inbox`].
    type Inbox: Inbox;
    /// See [`Clock`].
    type Clock: Clock;

    /// The calls to EC2.
    fn cloud(&self) -> &Cloud<Self::Ec2, Self::Parameters>;
    /// The hosts' agents.
    fn agents(&self) -> &Self::Agents;
    /// Records and leases.
    fn store(&self) -> &Self::Store;
    /// The messages to builds.
    fn inbox(&self) -> &Self::Inbox;
    /// The time.
    fn clock(&self) -> &Self::Clock;
}
