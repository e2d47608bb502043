//! REST: history, paging, tickers, the list of symbols, weights and errors.

use crate::harness::{START, get, request, row_of, rows, simulator, start};
use serde_json::{Value, json};
use vyx_sim::{Csv, Interval, Settings};

const MINUTE: i64 = 60_000;

fn open_times(rows: &[Value]) -> Vec<i64> {
    rows.iter().map(|row| row[0].as_i64().unwrap()).collect()
}

#[test]
fn history_is_the_truth_and_includes_the_open_kline() {
    let simulator = simulator(1.0);
    for (symbol, name) in
        [("BTCUSDT", "1m"), ("PEPEUSDT", "1h"), ("ACAUSDT", "1m"), ("LTCUSDT", "1w"), ("UNIUSDT", "1M")]
    {
        let rows = rows(&simulator, &format!("symbol={symbol}&interval={name}&limit=50"));
        let interval = Interval::parse(name).unwrap();
        assert_eq!(rows.len(), 50);
        for row in &rows[..49] {
            let truth = simulator.market().kline(symbol, interval, row[0].as_i64().unwrap(), START).unwrap();
            assert_eq!(*row, row_of(&truth), "{symbol} {name}");
        }
        assert_eq!(rows[49][0], interval.floor(simulator.market_time()), "the open one comes last");
    }
}

#[test]
fn paging_rules_are_inclusive_on_open_time() {
    let simulator = simulator(1.0);
    let base = START / MINUTE * MINUTE;
    let check = |query: &str, expected: Vec<i64>| {
        let rows = rows(&simulator, &format!("symbol=ETHUSDT&interval=1m&{query}"));
        assert_eq!(
            open_times(&rows),
            expected.into_iter().map(|back| base - back * MINUTE).collect::<Vec<_>>(),
            "{query}"
        );
    };
    let at = |back: i64| base - back * MINUTE;
    check("limit=3", vec![2, 1, 0]);
    check(&format!("startTime={}&limit=3", at(10)), vec![10, 9, 8]);
    check(&format!("startTime={}&limit=3", at(10) + 1), vec![9, 8, 7]);
    check(&format!("endTime={}&limit=3", at(10)), vec![12, 11, 10]);
    check(&format!("endTime={}&limit=3", at(10) - 1), vec![13, 12, 11]);
    check(&format!("startTime={}&endTime={}", at(7), at(5)), vec![7, 6, 5]);
    check(&format!("startTime={0}&endTime={0}", at(7)), vec![7]);
    check(&format!("startTime={}&endTime={}", at(5), at(7)), vec![]);
    check(&format!("startTime={}", at(-5)), vec![]);
    check(&format!("startTime={}&endTime={}", at(2) * 1_000, at(1) * 1_000), vec![2, 1]);
    assert_eq!(rows(&simulator, "symbol=ETHUSDT&interval=1m").len(), 500);
    assert_eq!(rows(&simulator, "symbol=ETHUSDT&interval=1m&limit=5000").len(), 1_000);
}

#[test]
fn pages_backwards_reach_the_listing_and_end() {
    let simulator = simulator(1.0);
    let mut days = Vec::new();
    let mut end = i64::MAX;
    loop {
        let page = rows(&simulator, &format!("symbol=ETHUSDT&interval=1d&limit=1000&endTime={end}"));
        let Some(first) = page.first() else { break };
        end = first[0].as_i64().unwrap() - 1;
        days.splice(0..0, open_times(&page));
    }
    // From 2017-08-17 to 2026-11-20 without a missing day.
    assert_eq!((days[0], days.len()), (1_502_928_000_000, 3_383));
    assert!(days.windows(2).all(|pair| pair[1] - pair[0] == 86_400_000));
}

