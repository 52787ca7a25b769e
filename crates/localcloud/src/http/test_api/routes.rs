//! The test API over HTTP.

use http_body_util::Full;
use hyper::{Method, Response, body::Bytes};
use serde::Serialize;

use super::{faults::Fault, notification::Notification, state::TestApi};
use crate::http::connection::{Request, response};

/// Answers a request; `path` is what follows `/_bakehouse/`.
pub(crate) fn answer(api: &TestApi, path: &str, request: &Request) -> Response<Full<Bytes>> {
    match (path, &request.method) {
        ("calls", &Method::GET) => json(&api.journal.calls()),
        ("calls", &Method::DELETE) => json(&api.journal.take()),
        ("events", &Method::GET) => json(&api.notifications().iter().map(Notification::to_json).collect::<Vec<_>>()),
        ("faults", &Method::GET) => json(&api.faults.list()),
        ("faults", &Method::POST) => match serde_json::from_slice::<Fault>(&request.body) {
            Ok(fault) => {
                api.faults.add(fault);
                json(&api.faults.list())
            }
            Err(error) => response(400, "text/plain", format!("this is not a fault: {error}\n")),
        },
        ("faults", &Method::DELETE) => {
            api.faults.clear();
            json(&api.faults.list())
        }
        _ => response(404, "text/plain", "there are calls, events and faults here\n"),
    }
}

fn json(value: &impl Serialize) -> Response<Full<Bytes>> {
    match serde_json::to_vec_pretty(value) {
        Ok(bytes) => response(200, "application/json", bytes),
        Err(error) => response(500, "text/plain", format!("{error}\n")),
    }
}
