//! The truth: the simulator's market, computed again from seed or files, and what SQL shows of it side by side.

use super::session::{Session, millis};
use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use tokio_postgres::Row;
use vyx_sim::{Csv, Interval, Market, ReaderMemory, Settings};

/// An update of an open kline is at most this much older than market time: two seconds, or the floor of 100 ms of
/// real time, at the speeds of the tests; some three times that for a busy machine.
const UPDATES: i64 = 20_000;
const UPDATES_REAL_MS: f64 = 400.0;

/// One kline, as SQL shows it or as it should.
#[derive(Clone, Debug, PartialEq)]
pub struct Candle {
    pub open_time: i64,
    pub close_time: i64,
    /// Open, high, low, close, volume, quote volume, taker-buy volume, taker-buy quote volume.
    pub numbers: [f64; 8],
    pub trades: i64,
    pub closed: bool,
}

impl Candle {
    pub fn close(&self) -> f64 {
        self.numbers[3]
    }

    fn of(kline: &vyx_sim::Kline) -> Candle {
        Candle {
            open_time: kline.open_time,
            close_time: kline.close_time,
            numbers: kline.floats(),
            trades: kline.trades as i64,
            closed: kline.closed,
        }
    }

    /// A row of `vyx_klines`.
    fn read(row: &Row) -> Candle {
        let number = |name: &str| row.get::<_, f64>(name);
        Candle {
            open_time: millis(row.get("open_time")),
            close_time: millis(row.get("close_time")),
            numbers: [
                "open",
                "high",
                "low",
                "close",
                "volume",
                "quote_volume",
                "taker_buy_volume",
                "taker_buy_quote_volume",
            ]
            .map(number),
            trades: row.get("trades"),
            closed: row.get("is_closed"),
        }
    }
}

/// All klines that vyx holds of a series, oldest first.
pub fn klines(session: &Session, symbol: &str, interval: &str) -> Vec<Candle> {
    let rows = session.rows("SELECT * FROM vyx_klines($1, $2, 65536)", &[&symbol, &interval]);
    rows.iter().map(Candle::read).collect()
}

pub struct Truth {
    market: Market,
    speed: f64,
    memories: RefCell<HashMap<String, ReaderMemory>>,
    /// Symbol, interval, first and last open time of what history lacks, though the market had it.
    holes: RefCell<Vec<(String, String, i64, i64)>>,
}

impl Truth {
    /// The market that a simulator of these settings has.
    pub fn new(settings: &Settings) -> Truth {
        let files: HashMap<String, Csv> = settings
            .files
            .iter()
            .map(|(name, (interval, path))| {
                (name.clone(), Csv::read(path, parse(interval)).expect("a file of candles"))
            })
            .collect();
        let mut symbols = settings.symbols.clone();
        for name in files.keys().filter(|name| !settings.symbols.iter().any(|symbol| symbol.name == **name)) {
            symbols.push(vyx_sim::Symbol::new(name, "", 1.0, 0.0, 0));
        }
        let market = Market::new(settings.seed, symbols, files);
        Truth { market, speed: settings.speed, memories: RefCell::default(), holes: RefCell::default() }
    }

    fn read<T>(&self, symbol: &str, read: impl FnOnce(&mut vyx_sim::Reader) -> T) -> T {
        let place = self.market.find(symbol).unwrap_or_else(|| panic!("{symbol} is not in the market"));
        let mut memories = self.memories.borrow_mut();
        read(&mut self.market.reader(place, memories.entry(symbol.to_owned()).or_default()))
    }

    /// The closed klines with `from <= open_time` that have closed at market time `at`, oldest first.
    pub fn closed(&self, symbol: &str, interval: &str, from: i64, at: i64) -> Vec<Candle> {
        let klines = self.read(symbol, |reader| reader.forwards(parse(interval), from, at, usize::MAX, at));
        let there = |kline: &&vyx_sim::Kline| kline.closed && !self.is_hole(symbol, interval, kline.open_time);
        klines.iter().filter(there).map(Candle::of).collect()
    }

    /// From now on the truth is that there are no such klines.
    pub fn lacks(&self, symbol: &str, interval: &str, from: i64, to: i64) {
        self.holes.borrow_mut().push((symbol.to_owned(), interval.to_owned(), from, to));
    }

    fn is_hole(&self, symbol: &str, interval: &str, open_time: i64) -> bool {
        let holes = self.holes.borrow();
        holes.iter().any(|(s, i, from, to)| (&**s, &**i) == (symbol, interval) && (*from..=*to).contains(&open_time))
    }

    /// The newest `count` klines that have closed at market time `at`, oldest first.
    pub fn last_closed(&self, symbol: &str, interval: &str, count: usize, at: i64) -> Vec<Candle> {
        let start = parse(interval).floor(at);
        let klines = self.read(symbol, |reader| reader.backwards(parse(interval), i64::MIN, start - 1, count, at));
        let there = |kline: &&vyx_sim::Kline| !self.is_hole(symbol, interval, kline.open_time);
        klines.iter().filter(there).map(Candle::of).collect()
    }

