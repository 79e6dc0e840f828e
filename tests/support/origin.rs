//! The application behind a sidecar.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

/// Starts a server that answers every request with its own path.
pub async fn start() -> u16 {
    serve(path_of).await
}

/// The same on a socket that listens already.
pub fn start_on(listener: TcpListener) {
    tokio::spawn(serve_on(listener, path_of));
}

async fn path_of(request: Request<Bytes>) -> Response<Bytes> {
    Response::new(Bytes::from(request.uri().path().to_owned()))
}

/// Starts a server that answers 503 to the first three requests for each path that begins so.
pub async fn unwell(prefix: &'static str) -> u16 {
    let asked: Arc<Mutex<HashMap<String, u32>>> = Arc::default();
    serve(move |request| {
        let path = request.uri().path().to_owned();
        let fails = path.starts_with(prefix) && {
            let mut asked = asked.lock().unwrap();
            let times = asked.entry(path).or_default();
            *times += 1;
            *times <= 3
        };
        async move {
            let status = if fails { 503 } else { 200 };
            let answer = Response::builder().status(status);
            answer.body(Bytes::from_static(b"answered")).unwrap()
        }
    })
    .await
}

/// Starts a server on a free port; it runs as long as the test's runtime.
pub async fn serve<F, A>(answer: F) -> u16
where
    F: Fn(Request<Bytes>) -> A + Clone + Send + Sync + 'static,
    A: Future<Output = Response<Bytes>> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(serve_on(listener, answer));
    port
}

async fn serve_on<F, A>(listener: TcpListener, answer: F)
where
    F: Fn(Request<Bytes>) -> A + Clone + Send + Sync + 'static,
    A: Future<Output = Response<Bytes>> + Send + 'static,
{
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        let answer = answer.clone();
        let service = service_fn(move |request| {
            let answer = answer.clone();
            async move {
                Ok::<_, Infallible>(answer(whole(request).await).await.map(Full::<Bytes>::new))
            }
        });
        let serving = hyper::server::conn::http1::Builder::new()
            .serve_connection(TokioIo::new(stream), service);
        tokio::spawn(serving);
    }
}

async fn whole(request: Request<Incoming>) -> Request<Bytes> {
    let (head, body) = request.into_parts();
    // A client that went away in the midst of its body has sent what came.
    let body = body.collect().await.map(|body| body.to_bytes());
    Request::from_parts(head, body.unwrap_or_default())
}
