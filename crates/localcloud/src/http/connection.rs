//! HTTP/1.1 on a port, in a thread of its own.

use std::{convert::Infallible, future::Future, io, net::SocketAddr, thread::JoinHandle};

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{
    HeaderMap, Method, Response, StatusCode,
    body::{Bytes, Incoming},
    header::CONTENT_TYPE,
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpListener, sync::oneshot};

/// The most bytes of a request's body.
const MOST: usize = 1 << 20;

/// One request.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// No answer: the connection is closed.
#[derive(Debug, thiserror::Error)]
#[error("the connection is dropped by a fault")]
pub(crate) struct Dropped;

pub(crate) type Answer = Result<Response<Full<Bytes>>, Dropped>;

/// A text of this kind.
pub(crate) fn text(status: u16, kind: &'static str, text: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(text.into()));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(kind));
    response
}

/// A server that runs until this is dropped. What is being answered then is not answered any more, but calls that have
/// begun are brought to their end first.
#[derive(Debug)]
pub(crate) struct Running {
    address: SocketAddr,
    stop: Option<oneshot::Sender<Infallible>>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    /// Binds the address, and from then on answers with `answer`; `beside` runs along with it.
    pub(crate) fn start<F, A, B>(name: &str, listen: SocketAddr, answer: F, beside: B) -> io::Result<Self>
    where
        F: Fn(Request) -> A + Clone + Send + Sync + 'static,
        A: Future<Output = Answer> + Send + 'static,
        B: Future<Output = ()> + Send + 'static,
    {
        let listener = std::net::TcpListener::bind(listen)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
        let (stop, stopped) = oneshot::channel();
        let listener = {
            let _inside = runtime.enter();
            TcpListener::from_std(listener)?
        };
        let run = move || {
            runtime.block_on(async move {
                tokio::spawn(beside);
                tokio::select! {
                    () = accept(listener, answer) => {}
                    _ = stopped => {}
                }
            });
        };
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(run)?;
        Ok(Self { address, stop: Some(stop), thread: Some(thread) })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic in it has been printed already.
            let _ = thread.join();
        }
    }
}

async fn accept<F, A>(listener: TcpListener, answer: F)
where
    F: Fn(Request) -> A + Clone + Send + Sync + 'static,
    A: Future<Output = Answer> + Send + 'static,
{
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(_) => {
                // Too many open files, most likely: others have to be closed first.
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                continue;
            }
        };
        // Answers are small; held back for more to come they would only be late.
        let _ = stream.set_nodelay(true);
        let answer = answer.clone();
        let service = service_fn(move |request| respond(request, answer.clone()));
        tokio::spawn(async move {
            // A client that goes away is no trouble of ours.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn respond<F, A>(request: hyper::Request<Incoming>, answer: F) -> Answer
where
    F: Fn(Request) -> A,
    A: Future<Output = Answer>,
{
    let (head, body) = request.into_parts();
    let Ok(body) = Limited::new(body, MOST).collect().await else {
        return Ok(text(413, "text/plain", "the request is too long\n"));
    };
    let request = Request {
        method: head.method,
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        headers: head.headers,
        body: body.to_bytes(),
    };
    answer(request).await
}
