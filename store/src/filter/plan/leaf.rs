//! A part of a filter that is asked of one column, where it can be.

use crate::filter::FilterError;
use crate::filter::columns::{BlockFacts, RowFacts, code_column, number};
use crate::filter::eval::{Truth, compare, truth_and_steps};
use crate::filter::expr::{Comparison, Expr};
use crate::filter::value::Value;
use crate::filter::vocabulary::{Field, Identity, Peer};

/// Statuses for which answers are remembered.
pub(super) const STATUSES: usize = 1_000;

/// Most steps that a part may take over the calls of one block. What is left then stays unknown, and
/// is asked call by call, where the clock is looked at.
const MAX_STEPS: u32 = 4_000_000;

/// A part of a filter with what it has to read.
pub(super) struct Leaf<'f> {
    pub(super) expr: &'f Expr,
    pub(super) reads: Reads<'f>,
    /// Answers by the number that stands for the value in its column.
    answers: Vec<Option<Truth>>,
    steps_left: u32,
}

/// What a part of a filter reads.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Reads<'f> {
    /// Nothing.
    Nothing,
    /// Only what is the same for all calls of a block.
    Origin,
    /// A column of codes, named by one of its fields.
    Code(Field),
    Status,
    /// One number, which it compares with another.
    Number(Compared<'f>),
    /// A column of texts, named by the field that it is.
    Text(Field),
    /// One end of the call; `address` if it asks for the address itself.
    End {
        peer: Peer,
        address: bool,
    },
    /// More than one column.
    Columns,
    /// More than the columns tell.
    Call,
}

/// A number in a column, compared with a constant.
#[derive(Debug, Clone, Copy)]
pub(super) struct Compared<'f> {
    pub(super) field: Field,
    pub(super) comparison: Comparison,
    pub(super) with: &'f Value<'static>,
}

impl PartialEq for Compared<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.field == other.field
    }
}

impl<'f> Leaf<'f> {
    pub(super) fn new(expr: &'f Expr) -> Self {
        Self {
            expr,
            reads: Reads::of(expr),
            answers: Vec::new(),
            steps_left: MAX_STEPS,
        }
    }

    pub(super) fn reads_one_column(&self) -> bool {
        !matches!(self.reads, Reads::Columns | Reads::Call)
    }

    pub(super) fn cost(&self) -> u32 {
        match self.reads {
            Reads::Nothing | Reads::Origin => 0,
            Reads::Code(_) => 1,
            Reads::Status | Reads::Number(_) => 2,
            Reads::Text(_) => 3,
            Reads::End { .. } => 4,
            Reads::Columns => 20,
            Reads::Call => 100,
        }
    }

    /// Forgets answers that hold for one block only.
    pub(super) fn begin_block(&mut self) {
        self.steps_left = MAX_STEPS;
        match self.reads {
            Reads::Code(_) | Reads::Status => {}
            _ => self.answers.clear(),
        }
    }

    pub(super) fn decide(
        &mut self,
        block: &BlockFacts<'_>,
        rows: &[u32],
    ) -> Result<Vec<Truth>, FilterError> {
        let columns = block.columns();
        match self.reads {
            Reads::Call => Ok(vec![Truth::Unknown; rows.len()]),
            Reads::Nothing | Reads::Origin => match rows.first() {
                Some(row) => Ok(vec![self.ask(block, *row as usize)?; rows.len()]),
                None => Ok(Vec::new()),
            },
            Reads::Number(compared) => Ok(rows
                .iter()
                .map(|row| compared.truth(&number_at(block, compared.field, *row)))
                .collect()),
            Reads::Columns => rows
                .iter()
                .map(|row| self.ask(block, *row as usize))
                .collect(),
            Reads::Code(field) => {
                let codes = code_column(columns, field).unwrap_or_default();
                self.remembering(block, rows, |row| Some((*codes.get(row)?).into()))
            }
            Reads::Status => self.remembering(block, rows, |row| {
                let status = usize::from(*columns.status.get(row)?);
                (status < STATUSES).then_some(status)
            }),
            Reads::Text(field) => {
                let numbers = text_column(block, field);
                self.remembering(block, rows, |row| Some(*numbers.get(row)? as usize))
            }
            Reads::End { peer, .. } => self.remembering(block, rows, |row| {
                let leg = block.leg(row)?;
                let number = block.address(peer, row)?;
                // Whose address changed hands meanwhile is asked call by call.
                block.party_of(peer, leg, number)?;
                Some(number * 2 + usize::from(leg.code()))
            }),
        }
    }

    /// Asks once for each slot; calls without one are asked each.
    fn remembering(
        &mut self,
        block: &BlockFacts<'_>,
        rows: &[u32],
        slot_of: impl Fn(usize) -> Option<usize>,
    ) -> Result<Vec<Truth>, FilterError> {
        let mut truths = Vec::with_capacity(rows.len());
        for row in rows {
            let row = *row as usize;
            let slot = slot_of(row);
            let known = slot.and_then(|slot| self.answer(slot));
            let truth = match known {
                Some(truth) => truth,
                None => self.ask(block, row)?,
            };
            if let (Some(slot), None) = (slot, known) {
                self.remember(slot, truth);
            }
            truths.push(truth);
        }
        Ok(truths)
    }

    pub(super) fn answer(&self, slot: usize) -> Option<Truth> {
        self.answers.get(slot).copied().flatten()
    }

