//! A proxy before the services that records which of them was asked for what, by whom: what the roles must allow.

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

/// A caller's access key and the IAM action that its call needs.
pub(crate) type Asked = BTreeSet<(String, String)>;

#[derive(Clone)]
pub(crate) struct Recorder {
    pub(crate) endpoint: String,
    asked: Arc<Mutex<Asked>>,
    /// How often the table has refused a write to a build because its condition did not hold.
    conflicts: Arc<AtomicUsize>,
}

impl Recorder {
    /// Stands before a server.
    pub(crate) fn before(upstream: &str) -> Self {
        let server = Arc::new(Server::http("127.0.0.1:0").unwrap());
        let endpoint = format!("http://{}", server.server_addr().to_ip().unwrap());
        let recorder = Self { endpoint, asked: Arc::default(), conflicts: Arc::default() };
        let (serving, upstream) = (recorder.clone(), upstream.to_owned());
        thread::spawn(move || {
            let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
            for request in server.incoming_requests() {
                let (recorder, upstream, agent) = (serving.clone(), upstream.clone(), agent.clone());
                // A long poll must not hold up the others.
                thread::spawn(move || recorder.pass_on(request, &upstream, &agent));
            }
        });
        recorder
    }

    /// What this key was used for so far.
    pub(crate) fn actions(&self, key: &str) -> BTreeSet<String> {
        let asked = self.asked.lock().unwrap();
        asked.iter().filter(|(who, _)| who == key).map(|(_, action)| action.clone()).collect()
    }

    /// How often somebody wanted to write to a build what another had changed meanwhile.
    pub(crate) fn conflicts(&self) -> usize {
        self.conflicts.load(Ordering::SeqCst)
    }

    fn pass_on(&self, mut request: Request, upstream: &str, agent: &ureq::Agent) {
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
            self.asked.lock().unwrap().insert((key.to_owned(), action));
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
