//! For tests of clients, below `/_bakehouse/`: no part of EC2, and disabled unless the settings ask for it.
//!
//! | Request | Does |
//! |---|---|
//! | `GET /_bakehouse/calls` | returns the journal; `DELETE` empties it |
//! | `GET /_bakehouse/events` | returns the notifications that EventBridge would have sent |
//! | `GET /_bakehouse/faults` | returns the faults; `POST` adds one, `DELETE` removes all |

mod faults;
mod journal;
mod notification;
mod outbox;
mod routes;
mod state;

pub(crate) use faults::fault_error;
pub use faults::{Effect, Fault, Faults};
pub use journal::{Journal, JournalEntry};
pub use notification::{Change, Notification};
pub(crate) use routes::answer;
pub(crate) use state::TestApi;
