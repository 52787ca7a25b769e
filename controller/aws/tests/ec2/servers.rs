//! Servers with fixed responses: such as EC2 never gives, or of services for which there is no other fake.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread::{self, JoinHandle},
};

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
                let Some(request) = stream.ok().and_then(|mut stream| serve(&mut stream, &answer)) else { continue };
                if request.line.starts_with("END ") {
                    return;
                }
                received.lock().unwrap().push(request);
            }
        });
        Self { url: format!("http://{address}"), requests, thread: Some(thread) }
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    pub fn requests(&self) -> std::sync::MutexGuard<'_, Vec<Request>> {
        self.requests.lock().unwrap()
    }
}

fn serve(stream: &mut TcpStream, answer: &str) -> Option<Request> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
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
    stream.write_all(answer.as_bytes()).ok()?;
    Some(Request { line, headers, body: String::from_utf8(body).ok()? })
}

impl Drop for Canned {
    fn drop(&mut self) {
        if let Ok(mut stream) = TcpStream::connect(self.url.trim_start_matches("http://")) {
            let _ = stream.write_all(b"END / HTTP/1.1\r\n\r\n");
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
