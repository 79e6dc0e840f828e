//! HTTP/2 between a real client and a real server: what the observer tells is what they got, and a
//! record that is dropped puts no later one out of step.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use h2::{Reason, RecvStream, SendStream, client, server};
use hyper::{HeaderMap, Method, Request, Response};
use proptest::prelude::*;
use remora_store::call::{CallError, Detail, Side};
use remora_store::head;
use tokio::io::{DuplexStream, duplex};

use crate::overheard::{Fields, Got, Log, observe, pairs, relay, sorted};

/// More than any connection here needs, so that no side waits for the other.
const PIPE_BYTES: usize = 4 << 20;

/// What one side is told to send.
#[derive(Debug, Clone)]
struct Plan {
    fields: Fields,
    chunks: Vec<Vec<u8>>,
    trailers: Option<Fields>,
}

#[derive(Debug, Clone)]
struct Exchange {
    path: String,
    request: Plan,
    status: u16,
    response: Plan,
    reset: Option<Side>,
}

/// How both ends are set up.
#[derive(Debug, Clone, Copy)]
struct Settings {
    client_table_bytes: u32,
    server_table_bytes: u32,
    frame_bytes: u32,
}

/// What both sides got, by the number of the exchange.
type Gots = Arc<Mutex<BTreeMap<(usize, &'static str), Got>>>;

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_observer_tells_what_both_ends_of_http2_got(
        exchanges in prop::collection::vec(exchange(), 1..10),
        settings in settings(),
        reads in prop::collection::vec(1usize..3000, 1..20),
    ) {
        let (mut gots, log) = play(&exchanges, settings, &reads);
        let (calls, dropped) = observe(&log, |_| false);
        prop_assert_eq!((calls.len(), dropped), (exchanges.len(), 0));
        for call in &calls {
            let number = (call.connection.ordinal as usize - 1) / 2;
            let exchange = &exchanges[number];
            if let Some(by) = exchange.reset {
                let error = match by {
                    Side::Server => CallError::ServerRefused,
                    _ => CallError::ClientCancelled,
                };
                prop_assert_eq!(call.error, Some(error));
                let Detail::Http2(detail) = &call.detail else {
                    panic!("a reset is told");
                };
                prop_assert_eq!(detail.reset.map(|reset| reset.by), Some(by));
                continue;
            }
            prop_assert_eq!(call.error, None);
            let request = told(&call.request.head, &call.request.body, &call.request.trailers);
            prop_assert_eq!(Some(request), gots.remove(&(number, "request")));
            let response = told(&call.response.head, &call.response.body, &call.response.trailers);
            prop_assert_eq!(Some(response), gots.remove(&(number, "response")));
        }
    }

    #[test]
    fn dropped_records_put_no_later_head_out_of_step(
        exchanges in prop::collection::vec(exchange(), 2..10),
        settings in settings(),
        reads in prop::collection::vec(1usize..600, 1..20),
        drops in prop::collection::vec(any::<bool>(), 7..60),
    ) {
        let (_, log) = play(&exchanges, settings, &reads);
        let (all, _) = observe(&log, |_| false);
        let (some, dropped) = observe(&log, |piece| drops[piece % drops.len()]);
        prop_assert_eq!(some.len() as u64 + dropped, all.len() as u64);
        for call in &some {
            let same = all.iter().find(|c| c.connection.ordinal == call.connection.ordinal);
            let same = same.expect("it was told before");
            prop_assert_eq!(&call.request.head, &same.request.head);
            prop_assert_eq!(&call.response.head, &same.response.head);
            prop_assert_eq!(call.request.body_size, same.request.body_size);
            prop_assert_eq!(call.response.body_size, same.response.body_size);
        }
    }
}

fn settings() -> impl Strategy<Value = Settings> {
    let table = || prop::sample::select(vec![0, 100, 4096, 65_536]);
    (
        table(),
        table(),
        prop::sample::select(vec![16_384, 100_000]),
    )
        .prop_map(
            |(client_table_bytes, server_table_bytes, frame_bytes)| Settings {
                client_table_bytes,
                server_table_bytes,
                frame_bytes,
            },
        )
}

