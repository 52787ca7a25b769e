//! What is no part of EC2, for tests: `/_bakehouse/…`.
//!
//! | | |
//! |---|---|
//! | `GET /_bakehouse/calls` | the journal; `DELETE` forgets it |
//! | `GET /_bakehouse/events` | what EventBridge would have told |
//! | `GET /_bakehouse/faults` | the rules; `POST` adds one, `DELETE` removes all |

use http_body_util::Full;
use hyper::{Method, Response, body::Bytes};
use serde::Serialize;

use crate::http::{
    Fault, Notification,
    connection::{Request, text},
    instruments::Instruments,
};

pub(crate) fn answer(instruments: &Instruments, path: &str, request: &Request) -> Response<Full<Bytes>> {
    match (path, &request.method) {
        ("calls", &Method::GET) => json(&instruments.journal.calls()),
        ("calls", &Method::DELETE) => json(&instruments.journal.take()),
        ("events", &Method::GET) => json(&instruments.told().iter().map(Notification::to_json).collect::<Vec<_>>()),
        ("faults", &Method::GET) => json(&instruments.faults.list()),
        ("faults", &Method::POST) => match serde_json::from_slice::<Fault>(&request.body) {
            Ok(fault) => {
                instruments.faults.add(fault);
                json(&instruments.faults.list())
            }
            Err(error) => text(400, "text/plain", format!("this is no fault: {error}\n")),
        },
        ("faults", &Method::DELETE) => {
            instruments.faults.clear();
            json(&instruments.faults.list())
        }
        _ => text(404, "text/plain", "there are calls, events and faults here\n"),
    }
}

fn json(value: &impl Serialize) -> Response<Full<Bytes>> {
    match serde_json::to_vec_pretty(value) {
        Ok(bytes) => text(200, "application/json", bytes),
        Err(error) => text(500, "text/plain", format!("{error}\n")),
    }
}