#[test]
fn mistakes_get_the_exchange_s_codes() {
    let simulator = simulator(1.0);
    let check = |path: &str, code: i64| {
        let answer = get(&simulator, &format!("/api/v3/{path}"));
        assert_eq!((answer.status, answer.json()["code"].as_i64()), (400, Some(code)), "{path}: {}", answer.text);
    };
    check("klines", -1102);
    check("klines?symbol=BTCUSDT", -1102);
    check("klines?symbol=&interval=1m", -1102);
    check("klines?symbol=btcusdt&interval=1m", -1100);
    check("klines?symbol=BTC%2FUSDT&interval=1m", -1100);
    check("klines?symbol=NOSUCH&interval=1m", -1121);
    check("klines?symbol=BTCUSDT&interval=1D", -1120);
    check("klines?symbol=BTCUSDT&interval=1m&startTime=-5", -1100);
    check("klines?symbol=BTCUSDT&interval=1m&limit=0", -1130);
    check("klines?symbol=BTCUSDT&interval=1m&colour=red", -1104);
    check("ticker/24hr?symbol=NOSUCH", -1121);
    check("ticker/24hr?type=HUGE", -1139);
    check("ticker/24hr?symbol=BTCUSDT&symbols=%5B%22ETHUSDT%22%5D", -1128);
    check("ticker/24hr?symbols=%5B%22ETHUSDT%22,%22ETHUSDT%22%5D", -1151);
    check("ticker/24hr?symbols=ETHUSDT", -1100);
    check("ticker/24hr?symbolStatus=ASLEEP", -1122);
    check("ticker/24hr?symbol=LUNAUSDT&symbolStatus=TRADING", -1220);
    check("exchangeInfo?symbol=BTCUSDT&symbolStatus=TRADING", -1128);
    assert_eq!(get(&simulator, "/api/v1/klines").status, 404);
}

#[test]
fn symbols_are_filtered_as_asked() {
    let simulator = simulator(1.0);
    let list = |query: &str| -> Vec<Value> {
        let answer = get(&simulator, &format!("/api/v3/exchangeInfo?{query}")).json();
        answer["symbols"].as_array().unwrap().clone()
    };
    let has = |list: &[Value], name: &str| list.iter().any(|symbol| symbol["symbol"] == name);
    let all = list("");
    assert!(has(&all, "LUNAUSDT") && has(&all, "BTCUPUSDT") && has(&all, "币安人生USDT"));
    assert_eq!(all[0]["permissionSets"], json!([["SPOT", "MARGIN"]]));
    let trading = list("permissions=%5B%22SPOT%22%5D&symbolStatus=TRADING&showPermissionSets=false");
    assert!(trading.iter().all(|symbol| symbol["status"] == "TRADING" && symbol["permissionSets"] == json!([])));
    assert!(!has(&trading, "BTCUPUSDT") && !has(&trading, "PERPUSDT") && has(&trading, "ETHBTC"));
    assert_eq!(trading.iter().filter(|symbol| symbol["quoteAsset"] == "USDT").count(), 20);
    assert_eq!(list("symbols=%5B%22BTCUSDT%22,%22LUNAUSDT%22%5D").len(), 2);
    let bitcoin = &list("symbol=BTCUSDT")[0];
    assert_eq!((&bitcoin["filters"][0]["tickSize"], &bitcoin["baseAsset"]), (&json!("0.01000000"), &json!("BTC")));
}

#[test]
fn tickers_come_one_several_or_all_full_or_mini() {
    let simulator = simulator(1.0);
    let one = get(&simulator, "/api/v3/ticker/24hr?symbol=BTCUSDT").json();
    let truth = simulator.market().ticker("BTCUSDT", one["closeTime"].as_i64().unwrap()).unwrap();
    assert_eq!(one["lastPrice"], vyx_sim::decimal(truth.last as u128));
    assert_eq!(one["quoteVolume"], vyx_sim::decimal(truth.quote_volume));
    assert_eq!((&one["count"], &one["firstId"]), (&json!(truth.trades), &json!(truth.first_id)));
    let mini = get(&simulator, "/api/v3/ticker/24hr?type=MINI&symbols=%5B%22BTCUSDT%22,%22ETHUSDT%22%5D").json();
    let fields: Vec<&String> = mini[1].as_object().unwrap().keys().collect();
    let expected =
        "closeTime count firstId highPrice lastId lastPrice lowPrice openPrice openTime quoteVolume symbol volume";
    assert_eq!(fields, expected.split(' ').collect::<Vec<_>>());
    let all = get(&simulator, "/api/v3/ticker/24hr").json();
    assert_eq!(all.as_array().unwrap().len(), simulator.market().symbols().len());
    let trading = get(&simulator, "/api/v3/ticker/24hr?symbolStatus=TRADING").json();
    assert!(trading.as_array().unwrap().iter().all(|ticker| ticker["symbol"] != "LUNAUSDT"));
}

