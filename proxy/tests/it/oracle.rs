//! HTTP/1 between a real client and a real server: what the observer tells is what they got.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::header::{HeaderName, HeaderValue};
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response};
use hyper_util::rt::TokioIo;
use proptest::prelude::*;
use remora_store::call::Call;
use tokio::io::{DuplexStream, duplex};

use crate::overheard::{Fields, Got, observe, pairs, relay, sorted};

/// More than any exchange here has, so that neither end waits for the other.
const PIPE_BYTES: usize = 1 << 20;

/// What one side is told to send.
#[derive(Debug, Clone)]
struct Plan {
    fields: Fields,
    content: Content,
}

#[derive(Debug, Clone)]
enum Content {
    None,
    /// With a length.
    Sized(Vec<u8>),
    /// In chunks, with trailers.
    Chunked(Vec<Vec<u8>>, Fields),
}

#[derive(Debug, Clone)]
struct Exchange {
    method: &'static str,
    path: String,
    request: Plan,
    status: u16,
    response: Plan,
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_observer_tells_what_client_and_server_got(
        exchanges in prop::collection::vec(exchange(), 1..8),
        reads in prop::collection::vec(1usize..3000, 1..20),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (got, calls) = runtime.block_on(run(&exchanges, &reads));
        prop_assert_eq!(calls.len(), exchanges.len());
        for ((ordinal, call), (request, response)) in (0..).zip(&calls).zip(&got) {
            prop_assert_eq!(call.connection.ordinal, ordinal);
            prop_assert_eq!(call.error, None);
            prop_assert_eq!(&told(&call.request.head, &call.request.body, &call.request.trailers), request);
            prop_assert_eq!(&told(&call.response.head, &call.response.body, &call.response.trailers), response);
            prop_assert_eq!(call.request.body_size, request.body.len() as u64);
            prop_assert_eq!(call.response.body_size, response.body.len() as u64);
        }
    }
}

fn exchange() -> impl Strategy<Value = Exchange> {
    let methods = vec!["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"];
    let statuses = vec![200, 201, 204, 304, 404, 418, 500, 503];
    (
        prop::sample::select(methods),
        "/[a-z0-9/%._~-]{0,40}(\\?[a-z=&0-9]{0,20})?",
        plan(),
        prop::sample::select(statuses),
        plan(),
    )
        .prop_map(|(method, path, request, status, response)| Exchange {
            method,
            path,
            request,
            status,
            response,
        })
}

fn plan() -> impl Strategy<Value = Plan> {
    let content = prop_oneof![
        Just(Content::None),
        prop::collection::vec(any::<u8>(), 0..6000).prop_map(Content::Sized),
        (
            prop::collection::vec(prop::collection::vec(any::<u8>(), 1..2000), 0..6),
            fields("x-trailer-[a-z]{1,8}"),
        )
            .prop_map(|(chunks, trailers)| Content::Chunked(chunks, trailers)),
    ];
    (fields("x-[a-z]{1,12}"), content).prop_map(|(fields, content)| Plan { fields, content })
}

fn fields(names: &'static str) -> impl Strategy<Value = Fields> {
    prop::collection::vec((names, "([!-~]([ -~]{0,60}[!-~])?)?"), 0..6)
}

/// Sends every exchange, and gives what server and client got, and what was observed.
async fn run(exchanges: &[Exchange], reads: &[usize]) -> (Vec<(Got, Got)>, Vec<Call>) {
    let (client, client_side) = duplex(PIPE_BYTES);
    let (server_side, server) = duplex(PIPE_BYTES);
    let requests = Arc::new(Mutex::new(Vec::new()));
    let plans: VecDeque<_> = exchanges
        .iter()
        .map(|exchange| (exchange.status, exchange.response.clone()))
        .collect();
    let serving = serve(server, plans, Arc::clone(&requests));
    let asking = ask(client, exchanges);
    let relaying = relay(client_side, server_side, reads);
    let ((), responses, log) = tokio::join!(serving, asking, relaying);
    let (calls, _) = observe(&log, |_| false);
    let requests = std::mem::take(&mut *requests.lock().unwrap());
    (requests.into_iter().zip(responses).collect(), calls)
}

async fn serve(stream: DuplexStream, plans: VecDeque<(u16, Plan)>, requests: Arc<Mutex<Vec<Got>>>) {
    let plans = Mutex::new(plans);
    let service = service_fn(|request: Request<Incoming>| {
        let (status, plan) = plans.lock().unwrap().pop_front().unwrap();
        let requests = Arc::clone(&requests);
        async move {
            let (parts, body) = request.into_parts();
            let got = got(
                format!("{} {}", parts.method, parts.uri),
                &parts.headers,
                body,
            )
            .await;
            requests.lock().unwrap().push(got);
            let mut response = Response::new(Sending::new(&plan));
            *response.status_mut() = status.try_into().unwrap();
            fill(response.headers_mut(), &plan);
            Ok::<_, Infallible>(response)
        }
    });
    hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await
        .unwrap();
}

