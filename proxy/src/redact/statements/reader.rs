//! Reads a statement for the names of its values.
//!
//! Names, operators and brackets say what a value is. One rule stands behind the others: a value of which
//! nothing says what it is counts as a secret where the brackets around it, or at last the whole statement,
//! name one.

use super::super::Rules;
use super::super::names::{Class, Place};
use super::frame::{Frame, Holder, Role};
use super::strings;
use super::words::{Word, part_of};
use crate::sql::{Kind as Piece, Token};

/// Most columns of a list that are told apart.
const MOST_COLUMNS: usize = 512;

/// Deepest brackets that are told apart; what is deeper is read as if its brackets were not there, and its
/// values are in doubt.
const MOST_DEPTH: usize = 128;

/// Longest number that is no secret where nothing says what it is: `SELECT 1`.
const SHORT_NUMBER: usize = 2;

/// What the last token says of a name behind it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Join {
    #[default]
    None,
    /// It is a part of what stands before the dot.
    Dot,
    /// It is a type or collation.
    Type,
    /// A type was named.
    Typed,
}

/// Reads tokens one after the other.
pub(super) struct Reader<'a> {
    rules: &'a Rules,
    frame: Frame,
    outer: Vec<Frame>,
    too_deep: usize,
    join: Join,
    after_distinct: bool,
    /// Values of which nothing was said so far, those of inner brackets last.
    doubts: Vec<Token<'a>>,
    /// The secret values.
    found: Vec<(Token<'a>, Class)>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(rules: &'a Rules) -> Self {
        Self {
            rules,
            frame: Frame::default(),
            outer: Vec::new(),
            too_deep: 0,
            join: Join::None,
            after_distinct: false,
            doubts: Vec::new(),
            found: Vec::new(),
        }
    }

    /// Reads a token, with the one behind it. `speaks` says that a text has been read for itself, such as
    /// code; gives whether it is a secret all the same.
    pub(super) fn read(
        &mut self,
        token: &Token<'a>,
        next: Option<&Token<'_>>,
        speaks: bool,
    ) -> bool {
        let before = self.found.len();
        let is_qualifier = next.is_some_and(|next| next.text == b".");
        match token.kind {
            Piece::Word => self.word(token.text, is_qualifier),
            Piece::Quoted => {
                let is_name = is_qualifier || next.is_some_and(|next| next.text == b"(");
                self.quoted(token, is_qualifier, is_name);
            }
            Piece::Sign => self.sign(token.text),
            Piece::Text | Piece::Number => self.value(token, speaks),
            Piece::Param => {
                self.value(token, speaks);
                self.glued_word(token.text);
            }
        }
        self.after_distinct = token.text.eq_ignore_ascii_case(b"DISTINCT");
        self.found.len() > before
    }

    /// The statement is over: gives its secrets, and the secret that it names.
    pub(super) fn finish(mut self) -> (Vec<(Token<'a>, Class)>, Option<Class>) {
        while !self.outer.is_empty() {
            self.close_one();
        }
        let named = self.frame.named.secret();
        if let Some(class) = named {
            self.settle(0, class);
        }
        (self.found, named)
    }

    fn word(&mut self, word: &'a [u8], is_qualifier: bool) {
        let part = match self.join {
            // A name may be any word there.
            Join::Dot | Join::Type => Word::Name,
            _ => part_of(word),
        };
        if part == Word::Name {
            return self.name(word, is_qualifier);
        }
        self.join = Join::None;
        let frame = &mut self.frame;
        match part {
            Word::Operator => frame.operator(),
            Word::Between => {
                frame.operator();
                frame.between = true;
            }
            Word::And if std::mem::take(&mut frame.between) => frame.operand = Holder::Unknown,
            Word::And | Word::Condition => frame.end_element(),
            Word::From if self.after_distinct => {}
            Word::From | Word::Clause => frame.end_clause(),
            Word::Counts => {
                frame.end_clause();
                frame.counts = true;
            }
            Word::Set => {
                frame.end_clause();
                (frame.in_set, frame.role) = (true, Role::Set);
            }
            Word::Into => {
                frame.end_clause();
                frame.role = Role::Table;
            }
            Word::Values => {
                if frame.role != Role::Rows {
                    frame.columns = Default::default();
                }
                frame.end_clause();
                frame.role = Role::Rows;
            }
            Word::Select => {
                frame.end_clause();
                frame.place = (!frame.columns.is_empty()).then_some(0);
            }
            Word::Case => {
                let governor = frame.governs();
                self.open(Frame {
                    is_case: true,
                    governor,
                    ..Frame::default()
                });
            }
            Word::End if frame.is_case => self.close_one(),
            Word::As => (frame.operand, frame.word, frame.next) = Default::default(),
            Word::Type => {
                frame.operand = frame.operand.or(Holder::Plain);
                frame.word = Holder::Plain;
                self.join = Join::Typed;
            }
            Word::Collate => self.join = Join::Type,
            Word::End | Word::Distinct | Word::Transparent | Word::Name => {}
        }
    }

    /// The word that is glued to the number of a bind value: `$1AND`.
    fn glued_word(&mut self, param: &'a [u8]) {
        let digits = param
            .iter()
            .skip(1)
            .take_while(|byte| byte.is_ascii_digit());
        let word = param.get(1 + digits.count()..).unwrap_or_default();
        if !word.is_empty() {
            self.word(word, false);
        }
    }

    fn quoted(&mut self, token: &Token<'a>, is_qualifier: bool, is_name: bool) {
        // A value in the wrong quotes, unless it goes on as a name does.
        let is_next = self.frame.operand == Holder::Unknown && self.join == Join::None;
        if let Some(class) = self.frame.next.secret().filter(|_| is_next && !is_name) {
            return self.found.push((*token, class));
        }
        let inside = strings::quoted_content(token.text);
        self.name(token.text.get(inside).unwrap_or_default(), is_qualifier);
    }

    fn name(&mut self, name: &[u8], is_qualifier: bool) {
        let frame = &mut self.frame;
        if frame.role == Role::Set {
            frame.role = Role::Plain;
        }
        if self.join == Join::Type {
            self.join = Join::Typed;
            return;
        }
        let class = self.rules.names.classify(name, Place::Field);
        // Before a dot it is the name of a table, as a rule.
        let holder = Holder::of(class.filter(|_| !is_qualifier));
        frame.operand = match self.join {
            Join::Dot => holder,
            _ => frame.operand.or(holder),
        };
        frame.word = holder;
        if let Holder::Secret(_) = holder {
            frame.named = frame.named.or(holder);
        }
        self.join = Join::None;
    }

    fn sign(&mut self, sign: &[u8]) {
        let join = std::mem::take(&mut self.join);
        let frame = &mut self.frame;
        match sign {
            b"(" | b"[" => self.open_bracket(sign == b"(", join == Join::Typed),
            b")" | b"]" => self.close_bracket(),
            b"," => self.comma(),
            b"." if join == Join::Typed => self.join = Join::Type,
            b"." => self.join = Join::Dot,
            b"::" => self.join = Join::Type,
            b";" => {
                frame.end_clause();
                frame.columns = Default::default();
            }
            b"*" if join == Join::Dot || (frame.next, frame.operand) == Default::default() => {
                // All columns of something: nobody can say which come behind them.
                frame.operator();
                frame.place = None;
            }
            _ => {
                frame.operator();
                frame.takes_key = matches!(sign, b"->" | b"->>" | b"#>" | b"#>>");
            }
        }
    }

    fn comma(&mut self) {
        let frame = &mut self.frame;
        if frame.role == Role::Columns && frame.listed.len() < MOST_COLUMNS {
            frame.listed.push(frame.operand.or(Holder::Plain));
        }
        let key = frame.key;
        frame.end_element();
        frame.beside = key;
        frame.place = frame.place.map(|place| place + 1);
        if frame.in_set {
            frame.role = Role::Set;
        }
    }

    fn open_bracket(&mut self, is_round: bool, is_type: bool) {
        let frame = &self.frame;
        let mut inner = Frame {
            governor: frame.governs(),
            is_call: frame.word != Holder::Unknown,
            ..Frame::default()
        };
        match frame.role {
            Role::Table | Role::Set if is_round => {
                inner.role = Role::Columns;
                inner.governor = Holder::Unknown;
            }
            Role::Rows if is_round => {
                inner.place = Some(0);
                inner.columns = frame.columns.clone();
            }
            _ => {}
        }
        // Numbers in the brackets of a type are lengths.
        inner.counts = is_type;
        self.open(inner);
    }

    fn open(&mut self, mut inner: Frame) {
        if self.outer.len() >= MOST_DEPTH {
            self.too_deep += usize::from(!inner.is_case);
            return;
        }
        inner.doubts = self.doubts.len();
        self.outer.push(std::mem::replace(&mut self.frame, inner));
    }

    fn close_bracket(&mut self) {
        if self.too_deep > 0 {
            self.too_deep -= 1;
            return;
        }
        while self.frame.is_case {
            self.close_one();
        }
        if self.frame.role == Role::Columns {
            // As behind its last comma.
            self.comma();
        }
        self.close_one();
    }

    /// Closes what was opened last, and settles what was in doubt there.
    fn close_one(&mut self) {
        let Some(outer) = self.outer.pop() else {
            return;
        };
        let inner = std::mem::replace(&mut self.frame, outer);
        match (inner.named, inner.governor) {
            (Holder::Secret(class), _) => self.settle(inner.doubts, class),
            (_, Holder::Plain) => self.doubts.truncate(inner.doubts),
            _ => {}
        }
        self.frame.take_in(inner);
    }

    /// What is in doubt from there on is a secret.
    fn settle(&mut self, from: usize, class: Class) {
        let from = from.min(self.doubts.len());
        let doubts = self.doubts.drain(from..);
        let is_secret = |doubt: &Token<'_>| !is_count(doubt, class);
        self.found
            .extend(doubts.filter(is_secret).map(|doubt| (doubt, class)));
    }

    fn value(&mut self, token: &Token<'a>, speaks: bool) {
        let frame = &mut self.frame;
        (frame.word, self.join) = Default::default();
        // PASSWORD 'x': a name that a value follows at once.
        let named = std::mem::take(&mut frame.operand);
        let said = frame
            .governor
            .secret()
            .map_or(Holder::Unknown, Holder::Secret);
        let said = said.or(named).or(frame.next);
        // What stands in the column of a secret is one, even where it reads like a name or a statement.
        let said = match frame.says() {
            column @ Holder::Secret(_) => said.or(column),
            _ => said,
        };
        let said = match said {
            Holder::Secret(_) => said,
            _ if speaks => return,
            _ => match self.key(token, said) {
                Some(class) => return self.note_key(class),
                None => said.or(self.frame.says()),
            },
        };
        let is_in_doubt = said == Holder::Unknown || self.too_deep > 0;
        match said {
            Holder::Secret(class) if !is_count(token, class) => self.found.push((*token, class)),
            _ if is_in_doubt && !is_short(token) => self.doubts.push(*token),
            _ => {}
        }
    }

    /// Whether a text is the key of a secret: of JSON, or beside its value in a list.
    fn key(&self, token: &Token<'_>, said: Holder) -> Option<Class> {
        let frame = &self.frame;
        let is_listed = frame.is_call || frame.place.is_some() || frame.governor == Holder::Unknown;
        let may_be = frame.takes_key || (said == Holder::Unknown && is_listed);
        let inside = strings::content(token.text);
        let text = token.text.get(inside).unwrap_or_default();
        let is_word = |b: &u8| b.is_ascii_alphanumeric() || b"_-.,{}$".contains(b);
        if token.kind != Piece::Text || !may_be || text.is_empty() || !text.iter().all(is_word) {
            return None;
        }
        let class = self.rules.names.classify(text, Place::Field);
        class.filter(|class| *class != Class::Texts)
    }

    fn note_key(&mut self, class: Class) {
        let frame = &mut self.frame;
        frame.key = Some(class);
        frame.operand = Holder::Secret(class);
        frame.named = frame.named.or(frame.operand);
    }
}

/// Numbers under a name such as `tokens` are counts.
fn is_count(token: &Token<'_>, class: Class) -> bool {
    class == Class::Texts && token.kind == Piece::Number
}

fn is_short(token: &Token<'_>) -> bool {
    token.kind == Piece::Number && token.text.len() <= SHORT_NUMBER
}
