//! What a candle's close costs: 1,000 distinct programs as people write them, on 100 and on 500 symbols, in one run with
//! what one would do without the engine: each program computes its indicators for each symbol by TA-Lib's batch calls
//! over 500 candles.
//!
//! `cargo bench -p vyx-engine`. Times are of one thread. The steps cover more than a whole block of the anchor grid, so
//! the worst of them include symbols whose history starts anew.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use ta_lib::{Core, MAType};
use vyx_core::{Interval, Kline, Provenance, Symbol};
use vyx_engine::market::Held;
use vyx_engine::program::{Arithmetic, Clock, Comparison, FORMAT, Field};
use vyx_engine::{Candles, Checked, Engine, Market, Node, NodeId, Op, Outcome, Program, catalog};

const INTERVAL: Interval = Interval::M1;
const PROGRAMS: usize = 1_000;
const STEPS: i64 = 300;
const FIRST: i64 = 30_000_000;
const HISTORY: i64 = 1_800;
/// Candles that the reference computes its indicators over.
const REFERENCE_CANDLES: usize = 500;

fn main() {
    let programs: Vec<_> = (0..PROGRAMS).map(|n| (n as u64, Arc::new(program(n).validate().unwrap()))).collect();
    println!(
        "programs  symbols  nodes   cold ms  step ms:   best  median     p99   worst  read ms  reference ms   ratio  matches"
    );
    for symbols in [100, 500] {
        let market = Walk::new(symbols);
        let mut engine = Engine::new(INTERVAL);
        engine.set_programs(programs.clone()).unwrap();
        let cold = timed(|| drop(engine.evaluate(&market, &market.symbols, FIRST))).0;
        let mut steps = Vec::new();
        let mut matches = 0;
        let mut reading = Duration::ZERO;
        let (mut preparing, mut prepared) = (Duration::ZERO, 0);
        for ordinal in FIRST + 1..=FIRST + STEPS {
            let (time, outcomes) = timed(|| engine.evaluate(&market, &market.symbols, ordinal));
            steps.push(time);
            let (time, found) = timed(|| {
                let all = (0..outcomes.programs()).flat_map(|program| outcomes.all(program));
                all.filter(|outcome| *outcome == Outcome::Match).count()
            });
            reading += time;
            matches += found;
            let (time, histories) = timed(|| engine.prepare(&market, &market.symbols, ordinal + 1, usize::MAX));
            prepared += histories;
            preparing += time;
        }
        println!("prepared {prepared} histories, {:.2} ms each", ms(preparing) / prepared as f64);
        steps.sort_unstable();
        let median = steps[steps.len() / 2];
        let reference = reference(&market) * (PROGRAMS * symbols) as u32;
        println!(
            "{PROGRAMS:8} {symbols:8} {:6} {:9.1} {:15.2} {:7.2} {:7.2} {:7.2} {:8.2} {:13.0} {:6.0}x {matches:8}",
            engine.nodes(),
            ms(cold),
            ms(steps[0]),
            ms(median),
            ms(steps[steps.len() * 99 / 100]),
            ms(steps[steps.len() - 1]),
            ms(reading / STEPS as u32),
            ms(reference),
            reference.as_secs_f64() / median.as_secs_f64(),
        );
    }
}

fn timed<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let started = Instant::now();
    let result = work();
    (started.elapsed(), result)
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// The mean time of one pair of program and symbol, computed from scratch: an RSI, an average and bands.
fn reference(market: &Walk) -> Duration {
    const PAIRS: usize = 2_000;
    let core = Core::new();
    let (mut rsi, mut sma) = (vec![0.0; REFERENCE_CANDLES], vec![0.0; REFERENCE_CANDLES]);
    let (mut upper, mut middle, mut lower) = (rsi.clone(), rsi.clone(), rsi.clone());
    let (time, hits) = timed(|| {
        let mut hits = 0;
        for pair in 0..PAIRS {
            let mut candles = Candles::default();
            let symbol = &market.symbols[pair % market.symbols.len()];
            market.closed(symbol, INTERVAL, FIRST + 1 - REFERENCE_CANDLES as i64, FIRST, &mut candles);
            let (close, end) = (&candles.close, candles.len() - 1);
            let a = core.rsi(0, end, close, 14, &mut rsi).unwrap().count;
            let b = core.sma(0, end, close, 50, &mut sma).unwrap().count;
            let c = core
                .bbands(0, end, close, 20, 2.0, 2.0, MAType::SMA, &mut upper, &mut middle, &mut lower)
                .unwrap()
                .count;
            let now = close[end];
            hits += usize::from(rsi[a - 1] < 40.0 && now < sma[b - 1] && now < middle[c - 1]);
        }
        hits
    });
    assert!(hits < PAIRS, "the rule says something");
    time / PAIRS as u32
}