fn exchange() -> impl Strategy<Value = Exchange> {
    let reset = prop_oneof![
        6 => Just(None),
        1 => Just(Some(Side::Client)),
        1 => Just(Some(Side::Server)),
    ];
    let status = prop::sample::select(vec![200, 201, 404, 418, 500]);
    ("[a-z0-9/._~-]{0,40}", plan(), status, plan(), reset).prop_map(
        |(path, request, status, response, reset)| Exchange {
            path,
            request,
            status,
            response,
            reset,
        },
    )
}

fn plan() -> impl Strategy<Value = Plan> {
    let chunk = prop::collection::vec(any::<u8>(), 0..3000);
    (
        fields("x-[a-c]{1,3}"),
        prop::collection::vec(chunk, 0..5),
        prop::option::of(fields("x-trailer-[a-z]{1,8}")),
        // Now and then a field that needs CONTINUATION frames.
        prop::option::weighted(0.1, "[a-z]{17000,20000}"),
    )
        .prop_map(|(mut fields, chunks, trailers, long)| {
            fields.extend(long.map(|value| ("x-long".to_owned(), value)));
            Plan {
                fields,
                chunks,
                trailers,
            }
        })
}

fn fields(names: &'static str) -> impl Strategy<Value = Fields> {
    prop::collection::vec((names, "([!-~]([ -~]{0,60}[!-~])?)?"), 0..6)
}

fn play(
    exchanges: &[Exchange],
    settings: Settings,
    reads: &[usize],
) -> (BTreeMap<(usize, &'static str), Got>, Log) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async {
        let (client, client_side) = duplex(PIPE_BYTES);
        let (server_side, server) = duplex(PIPE_BYTES);
        let gots = Gots::default();
        let plans: Arc<[Exchange]> = exchanges.into();
        let serving = serve(server, Arc::clone(&plans), settings, Arc::clone(&gots));
        let asking = ask(client, plans, settings, Arc::clone(&gots));
        let ((), (), log) = tokio::join!(serving, asking, relay(client_side, server_side, reads));
        (std::mem::take(&mut *gots.lock().unwrap()), log)
    })
}

async fn serve(stream: DuplexStream, plans: Arc<[Exchange]>, settings: Settings, gots: Gots) {
    let mut connection = server::Builder::new()
        .header_table_size(settings.server_table_bytes)
        .max_frame_size(settings.frame_bytes)
        .max_header_list_size(1 << 20)
        .initial_window_size(1 << 20)
        .initial_connection_window_size(8 << 20)
        .handshake::<_, Bytes>(stream)
        .await
        .unwrap();
    while let Some(accepted) = connection.accept().await {
        let (request, respond) = accepted.unwrap();
        let (plans, gots) = (Arc::clone(&plans), Arc::clone(&gots));
        tokio::spawn(answer(request, respond, plans, gots));
    }
}

async fn answer(
    request: Request<RecvStream>,
    mut respond: server::SendResponse<Bytes>,
    plans: Arc<[Exchange]>,
    gots: Gots,
) {
    let (parts, body) = request.into_parts();
    let number: usize = parts.headers["x-number"].to_str().unwrap().parse().unwrap();
    let plan = &plans[number];
    let mut response = Response::new(());
    *response.status_mut() = plan.status.try_into().unwrap();
    fill(response.headers_mut(), &plan.response);
    match plan.reset {
        Some(Side::Server) => return respond.send_reset(Reason::REFUSED_STREAM),
        // The client resets when it sees the head, and reads no further.
        Some(_) => {
            let stream = respond.send_response(response, false).unwrap();
            let _ = read(body).await;
            return drop(stream);
        }
        None => {}
    }
    let start = format!("{} {}", parts.method, parts.uri.path());
    let got = got(start, &parts.headers, read(body).await.unwrap());
    gots.lock().unwrap().insert((number, "request"), got);
    send(
        respond.send_response(response, false).unwrap(),
        &plan.response,
    );
}

