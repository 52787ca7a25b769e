//! What moto does not do: a proxy that forwards a request and loses the response, and a server with prepared responses.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

#[derive(Default)]
struct State {
    lose: AtomicBool,
    lost: AtomicUsize,
}

pub struct Proxy {
    endpoint: String,
    state: Arc<State>,
}

impl Proxy {
    /// Starts one in front of a server; only responses to requests that contain this text are lost.
    pub fn before(endpoint: &str, text: &'static str) -> Self {
        let server = endpoint.strip_prefix("http://").unwrap().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(State::default());
        let shared = state.clone();
        // Ends with the test's process.
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (server, state) = (server.clone(), shared.clone());
                thread::spawn(move || forward(client, &server, text, &state));
            }
        });
        Self { endpoint, state }
    }

    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    pub fn lose_next_answer(&self) {
        self.state.lose.store(true, Ordering::SeqCst);
    }

    pub fn lost(&self) -> usize {
        self.state.lost.load(Ordering::SeqCst)
    }
}

/// Forwards one request and its response, then closes the connection.
fn forward(mut client: TcpStream, server: &str, text: &str, state: &State) {
    let Some(request) = request(&mut client) else { return };
    let mut server = TcpStream::connect(server).unwrap();
    server.write_all(&request).unwrap();
    let mut answer = Vec::new();
    server.read_to_end(&mut answer).unwrap();
    let is_meant = String::from_utf8_lossy(&request).contains(text);
    if is_meant && state.lose.swap(false, Ordering::SeqCst) {
        state.lost.fetch_add(1, Ordering::SeqCst);
        return;
    }
    client.write_all(&answer).unwrap();
}

/// Starts a server with these responses, one for each request, then none. Returns its URL.
pub fn answering<const N: usize>(answers: [&'static str; N]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for answer in answers {
            let (mut client, _) = listener.accept().unwrap();
            request(&mut client).unwrap();
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close", answer.len());
            write!(client, "{head}\r\n\r\n{answer}").unwrap();
        }
    });
    endpoint
}

/// Reads a whole request, and has the connection closed after the response.
fn request(client: &mut TcpStream) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let read = client.read(&mut chunk).ok().filter(|read| *read > 0)?;
        bytes.extend_from_slice(&chunk[..read]);
        let text = String::from_utf8_lossy(&bytes).to_lowercase();
        let Some(end) = text.find("\r\n\r\n") else { continue };
        let length = text[..end].lines().find_map(|line| line.strip_prefix("content-length:")).unwrap_or("0");
        if bytes.len() >= end + 4 + length.trim().parse::<usize>().unwrap() {
            let first = text.find("\r\n").unwrap();
            let close = b"\r\nConnection: close";
            bytes.splice(first..first, close.iter().copied());
            return Some(bytes);
        }
    }
}
