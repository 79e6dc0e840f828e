//! The facts of a call as far as the columns of its block tell them.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::net::SocketAddr;

use super::eval::Facts;
use super::facts::{
    REVISION_LABEL, both, database_text, elapsed_micros, grpc_name, grpc_status, grpc_status_name,
    identified, latency_millis, origin_text, url,
};
use super::fields::query_pairs;
use super::value::Value;
use super::vocabulary::{Field, Peer};
use crate::block::{Columns, Origin};
use crate::call::{CallError, Leg, Protocol, State};
use crate::names::{Names, Party};
use crate::outcome::Ending;

/// A block whose columns are at hand. Who its addresses belong to is looked up once per address.
pub(crate) struct BlockFacts<'a> {
    columns: &'a Columns,
    origin: &'a Origin,
    names: &'a Names,
    first_ns: i64,
    last_ns: i64,
    /// The recorder at each address.
    own: Vec<OnceCell<Party>>,
    /// Who else has each address; `None` inside where that changed while the block was recorded.
    others: Vec<OnceCell<Option<Party>>>,
}

impl<'a> BlockFacts<'a> {
    /// `first_ns` and `last_ns` are the times of the block's first and last call.
    pub(crate) fn new(
        columns: &'a Columns,
        origin: &'a Origin,
        names: &'a Names,
        (first_ns, last_ns): (i64, i64),
    ) -> Self {
        let addresses = columns.addresses.len();
        Self {
            columns,
            origin,
            names,
            first_ns,
            last_ns,
            own: vec![OnceCell::new(); addresses],
            others: vec![OnceCell::new(); addresses],
        }
    }

    pub(crate) fn columns(&self) -> &'a Columns {
        self.columns
    }

    /// Number of the address of one end of a call.
    pub(crate) fn address(&self, peer: Peer, row: usize) -> Option<usize> {
        let column = match peer {
            Peer::Src => &self.columns.src,
            Peer::Dst => &self.columns.dst,
        };
        column.get(row).map(|number| *number as usize)
    }

    pub(crate) fn leg(&self, row: usize) -> Option<Leg> {
        Leg::from_code(*self.columns.leg.get(row)?)
    }

    /// Who has the address with this number, as one end of a call of this leg, at any time of the
    /// block; `None` if that changed meanwhile.
    pub(crate) fn party_of(&self, peer: Peer, leg: Leg, number: usize) -> Option<&Party> {
        let address = *self.columns.addresses.get(number)?;
        if is_recorder(peer, leg) {
            let cell = self.own.get(number)?;
            return Some(cell.get_or_init(|| Party::known(address, self.origin)));
        }
        let throughout = || {
            self.names
                .party_throughout(address, self.first_ns, self.last_ns)
        };
        self.others.get(number)?.get_or_init(throughout).as_ref()
    }

    /// One end of a call.
    pub(crate) fn party(&self, peer: Peer, row: usize) -> Option<Cow<'_, Party>> {
        let leg = self.leg(row)?;
        let number = self.address(peer, row)?;
        if let Some(party) = self.party_of(peer, leg, number) {
            return Some(Cow::Borrowed(party));
        }
        let address: SocketAddr = *self.columns.addresses.get(number)?;
        let at_ns = *self.columns.time_ns.get(row)?;
        Some(Cow::Owned(self.names.party(address, at_ns)))
    }

    fn text(&self, column: &[u32], row: usize) -> Option<&'a str> {
        let number = *column.get(row)?;
        self.columns.texts.get(number as usize).map(String::as_str)
    }
}

/// Whether the end of a call is the one beside which it was recorded.
pub(crate) fn is_recorder(peer: Peer, leg: Leg) -> bool {
    matches!(
        (peer, leg),
        (Peer::Src, Leg::Outbound) | (Peer::Dst, Leg::Inbound)
    )
}

/// One call of a block whose columns are at hand.
pub(crate) struct RowFacts<'a> {
    pub(crate) block: &'a BlockFacts<'a>,
    pub(crate) row: usize,
}

