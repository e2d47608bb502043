//! What follows a value: `.property`, `.method(…)` and `[index]`.

use super::expressions::start;
use super::{Tracer, Walk};
use crate::calls;
use crate::names;
use crate::operators::{self, Refusal};
use crate::value::{Market, Series, Value, shown};
use rhai::{ASTFlags, Expr, FnCallExpr, Position};
use vyx_engine::program::MAX_LOOKBACK;
use vyx_engine::{Kind, Op, catalog};

/// How one link of a chain is tied to what stands before it.
enum Tie {
    Dot,
    Index,
}

impl Tracer<'_, '_> {
    /// A chain such as `tf("1h").close[1]`, which the parser nests to the right: walked in a loop.
    pub(super) fn chain(&mut self, expr: &Expr) -> Walk {
        let (Expr::Dot(parts, flags, _) | Expr::Index(parts, flags, _)) = expr else { return Ok(Value::Poison) };
        let mut value = self.expression(&parts.lhs)?;
        let mut tie = tie(expr);
        let (mut rest, mut flags) = (&parts.rhs, *flags);
        loop {
            self.step(start(rest))?;
            let last = flags.contains(ASTFlags::BREAK) || !matches!(rest, Expr::Dot(..) | Expr::Index(..));
            let (link, next) = match rest {
                Expr::Dot(parts, flags, _) | Expr::Index(parts, flags, _) if !last => {
                    (&parts.lhs, Some((&parts.rhs, *flags)))
                }
                whole => (whole, None),
            };
            if flags.contains(ASTFlags::NEGATED) {
                let refusal = Refusal::new("\"?.\" and \"?[\" are not in the language").hint("write . or [");
                value = self.refuse(start(link), refusal);
            }
            value = match (&tie, link) {
                (Tie::Dot, Expr::Property(name, at)) => self.property(value, &name.2, *at),
                (Tie::Dot, Expr::MethodCall(call, at)) => self.method(value, call, *at)?,
                (Tie::Index, index) => {
                    let at = start(index);
                    let index = self.expression(index)?;
                    self.index(value, index, at)
                }
                (Tie::Dot, other) => self.refuse(start(other), Refusal::new("a name is expected after \".\"")),
            };
            match next {
                None => return Ok(value),
                Some((after, its_flags)) => {
                    tie = self::tie(rest);
                    (rest, flags) = (after, its_flags);
                }
            }
        }
    }

    /// `x[n]`: n candles back, or the entry of a list.
    fn index(&mut self, value: Value, index: Value, at: Position) -> Value {
        if value.is_poison() || index.is_poison() {
            return Value::Poison;
        }
        let Value::Number(n) = index else {
            let refusal = Refusal::new(format!("[n] takes a whole constant, not {}", index.describe()));
            return self.refuse(at, refusal.hint("valuewhen(condition, x, 0) is the value when something was true"));
        };
        match value {
            Value::Series(series) => self.lag(series, n, at),
            Value::List(list) => {
                let found = (n.fract() == 0.0 && n >= 0.0).then(|| list.get(n as usize).cloned()).flatten();
                found.unwrap_or_else(|| {
                    let message = format!("the list has {} entries, counted from 0, and no [{}]", list.len(), shown(n));
                    self.refuse(at, Refusal::new(message))
                })
            }
            Value::Record(_) | Value::Market(_) => {
                let refusal = operators::not_plain(&value, "[n] looks back in a series");
                self.refuse(at, refusal)
            }
            Value::Number(_) | Value::Bool(_) | Value::Text(_) => {
                let message = format!("{} is the same on every candle and has no [{n}]", value.describe());
                self.refuse(at, Refusal::new(message))
            }
            other => self.refuse(at, Refusal::new(format!("[n] looks back in a series, not in {}", other.describe()))),
        }
    }

    fn lag(&mut self, series: Series, n: f64, at: Position) -> Value {
        if n < 0.0 {
            let refusal = Refusal::new(format!("[{n}] would look into the future")).hint("[1] is one candle back");
            return self.refuse(at, refusal);
        }
        if n.fract() != 0.0 || n > MAX_LOOKBACK as f64 {
            let message = format!("[n] takes a whole number from 0 to {MAX_LOOKBACK}, not {}", shown(n));
            return self.refuse(at, Refusal::new(message));
        }
        // What depends on constants alone was the same a candle ago.
        if n == 0.0 || series.clock.is_none() {
            return Value::Series(series);
        }
        Value::Series(self.graph.node(Op::Lag(series.node, n as u16), series.kind, series.clock))
    }

