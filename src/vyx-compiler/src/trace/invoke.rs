//! Calls: the script's own functions, the built-in ones, the catalog's.

use super::expressions::start;
use super::{MAX_CALL_DEPTH, Stop, Tracer, Variable, Walk};
use crate::calls::{self, BadCall};
use crate::names;
use crate::operators::Refusal;
use crate::value::Value;
use crate::warnings;
use rhai::{FnCallExpr, Position};
use vyx_core::Interval;
use vyx_engine::catalog;

impl Tracer<'_, '_> {
    pub(super) fn call(&mut self, call: &FnCallExpr, at: Position) -> Walk {
        let args = self.all(&call.args)?;
        let places: Vec<Position> = call.args.iter().map(start).collect();
        self.call_named(&call.name, &args, &places, at)
    }

    /// Calls the script's own function, a built-in one, or the catalog's.
    pub(super) fn call_named(&mut self, name: &str, args: &[Value], places: &[Position], at: Position) -> Walk {
        if self.functions.iter().any(|f| f.name == name) {
            return self.call_own(name, args, at);
        }
        if name == "tf" {
            return Ok(self.timeframe(None, args, places, at));
        }
        if let Some(called) = calls::built_in(&mut self.graph, name, args) {
            return Ok(self.called(called, places, at));
        }
        let Some(function) = catalog::find(name) else {
            if names::SERIES.contains(&name) {
                let refusal = Refusal::new(format!("\"{name}\" is a series, not a function"));
                return Ok(self.refuse(at, refusal.hint(format!("write {name}"))));
            }
            return Ok(self.unknown(name, at));
        };
        if let Some((message, hint)) = warnings::crossing(&self.graph, function.name, args) {
            self.problems.warn(at, message, hint);
        }
        let called = calls::catalog(&mut self.graph, function, args, None);
        Ok(self.called(called, places, at))
    }

    pub(super) fn called(&mut self, called: Result<Value, BadCall>, places: &[Position], at: Position) -> Value {
        called.unwrap_or_else(|bad| {
            let at = bad.argument.and_then(|i| places.get(i).copied()).unwrap_or(at);
            self.refuse(at, bad.refusal)
        })
    }

    pub(super) fn timeframe(
        &mut self,
        symbol: Option<String>,
        args: &[Value],
        places: &[Position],
        at: Position,
    ) -> Value {
        if args.iter().any(Value::is_poison) {
            return Value::Poison;
        }
        match calls::timeframe(self.own.interval, symbol, args) {
            Ok(market) => {
                self.warn_unconfigured(market.interval, at);
                Value::Market(market)
            }
            Err(refusal) => self.refuse(places.first().copied().unwrap_or(at), refusal),
        }
    }

    pub(super) fn warn_unconfigured(&mut self, interval: Interval, at: Position) {
        if !self.configured.is_empty() && !self.configured.contains(&interval) {
            let kept: Vec<&str> = self.configured.iter().map(|i| i.as_str()).collect();
            let message = format!("this server does not keep \"{interval}\": the rule will not be ready");
            self.problems.warn(at, message, Some(format!("it keeps {}", kept.join(" "))));
        }
    }

    fn call_own(&mut self, name: &str, args: &[Value], at: Position) -> Walk {
        let functions = self.functions.clone();
        let Some(function) = functions.iter().find(|f| f.name == name && f.params.len() == args.len()) else {
            let takes: Vec<String> = functions
                .iter()
                .filter(|f| f.name == name)
                .map(|f| format!("{name}({})", f.params.iter().map(|p| p.as_str()).collect::<Vec<_>>().join(", ")))
                .collect();
            let refusal = Refusal::new(format!("{name} is called with {} arguments", args.len()));
            return Ok(self.refuse(at, refusal.hint(format!("it is defined as {}", takes.join(" and ")))));
        };
        if self.calls == MAX_CALL_DEPTH {
            let message = format!("functions call each other more than {MAX_CALL_DEPTH} deep");
            self.problems.error(at, message, Some("a rule cannot recur: there is no value to end it".into()));
            return Err(Stop::End);
        }
        let (frame, mark) = (self.frame, self.variables.len());
        self.frame = mark;
        self.calls += 1;
        for (param, value) in function.params.iter().zip(args) {
            self.variables.push(Variable { name: param.to_string(), value: value.clone(), constant: true });
        }
        let result = self.block(&function.body);
        self.variables.truncate(mark);
        self.frame = frame;
        self.calls -= 1;
        match result {
            Err(Stop::Return(value)) => Ok(value),
            other => other,
        }
    }
}
