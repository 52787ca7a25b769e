//! Servers with fixed responses: such as EC2 never gives, or of services for which there is no other fake.

use std::{
    io::{BufRead as _, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread::{self, JoinHandle},
};

use rustls::{ServerConfig, ServerConnection, StreamOwned, pki_types::PrivateKeyDer};

/// A request: the line, the headers and the body.
pub struct Request {
    pub line: String,
    pub headers: Vec<String>,
    pub body: String,
}

/// A server with the same response to every request. It ends when it is dropped.
pub struct Canned {
    url: String,
    requests: Arc<Mutex<Vec<Request>>>,
    thread: Option<JoinHandle<()>>,
}

impl Canned {
    /// `status` as `503 Service Unavailable`.
    pub fn new(status: &str, content_type: &str, body: &str) -> Self {
        Self::answering(status, content_type, body, None)
    }

    /// A server with a certificate that nobody has signed but itself.
    pub fn with_own_certificate(status: &str, content_type: &str, body: &str) -> Self {
        let own = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(own.signing_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = config.with_no_client_auth().with_single_cert(vec![own.cert.der().clone()], key).unwrap();
        Self::answering(status, content_type, body, Some(Arc::new(config)))
    }

    fn answering(status: &str, content_type: &str, body: &str, tls: Option<Arc<ServerConfig>>) -> Self {
        let scheme = if tls.is_some() { "https" } else { "http" };
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let answer = format!(
            "HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        );
        let received = Arc::clone(&requests);
        let thread = thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { continue };
                let mut first = [0];
                let is_end = stream.peek(&mut first).is_ok() && first == *b"E";
                let request = match &tls {
                    Some(config) if !is_end => {
                        let connection = ServerConnection::new(Arc::clone(config)).unwrap();
                        serve(StreamOwned::new(connection, stream), &answer)
                    }
                    _ => serve(stream, &answer),
                };
                let Some(request) = request else { continue };
                if request.line.starts_with("END ") {
                    return;
                }
                received.lock().unwrap().push(request);
            }
        });
        Self { url: format!("{scheme}://{address}"), requests, thread: Some(thread) }
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    pub fn requests(&self) -> std::sync::MutexGuard<'_, Vec<Request>> {
        self.requests.lock().unwrap()
    }
}

fn serve(stream: impl Read + Write, answer: &str) -> Option<Request> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut headers = Vec::new();
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        if header.trim().is_empty() {
            break;
        }
        headers.push(header.trim().to_lowercase());
    }
    let length = headers.iter().find_map(|header| header.strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body).ok()?;
    let stream = reader.get_mut();
    stream.write_all(answer.as_bytes()).ok()?;
    stream.flush().ok()?;
    Some(Request { line, headers, body: String::from_utf8(body).ok()? })
}

impl Drop for Canned {
    fn drop(&mut self) {
        if let Ok(mut stream) = TcpStream::connect(self.url.split_once("://").unwrap_or_default().1) {
            let _ = stream.write_all(b"END / HTTP/1.1\r\n\r\n");
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