    fn property(&mut self, value: Value, name: &str, at: Position) -> Value {
        match &value {
            Value::Poison => Value::Poison,
            Value::Market(market) => self.market_property(market, name, at),
            Value::Record(record) => match record.function.outputs.iter().position(|o| *o == name) {
                Some(i) => Value::Series(record.outputs[i]),
                None => {
                    let refusal = unknown_member(record.function.name, name, record.function.outputs.iter().copied());
                    self.refuse(at, refusal)
                }
            },
            Value::Map(map) => match map.get(name) {
                Some((value, _)) => value.clone(),
                None => {
                    let refusal = unknown_member("the map", name, map.keys().map(String::as_str));
                    self.refuse(at, refusal)
                }
            },
            Value::List(list) if name == "len" => Value::Number(list.len() as f64),
            Value::Namespace("math") if name == "pi" => Value::Number(std::f64::consts::PI),
            Value::Namespace("math") if name == "e" => Value::Number(std::f64::consts::E),
            Value::Namespace(prefix) if catalog::find(name).is_some() || names::BUILT_IN.contains(&name) => {
                let refusal = Refusal::new(format!("\"{prefix}.{name}\" is a function"));
                self.refuse(at, refusal.hint(format!("call it: {prefix}.{name}(…)")))
            }
            Value::Namespace(_) => self.unknown(name, at),
            other => {
                let message = format!("{} has no .{name}", other.describe());
                self.refuse(at, Refusal::new(message))
            }
        }
    }

    fn market_property(&mut self, market: &Market, name: &str, at: Position) -> Value {
        if name == "closed" {
            return match self.graph.clock(market) {
                0 => Value::Bool(true),
                clock => Value::Series(self.graph.node(Op::Completed { clock }, Kind::Bool, Some(0))),
            };
        }
        match names::series(&mut self.graph, market, name) {
            Some(series) => Value::Series(series),
            None if catalog::find(name).is_some() => {
                let refusal = Refusal::new(format!("\"{name}\" is a function")).hint(format!("call it: .{name}(…)"));
                self.refuse(at, refusal)
            }
            None => {
                let refusal = unknown_member("a timeframe", name, names::SERIES.into_iter().chain(["closed"]));
                self.refuse(at, refusal)
            }
        }
    }

    fn method(&mut self, value: Value, call: &FnCallExpr, at: Position) -> Walk {
        let args = self.all(&call.args)?;
        let places: Vec<Position> = call.args.iter().map(start).collect();
        let name = call.name.as_str();
        Ok(match value {
            Value::Poison => Value::Poison,
            Value::Namespace(_) => return self.call_named(name, &args, &places, at),
            Value::Market(market) if name == "tf" => self.timeframe(market.symbol, &args, &places, at),
            Value::Market(market) => match catalog::find(name) {
                Some(function) => {
                    let clock = self.graph.clock(&market);
                    let called = calls::catalog(&mut self.graph, function, &args, Some(clock));
                    self.called(called, &places, at)
                }
                None => {
                    let known = catalog::functions().iter().map(|f| f.name);
                    let refusal = Refusal::new(format!("a timeframe has no function \"{name}\""));
                    let hint = names::did_you_mean(name, known);
                    self.refuse(at, Refusal { hint, ..refusal })
                }
            },
            Value::List(list) if name == "len" && args.is_empty() => Value::Number(list.len() as f64),
            // x.f(a) is f(x, a), as everywhere in Rhai.
            receiver => {
                let all: Vec<Value> = [receiver].into_iter().chain(args).collect();
                let places: Vec<Position> = [at].into_iter().chain(places).collect();
                return self.call_named(name, &all, &places, at);
            }
        })
    }
}

fn tie(expr: &Expr) -> Tie {
    if matches!(expr, Expr::Dot(..)) { Tie::Dot } else { Tie::Index }
}

fn unknown_member<'a>(of: &str, name: &str, known: impl Iterator<Item = &'a str> + Clone) -> Refusal {
    let list = known.clone().map(|k| format!(".{k}")).collect::<Vec<_>>().join(" ");
    let meant = names::did_you_mean(name, known).map(|meant| format!("{meant} ")).unwrap_or_default();
    Refusal::new(format!("{of} has no .{name}")).hint(format!("{meant}it has {list}"))
}
