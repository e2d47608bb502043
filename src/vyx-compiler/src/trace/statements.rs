//! Statements: names, branches and loops over constants.

use super::expressions::start;
use super::{MAX_VARIABLES, Stop, Tracer, Variable, Walk};
use crate::names;
use crate::operators::Refusal;
use crate::value::Value;
use rhai::{ASTFlags, Expr, FlowControl, Ident, Position, Stmt};
use vyx_engine::Kind;

impl Tracer<'_, '_> {
    /// The value of a list of statements: that of the last.
    pub(super) fn block(&mut self, statements: &[Stmt]) -> Walk {
        let mut last = Value::Nothing;
        for statement in statements.iter().filter(|statement| !statement.is_noop()) {
            last = self.statement(statement)?;
        }
        Ok(last)
    }

    /// A block whose names end with it.
    pub(super) fn scope(&mut self, statements: &[Stmt]) -> Walk {
        let mark = self.variables.len();
        let value = self.block(statements);
        self.variables.truncate(mark);
        value
    }

    fn statement(&mut self, statement: &Stmt) -> Walk {
        let at = statement.position();
        self.step(at)?;
        self.depth += 1;
        let value = self.statement_inner(statement, at);
        self.depth -= 1;
        value
    }

    fn statement_inner(&mut self, statement: &Stmt, at: Position) -> Walk {
        match statement {
            Stmt::Noop(_) => Ok(Value::Nothing),
            Stmt::Expr(expr) => self.expression(expr),
            Stmt::FnCall(call, at) if call.op_token.is_some() => self.operator(call, *at),
            Stmt::FnCall(call, at) => self.call(call, *at),
            Stmt::Block(block) => self.scope(block.statements()),
            Stmt::If(flow, _) => self.branch(flow),
            Stmt::For(parts, _) => self.unroll(&parts.0, parts.1.as_ref(), &parts.2),
            Stmt::Var(parts, flags, _) => {
                let value = self.expression(&parts.1)?;
                self.define(&parts.0, value, flags.contains(ASTFlags::CONSTANT))
            }
            Stmt::Assignment(parts) => {
                let (op, sides) = &**parts;
                let value = self.expression(&sides.rhs)?;
                self.assign(&sides.lhs, op.get_op_assignment_info().map(|info| info.5), value, op.position())
            }
            Stmt::Return(expr, flags, _) if !flags.contains(ASTFlags::BREAK) => {
                let value = expr.as_ref().map_or(Ok(Value::Nothing), |expr| self.expression(expr))?;
                Err(Stop::Return(value))
            }
            Stmt::BreakLoop(None, flags, _) if flags.contains(ASTFlags::BREAK) => Err(Stop::Break),
            Stmt::BreakLoop(None, ..) => Err(Stop::Continue),
            Stmt::While(..) | Stmt::Do(..) => Ok(self.refuse(
                at,
                Refusal::new("\"while\", \"loop\" and \"do\" are not in the language")
                    .hint("write for i in 0..10 { … }, or a function that looks back: sum, count, highest, barssince"),
            )),
            Stmt::Switch(..) => Ok(self
                .refuse(at, Refusal::new("\"switch\" is not in the language").hint("write select(condition, a, b)"))),
            Stmt::TryCatch(..) | Stmt::Return(..) => Ok(self.refuse(
                at,
                Refusal::new("\"try\" and \"throw\" are not in the language").hint("nothing fails at a close"),
            )),
            _ => Ok(self.refuse(at, Refusal::new("this is not in the language"))),
        }
    }

    /// `if` over a constant. Over anything else both branches are still walked, for their errors.
    fn branch(&mut self, flow: &FlowControl) -> Walk {
        let condition = self.expression(&flow.expr)?;
        let refusal = match condition {
            Value::Bool(true) => return self.scope(flow.body.statements()),
            Value::Bool(false) => return self.scope(flow.branch.statements()),
            Value::Poison => None,
            Value::Series(series) if series.kind == Kind::Bool => Some(
                Refusal::new("\"if\" cannot decide on a series: it differs from candle to candle")
                    .hint("write select(condition, a, b), or join conditions with && and ||"),
            ),
            other => Some(Refusal::new(format!("\"if\" takes a bool, not {}", other.describe()))),
        };
        if let Some(refusal) = refusal {
            self.refuse(start(&flow.expr), refusal);
        }
        for branch in [&flow.body, &flow.branch] {
            if let Err(Stop::End) = self.scope(branch.statements()) {
                return Err(Stop::End);
            }
        }
        Ok(Value::Poison)
    }

