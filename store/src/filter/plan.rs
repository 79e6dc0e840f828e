//! A filter lowered to the columns of blocks.
//!
//! The tree of `&&`, `||` and `!` is kept down to parts that read one column. Such a part is asked
//! once per distinct value of the column, not once per call. What columns cannot tell stays unknown,
//! and only calls that this leaves open have to be read.

mod leaf;
mod prune;

use super::columns::BlockFacts;
use super::eval::Truth;
use super::expr::Expr;
use super::{Filter, FilterError};
use leaf::Leaf;

/// How to ask blocks which of their calls pass a filter.
pub(crate) struct Plan<'f> {
    root: Option<Node<'f>>,
}

enum Node<'f> {
    All(Vec<Node<'f>>),
    Any(Vec<Node<'f>>),
    Not(Box<Node<'f>>),
    Leaf(Leaf<'f>),
}

impl<'f> Plan<'f> {
    pub(crate) fn new(filter: &'f Filter) -> Self {
        Self {
            root: filter.expr().map(Node::lower),
        }
    }

    /// What the columns say of the calls in `rows`, in the same order.
    pub(crate) fn decide(
        &mut self,
        block: &BlockFacts<'_>,
        rows: &[u32],
    ) -> Result<Vec<Truth>, FilterError> {
        match &mut self.root {
            None => Ok(vec![Truth::Yes; rows.len()]),
            Some(root) => {
                root.begin_block();
                root.decide(block, rows)
            }
        }
    }
}

impl<'f> Node<'f> {
    fn lower(expr: &'f Expr) -> Self {
        let leaf = Leaf::new(expr);
        if leaf.reads_one_column() {
            return Self::Leaf(leaf);
        }
        match expr {
            Expr::All(parts) => Self::All(Self::lower_each(parts)),
            Expr::Any(parts) => Self::Any(Self::lower_each(parts)),
            Expr::Not(part) => Self::Not(Box::new(Self::lower(part))),
            _ => Self::Leaf(leaf),
        }
    }

    /// The cheap ones first: what they decide, the others need not be asked.
    fn lower_each(parts: &'f [Expr]) -> Vec<Self> {
        let mut nodes: Vec<Self> = parts.iter().map(Self::lower).collect();
        nodes.sort_by_key(Self::cost);
        nodes
    }

    fn cost(&self) -> u32 {
        match self {
            Self::All(nodes) | Self::Any(nodes) => nodes.iter().map(Self::cost).sum(),
            Self::Not(node) => node.cost(),
            Self::Leaf(leaf) => leaf.cost(),
        }
    }

    fn begin_block(&mut self) {
        match self {
            Self::All(nodes) | Self::Any(nodes) => nodes.iter_mut().for_each(Self::begin_block),
            Self::Not(node) => node.begin_block(),
            Self::Leaf(leaf) => leaf.begin_block(),
        }
    }

    fn decide(&mut self, block: &BlockFacts<'_>, rows: &[u32]) -> Result<Vec<Truth>, FilterError> {
        match self {
            Self::All(nodes) => decide_together(nodes, block, rows, Truth::and, Truth::No),
            Self::Any(nodes) => decide_together(nodes, block, rows, Truth::or, Truth::Yes),
            Self::Not(node) => {
                let mut truths = node.decide(block, rows)?;
                truths.iter_mut().for_each(|truth| *truth = truth.negated());
                Ok(truths)
            }
            Self::Leaf(leaf) => leaf.decide(block, rows),
        }
    }
}

/// Asks each node only about the calls that those before it did not decide.
fn decide_together(
    nodes: &mut [Node<'_>],
    block: &BlockFacts<'_>,
    rows: &[u32],
    join: fn(Truth, Truth) -> Truth,
    deciding: Truth,
) -> Result<Vec<Truth>, FilterError> {
    let mut decided = vec![deciding.negated(); rows.len()];
    let mut open: Vec<usize> = (0..rows.len()).collect();
    let mut asked = rows.to_vec();
    for node in nodes {
        if open.is_empty() {
            break;
        }
        for (place, truth) in open.iter().zip(node.decide(block, &asked)?) {
            if let Some(decided) = decided.get_mut(*place) {
                *decided = join(*decided, truth);
            }
        }
        open.retain(|place| decided.get(*place) != Some(&deciding));
        asked.clear();
        asked.extend(open.iter().filter_map(|place| rows.get(*place)));
    }
    Ok(decided)
}
