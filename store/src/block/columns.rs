//! The columns of a block: how they are gathered from calls, written and read.

use std::net::SocketAddr;

use bytes::{Buf, Bytes};
use prost::Message as _;

use super::intern::{Addresses, Texts};
use super::pack::{ColumnRecord, pack, unpack};
use super::{BlockError, Columns};
use crate::about::{About, Routing};
use crate::call::Call;
use crate::grpc;
use crate::head::response_status;
use crate::outcome::refused;
use crate::route::write_route;

/// Most distinct texts and addresses per call that a reader accepts; this version writes 6 and 2.
const MAX_DISTINCT_PER_CALL: usize = 16;

/// All columns. A missing one is all zeros, an unknown one is skipped.
#[derive(Clone, PartialEq, prost::Message)]
struct ColumnsRecord {
    /// Without the empty text, which is always there.
    #[prost(uint32, tag = "1")]
    text_count: u32,
    #[prost(message, optional, tag = "2")]
    text_lengths: Option<ColumnRecord>,
    #[prost(bytes = "bytes", tag = "3")]
    text_bytes: Bytes,
    #[prost(bytes = "bytes", tag = "4")]
    addresses: Bytes,
    #[prost(message, optional, tag = "16")]
    time_ns: Option<ColumnRecord>,
    #[prost(message, optional, tag = "17")]
    protocol: Option<ColumnRecord>,
    #[prost(message, optional, tag = "18")]
    leg: Option<ColumnRecord>,
    #[prost(message, optional, tag = "19")]
    state: Option<ColumnRecord>,
    #[prost(message, optional, tag = "20")]
    probe: Option<ColumnRecord>,
    #[prost(message, optional, tag = "21")]
    src: Option<ColumnRecord>,
    #[prost(message, optional, tag = "22")]
    dst: Option<ColumnRecord>,
    #[prost(message, optional, tag = "23")]
    method: Option<ColumnRecord>,
    #[prost(message, optional, tag = "24")]
    host: Option<ColumnRecord>,
    #[prost(message, optional, tag = "25")]
    path: Option<ColumnRecord>,
    #[prost(message, optional, tag = "26")]
    query: Option<ColumnRecord>,
    #[prost(message, optional, tag = "27")]
    route: Option<ColumnRecord>,
    #[prost(message, optional, tag = "28")]
    status: Option<ColumnRecord>,
    #[prost(message, optional, tag = "29")]
    error: Option<ColumnRecord>,
    #[prost(message, optional, tag = "30")]
    latency_ns: Option<ColumnRecord>,
    #[prost(message, optional, tag = "31")]
    request_size: Option<ColumnRecord>,
    #[prost(message, optional, tag = "32")]
    response_size: Option<ColumnRecord>,
    #[prost(message, optional, tag = "33")]
    connection: Option<ColumnRecord>,
    #[prost(message, optional, tag = "34")]
    ordinal: Option<ColumnRecord>,
    #[prost(message, optional, tag = "35")]
    grpc_status: Option<ColumnRecord>,
    #[prost(message, optional, tag = "36")]
    streams: Option<ColumnRecord>,
    #[prost(message, optional, tag = "37")]
    refused: Option<ColumnRecord>,
    #[prost(message, optional, tag = "38")]
    faults: Option<ColumnRecord>,
}

/// Gathers columns call by call, or block by block.
#[derive(Default)]
pub(super) struct ColumnsBuilder {
    /// Everything but the texts and addresses, which lie in the tables below.
    pub(super) columns: Columns,
    pub(super) texts: Texts,
    addresses: Addresses,
    /// Number of the route of each text that was a path; 0 for not known yet.
    routes: Vec<u32>,
    route_buffer: String,
}

impl ColumnsBuilder {
    pub(super) fn push(&mut self, call: &Call) {
        let about = About::of(call);
        let method = self.texts.number(&about.method);
        let host = self.texts.number(&about.host);
        let path = self.texts.number(&about.path);
        let query = self.texts.number(&about.query);
        let route = match about.routing() {
            Routing::Path => self.route_of(path),
            Routing::Same => path,
            Routing::Key => self.texts.number(&about.route()),
        };
        let refused = refused(call).map_or(0, |code| self.texts.number(code.as_str()));
        let src = self.addresses.number(call.src);
        let dst = self.addresses.number(call.dst);

        let columns = &mut self.columns;
        columns.time_ns.push(call.time_ns);
        columns.protocol.push(call.protocol.code());
        columns.leg.push(call.leg.code());
        columns.state.push(call.state.code());
        columns.probe.push(call.probe);
        columns.src.push(src);
        columns.dst.push(dst);
        columns.method.push(method);
        columns.host.push(host);
        columns.path.push(path);
        columns.query.push(query);
        columns.route.push(route);
        let status = response_status(&call.response.head).unwrap_or(0);
        columns.status.push(status);
        columns
            .error
            .push(call.error.map_or(0, |error| error.code() + 1));
        let latency = call.phases.latency_ns();
        columns
            .latency_ns
            .push(latency.map_or(0, |ns| ns.saturating_add(1)));
        columns.request_size.push(call.request.body_size);
        columns.response_size.push(call.response.body_size);
        columns.connection.push(call.connection.id);
        columns.ordinal.push(call.connection.ordinal);
        let grpc_status = grpc::status(call).map_or(0, |status| status + 1);
        columns.grpc_status.push(grpc_status);
        columns.streams.push(call.is_stream());
        columns.refused.push(refused);
        let fault = call.fault.as_ref();
        columns
            .faults
            .push(fault.map_or(0, |fault| fault.effect.code() + 1));
    }

