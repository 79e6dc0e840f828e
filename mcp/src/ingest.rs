//! Blocks in: `POST /ingest/v1/blocks`.
//!
//! A request is checked before anything of it is kept, and kept whole or not at all. When it is
//! answered with 200, its blocks survive a crash. How many bytes are in the hub's hands at a time is
//! bounded; who comes when they are taken is asked to come again.

use std::time::Duration;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use remora_store::block::{Block, Origin};
use remora_store::store::{Ingested, ReceivedBlock, StoreError};
use serde::Serialize;
use tokio::time::timeout;

use crate::app::App;
use crate::control::parse_incarnation;
use crate::error::ApiError;
use crate::metrics::Refused;
use crate::writer::Writer;

/// Largest request, in bytes.
const REQUEST_BYTES: usize = 8 * 1024 * 1024; // 8 MiB
/// Largest block, in bytes.
const BLOCK_BYTES: usize = 4 * 1024 * 1024; // 4 MiB
/// Most blocks in a request.
const BLOCKS: usize = 4_096;
/// Most bytes of requests that are read, checked or written at a time.
pub const IN_FLIGHT_BYTES: u32 = 64 * 1024 * 1024; // 64 MiB
/// How long a request may take to arrive.
const ARRIVAL: Duration = Duration::from_secs(30);
/// When a sidecar that was sent away should come again, in seconds.
const RETRY_AFTER_S: u32 = 1;
/// What the body of a request is called.
const CONTENT_TYPE: &str = "application/vnd.remora.blocks";

/// What became of the blocks of a request.
#[derive(Debug, Serialize)]
pub struct Stored {
    stored: u64,
    duplicates: u64,
}

/// `POST /ingest/v1/blocks`
pub async fn blocks(State(app): State<App>, request: Request) -> Result<Json<Stored>, ApiError> {
    app.metrics.ingest.requests.inc();
    let result = take(&app, request).await;
    if let Err(error) = &result {
        app.metrics.ingest.refused(Refused::of(error.status()));
    }
    result
}

async fn take(app: &App, request: Request) -> Result<Json<Stored>, ApiError> {
    let (parts, body) = request.into_parts();
    let writer = Writer::of(&parts.extensions)?;
    let incarnation = writer.incarnation(check_headers(&parts.headers)?);
    let announced = announced_bytes(&parts.headers)?;
    let permit = app.ingest_bytes.clone().try_acquire_many_owned(announced);
    let Ok(permit) = permit else {
        return Err(ApiError::unavailable(
            "busy",
            "more blocks are coming in than can be kept; come again",
            RETRY_AFTER_S,
        ));
    };
    let body = read(body).await?;
    let size = body.len();
    let received = split(&body, &writer)?;
    // Its own task: a sidecar that hangs up must not stop half-way what it asked for, nor have what
    // is kept go uncounted.
    let keeper = app.clone();
    let kept = tokio::spawn(async move {
        let kept = keep(&keeper, received, size).await;
        drop(permit);
        kept
    });
    let kept = kept.await.map_err(|_| {
        ApiError::unavailable(
            "store_failed",
            "the store failed; the hub's log says how",
            10,
        )
    })??;
    app.control.heard_blocks_of(incarnation);
    Ok(Json(Stored {
        stored: kept.stored,
        duplicates: kept.duplicates,
    }))
}

/// Has the store keep blocks, and counts those that it had not kept before.
async fn keep(
    app: &App,
    received: Vec<(Origin, Block)>,
    size: usize,
) -> Result<Ingested, StoreError> {
    let blocks = received.iter().map(|(origin, block)| ReceivedBlock {
        origin: origin.clone(),
        bytes: block.bytes().clone(),
    });
    let kept = app.store.ingest(blocks.collect()).await?;
    app.arrivals.send_replace(());
    app.metrics.ingest.stored(&kept, size);
    for (origin, block) in kept.places.iter().filter_map(|&place| received.get(place)) {
        // The store has read the block through, so that this can be read.
        if let Ok(columns) = block.columns() {
            app.metrics.traffic.count(origin, &columns);
        }
    }
    Ok(kept)
}

fn check_headers(headers: &HeaderMap) -> Result<u128, ApiError> {
    let content_type = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    if content_type.is_none_or(|given| !given.trim().eq_ignore_ascii_case(CONTENT_TYPE)) {
        return Err(ApiError::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "bad_content_type",
            format!("the content-type is not {CONTENT_TYPE}"),
        )
        .field("content-type"));
    }
    let incarnation = headers
        .get("x-remora-incarnation")
        .and_then(|value| value.to_str().ok());
    parse_incarnation(incarnation.unwrap_or_default())
        .map_err(|error| error.field("x-remora-incarnation"))
}

/// How much room a request needs: what it announces, or all it may if it does not say.
fn announced_bytes(headers: &HeaderMap) -> Result<u32, ApiError> {
    let announced = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.parse::<usize>().ok())
        .unwrap_or(REQUEST_BYTES);
    if announced > REQUEST_BYTES {
        return Err(too_large());
    }
    Ok(u32::try_from(announced).unwrap_or(u32::MAX))
}

async fn read(body: Body) -> Result<Bytes, ApiError> {
    match timeout(ARRIVAL, Limited::new(body, REQUEST_BYTES).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => Err(too_large()),
        Ok(Err(_)) => Err(ApiError::bad_request(
            "incomplete",
            "the request ended before its body did",
        )),
        Err(_) => Err(ApiError::new(
            StatusCode::REQUEST_TIMEOUT,
            "too_slow",
            format!("the request did not arrive within {} s", ARRIVAL.as_secs()),
        )),
    }
}

fn too_large() -> ApiError {
    ApiError::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "too_large",
        format!("a request takes {REQUEST_BYTES} bytes of blocks at most"),
    )
    .hint("send fewer blocks at a time")
}

/// Takes a body apart: a length of four bytes, little-endian, and the block, repeated. Gives the
/// blocks, and who wrote each.
fn split(body: &Bytes, writer: &Writer) -> Result<Vec<(Origin, Block)>, ApiError> {
    let bad = |index: usize, reason: String| {
        ApiError::bad_request(
            "bad_block",
            format!("block {index} of the request cannot be read: {reason}"),
        )
        .index(index)
    };
    let mut blocks = Vec::new();
    let mut rest = body.clone();
    while !rest.is_empty() {
        let index = blocks.len();
        if index == BLOCKS {
            return Err(bad(
                index,
                format!("a request takes {BLOCKS} blocks at most"),
            ));
        }
        let Some((length, _)) = rest.split_first_chunk::<4>() else {
            return Err(bad(index, "its length is cut off".to_owned()));
        };
        let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
        let mut block = rest.split_off(4);
        if length > BLOCK_BYTES {
            return Err(bad(
                index,
                format!("it has {length} bytes; {BLOCK_BYTES} are allowed"),
            ));
        }
        if length > block.len() {
            return Err(bad(
                index,
                format!("it should have {length} bytes and has {}", block.len()),
            ));
        }
        rest = block.split_off(length);
        let opened = Block::open(block).map_err(|error| bad(index, error.to_string()))?;
        blocks.push((writer.stamp(&opened.meta().origin), opened));
    }
    if blocks.is_empty() {
        return Err(ApiError::bad_request(
            "no_blocks",
            "the request holds no block",
        ));
    }
    Ok(blocks)
}
