//! The agent's daemon.