    /// Adds the columns of a whole block.
    pub(super) fn extend(&mut self, added: &Columns) {
        let texts: Vec<u32> = added
            .texts
            .iter()
            .map(|text| self.texts.number(text))
            .collect();
        let addresses: Vec<u32> = added
            .addresses
            .iter()
            .map(|&address| self.addresses.number(address))
            .collect();
        let columns = &mut self.columns;
        columns.time_ns.extend_from_slice(&added.time_ns);
        columns.protocol.extend_from_slice(&added.protocol);
        columns.leg.extend_from_slice(&added.leg);
        columns.state.extend_from_slice(&added.state);
        columns.probe.extend_from_slice(&added.probe);
        extend_numbers(&mut columns.src, &added.src, &addresses);
        extend_numbers(&mut columns.dst, &added.dst, &addresses);
        extend_numbers(&mut columns.method, &added.method, &texts);
        extend_numbers(&mut columns.host, &added.host, &texts);
        extend_numbers(&mut columns.path, &added.path, &texts);
        extend_numbers(&mut columns.query, &added.query, &texts);
        extend_numbers(&mut columns.route, &added.route, &texts);
        columns.status.extend_from_slice(&added.status);
        columns.error.extend_from_slice(&added.error);
        columns.latency_ns.extend_from_slice(&added.latency_ns);
        columns.request_size.extend_from_slice(&added.request_size);
        columns
            .response_size
            .extend_from_slice(&added.response_size);
        columns.connection.extend_from_slice(&added.connection);
        columns.ordinal.extend_from_slice(&added.ordinal);
        columns.grpc_status.extend_from_slice(&added.grpc_status);
        columns.streams.extend_from_slice(&added.streams);
        extend_numbers(&mut columns.refused, &added.refused, &texts);
        columns.faults.extend_from_slice(&added.faults);
    }

    fn route_of(&mut self, path: u32) -> u32 {
        if path == 0 {
            return 0;
        }
        let slot = path as usize;
        if self.routes.len() <= slot {
            self.routes.resize(slot + 1, 0);
        }
        if let Some(&known) = self.routes.get(slot)
            && known != 0
        {
            return known;
        }
        let mut buffer = std::mem::take(&mut self.route_buffer);
        buffer.clear();
        write_route(self.texts.text(path), &mut buffer);
        let route = self.texts.number(&buffer);
        self.route_buffer = buffer;
        if let Some(known) = self.routes.get_mut(slot) {
            *known = route;
        }
        route
    }

    /// Appends the columns as they are written.
    pub(super) fn write(&self, raw: &mut Vec<u8>) {
        let columns = &self.columns;
        let record = ColumnsRecord {
            text_count: self.texts.count(),
            text_lengths: Some(pack(self.texts.lengths())),
            text_bytes: Bytes::copy_from_slice(self.texts.bytes()),
            addresses: write_addresses(self.addresses.all()).into(),
            time_ns: Some(pack(&columns.time_ns)),
            protocol: Some(pack(&columns.protocol)),
            leg: Some(pack(&columns.leg)),
            state: Some(pack(&columns.state)),
            probe: Some(pack(&columns.probe)),
            src: Some(pack(&columns.src)),
            dst: Some(pack(&columns.dst)),
            method: Some(pack(&columns.method)),
            host: Some(pack(&columns.host)),
            path: Some(pack(&columns.path)),
            query: Some(pack(&columns.query)),
            route: Some(pack(&columns.route)),
            status: Some(pack(&columns.status)),
            error: Some(pack(&columns.error)),
            latency_ns: Some(pack(&columns.latency_ns)),
            request_size: Some(pack(&columns.request_size)),
            response_size: Some(pack(&columns.response_size)),
            connection: Some(pack(&columns.connection)),
            ordinal: Some(pack(&columns.ordinal)),
            grpc_status: Some(pack(&columns.grpc_status)),
            streams: Some(pack(&columns.streams)),
            refused: Some(pack(&columns.refused)),
            faults: Some(pack(&columns.faults)),
        };
        record.encode_raw(raw);
    }
}

fn extend_numbers(column: &mut Vec<u32>, added: &[u32], numbers: &[u32]) {
    // `read` has checked that every number has its entry.
    column.extend(
        added
            .iter()
            .map(|&number| numbers.get(number as usize).copied().unwrap_or(0)),
    );
}

