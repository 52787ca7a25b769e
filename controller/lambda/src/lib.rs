//! The Lambda: one inbox, and everything that follows from a message.
//!
//! Read it in this order: [`incoming`] tells what a message is; [`desk`] handles a batch of them; [`run`] drives one
//! build; [`request`] and [`release`] make builds ([`template`]: from a bundle); [`hosts`], [`fleet`] and [`patrol`] look
//! after the stack. All of these work over ports ([`pair`]). The one module that knows the SDK is [`place`].
//!
//! What is promised: a message is answered for only after all that follows from it has been saved and its next tick has
//! been sent. So a function that dies, whenever it may be, has handled nothing: SQS delivers the message again, and the
//! machine takes it for one that came twice.

pub mod desk;
pub mod fleet;
pub mod hosts;
pub mod incoming;
pub mod metrics;
pub mod pair;
pub mod patrol;
pub mod place;
pub mod release;
pub mod request;
pub mod run;
pub mod sender;
pub mod template;
pub mod together;
pub mod unheard;
pub mod watch;