impl RowFacts<'_> {
    /// `None` where the columns do not tell.
    fn known(&self, field: Field) -> Option<Value<'_>> {
        let Self { block, row } = *self;
        let columns = block.columns;
        let text = |column| block.text(column, row).map(Value::text);
        Some(match field {
            Field::Method => text(&columns.method)?,
            Field::Host => text(&columns.host)?,
            Field::Path => text(&columns.path)?,
            Field::Query => text(&columns.query)?,
            Field::Route => text(&columns.route)?,
            Field::Url => url(
                block.text(&columns.path, row)?,
                block.text(&columns.query, row)?,
            ),
            Field::Failed => Value::Bool(Ending::at(columns, row).failed()),
            Field::GrpcStatusName => grpc_status_name(columns.grpc_status.get(row)?.checked_sub(1)),
            Field::GrpcService | Field::GrpcMethod => {
                let protocol = Protocol::from_code(*columns.protocol.get(row)?)?;
                grpc_name(field, protocol, block.text(&columns.path, row)?)
            }
            Field::SqlCommand
            | Field::SqlFingerprint
            | Field::SqlErrorCode
            | Field::RedisCommand
            | Field::RedisKey
            | Field::RedisErrorCode => {
                let protocol = Protocol::from_code(*columns.protocol.get(row)?)?;
                let column = match field {
                    Field::SqlCommand | Field::RedisCommand => &columns.method,
                    Field::SqlFingerprint | Field::RedisKey => &columns.path,
                    _ => &columns.refused,
                };
                database_text(field, protocol, block.text(column, row)?)
            }
            Field::Namespaces | Field::Pods | Field::Services => {
                match (block.party(Peer::Src, row)?, block.party(Peer::Dst, row)?) {
                    (Cow::Borrowed(src), Cow::Borrowed(dst)) => both(field, src, dst),
                    (src, dst) => both(field, &src, &dst).into_owned(),
                }
            }
            Field::End(peer, identity) => match block.party(peer, row)? {
                Cow::Borrowed(party) => identified(party, identity),
                Cow::Owned(party) => identified(&party, identity).into_owned(),
            },
            Field::QueryString | Field::LocalLabels | Field::RemoteLabels | Field::NoMap => {
                Value::Map(field)
            }
            _ => match code_column(columns, field) {
                Some(column) => code_value(field, *column.get(row)?)?,
                None => match number(columns, field, row) {
                    Some(value) => value,
                    None => origin_value(block.origin, field)?,
                },
            },
        })
    }

    fn label(&self, field: Field, key: &str) -> Option<String> {
        let revision = match field {
            Field::LocalLabels => self.block.origin.revision.clone(),
            _ => {
                let remote = match self.block.leg(self.row)? {
                    Leg::Inbound => Peer::Src,
                    Leg::Outbound => Peer::Dst,
                };
                self.block.party(remote, self.row)?.revision.clone()
            }
        };
        (key == REVISION_LABEL && !revision.is_empty()).then_some(revision)
    }

    fn query_pairs(&self) -> Vec<(Cow<'_, str>, Cow<'_, str>)> {
        let query = self.block.text(&self.block.columns.query, self.row);
        query_pairs(query.unwrap_or_default())
    }
}

impl Facts for RowFacts<'_> {
    fn value(&self, field: Field) -> Value<'_> {
        self.known(field).unwrap_or(Value::Unknown)
    }

    fn entry(&self, field: Field, key: &str) -> Value<'_> {
        let found = match field {
            Field::QueryString => {
                let pairs = self.query_pairs().into_iter();
                pairs
                    .filter(|(name, _)| name == key)
                    .map(|(_, value)| value)
                    .next()
            }
            Field::LocalLabels | Field::RemoteLabels => self.label(field, key).map(Cow::Owned),
            Field::NoMap => None,
            _ => return Value::Unknown,
        };
        found.map_or(Value::Absent, Value::Text)
    }

    fn keys(&self, field: Field) -> Option<Vec<String>> {
        match field {
            Field::QueryString => Some(super::fields::distinct_names(self.query_pairs())),
            Field::LocalLabels | Field::RemoteLabels => {
                let label = self.label(field, REVISION_LABEL);
                Some(
                    label
                        .map(|_| REVISION_LABEL.to_owned())
                        .into_iter()
                        .collect(),
                )
            }
            Field::NoMap => Some(Vec::new()),
            _ => None,
        }
    }
}