    /// How many klines could have closed between two open times, holes included.
    pub fn slots(interval: &str, from: i64, to: i64) -> usize {
        let interval = parse(interval);
        std::iter::successors(Some(from), |open| Some(interval.next(*open))).take_while(|open| *open < to).count()
    }

    /// The whole of what is held of a series is the truth, to the last digit: every closed kline of the last `depth`
    /// slots and nothing else, and an open one that was true a moment ago.
    #[track_caller]
    pub fn check_series(&self, session: &Session, symbol: &str, interval: &str, depth: usize) {
        let at = market_time(session);
        let held = klines(session, symbol, interval);
        let (closed, open): (Vec<_>, Vec<_>) = held.into_iter().partition(|candle| candle.closed);
        let newest = closed.last().unwrap_or_else(|| panic!("{symbol} {interval}: no closed kline"));
        let first = closed[0].open_time;
        let truth = self.closed(symbol, interval, first, newest.close_time + 1);
        if let Some((is, should)) = closed.iter().zip(&truth).find(|(is, should)| is != should) {
            panic!("{symbol} {interval}\n  held  {is:?}\n  truth {should:?}");
        }
        assert_eq!(closed.len(), truth.len(), "{symbol} {interval} from {first}");
        // Of what is older nothing is held because it has left the ring. The oldest places may be those of holes, and every
        // candle that opened until now has taken one.
        if let Some(older) = self.last_closed(symbol, interval, 1, first).first() {
            let slots = Truth::slots(interval, older.open_time, parse(interval).floor(market_time(session)));
            assert!(slots >= depth, "{symbol} {interval}: {slots} of {depth} slots are held");
        }
        let all = self.last_closed(symbol, interval, 2, at);
        // The closing event of the newest may be on its way.
        assert!(
            all.iter().any(|candle| candle.open_time <= newest.open_time),
            "{symbol} {interval}: newest is {}, market time {at}",
            newest.open_time
        );
        match open.as_slice() {
            [] => {}
            [candle] => self.check_open(symbol, interval, candle, at),
            more => panic!("{symbol} {interval}: {} open klines", more.len()),
        }
    }

    /// Market time within which the news of an open kline must have come.
    pub fn allowance(&self) -> i64 {
        UPDATES.max((UPDATES_REAL_MS * self.speed) as i64)
    }

    /// An open kline is what the exchange showed at some moment not long ago.
    #[track_caller]
    fn check_open(&self, symbol: &str, interval: &str, candle: &Candle, at: i64) {
        let (mut early, mut late) = (candle.open_time, candle.close_time);
        let seen = |at: i64| {
            let kline = self.read(symbol, |reader| reader.kline(parse(interval), candle.open_time, at));
            kline.as_ref().map(Candle::of)
        };
        // What only grows tells the moment: trades, and of candles from a file, whose trades are made up, the volumes.
        let grown = |kline: &Candle| (kline.trades, kline.numbers[4], kline.numbers[5]);
        while early < late {
            let middle = early + (late - early) / 2;
            if seen(middle).is_some_and(|kline| grown(&kline) >= grown(candle)) {
                late = middle
            } else {
                early = middle + 1
            }
        }
        let moment = seen(late);
        assert_eq!(moment.as_ref(), Some(candle), "{symbol} {interval}: the open kline never was like that");
        let allowance = self.allowance();
        if let Some(then) = seen((at - allowance).max(candle.open_time)) {
            assert!(
                grown(candle) >= grown(&then) || at - allowance < candle.open_time,
                "{symbol} {interval}: the open kline is older than {allowance} ms of market time"
            );
        }
    }

    /// The 24 h statistics at a moment: last, open, high, low, volume, quote volume.
    pub fn ticker(&self, symbol: &str, at: i64) -> Option<[f64; 6]> {
        let ticker = self.read(symbol, |reader| reader.ticker(at))?;
        let prices = [ticker.last, ticker.open, ticker.high, ticker.low].map(|price| price as u128);
        let [last, open, high, low] = prices.map(float);
        Some([last, open, high, low, float(ticker.volume), float(ticker.quote_volume)])
    }
}

/// The state of every series, by what is wrong with it; empty when all are complete and live.
pub fn troubled(session: &Session) -> BTreeMap<String, String> {
    let rows = session.rows(
        "SELECT symbol || ' ' || \"interval\", format('%s, %s gaps', state, gaps) FROM vyx_series()
         WHERE state NOT IN ('live', 'quiet') OR gaps > 0",
        &[],
    );
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

/// The largest time seen from the exchange, milliseconds; 0 before the first.
pub fn market_time(session: &Session) -> i64 {
    session.one::<Option<std::time::SystemTime>>("SELECT market_time FROM vyx_health()", &[]).map_or(0, millis)
}

fn parse(interval: &str) -> Interval {
    Interval::parse(interval).unwrap_or_else(|| panic!("\"{interval}\" is no interval"))
}

fn float(units: u128) -> f64 {
    vyx_sim::decimal(units).parse().expect("a decimal is a float")
}
