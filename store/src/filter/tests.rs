//! Tables over a handful of calls: what each filter lets through, and what is said of each wrong one.

use std::net::SocketAddr;
use std::sync::Arc;

use super::*;
use crate::block::Origin;
use crate::call::*;
use crate::names::Party;

mod databases;
mod flat;
mod hostile;
mod http;
mod shop;
mod streams;
mod tls;
mod wrong;

use shop::shop;

/// Which of the calls a filter lets through.
fn matching(calls: &[FoundCall], filter: &Filter) -> Vec<usize> {
    (0..calls.len())
        .filter(|&place| filter.matches(&calls[place]).unwrap())
        .collect()
}
