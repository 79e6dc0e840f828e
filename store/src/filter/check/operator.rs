//! Checks operators.

use cel::common::ast::{CallExpr, IdedExpr, operators};

use super::{Checker, Typed, folded, shortened, words_of};
use crate::filter::FilterError;
use crate::filter::expr::{Arithmetic, Comparison, Expr};
use crate::filter::suggest::nearest;
use crate::filter::value::{Type, Value};

impl Checker<'_> {
    pub(super) fn call(
        &mut self,
        syntax: &IdedExpr,
        call: &CallExpr,
    ) -> Result<Typed, FilterError> {
        match (call.target.as_deref(), call.args.as_slice()) {
            (None, [part]) if call.func_name == operators::LOGICAL_NOT => {
                let part = self.condition(part)?;
                Ok(Typed::new(Expr::Not(Box::new(part)), Type::Bool))
            }
            (None, [part]) if call.func_name == operators::NEGATE => self.negated(syntax, part),
            (None, [left, right]) => match self.operator(syntax, &call.func_name, left, right) {
                Some(checked) => checked,
                None => self.function(syntax, call),
            },
            (None, [condition, then, otherwise]) if call.func_name == operators::CONDITIONAL => {
                self.choice(syntax, condition, then, otherwise)
            }
            _ => self.function(syntax, call),
        }
    }

    fn operator(
        &mut self,
        syntax: &IdedExpr,
        name: &str,
        left: &IdedExpr,
        right: &IdedExpr,
    ) -> Option<Result<Typed, FilterError>> {
        let comparison = match name {
            operators::LOGICAL_AND | operators::LOGICAL_OR => {
                return Some(self.connective(name, left, right));
            }
            operators::IN => return Some(self.membership(syntax, left, right)),
            operators::INDEX => return Some(self.indexed(syntax, left, right)),
            operators::ADD => return Some(self.sum(syntax, Arithmetic::Add, left, right)),
            operators::SUBSTRACT => {
                return Some(self.sum(syntax, Arithmetic::Subtract, left, right));
            }
            operators::MULTIPLY => {
                return Some(self.sum(syntax, Arithmetic::Multiply, left, right));
            }
            operators::DIVIDE => return Some(self.sum(syntax, Arithmetic::Divide, left, right)),
            operators::MODULO => return Some(self.sum(syntax, Arithmetic::Remainder, left, right)),
            operators::EQUALS => Comparison::Equal,
            operators::NOT_EQUALS => Comparison::NotEqual,
            operators::LESS => Comparison::Less,
            operators::LESS_EQUALS => Comparison::LessOrEqual,
            operators::GREATER => Comparison::Greater,
            operators::GREATER_EQUALS => Comparison::GreaterOrEqual,
            _ => return None,
        };
        Some(self.comparison(syntax, comparison, left, right))
    }

    /// A part that is true or false.
    pub(super) fn condition(&mut self, syntax: &IdedExpr) -> Result<Expr, FilterError> {
        let part = self.part(syntax)?;
        match part.r#type {
            Type::Bool | Type::Any => Ok(part.expr),
            other => {
                let written = self.written(syntax);
                let error = self.error(syntax, format!("`{written}` is {other}, not a condition"));
                Err(error.hint(match other {
                    Type::Text => format!("compare it: `{written} == \"…\"`, `{written} != \"\"`"),
                    Type::Map => format!("ask for an entry: `\"…\" in {written}`"),
                    _ => format!("compare it: `{written} == …`"),
                }))
            }
        }
    }

    fn connective(
        &mut self,
        name: &str,
        left: &IdedExpr,
        right: &IdedExpr,
    ) -> Result<Typed, FilterError> {
        let all = name == operators::LOGICAL_AND;
        let mut parts = Vec::new();
        for side in [left, right] {
            match (self.condition(side)?, all) {
                (Expr::All(nested), true) | (Expr::Any(nested), false) => parts.extend(nested),
                (part, _) => parts.push(part),
            }
        }
        let expr = if all {
            Expr::All(parts)
        } else {
            Expr::Any(parts)
        };
        Ok(Typed::new(expr, Type::Bool))
    }

    fn choice(
        &mut self,
        syntax: &IdedExpr,
        condition: &IdedExpr,
        then: &IdedExpr,
        otherwise: &IdedExpr,
    ) -> Result<Typed, FilterError> {
        let condition = self.condition(condition)?;
        let then = self.part(then)?;
        let otherwise = self.part(otherwise)?;
        let r#type = match (then.r#type, otherwise.r#type) {
            (one, other) if one == other => one,
            (one, other) if one.is_number() && other.is_number() => Type::Double,
            (Type::Any, _) | (_, Type::Any) => Type::Any,
            (one, other) => {
                return Err(self.error(
                    syntax,
                    format!("`? :` has to give one type; here it gives {one} or {other}"),
                ));
            }
        };
        let parts = Box::new([condition, then.expr, otherwise.expr]);
        Ok(Typed::new(Expr::Choose(parts), r#type))
    }

    fn comparison(
        &mut self,
        syntax: &IdedExpr,
        comparison: Comparison,
        left_syntax: &IdedExpr,
        right_syntax: &IdedExpr,
    ) -> Result<Typed, FilterError> {
        let left = self.part(left_syntax)?;
        let right = self.part(right_syntax)?;
        let ordering = !matches!(comparison, Comparison::Equal | Comparison::NotEqual);
        if !left.r#type.compares_with(right.r#type) {
            return Err(self.mismatch(syntax, (left_syntax, &left), (right_syntax, &right)));
        }
        if ordering && !(left.r#type.is_ordered() && right.r#type.is_ordered()) {
            let written = self.written(left_syntax);
            return Err(self.error(
                syntax,
                format!("`{written}` is {}, which has no order", left.r#type),
            ));
        }
        for (field, word) in [(&left, &right), (&right, &left)] {
            self.check_word(syntax, &field.expr, &word.expr)?;
        }
        let parts = Box::new([left.expr, right.expr]);
        Ok(Typed::new(Expr::Compare(comparison, parts), Type::Bool))
    }

    /// A field that only ever has a few words is not compared with any other word.
    fn check_word(&self, syntax: &IdedExpr, field: &Expr, word: &Expr) -> Result<(), FilterError> {
        let (Expr::Field(field), Expr::Const(Value::Text(word))) = (field, word) else {
            return Ok(());
        };
        let Some(words) = words_of(*field) else {
            return Ok(());
        };
        if words.contains(&word.as_ref()) {
            return Ok(());
        }
        let error = self.error(syntax, format!("{:?} never occurs here", shortened(word)));
        let named = words.iter().copied().filter(|word| !word.is_empty());
        Err(match nearest(word, named.clone()) {
            Some(near) => error.hint(format!("\"{near}\"")),
            None => error.hint(format!("one of: {}", named.collect::<Vec<_>>().join(", "))),
        })
    }

    fn membership(
        &mut self,
        syntax: &IdedExpr,
        item_syntax: &IdedExpr,
        holder_syntax: &IdedExpr,
    ) -> Result<Typed, FilterError> {
        let item = self.part(item_syntax)?;
        let holder = self.part(holder_syntax)?;
        let (one, other) = (self.written(item_syntax), self.written(holder_syntax));
        let fits = match holder.r#type {
            Type::Map => matches!(item.r#type, Type::Text | Type::Any),
            Type::List(held) => held.compares_with(item.r#type),
            Type::Any => true,
            Type::Text => {
                let error = self.error(
                    syntax,
                    format!("`{other}` is text; `in` asks lists and maps"),
                );
                return Err(error.hint(format!("`{other}.contains({one})`")));
            }
            _ => false,
        };
        if !fits {
            return Err(self.error(
                syntax,
                format!(
                    "`{one}` is {}; it can never be in `{other}`, which is {}",
                    item.r#type, holder.r#type
                ),
            ));
        }
        if let Expr::List(words) = &holder.expr {
            for word in words {
                self.check_word(syntax, &item.expr, word)?;
            }
        }
        Ok(Typed::new(
            Expr::In(Box::new([item.expr, holder.expr])),
            Type::Bool,
        ))
    }

    fn indexed(
        &mut self,
        syntax: &IdedExpr,
        holder_syntax: &IdedExpr,
        key_syntax: &IdedExpr,
    ) -> Result<Typed, FilterError> {
        let holder = self.part(holder_syntax)?;
        let key = self.part(key_syntax)?;
        let r#type = match (holder.r#type, key.r#type) {
            (Type::Map, Type::Text | Type::Any) => Type::Text,
            (Type::List(item), Type::Int | Type::Any) => *item,
            (Type::Any, Type::Text | Type::Int | Type::Any) => Type::Any,
            (held, by) => {
                let written = self.written(holder_syntax);
                return Err(self.error(
                    syntax,
                    format!("`{written}` is {held}; nothing in it is found by {by}"),
                ));
            }
        };
        Ok(Typed::new(
            Expr::Entry(Box::new([holder.expr, key.expr])),
            r#type,
        ))
    }

    fn negated(&mut self, syntax: &IdedExpr, part: &IdedExpr) -> Result<Typed, FilterError> {
        let part = self.part(part)?;
        match part.r#type {
            Type::Int | Type::Double | Type::Span | Type::Any => Ok(folded(Typed::new(
                Expr::Negate(Box::new(part.expr)),
                part.r#type,
            ))),
            other => Err(self.error(syntax, format!("`-` is asked of {other}"))),
        }
    }

    fn sum(
        &mut self,
        syntax: &IdedExpr,
        operation: Arithmetic,
        left: &IdedExpr,
        right: &IdedExpr,
    ) -> Result<Typed, FilterError> {
        use Arithmetic::{Add, Remainder, Subtract};
        let left = self.part(left)?;
        let right = self.part(right)?;
        let r#type = match (left.r#type, operation, right.r#type) {
            (Type::Int, _, Type::Int) => Type::Int,
            (Type::Int | Type::Double, op, Type::Int | Type::Double) if op != Remainder => {
                Type::Double
            }
            (Type::Text, Add, Type::Text) => Type::Text,
            (Type::Time, Add | Subtract, Type::Span) | (Type::Span, Add, Type::Time) => Type::Time,
            (Type::Time, Subtract, Type::Time) | (Type::Span, Add | Subtract, Type::Span) => {
                Type::Span
            }
            (Type::Any, ..) | (.., Type::Any) => Type::Any,
            (one, _, other) => {
                let error = self.error(syntax, format!("arithmetic with {one} and {other}"));
                return Err(match (one, other) {
                    (Type::Time, Type::Text | Type::Int) => {
                        error.hint("such as `now() - duration(\"5m\")`")
                    }
                    _ => error,
                });
            }
        };
        let parts = Box::new([left.expr, right.expr]);
        Ok(folded(Typed::new(
            Expr::Arithmetic(operation, parts),
            r#type,
        )))
    }
}