/// What a fact is that the same for all calls of a recorder; `None` for the others.
pub(crate) fn origin_value(origin: &Origin, field: Field) -> Option<Value<'_>> {
    Some(match field {
        Field::Workload | Field::Namespace | Field::Pod | Field::Revision => {
            origin_text(origin, field)
        }
        Field::NoText => Value::text(""),
        Field::NoNumber => Value::Int(0),
        Field::Unrecorded => Value::Absent,
        Field::NoMap | Field::LocalLabels => Value::Map(field),
        _ => return None,
    })
}

/// The column of codes that tells a fact.
pub(crate) fn code_column(columns: &Columns, field: Field) -> Option<&[u8]> {
    Some(match field {
        Field::Http
        | Field::Http1
        | Field::Http2
        | Field::Grpc
        | Field::WebSocket
        | Field::Tls
        | Field::Opaque
        | Field::Postgresql
        | Field::Redis
        | Field::Protocol => &columns.protocol,
        Field::Leg => &columns.leg,
        Field::State => &columns.state,
        Field::Error => &columns.error,
        _ => return None,
    })
}

/// What a code in its column says; `None` for one that only newer versions know.
pub(crate) fn code_value(field: Field, code: u8) -> Option<Value<'static>> {
    let word = match field {
        Field::Leg => Leg::from_code(code)?.as_str(),
        Field::State => State::from_code(code)?.as_str(),
        Field::Error => match code.checked_sub(1) {
            None => "",
            Some(code) => CallError::from_code(code)?.as_str(),
        },
        _ => {
            let protocol = Protocol::from_code(code)?;
            return Some(match field {
                Field::Http => Value::Bool(protocol.is_http()),
                Field::Http1 => Value::Bool(protocol == Protocol::Http1),
                Field::Http2 => Value::Bool(protocol.is_http2()),
                Field::Grpc => Value::Bool(protocol == Protocol::Grpc),
                Field::WebSocket => Value::Bool(protocol == Protocol::WebSocket),
                Field::Tls => Value::Bool(protocol == Protocol::Tls),
                Field::Opaque => Value::Bool(protocol == Protocol::Opaque),
                Field::Postgresql => Value::Bool(protocol == Protocol::Postgresql),
                Field::Redis => Value::Bool(protocol == Protocol::Redis),
                _ => Value::text(protocol.as_str()),
            });
        }
    };
    Some(Value::text(word))
}

/// A fact that is a number in a column.
pub(crate) fn number(columns: &Columns, field: Field, row: usize) -> Option<Value<'static>> {
    // The column counts from one, so that zero can say that there is no end.
    let latency_ns = || columns.latency_ns.get(row).map(|ns| ns.checked_sub(1));
    Some(match field {
        Field::Status => Value::Int((*columns.status.get(row)?).into()),
        Field::GrpcStatus => grpc_status(columns.grpc_status.get(row)?.checked_sub(1)),
        Field::Probe => Value::Bool(*columns.probe.get(row)?),
        Field::Timestamp => Value::Time(*columns.time_ns.get(row)?),
        Field::ElapsedMicros => elapsed_micros(latency_ns()?),
        Field::LatencyMillis => latency_millis(latency_ns()?),
        Field::RequestSize => Value::int(*columns.request_size.get(row)?),
        Field::ResponseSize => Value::int(*columns.response_size.get(row)?),
        Field::Connection => Value::int(*columns.connection.get(row)?),
        Field::Ordinal => Value::Int((*columns.ordinal.get(row)?).into()),
        _ => return None,
    })
}
