//! How fast frames are read. A market in uproar sends some 30,000 frames a second; the aim is a million on one
//! core, stored too: see `ingest.rs`.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use vyx_core::Interval;
use vyx_feed::wire;

const KLINE: &str = r#"{"stream":"btcusdt@kline_1m","data":{"e":"kline","E":1795176042011,"s":"BTCUSDT","k":{"t":1795176000000,"T":1795176059999,"s":"BTCUSDT","i":"1m","f":6912345001,"L":6912345120,"o":"91250.01000000","c":"91260.50000000","h":"91262.00000000","l":"91249.99000000","v":"12.34567000","n":120,"x":false,"q":"1126587.12345678","V":"7.10000000","Q":"647901.00000000","B":"0"}}}"#;
const TICKER: &str = r#"{"e":"24hrMiniTicker","E":1795176001015,"s":"BTCUSDT","c":"91260.50000000","o":"90000.00000000","h":"92100.00000000","l":"89500.10000000","v":"18345.12000000","q":"1668123456.78000000"}"#;

fn wire(c: &mut Criterion) {
    let mut group = c.benchmark_group("wire");
    group.throughput(Throughput::Elements(1));
    group.bench_function("kline frame", |b| b.iter(|| wire::frame(black_box(KLINE.as_bytes()))));

    let tickers = format!(r#"{{"stream":"!miniTicker@arr","data":[{}]}}"#, vec![TICKER; 500].join(","));
    group.throughput(Throughput::Elements(500));
    group.bench_function("500 tickers in a frame", |b| b.iter(|| wire::frame(black_box(tickers.as_bytes()))));

    let row = |minute: i64| {
        let open = 1_795_176_000_000 + minute * 60_000;
        let close = open + 59_999;
        format!(
            r#"[{open},"91240.0","91255.0","91231.0","91250.01","9.87654",{close},"901234.1",98,"5.0","456250.0","0"]"#
        )
    };
    let page = format!("[{}]", (0..1_000).map(row).collect::<Vec<_>>().join(","));
    group.throughput(Throughput::Elements(1_000));
    group.bench_function("1,000 klines of history", |b| {
        b.iter(|| wire::history(black_box(page.as_bytes()), Interval::M1))
    });
    group.finish();
}

criterion_group!(benches, wire);
criterion_main!(benches);