/// Reads the columns of `calls` calls.
pub(super) fn read(raw: Bytes, calls: usize) -> Result<Columns, BlockError> {
    let record = ColumnsRecord::decode(raw).map_err(|error| damaged(error.to_string()))?;
    let texts = read_texts(&record, calls)?;
    let addresses = read_addresses(record.addresses, calls)?;
    let number_of_text = |column| read_numbers(column, calls, texts.len());
    let number_of_address = |column| read_numbers(column, calls, addresses.len());
    Ok(Columns {
        time_ns: unpack(record.time_ns, calls)?,
        protocol: unpack(record.protocol, calls)?,
        leg: unpack(record.leg, calls)?,
        state: unpack(record.state, calls)?,
        probe: unpack(record.probe, calls)?,
        src: number_of_address(record.src)?,
        dst: number_of_address(record.dst)?,
        method: number_of_text(record.method)?,
        host: number_of_text(record.host)?,
        path: number_of_text(record.path)?,
        query: number_of_text(record.query)?,
        route: number_of_text(record.route)?,
        status: unpack(record.status, calls)?,
        error: unpack(record.error, calls)?,
        latency_ns: unpack(record.latency_ns, calls)?,
        request_size: unpack(record.request_size, calls)?,
        response_size: unpack(record.response_size, calls)?,
        connection: unpack(record.connection, calls)?,
        ordinal: unpack(record.ordinal, calls)?,
        grpc_status: unpack(record.grpc_status, calls)?,
        streams: unpack(record.streams, calls)?,
        refused: number_of_text(record.refused)?,
        faults: unpack(record.faults, calls)?,
        texts,
        addresses,
    })
}

fn read_texts(record: &ColumnsRecord, calls: usize) -> Result<Vec<String>, BlockError> {
    let count = record.text_count as usize;
    if count > calls * MAX_DISTINCT_PER_CALL {
        return Err(damaged(format!("{count} texts for {calls} calls")));
    }
    let lengths: Vec<u32> = unpack(record.text_lengths.clone(), count)?;
    let all = str::from_utf8(&record.text_bytes).map_err(|error| damaged(error.to_string()))?;
    let mut texts = Vec::with_capacity(count + 1);
    texts.push(String::new());
    let mut rest = all;
    for length in lengths {
        let (text, after) = rest
            .split_at_checked(length as usize)
            .ok_or_else(|| damaged("a text reaches beyond the texts".to_owned()))?;
        texts.push(text.to_owned());
        rest = after;
    }
    Ok(texts)
}

/// Numbers into a table of `entries` entries, each checked.
fn read_numbers(
    column: Option<ColumnRecord>,
    calls: usize,
    entries: usize,
) -> Result<Vec<u32>, BlockError> {
    let numbers: Vec<u32> = unpack(column, calls)?;
    match numbers.iter().max() {
        Some(&highest) if highest as usize >= entries => {
            Err(damaged(format!("entry {highest} of a table of {entries}")))
        }
        _ => Ok(numbers),
    }
}

/// Addresses as 4, 4 bytes and the port, or as 6, 16 bytes, the port, flow and scope.
fn write_addresses(addresses: &[SocketAddr]) -> Vec<u8> {
    let mut written = Vec::with_capacity(addresses.len() * 7);
    for address in addresses {
        match address {
            SocketAddr::V4(v4) => {
                written.push(4);
                written.extend_from_slice(&v4.ip().octets());
                written.extend_from_slice(&v4.port().to_be_bytes());
            }
            SocketAddr::V6(v6) => {
                written.push(6);
                written.extend_from_slice(&v6.ip().octets());
                written.extend_from_slice(&v6.port().to_be_bytes());
                written.extend_from_slice(&v6.flowinfo().to_be_bytes());
                written.extend_from_slice(&v6.scope_id().to_be_bytes());
            }
        }
    }
    written
}

fn read_addresses(mut written: Bytes, calls: usize) -> Result<Vec<SocketAddr>, BlockError> {
    let mut addresses = Vec::new();
    while written.has_remaining() {
        if addresses.len() >= calls * MAX_DISTINCT_PER_CALL {
            return Err(damaged(format!("too many addresses for {calls} calls")));
        }
        let address = read_address(&mut written)
            .map_err(|error| damaged(format!("address {}: {error}", addresses.len())))?;
        addresses.push(address);
    }
    Ok(addresses)
}

fn read_address(written: &mut Bytes) -> Result<SocketAddr, bytes::TryGetError> {
    use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4, SocketAddrV6};
    if written.try_get_u8()? == 4 {
        let ip = Ipv4Addr::from_bits(written.try_get_u32()?);
        return Ok(SocketAddrV4::new(ip, written.try_get_u16()?).into());
    }
    let ip = Ipv6Addr::from_bits(written.try_get_u128()?);
    let port = written.try_get_u16()?;
    let flow = written.try_get_u32()?;
    let scope = written.try_get_u32()?;
    Ok(SocketAddrV6::new(ip, port, flow, scope).into())
}

pub(super) fn damaged(reason: String) -> BlockError {
    BlockError::Damaged {
        part: "columns",
        reason,
    }
}
