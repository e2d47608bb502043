//! Expressions, operators and literals.

use super::{MAX_ENTRIES, Tracer, Walk};
use crate::operators::{self, Outcome, Refusal};
use crate::value::Value;
use crate::warnings;
use rhai::{Expr, FnCallExpr, Position};
use std::collections::BTreeMap;

impl Tracer<'_, '_> {
    pub(super) fn expression(&mut self, expr: &Expr) -> Walk {
        let at = start(expr);
        self.step(at)?;
        self.depth += 1;
        let value = self.expression_inner(expr, at);
        self.depth -= 1;
        value
    }

    fn expression_inner(&mut self, expr: &Expr, at: Position) -> Walk {
        Ok(match expr {
            Expr::BoolConstant(b, _) => Value::Bool(*b),
            Expr::IntegerConstant(i, _) => Value::Number(*i as f64),
            Expr::FloatConstant(f, _) => Value::Number(**f),
            Expr::StringConstant(text, _) => self.text(text, at),
            Expr::CharConstant(..) => {
                self.refuse(at, Refusal::new("a text stands in double quotes").hint("write \"text\""))
            }
            Expr::InterpolatedString(parts, _) => {
                let parts = self.all(parts)?;
                let outcome = operators::join(&parts.iter().collect::<Vec<_>>());
                self.settle(at, outcome)
            }
            Expr::Array(items, _) => self.list(items, at)?,
            Expr::Map(entries, _) => self.map(&entries.0, at)?,
            Expr::Unit(_) => Value::Nothing,
            Expr::Variable(name, _, _) => self.name(&name.1, at),
            Expr::ThisPtr(_) => self.refuse(at, Refusal::new("\"this\" is not in the language")),
            Expr::And(sides, _) => self.logic(sides, true)?,
            Expr::Or(sides, _) => self.logic(sides, false)?,
            // Told when the token was seen; what stands in it is looked at all the same.
            Expr::Coalesce(sides, _) => {
                self.all(sides)?;
                Value::Poison
            }
            Expr::FnCall(call, at) if call.op_token.is_some() => self.operator(call, *at)?,
            Expr::FnCall(call, at) => self.call(call, *at)?,
            Expr::Dot(..) | Expr::Index(..) => self.chain(expr)?,
            Expr::Stmt(block) => self.scope(block.statements())?,
            _ => self.refuse(at, Refusal::new("this is not in the language")),
        })
    }

    pub(super) fn all(&mut self, exprs: &[Expr]) -> Walk<Vec<Value>> {
        exprs.iter().map(|expr| self.expression(expr)).collect()
    }

    fn text(&mut self, text: &str, at: Position) -> Value {
        if text.contains('\0') {
            return self.refuse(at, Refusal::new("a text cannot hold the character NUL"));
        }
        Value::text(text)
    }

    fn list(&mut self, items: &[Expr], at: Position) -> Walk {
        if items.len() > MAX_ENTRIES {
            return Ok(self.refuse(at, Refusal::new(format!("a list has at most {MAX_ENTRIES} entries"))));
        }
        let values = self.all(items)?;
        for (value, item) in values.iter().zip(items) {
            if matches!(value, Value::List(_) | Value::Map(_) | Value::Range(..)) {
                let message = format!("a list holds plain values, not {}", value.describe());
                return Ok(self.refuse(start(item), Refusal::new(message)));
            }
        }
        Ok(Value::List(values.into()))
    }

    fn map(&mut self, entries: &[(rhai::Ident, Expr)], at: Position) -> Walk {
        if entries.len() > MAX_ENTRIES {
            return Ok(self.refuse(at, Refusal::new(format!("a map has at most {MAX_ENTRIES} keys"))));
        }
        let mut map = BTreeMap::new();
        for (key, expr) in entries {
            let value = self.expression(expr)?;
            let at = start(expr);
            let value = if matches!(value, Value::List(_) | Value::Map(_) | Value::Range(..)) {
                let message = format!("a key holds a plain value, not {}", value.describe());
                self.refuse(at, Refusal::new(message).hint("give each value a key of its own"))
            } else {
                value
            };
            map.insert(key.name.to_string(), (value, at));
        }
        Ok(Value::Map(map.into()))
    }

    /// `&&` of all sides, or `||`.
    fn logic(&mut self, sides: &[Expr], all: bool) -> Walk {
        let mut sides = sides.iter();
        let Some(first) = sides.next() else { return Ok(Value::Poison) };
        let mut result = self.expression(first)?;
        let mut at = start(first);
        for side in sides {
            let value = self.expression(side)?;
            // Which side is to blame is known by trying each alone.
            if operators::boolean(&result, "&&").is_ok() {
                at = start(side);
            }
            if let Some((message, hint)) = warnings::logic(&self.graph, all, &result, &value) {
                self.problems.warn(start(side), message, hint);
            }
            let op = if all { operators::and } else { operators::or };
            let outcome = op(&mut self.graph, &result, &value);
            result = self.settle(at, outcome);
        }
        Ok(result)
    }

    pub(super) fn operator(&mut self, call: &FnCallExpr, at: Position) -> Walk {
        let name = call.name.as_str();
        Ok(match &call.args[..] {
            [operand] => {
                let value = self.expression(operand)?;
                let outcome = operators::unary(&mut self.graph, name, &value);
                self.settle(at, outcome)
            }
            [left, right] => {
                let (left, right) = (self.expression(left)?, self.expression(right)?);
                self.binary(name, left, right, at)
            }
            _ => self.refuse(at, Refusal::new(format!("\"{name}\" is not an operator here"))),
        })
    }

    pub(super) fn binary(&mut self, name: &str, left: Value, right: Value, at: Position) -> Value {
        if name == ".." || name == "..=" {
            let outcome = range(&left, &right, name == "..=");
            return self.settle(at, outcome);
        }
        let outcome = operators::binary(&mut self.graph, name, &left, &right);
        let value = self.settle(at, outcome);
        if let Some((message, hint)) = warnings::comparison(&self.graph, name, &left, &right) {
            self.problems.warn(at, message, hint);
        }
        value
    }
}

fn range(from: &Value, to: &Value, inclusive: bool) -> Outcome {
    let end = |value: &Value| match value {
        Value::Number(n) if n.fract() == 0.0 && n.abs() <= 1e9 => Ok(*n as i64),
        other => Err(Refusal::new(format!("a range runs between whole constants, not {}", other.describe()))),
    };
    if from.is_poison() || to.is_poison() {
        return Ok(Value::Poison);
    }
    Ok(Value::Range(end(from)?, end(to)? + i64::from(inclusive)))
}

/// Where an expression begins; Rhai's own answer for an operator is the operator.
pub(super) fn start(expr: &Expr) -> Position {
    let mut leftmost = expr;
    loop {
        leftmost = match leftmost {
            Expr::FnCall(call, _) if call.op_token.is_some() && call.args.len() == 2 => &call.args[0],
            Expr::And(sides, _) | Expr::Or(sides, _) if !sides.is_empty() => &sides[0],
            Expr::Dot(sides, ..) | Expr::Index(sides, ..) => &sides.lhs,
            other => return other.start_position(),
        }
    }
}