    pub(super) fn remember(&mut self, slot: usize, truth: Truth) {
        if self.answers.len() <= slot {
            self.answers.resize(slot + 1, None);
        }
        if let Some(answer) = self.answers.get_mut(slot) {
            *answer = Some(truth);
        }
    }

    fn ask(&mut self, block: &BlockFacts<'_>, row: usize) -> Result<Truth, FilterError> {
        if self.steps_left == 0 {
            return Ok(Truth::Unknown);
        }
        let (truth, steps) = truth_and_steps(self.expr, &RowFacts { block, row })?;
        self.steps_left = self.steps_left.saturating_sub(steps);
        Ok(truth)
    }
}

impl Compared<'_> {
    pub(super) fn truth(&self, value: &Value<'_>) -> Truth {
        Truth::of(&compare(self.comparison, value, self.with))
    }
}

fn number_at(block: &BlockFacts<'_>, field: Field, row: u32) -> Value<'static> {
    number(block.columns(), field, row as usize).unwrap_or(Value::Unknown)
}

fn text_column<'a>(block: &BlockFacts<'a>, field: Field) -> &'a [u32] {
    let columns = block.columns();
    match field {
        Field::Method => &columns.method,
        Field::Host => &columns.host,
        Field::Path => &columns.path,
        Field::Route => &columns.route,
        _ => &columns.query,
    }
}

impl<'f> Reads<'f> {
    fn of(expr: &'f Expr) -> Self {
        let mut reads = Reads::Nothing;
        expr.walk(&mut |part| {
            if let Expr::Field(field) = part {
                reads = reads.with(Self::of_field(*field));
            }
        });
        match (reads, expr) {
            // A lone number is asked in one way only: compared with a constant.
            (Reads::Number(_), Expr::Compare(comparison, parts)) => match parts.as_ref() {
                [Expr::Field(field), Expr::Const(with)] => Reads::Number(Compared {
                    field: *field,
                    comparison: *comparison,
                    with,
                }),
                [Expr::Const(with), Expr::Field(field)] => Reads::Number(Compared {
                    field: *field,
                    comparison: comparison.flipped(),
                    with,
                }),
                _ => Reads::Columns,
            },
            (Reads::Number(_), _) => Reads::Columns,
            (reads, _) => reads,
        }
    }

    fn with(self, other: Self) -> Self {
        match (self, other) {
            (Reads::Call, _) | (_, Reads::Call) => Reads::Call,
            (Reads::Nothing, other) => other,
            (
                Reads::End { peer, address },
                Reads::End {
                    peer: other_peer,
                    address: other_address,
                },
            ) if peer == other_peer => Reads::End {
                peer,
                address: address || other_address,
            },
            (reads, other) if reads == other => reads,
            _ => Reads::Columns,
        }
    }

    fn of_field(field: Field) -> Self {
        match field {
            Field::Http
            | Field::Http1
            | Field::Http2
            | Field::Grpc
            | Field::WebSocket
            | Field::Tls
            | Field::Opaque
            | Field::Postgresql
            | Field::Redis
            | Field::Protocol => Reads::Code(Field::Protocol),
            Field::Leg | Field::State | Field::Error => Reads::Code(field),
            Field::Status => Reads::Status,
            Field::Method | Field::Host | Field::Path | Field::Query | Field::Route => {
                Reads::Text(field)
            }
            Field::QueryString => Reads::Text(Field::Query),
            Field::Probe
            | Field::GrpcStatus
            | Field::Timestamp
            | Field::ElapsedMicros
            | Field::LatencyMillis
            | Field::RequestSize
            | Field::ResponseSize
            | Field::Connection
            | Field::Ordinal => Reads::Number(Compared {
                field,
                comparison: Comparison::Equal,
                with: &Value::Unknown,
            }),
            Field::Workload
            | Field::Namespace
            | Field::Pod
            | Field::Revision
            | Field::LocalLabels
            | Field::NoText
            | Field::NoNumber
            | Field::NoMap
            | Field::Unrecorded => Reads::Origin,
            Field::End(peer, identity) => Reads::End {
                peer,
                address: matches!(identity, Identity::Ip | Identity::Port),
            },
            Field::Url
            | Field::Failed
            | Field::GrpcService
            | Field::GrpcMethod
            | Field::GrpcStatusName
            | Field::SqlCommand
            | Field::SqlFingerprint
            | Field::SqlErrorCode
            | Field::RedisCommand
            | Field::RedisKey
            | Field::RedisErrorCode
            | Field::Namespaces
            | Field::Pods
            | Field::Services
            | Field::RemoteLabels => Reads::Columns,
            Field::HttpVersion
            | Field::RequestHeaders
            | Field::ResponseHeaders
            | Field::ResponseTrailers
            | Field::RequestCookies
            | Field::ResponseCookies
            | Field::RequestHeadSize
            | Field::ResponseHeadSize
            | Field::RequestBody
            | Field::ResponseBody
            | Field::RequestJson
            | Field::ResponseJson
            | Field::RequestMessages
            | Field::ResponseMessages
            | Field::Http2Reset
            | Field::WsOpcode
            | Field::WsOpcodes
            | Field::WsRequestPayload
            | Field::SqlQuery
            | Field::SqlRows
            | Field::SqlDatabase
            | Field::SqlUser
            | Field::SqlSuccess
            | Field::SqlErrorMessage
            | Field::RedisSuccess
            | Field::Engine
            | Field::Id
            | Field::Fault
            | Field::Https
            | Field::TlsHandling
            | Field::TlsReason
            | Field::TlsSni => Reads::Call,
        }
    }
}