/// Writes programs as the compiler would.
struct Builder(Program);

impl Builder {
    fn node(&mut self, op: Op) -> NodeId {
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

/// The `n`-th program: one of ten shapes, its periods from the usual ones, its thresholds its own.
fn program(n: usize) -> Program {
    let clock = |interval: &str| Clock { symbol: None, interval: interval.to_owned() };
    let mut b = Builder(Program {
        format: FORMAT,
        interval: INTERVAL.to_string(),
        clocks: vec![clock("1m")],
        nodes: Vec::new(),
        fire: 0,
        fields: Vec::new(),
    });
    let period = [7.0, 9.0, 14.0, 21.0, 28.0][n / 10 % 5];
    let long = [20.0, 50.0, 100.0, 200.0][n / 50 % 4];
    let own = 20.0 + (n / 10) as f64 / 4.0;
    let close = b.node(Op::Candle(Field::Close));
    let volume = b.node(Op::Candle(Field::Volume));
    let busy = {
        let mean = b.call(0, "sma", &[volume], &[20.0], 0);
        let factor = b.number(1.0 + own / 100.0);
        let usual = b.node(Op::Arithmetic(Arithmetic::Mul, mean, factor));
        b.compare(Comparison::Gt, volume, usual)
    };
    let threshold = b.number(own);
    let rule = match n % 10 {
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
            let vwap = b.call(0, "vwap", &[], &[], 0);
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
            b.0.clocks.push(clock("1h"));
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

/// A random walk for each symbol, 1m and 1h, without holes.
struct Walk {
    symbols: Vec<Symbol>,
    series: HashMap<(Symbol, Interval), (i64, Vec<Kline>)>,
}

impl Walk {
    fn new(symbols: usize) -> Walk {
        let symbols: Vec<Symbol> = (0..symbols).map(|n| Symbol::new(&format!("S{n}USDT")).unwrap()).collect();
        let mut series = HashMap::new();
        for symbol in &symbols {
            for (interval, first, last) in
                [(INTERVAL, FIRST - HISTORY, FIRST + STEPS), (Interval::H1, FIRST / 60 - 1_300, (FIRST + STEPS) / 60)]
            {
                let mut seed = symbol.stable_hash() | 1;
                let mut close = 100.0;
                let klines = (first..=last).map(|ordinal| {
                    let mut unit = || {
                        seed ^= seed << 13;
                        seed ^= seed >> 7;
                        seed ^= seed << 17;
                        (seed >> 11) as f64 / (1u64 << 53) as f64
                    };
                    let open = close;
                    close = open * (1.0 + (unit() - 0.5) * 0.004);
                    let volume = unit() * 1_000.0;
                    Kline {
                        open_time: interval.open_time(ordinal),
                        open,
                        high: open.max(close) * 1.001,
                        low: open.min(close) * 0.999,
                        close,
                        volume,
                        quote_volume: volume * close,
                        trades: 100,
                        taker_buy_volume: volume / 2.0,
                        taker_buy_quote_volume: volume * close / 2.0,
                        closed: true,
                        revision: 0,
                        provenance: Provenance::Stream,
                    }
                });
                series.insert((*symbol, interval), (first, klines.collect()));
            }
        }
        Walk { symbols, series }
    }
}

impl Market for Walk {
    fn held(&self, symbol: &Symbol, interval: Interval) -> Option<Held> {
        let (first, klines) = self.series.get(&(*symbol, interval))?;
        Some(Held { from: *first, through: first + klines.len() as i64 - 1, first_ever: None, generation: 0 })
    }

    fn closed(&self, symbol: &Symbol, interval: Interval, from: i64, through: i64, into: &mut Candles) {
        let Some((first, klines)) = self.series.get(&(*symbol, interval)) else { return };
        for ordinal in from.max(*first)..=through.min(first + klines.len() as i64 - 1) {
            into.push(ordinal, &klines[(ordinal - first) as usize]);
        }
    }
}

/// Fails to compile when the engine stops being something that a worker can own.
const _: fn() = || {
    fn send<T: Send>() {}
    send::<Engine>();
    send::<Arc<Checked>>();
};