    fn unroll(&mut self, name: &Ident, counter: Option<&Ident>, flow: &FlowControl) -> Walk {
        let at = start(&flow.expr);
        let items: Box<dyn Iterator<Item = Value>> = match self.expression(&flow.expr)? {
            Value::List(list) => Box::new((0..list.len()).map(move |i| list[i].clone())),
            Value::Range(from, to) => Box::new((from..to).map(|i| Value::Number(i as f64))),
            Value::Poison => Box::new([Value::Poison].into_iter()),
            other => {
                let message = format!("\"for\" runs over a range or a list of constants, not {}", other.describe());
                let hint = "write for i in 0..10 { … x[i] … }";
                self.refuse(at, Refusal::new(message).hint(hint));
                Box::new([Value::Poison].into_iter())
            }
        };
        let mark = self.variables.len();
        for (i, item) in items.enumerate() {
            self.step(at)?;
            self.define(name, item, true)?;
            if let Some(counter) = counter {
                self.define(counter, Value::Number(i as f64), true)?;
            }
            let ended = self.scope(flow.body.statements());
            self.variables.truncate(mark);
            match ended {
                Ok(_) | Err(Stop::Continue) => {}
                Err(Stop::Break) => break,
                Err(stop) => return Err(stop),
            }
            // The next round would say the same.
            if self.problems.any() {
                break;
            }
        }
        Ok(Value::Nothing)
    }

    fn define(&mut self, ident: &Ident, value: Value, constant: bool) -> Walk {
        let (name, at) = (ident.as_str(), ident.pos);
        if names::taken(name) {
            let message = format!("\"{name}\" is already a name of the language");
            self.refuse(at, Refusal::new(message).hint(format!("choose another name, e.g. my_{name}")));
            self.forgive(name);
            return Ok(Value::Nothing);
        }
        if self.variables[self.frame..].iter().any(|v| v.name == name) {
            let message = format!("\"{name}\" is already defined");
            self.refuse(
                at,
                Refusal::new(message).hint(format!("write {name} = … to change it, or choose another name")),
            );
            return Ok(Value::Nothing);
        }
        if self.variables.len() == MAX_VARIABLES {
            self.problems.error(at, format!("the script has more than {MAX_VARIABLES} variables at once"), None);
            return Err(Stop::End);
        }
        self.variables.push(Variable { name: name.to_owned(), value, constant });
        Ok(Value::Nothing)
    }

    fn assign(&mut self, target: &Expr, op: Option<&str>, value: Value, at: Position) -> Walk {
        let Expr::Variable(name, _, place) = target else {
            let refusal =
                Refusal::new("only a variable can be assigned to").hint("series and results are never changed");
            return Ok(self.refuse(at, refusal));
        };
        let name = name.1.as_str();
        let found = self.variables[self.frame..].iter().rposition(|v| v.name == name).map(|i| i + self.frame);
        let Some(i) = found else {
            if names::taken(name) {
                let message = format!("\"{name}\" is a name of the language and cannot be changed");
                self.refuse(*place, Refusal::new(message).hint(format!("write let my_{name} = … for a new name")));
            } else if self.lost.contains(name) {
                self.unknown(name, *place);
            } else {
                let refusal = Refusal::new(format!("unknown name \"{name}\""));
                self.refuse(*place, refusal.hint(format!("write let {name} = … for a new name")));
            }
            self.forgive(name);
            return Ok(Value::Nothing);
        };
        if self.variables[i].constant {
            let refusal = Refusal::new(format!("\"{name}\" is constant and cannot be changed"));
            return Ok(self.refuse(*place, refusal));
        }
        let before = self.variables[i].value.clone();
        self.variables[i].value = match op {
            Some(op) => self.binary(op, before, value, at),
            None => value,
        };
        Ok(Value::Nothing)
    }

    /// A name that was wrongly defined is poison from here on, so that its uses are not reported as well.
    fn forgive(&mut self, name: &str) {
        if self.variables.len() < MAX_VARIABLES {
            self.variables.push(Variable { name: name.to_owned(), value: Value::Poison, constant: false });
        }
    }
}
