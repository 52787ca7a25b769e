//! A proxy in front of the services that records which actions each access key has called: what the roles must allow.

use std::{
    collections::BTreeSet,
    io::Read as _,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use tiny_http::{Header, Method, Request, Response, Server};

/// Calls: the caller's access key, and the IAM action that the call needs.
pub(crate) type Calls = BTreeSet<(String, String)>;

#[derive(Clone)]
pub(crate) struct Recorder {
    pub(crate) endpoint: String,
    calls: Arc<Mutex<Calls>>,
    /// Writes to a build that the table has refused because their condition did not hold.
    conflicts: Arc<AtomicUsize>,
}

impl Recorder {
    /// Starts a proxy in front of a server.
    pub(crate) fn before(upstream: &str) -> Self {
        let server = Arc::new(Server::http("127.0.0.1:0").unwrap());
        let endpoint = format!("http://{}", server.server_addr().to_ip().unwrap());
        let recorder = Self { endpoint, calls: Arc::default(), conflicts: Arc::default() };
        let (serving, upstream) = (recorder.clone(), upstream.to_owned());
        thread::spawn(move || {
            let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
            for request in server.incoming_requests() {
                let (recorder, upstream, agent) = (serving.clone(), upstream.clone(), agent.clone());
                // A long poll must not block the other requests.
                thread::spawn(move || recorder.forward(request, &upstream, &agent));
            }
        });
        recorder
    }

    /// The actions that this key has called so far.
    pub(crate) fn actions(&self, key: &str) -> BTreeSet<String> {
        let calls = self.calls.lock().unwrap();
        calls.iter().filter(|(caller, _)| caller == key).map(|(_, action)| action.clone()).collect()
    }

    /// How many writes to a build were refused because it had changed in between.
    pub(crate) fn conflicts(&self) -> usize {
        self.conflicts.load(Ordering::SeqCst)
    }

    fn forward(&self, mut request: Request, upstream: &str, agent: &ureq::Agent) {
        let mut body = Vec::new();
        let _ = request.as_reader().read_to_end(&mut body);
        let header = |name: &str| {
            let found =
                request.headers().iter().find(|header| header.field.as_str().as_str().eq_ignore_ascii_case(name));
            found.map(|header| header.value.as_str().to_owned()).unwrap_or_default()
        };
        let authorization = header("authorization");
        // … Credential=KEY/DATE/REGION/SERVICE/aws4_request, …
        let scope = authorization.split_once("Credential=").map_or("", |(_, rest)| rest);
        let parts: Vec<&str> = scope.split(',').next().unwrap_or_default().split('/').collect();
        if let [key, _, _, service, ..] = parts[..] {
            let target = header("x-amz-target");
            let action = match (service, target.rsplit_once('.')) {
                ("s3", _) if request.method() == &Method::Put => "s3:PutObject".to_owned(),
                ("s3", _) => "s3:GetObject".to_owned(),
                (service, Some((_, action))) => format!("{service}:{action}"),
                (service, None) => format!("{service}:?"),
            };
            self.calls.lock().unwrap().insert((key.to_owned(), action));
        }
        let mut passed = ureq::http::Request::builder()
            .method(request.method().as_str())
            .uri(format!("{upstream}{}", request.url()));
        for header in request.headers() {
            let name = header.field.as_str().as_str();
            if !["host", "content-length", "connection", "expect", "transfer-encoding"]
                .iter()
                .any(|it| name.eq_ignore_ascii_case(it))
            {
                passed = passed.header(name, header.value.as_str());
            }
        }
        let of_a_build = String::from_utf8_lossy(&body).contains("build#");
        let Ok(passed) = passed.body(body) else { return };
        let Ok(mut answer) = agent.run(passed) else {
            // The server is gone: the test is over.
            let _ = request.respond(Response::from_string("").with_status_code(503));
            return;
        };
        let status = answer.status().as_u16();
        let headers: Vec<Header> = answer
            .headers()
            .iter()
            .filter(|(name, _)| !["content-length", "connection", "transfer-encoding"].contains(&name.as_str()))
            .filter_map(|(name, value)| Header::from_bytes(name.as_str(), value.as_bytes()).ok())
            .collect();
        let mut body = Vec::new();
        let _ = answer.body_mut().as_reader().read_to_end(&mut body);
        if of_a_build && status == 400 && String::from_utf8_lossy(&body).contains("ConditionalCheckFailed") {
            self.conflicts.fetch_add(1, Ordering::SeqCst);
        }
        let mut response = Response::from_data(body).with_status_code(status);
        headers.into_iter().for_each(|header| response.add_header(header));
        let _ = request.respond(response);
    }
}