async fn ask(stream: DuplexStream, exchanges: &[Exchange]) -> Vec<Got> {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .unwrap();
    let asking = async move {
        let mut responses = Vec::new();
        for exchange in exchanges {
            let mut request = Request::new(Sending::new(&exchange.request));
            *request.method_mut() = exchange.method.parse().unwrap();
            *request.uri_mut() = exchange.path.parse().unwrap();
            fill(request.headers_mut(), &exchange.request);
            let headers = request.headers_mut();
            headers.insert("host", HeaderValue::from_static("shop"));
            headers.insert("te", HeaderValue::from_static("trailers"));
            sender.ready().await.unwrap();
            let (parts, body) = sender.send_request(request).await.unwrap().into_parts();
            let start = parts.status.as_str().to_owned();
            responses.push(got(start, &parts.headers, body).await);
        }
        responses
    };
    let (connection, responses) = tokio::join!(connection, asking);
    connection.unwrap();
    responses
}

fn fill(headers: &mut HeaderMap, plan: &Plan) {
    for (name, value) in &plan.fields {
        let name: HeaderName = name.parse().unwrap();
        headers.append(name, value.parse().unwrap());
    }
    if let Content::Chunked(_, trailers) = &plan.content {
        for (name, _) in trailers {
            headers.append("trailer", name.parse().unwrap());
        }
    }
}

async fn got(start: String, headers: &HeaderMap, body: Incoming) -> Got {
    let collected = body.collect().await.unwrap();
    let trailers = collected.trailers().map(pairs).unwrap_or_default();
    Got {
        start,
        fields: pairs(headers),
        body: collected.to_bytes(),
        trailers,
    }
}

/// What the observer kept, read by another parser.
fn told(head: &Bytes, body: &Bytes, trailers: &Bytes) -> Got {
    let mut lines = [httparse::EMPTY_HEADER; 64];
    let (start, length) = if head.starts_with(b"HTTP/") {
        let mut response = httparse::Response::new(&mut lines);
        let length = response.parse(head).unwrap().unwrap();
        (response.code.unwrap().to_string(), length)
    } else {
        let mut request = httparse::Request::new(&mut lines);
        let length = request.parse(head).unwrap().unwrap();
        let target = request.path.unwrap();
        (format!("{} {target}", request.method.unwrap()), length)
    };
    assert_eq!(length, head.len(), "the head ends with its empty line");
    let fields = read_fields(&lines);
    let mut lines = [httparse::EMPTY_HEADER; 64];
    let block = [trailers, &b"\r\n"[..]].concat();
    httparse::parse_headers(&block, &mut lines)
        .unwrap()
        .unwrap();
    Got {
        start,
        fields,
        body: body.clone(),
        trailers: read_fields(&lines),
    }
}

fn read_fields(lines: &[httparse::Header<'_>]) -> Fields {
    let pair = |field: &httparse::Header<'_>| {
        let value = String::from_utf8(field.value.to_vec()).unwrap();
        (field.name.to_ascii_lowercase(), value)
    };
    let filled = lines.iter().take_while(|field| !field.name.is_empty());
    sorted(filled.map(pair).collect())
}

/// A body as it was planned.
struct Sending {
    frames: VecDeque<Frame<Bytes>>,
    length: Option<u64>,
}

impl Sending {
    fn new(plan: &Plan) -> Self {
        let (frames, length) = match &plan.content {
            Content::None => (VecDeque::new(), Some(0)),
            Content::Sized(bytes) => {
                let length = bytes.len() as u64;
                let frame = Frame::data(Bytes::from(bytes.clone()));
                (VecDeque::from([frame]), Some(length))
            }
            Content::Chunked(chunks, trailers) => {
                let data = chunks.iter().map(|c| Frame::data(Bytes::from(c.clone())));
                let mut frames: VecDeque<_> = data.collect();
                let mut map = HeaderMap::new();
                for (name, value) in trailers {
                    let name: HeaderName = name.parse().unwrap();
                    map.append(name, value.parse().unwrap());
                }
                if !map.is_empty() {
                    frames.push_back(Frame::trailers(map));
                }
                (frames, None)
            }
        };
        Self { frames, length }
    }
}

impl Body for Sending {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.frames.pop_front().map(Ok))
    }

    fn size_hint(&self) -> SizeHint {
        self.length
            .map_or_else(SizeHint::default, SizeHint::with_exact)
    }

    fn is_end_stream(&self) -> bool {
        self.length == Some(0)
    }
}
