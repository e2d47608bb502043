//! Programs as people write them: ten shapes, the usual periods, and a threshold of its own for each.

use serde_json::json;
use vyx_core::Interval;
use vyx_engine::program::{Arithmetic, Clock, Comparison, FORMAT, Field};
use vyx_engine::{Node, NodeId, Op, Program, catalog};

/// Writes programs as the compiler would.
pub struct Builder(pub Program);

impl Builder {
    pub fn new() -> Builder {
        let clocks = vec![Clock { symbol: None, interval: Interval::M1.to_string() }];
        let interval = Interval::M1.to_string();
        Builder(Program { format: FORMAT, interval, clocks, nodes: Vec::new(), fire: 0, fields: Vec::new() })
    }

    pub fn node(&mut self, op: Op) -> NodeId {
        self.on(0, op)
    }

    fn on(&mut self, clock: u8, op: Op) -> NodeId {
        let node = Node { clock, op };
        // The compiler shares equal nodes inside a program too.
        let known = self.0.nodes.iter().position(|other| *other == node);
        known.unwrap_or_else(|| {
            self.0.nodes.push(node);
            self.0.nodes.len() - 1
        }) as NodeId
    }

    fn call(&mut self, clock: u8, function: &str, given: &[NodeId], params: &[f64], output: u8) -> NodeId {
        let mut inputs = given.to_vec();
        for field in catalog::find(function).unwrap().candle {
            inputs.push(self.on(clock, Op::Candle(*field)));
        }
        self.on(clock, Op::Call { function: function.to_owned(), inputs, params: params.to_vec(), output })
    }

    fn compare(&mut self, comparison: Comparison, a: NodeId, b: NodeId) -> NodeId {
        self.node(Op::Compare(comparison, a, b))
    }

    fn number(&mut self, value: f64) -> NodeId {
        self.node(Op::Number(value))
    }
}

/// What makes the `n`-th program another than the others.
struct Rule {
    shape: usize,
    period: f64,
    long: f64,
    /// Its own threshold, 20 to 45.
    own: f64,
}

fn rule(n: usize) -> Rule {
    Rule {
        shape: n % 10,
        period: [7.0, 9.0, 14.0, 21.0, 28.0][n / 10 % 5],
        long: [20.0, 50.0, 100.0, 200.0][n / 50 % 4],
        own: 20.0 + (n / 10 % 100) as f64 / 4.0 + (n / 1_000) as f64 / 64.0,
    }
}

/// The `n`-th program as whoever computes it by other means is told of it.
pub fn described(n: usize) -> serde_json::Value {
    let Rule { shape, period, long, own } = rule(n);
    json!([shape, period as i64, long as i64, own])
}

/// The `n`-th program: its rule on a candle of high volume, with the average true range as metadata.
pub fn program(n: usize) -> Program {
    let Rule { shape, period, long, own } = rule(n);
    let mut b = Builder::new();
    let close = b.node(Op::Candle(Field::Close));
    let volume = b.node(Op::Candle(Field::Volume));
    let busy = {
        let mean = b.call(0, "sma", &[volume], &[20.0], 0);
        let factor = b.number(1.0 + own / 100.0);
        let usual = b.node(Op::Arithmetic(Arithmetic::Mul, mean, factor));
        b.compare(Comparison::Gt, volume, usual)
    };
    let threshold = b.number(own);
    let rule = match shape {
        0 => {
            let rsi = b.call(0, "rsi", &[close], &[period], 0);
            b.compare(Comparison::Lt, rsi, threshold)
        }
        1 => {
            let (fast, slow) = (b.call(0, "ema", &[close], &[period], 0), b.call(0, "ema", &[close], &[long], 0));
            b.call(0, "crossover", &[fast, slow], &[], 0)
        }
        2 => {
            let macd = [0, 1].map(|output| b.call(0, "macd", &[close], &[12.0, 26.0, period], output));
            b.call(0, "crossover", &macd, &[], 0)
        }
        3 => {
            let width = b.call(0, "bbands", &[close], &[20.0, 2.0], 3);
            let lowest = b.call(0, "lowest", &[width], &[long], 0);
            b.compare(Comparison::Le, width, lowest)
        }
        4 => {
            let lower = b.call(0, "bbands", &[close], &[period, 2.0], 2);
            b.call(0, "crossover", &[close, lower], &[], 0)
        }
        5 => {
            let typical = b.node(Op::Candle(Field::Hlc3));
            let vwap = b.call(0, "vwap", &[typical], &[], 0);
            b.call(0, "crossover", &[close, vwap], &[], 0)
        }
        6 => {
            let high = b.node(Op::Candle(Field::High));
            let highest = b.call(0, "highest", &[high], &[long], 0);
            let before = b.node(Op::Lag(highest, 1));
            b.compare(Comparison::Gt, close, before)
        }
        7 => {
            let k = b.call(0, "stochrsi", &[close], &[period, 14.0, 3.0, 3.0], 0);
            b.compare(Comparison::Lt, k, threshold)
        }
        8 => {
            let adx = b.call(0, "adx", &[], &[period], 0);
            b.compare(Comparison::Gt, adx, threshold)
        }
        _ => {
            b.0.clocks.push(Clock { symbol: None, interval: Interval::H1.to_string() });
            let hourly = b.on(1, Op::Candle(Field::Close));
            let ema = b.call(1, "ema", &[hourly], &[long], 0);
            let (hourly, ema) = (b.node(Op::Align(hourly)), b.node(Op::Align(ema)));
            let up = b.compare(Comparison::Gt, hourly, ema);
            let rsi = b.call(0, "rsi", &[close], &[period], 0);
            let dip = b.compare(Comparison::Lt, rsi, threshold);
            b.node(Op::And(up, dip))
        }
    };
    b.0.fire = b.node(Op::And(rule, busy));
    let atr = b.call(0, "atr", &[], &[14.0], 0);
    b.0.fields = vec![("atr".to_owned(), atr)];
    b.0
}