async fn ask(stream: DuplexStream, plans: Arc<[Exchange]>, settings: Settings, gots: Gots) {
    let (mut sender, connection) = client::Builder::new()
        .header_table_size(settings.client_table_bytes)
        .max_frame_size(settings.frame_bytes)
        .max_header_list_size(1 << 20)
        .initial_window_size(1 << 20)
        .initial_connection_window_size(8 << 20)
        .handshake::<_, Bytes>(stream)
        .await
        .unwrap();
    let driving = tokio::spawn(connection);
    let mut asking = Vec::new();
    for (number, plan) in plans.iter().cloned().enumerate() {
        let mut request = Request::new(());
        *request.method_mut() = Method::PUT;
        *request.uri_mut() = format!("http://shop/{}", plan.path).parse().unwrap();
        fill(request.headers_mut(), &plan.request);
        request.headers_mut().insert("x-number", number.into());
        sender = sender.ready().await.unwrap();
        let (response, mut stream) = sender.send_request(request, false).unwrap();
        let gots = Arc::clone(&gots);
        asking.push(tokio::spawn(async move {
            if plan.reset.is_none() {
                send(stream, &plan.request);
                let (parts, body) = response.await.unwrap().into_parts();
                let start = parts.status.as_str().to_owned();
                let got = got(start, &parts.headers, read(body).await.unwrap());
                gots.lock().unwrap().insert((number, "response"), got);
                return;
            }
            let answer = response.await;
            if plan.reset == Some(Side::Client) {
                drop(answer.unwrap());
                stream.send_reset(Reason::CANCEL);
            }
        }));
    }
    drop(sender);
    for task in asking {
        task.await.unwrap();
    }
    driving.await.unwrap().unwrap();
}

fn send(mut stream: SendStream<Bytes>, plan: &Plan) {
    for chunk in &plan.chunks {
        stream.send_data(Bytes::from(chunk.clone()), false).unwrap();
    }
    match &plan.trailers {
        None => stream.send_data(Bytes::new(), true).unwrap(),
        Some(fields) => {
            let mut trailers = HeaderMap::new();
            append(&mut trailers, fields);
            stream.send_trailers(trailers).unwrap();
        }
    }
}

fn fill(headers: &mut HeaderMap, plan: &Plan) {
    append(headers, &plan.fields);
}

fn append(headers: &mut HeaderMap, fields: &Fields) {
    for (name, value) in fields {
        let name: hyper::header::HeaderName = name.parse().unwrap();
        headers.append(name, value.parse().unwrap());
    }
}

async fn read(mut body: RecvStream) -> Result<(Bytes, Fields), h2::Error> {
    let mut bytes = Vec::new();
    while let Some(piece) = body.data().await {
        let piece = piece?;
        body.flow_control().release_capacity(piece.len())?;
        bytes.extend_from_slice(&piece);
    }
    let trailers = body.trailers().await?;
    Ok((
        bytes.into(),
        trailers.as_ref().map(pairs).unwrap_or_default(),
    ))
}

fn got(start: String, headers: &HeaderMap, (body, trailers): (Bytes, Fields)) -> Got {
    Got {
        start,
        fields: pairs(headers),
        body,
        trailers,
    }
}

/// What the observer kept.
fn told(head: &Bytes, body: &Bytes, trailers: &Bytes) -> Got {
    let lines = |text: &Bytes| -> Fields {
        let text = String::from_utf8(text.to_vec()).unwrap();
        let line = |line: &str| {
            // The name of a pseudo-field begins with a colon.
            let (name, value) = line.split_at(1 + line[1..].find(": ").unwrap());
            (name.to_owned(), value[2..].to_owned())
        };
        text.split_terminator("\r\n").map(line).collect()
    };
    let (pseudo, fields): (Fields, Fields) = lines(head)
        .into_iter()
        .partition(|(name, _)| name.starts_with(':'));
    let start = match head::response_status(head) {
        Some(status) => status.to_string(),
        None => {
            let value = |wanted| &pseudo.iter().find(|(name, _)| name == wanted).unwrap().1;
            format!("{} {}", value(":method"), value(":path"))
        }
    };
    Got {
        start,
        fields: sorted(fields),
        body: body.clone(),
        trailers: sorted(lines(trailers)),
    }
}
