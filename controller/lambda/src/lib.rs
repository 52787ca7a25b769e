//! The Lambda: one inbox, and everything that follows from a message.
//!
//! Read it in this order: [`incoming`] tells what a message is; [`dispatcher`] handles a batch of them; [`run`] drives one
//! build; [`request`] and [`release`] make builds ([`template`]: from a bundle); [`hosts`], [`fleet`] and [`reconcile`] look
//! after the stack. All of these work over ports ([`stack`]). The one module that knows the SDK is [`deployed`].
//!
//! What is promised: a message is answered for only after all that follows from it has been saved and its next tick has
//! been sent. So a function that dies, whenever it may be, has handled nothing: SQS delivers the message again, and the
//! machine takes it for one that came twice.

pub mod authorize;
pub mod bounded_join;
pub mod deployed;
pub mod dispatcher;
pub mod fleet;
pub mod hosts;
pub mod incoming;
pub mod metrics;
pub mod reconcile;
pub mod release;
pub mod request;
pub mod run;
pub mod stack;
pub mod template;
pub mod undeliverable;
pub mod watch;
