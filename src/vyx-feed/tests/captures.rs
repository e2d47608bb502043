//! Real bytes of the exchange, from 2021-10-12: every frame and the whole list of symbols can be read.
//!
//! The files lie in the directory `VYX_DATA` names, or in `../shared/data` beside the workspace. Where they are not, the
//! tests say so and prove nothing.

use flate2::read::GzDecoder;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::BTreeSet;
use std::io::Read;
use std::path::{Path, PathBuf};
use vyx_core::{Millis, SymbolStatus};
use vyx_feed::wire::{self, Frame};

fn data(name: &str) -> Option<Vec<u8>> {
    let workspace = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    let directory = std::env::var_os("VYX_DATA").map_or_else(|| workspace.join("../shared/data"), PathBuf::from);
    match std::fs::read(directory.join(name)) {
        Ok(bytes) => Some(bytes),
        Err(error) => {
            eprintln!("skipped: {} in {}: {error}", name, directory.display());
            None
        }
    }
}

#[derive(Deserialize)]
struct Captured<'a> {
    #[serde(borrow)]
    frame: &'a RawValue,
}

#[test]
fn every_captured_frame_is_taken_or_known_to_be_of_no_interest() {
    let Some(capture) = data("stream-capture.ndjson") else { return };
    let (mut klines, mut closed, mut unknown, mut symbols) = (0, 0, 0, BTreeSet::new());
    for line in std::str::from_utf8(&capture).unwrap().lines() {
        let captured: Captured = serde_json::from_str(line).unwrap();
        let text = captured.frame.get();
        match wire::frame(text.as_bytes()) {
            Ok(Frame::Kline { symbol, kline, event_time, .. }) => {
                assert!(text.contains(r#""e":"kline""#), "{text}");
                assert!(kline.open_time <= event_time, "{text}");
                klines += 1;
                closed += usize::from(kline.closed);
                symbols.insert(symbol);
            }
            Ok(Frame::Unknown) => {
                assert!(!text.contains(r#""e":"kline""#), "{text}");
                unknown += 1;
            }
            other => panic!("{other:?} from {text}"),
        }
    }
    // Counted with grep in the file itself.
    assert_eq!((klines, unknown), (15, 869));
    assert_eq!((closed, symbols.len()), (5, 7));
}

#[test]
fn the_whole_list_of_symbols_is_read() {
    let Some(packed) = data("exchangeInfo-2021.json.gz") else { return };
    let mut body = Vec::new();
    GzDecoder::new(&*packed).read_to_end(&mut body).unwrap();
    let info = wire::exchange_info(&body).unwrap();
    assert_eq!((info.server_time, info.weight_limit, info.dropped), (Millis(1633998511098), Some(1200), 0));
    assert_eq!(info.symbols.len(), 1655);
    let trading = info.symbols.iter().filter(|s| s.status == SymbolStatus::Trading).count();
    assert_eq!(trading, 1222);
    let btc = info.symbols.iter().find(|s| s.symbol.as_str() == "BTCUSDT").unwrap();
    assert_eq!((btc.base.as_str(), btc.quote.as_str()), ("BTC", "USDT"));
    assert_eq!((btc.tick_size, btc.step_size), (0.01, 0.00001));
}
