//! From the bytes of a frame to the ring: messages a second on one core, beside what one would write without vyx, a
//! dynamic JSON value and a map of klines. `cargo bench -p vyx-feed --bench ingest`.

use serde_json::Value;
use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::Instant;
use vyx_core::store::{Shape, Store, Writer};
use vyx_core::sync::AtomicU64;
use vyx_core::{Interval, Millis, Symbol, SymbolInfo, SymbolStatus};
use vyx_feed::wire::{self, Frame};

const SYMBOLS: usize = 500;
/// Frames a minute and symbol: an update each two seconds, the last one closes.
const UPDATES: i64 = 30;
const MINUTES: i64 = 10;
/// Odd, so that there is a median.
const ROUNDS: usize = 5;

fn name(symbol: usize) -> String {
    format!("SYM{symbol}USDT")
}

/// The market of some minutes as the exchange would send it, symbols side by side.
fn frames() -> Vec<String> {
    let mut frames = Vec::new();
    for minute in 0..MINUTES {
        for update in 1..=UPDATES {
            for symbol in 0..SYMBOLS {
                let (symbol, open) = (name(symbol), 1_795_176_000_000 + minute * 60_000);
                let (close, event) = (open + 59_999, open + update * 2_000);
                let price = 91_250 + minute * 7 + update;
                frames.push(format!(
                    r#"{{"stream":"{lower}@kline_1m","data":{{"e":"kline","E":{event},"s":"{symbol}","k":{{"t":{open},"T":{close},"s":"{symbol}","i":"1m","f":6912345001,"L":6912345120,"o":"91250.01000000","c":"{price}.50000000","h":"99999.00000000","l":"91249.99000000","v":"{update}.34567000","n":{update},"x":{closed},"q":"1126587.12345678","V":"7.10000000","Q":"647901.00000000","B":"0"}}}}}}"#,
                    lower = symbol.to_ascii_lowercase(),
                    closed = update == UPDATES,
                ));
            }
        }
    }
    frames
}

fn main() {
    let frames = frames();
    let mut ours = Vec::new();
    let mut theirs = Vec::new();
    for _ in 0..ROUNDS {
        ours.push(rate(&frames, &mut into_ring()));
        theirs.push(rate(&frames, &mut into_map()));
    }
    let (ours, theirs) = (median(ours), median(theirs));
    println!("parse and store {} kline frames, one core, median of {ROUNDS} rounds", frames.len());
    println!("  vyx: borrowed structs into the ring        {:>9.0} messages/s", ours);
    println!("  serde_json::Value into a map of rows       {:>9.0} messages/s", theirs);
    println!(
        "  ratio {:.1}x; a crash of the market sends some 30,000 messages/s: {:.1} % of a core",
        ours / theirs,
        3e6 / ours
    );
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_unstable_by(f64::total_cmp);
    rates[rates.len() / 2]
}

fn rate(frames: &[String], take: &mut dyn FnMut(&[u8])) -> f64 {
    let started = Instant::now();
    for frame in frames {
        take(black_box(frame.as_bytes()));
    }
    frames.len() as f64 / started.elapsed().as_secs_f64()
}

/// What `vyx ingest` does with a kline frame.
fn into_ring() -> impl FnMut(&[u8]) {
    let shape = Shape::new(SYMBOLS as u32, &[(Interval::M1, Shape::default_slots(Interval::M1))]).expect("a shape");
    let words: Vec<AtomicU64> = (0..shape.words()).map(|_| AtomicU64::new(0)).collect();
    let store = Store::initialize(words.leak(), &shape).expect("the words fit");
    let writer = Writer::attach(store);
    let usdt = Symbol::new("USDT").expect("a symbol");
    for symbol in 0..SYMBOLS {
        let symbol = Symbol::new(&name(symbol)).expect("a symbol");
        let status = SymbolStatus::Trading;
        let info = SymbolInfo { symbol, base: symbol, quote: usdt, status, tick_size: 0.0, step_size: 0.0 };
        writer.put_symbol(&info, Millis(1)).expect("room for all");
    }
    move |frame| {
        let Ok(Frame::Kline { symbol, interval, kline, event_time }) = wire::frame(frame) else { panic!("a kline") };
        let id = store.find(&symbol).expect("a known symbol");
        let outcome = writer.put_kline(store.series(id, interval).expect("1m is tracked"), &kline);
        assert!(outcome.accepted());
        writer.note_event(id, event_time);
    }
}

/// The usual first attempt.
fn into_map() -> impl FnMut(&[u8]) {
    let mut rows: BTreeMap<(String, String, i64), [f64; 9]> = BTreeMap::new();
    move |frame| {
        let value: Value = serde_json::from_slice(frame).expect("JSON");
        let k = &value["data"]["k"];
        let number = |key: &str| k[key].as_str().and_then(|text| text.parse().ok()).expect("a number");
        let text = |key: &str| k[key].as_str().expect("a text").to_owned();
        let row = ["o", "h", "l", "c", "v", "q", "V", "Q"].map(number);
        let mut with_trades = [0.0; 9];
        with_trades[..8].copy_from_slice(&row);
        with_trades[8] = k["n"].as_f64().expect("a count");
        rows.insert((text("s"), text("i"), k["t"].as_i64().expect("a time")), with_trades);
        black_box(&rows);
    }
}