#[test]
fn weight_is_counted_and_refused_when_used_up() {
    let simulator = start(Settings { weight_limit: 50, ..Settings::default() });
    let mut used = 0;
    let mut refused = None;
    for _ in 0..60 {
        let answer = get(&simulator, "/api/v3/klines?symbol=BTCUSDT&interval=1m&limit=1");
        let now: u64 = answer.headers["x-mbx-used-weight-1m"].parse().unwrap();
        // A new minute of wall time may begin between two requests.
        assert!(now == used + 2 || now == 2);
        assert_eq!(answer.status, if now <= 50 { 200 } else { 429 });
        used = now;
        refused = (answer.status == 429).then_some(answer).or(refused);
    }
    let refused = refused.expect("60 requests weigh 120");
    let wait: u64 = refused.headers["retry-after"].parse().unwrap();
    assert!((1..=60).contains(&wait));
    assert_eq!(refused.json()["code"], -1003);
    assert_eq!(get(&simulator, "/api/v3/exchangeInfo").headers["x-mbx-used-weight-1m"], (used + 20).to_string());
}

#[test]
fn server_time_runs_at_the_market_s_speed_and_in_the_unit_asked_for() {
    let simulator = simulator(1_000.0);
    let time =
        |header: &str| request(&simulator, "GET", "/api/v3/time", header, "").json()["serverTime"].as_i64().unwrap();
    let began = std::time::Instant::now();
    let first = time("");
    std::thread::sleep(std::time::Duration::from_millis(50));
    let passed = time("") - first;
    assert!(passed >= 50_000 && passed <= began.elapsed().as_millis() as i64 * 1_000 + 1_000);
    assert!(time("X-MBX-TIME-UNIT: MICROSECOND\r\n") > START * 1_000);
}

#[test]
fn real_candles_are_replayed_as_they_are() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data");
    let data = std::env::var("VYX_DATA").unwrap_or_else(|_| root.to_owned());
    let path = std::path::Path::new(&data).join("XRPETH-1m.csv");
    if !path.exists() {
        eprintln!("skipped: no {}", path.display());
        return;
    }
    let csv = Csv::read(&path, Interval::M1).unwrap();
    let (first, last) = csv.reach().unwrap();
    let files = std::collections::HashMap::from([("XRPETH".to_owned(), ("1m".to_owned(), path.clone()))]);
    let simulator =
        vyx_sim::Simulator::start(Settings { files, start: Some(last + MINUTE), ..Settings::default() }).unwrap();
    let text = std::fs::read_to_string(path).unwrap();
    let expected: Vec<Vec<&str>> = text.lines().skip(1).map(|line| line.split(',').collect()).collect();
    let mut seen = Vec::new();
    let mut from = first;
    loop {
        let page = rows(&simulator, &format!("symbol=XRPETH&interval=1m&startTime={from}&limit=1000"));
        let Some(row) = page.last() else { break };
        from = row[0].as_i64().unwrap() + 1;
        seen.extend(page);
    }
    assert_eq!(seen.len(), expected.len());
    for (row, line) in seen.iter().zip(expected) {
        let texts: Vec<&str> = row.as_array().unwrap()[1..6].iter().map(|text| text.as_str().unwrap()).collect();
        assert_eq!((row[0].to_string().as_str(), texts), (line[0], line[1..].to_vec()));
    }
}
