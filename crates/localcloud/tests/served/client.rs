//! A server of a [`VirtualCloud`], and a minimal HTTP client.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    sync::Arc,
    time::Duration,
};

use bakehouse_localcloud::http::{Server, Settings};
use bakehouse_localcloud::{Delays, Model, VirtualCloud, model::Import};
use bakehouse_protocol::{ImageId, InstanceId, Region, Timestamp, Zone, spec::Architecture};

pub(crate) const ACCOUNT: &str = "111122223333";
pub(crate) const INSTANCE: &str = "i-0000000000000000a";

/// A cloud, its server, and a base image of the caller's account.
pub(crate) struct Fixture {
    pub(crate) cloud: Arc<VirtualCloud>,
    pub(crate) server: Server,
    pub(crate) base: ImageId,
}

/// An answer: its status and its body.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

impl Fixture {
    /// With the test API.
    pub(crate) fn new() -> Self {
        Self::with_test_api(true)
    }

    pub(crate) fn with_test_api(test_api: bool) -> Self {
        let region = |name: &str| Region::new(name).unwrap();
        let regions = ["us-east-1", "eu-west-1"].map(region);
        let now = Timestamp(1_767_225_600_000);
        let mut model = Model::new(ACCOUNT, regions, 7, Delays::default());
        let zone = Zone::new("us-east-1a").unwrap();
        model
            .add_instance(&region("us-east-1"), InstanceId::new(INSTANCE).unwrap(), zone, Architecture::X86_64)
            .unwrap();
        let import = Import::new("base", 2, Architecture::X86_64);
        let base = model.import_image(now, &region("us-east-1"), &import).unwrap().image_id;
        let cloud = Arc::new(VirtualCloud::new(model, now));
        let clock = Arc::clone(&cloud);
        let settings = Settings {
            account: ACCOUNT.to_owned(),
            test_api,
            poll_interval: Duration::from_millis(1),
            ..Settings::new(1, move || clock.now())
        };
        let server = Server::start(Arc::clone(&cloud) as _, settings).unwrap();
        Self { cloud, server, base }
    }

    /// One call to us-east-1. The parameters must be escaped.
    #[track_caller]
    pub(crate) fn call(&self, action: &str, parameters: &str) -> Answer {
        self.call_in("us-east-1", action, parameters)
    }

    #[track_caller]
    pub(crate) fn call_in(&self, region: &str, action: &str, parameters: &str) -> Answer {
        self.try_call(region, action, parameters).expect("an answer")
    }

    /// The same; `None` if the connection was closed without an answer.
    pub(crate) fn try_call(&self, region: &str, action: &str, parameters: &str) -> Option<Answer> {
        let body = format!("Action={action}&Version=2016-11-15&{parameters}");
        let authorization = format!(
            "Authorization: AWS4-HMAC-SHA256 Credential=AKID/20260101/{region}/ec2/aws4_request, \
             SignedHeaders=host, Signature=0\r\n"
        );
        self.http("POST", "/", &authorization, body.trim_end_matches('&'))
    }

    /// One request.
    pub(crate) fn http(&self, method: &str, path: &str, headers: &str, body: &str) -> Option<Answer> {
        http(self.server.address(), method, path, headers, body)
    }
}

/// One request. `None` if the connection was closed without an answer.
pub(crate) fn http(to: SocketAddr, method: &str, path: &str, headers: &str, body: &str) -> Option<Answer> {
    let mut stream = TcpStream::connect(to).unwrap();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: local\r\nConnection: close\r\nUser-Agent: test\r\n{headers}\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Some(Answer { status, body: body.to_owned() })
}

impl Answer {
    /// The answer, which must have status 200.
    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        assert_eq!(self.status, 200, "{}", self.body);
        self
    }

    /// The text of the first element of this name.
    #[track_caller]
    pub(crate) fn text(&self, name: &str) -> &str {
        let (_, rest) = self.body.split_once(&format!("<{name}>")).unwrap_or_else(|| panic!("{name}: {}", self.body));
        rest.split_once("</").unwrap().0
    }

    /// The texts of all elements of this name.
    pub(crate) fn texts(&self, name: &str) -> Vec<&str> {
        self.body.split(&format!("<{name}>")).skip(1).filter_map(|rest| Some(rest.split_once("</")?.0)).collect()
    }

    /// The error's status, code and message.
    #[track_caller]
    pub(crate) fn refused(&self) -> (u16, &str, &str) {
        (self.status, self.text("Code"), self.text("Message"))
    }

    /// The body with one line for each element, without the request id.
    pub(crate) fn pretty(&self) -> String {
        let mut out = String::new();
        let mut depth = 0usize;
        let mut rest = self.body.as_str();
        while let Some(start) = rest.find('<') {
            let end = start + rest[start..].find('>').unwrap() + 1;
            let tag = &rest[start..end];
            if tag.starts_with("<?") {
                rest = &rest[end..];
                continue;
            }
            if tag.starts_with("</") {
                depth -= 1;
                out.push_str(&format!("{}{tag}\n", "  ".repeat(depth)));
                rest = &rest[end..];
                continue;
            }
            let name = tag[1..tag.len() - 1].split(' ').next().unwrap();
            let close = format!("</{name}>");
            // An element without child elements is on one line.
            let next = end + rest[end..].find('<').unwrap();
            if rest[next..].starts_with(&close) {
                let text = if name.eq_ignore_ascii_case("requestid") { "…" } else { &rest[end..next] };
                out.push_str(&format!("{}{tag}{text}{close}\n", "  ".repeat(depth)));
                rest = &rest[next + close.len()..];
            } else {
                out.push_str(&format!("{}{tag}\n", "  ".repeat(depth)));
                depth += 1;
                rest = &rest[end..];
            }
        }
        out
    }
}
