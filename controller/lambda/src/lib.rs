//! The Lambda function: handles the messages of one inbox.
//!
//! Read it in this order: [`incoming`] parses a message; [`dispatcher`] handles a batch of them; [`run`] drives one
//! build; [`request`] and [`release`] create builds ([`template`]: from a bundle); [`hosts`], [`fleet`] and
//! [`reconcile`] maintain the stack. All of these work over ports ([`stack`]). The one module that knows the SDK is
//! [`deployed`].
//!
//! Guarantee: a message is acknowledged only after its effects are saved and the build's next tick is sent. If the
//! function dies before that, SQS delivers the message again, and the machine treats it as a duplicate.

pub mod authorize;
pub mod bounded_join;
pub mod deployed;
pub mod dispatcher;
pub mod fleet;
pub mod hosts;
pub mod incoming;
pub mod metrics;
pub mod observer;
pub mod reconcile;
pub mod release;
pub mod request;
pub mod run;
pub mod stack;
pub mod template;
pub mod undeliverable;
