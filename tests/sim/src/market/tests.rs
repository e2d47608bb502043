//! The market agrees with itself, whichever way it is asked.

use super::*;
use crate::interval::{HOUR, MINUTE, SECOND};
use crate::symbols::{Status, demonstration};

/// 2026-11-20 22:02:41.337 UTC, a Friday.
const NOW: i64 = 1_795_212_161_337;

fn market(seed: u64) -> Market {
    Market::new(seed, demonstration(), HashMap::new())
}

fn interval(name: &str) -> Interval {
    Interval::parse(name).unwrap()
}

/// What must add up when klines are put together.
#[derive(Debug, PartialEq)]
struct Sum {
    prices: [i64; 4],
    volumes: [u128; 4],
    trades: u64,
    ids: (i64, i64),
}

impl Sum {
    fn of(kline: &Kline) -> Sum {
        Sum {
            prices: [kline.open, kline.high, kline.low, kline.close],
            volumes: [kline.volume, kline.quote_volume, kline.taker_buy_volume, kline.taker_buy_quote_volume],
            trades: kline.trades,
            ids: (kline.first_id, kline.last_id),
        }
    }

    /// Klines without trades carry the last price and nothing else.
    fn over(klines: &[Kline]) -> Sum {
        let busy: Vec<&Kline> = klines.iter().filter(|kline| kline.trades > 0).collect();
        let (Some(first), Some(last)) = (busy.first(), busy.last()) else { return Sum::of(&klines[0]) };
        let total = |volume: fn(&Kline) -> u128| busy.iter().map(|kline| volume(kline)).sum();
        Sum {
            prices: [
                first.open,
                busy.iter().map(|kline| kline.high).max().unwrap(),
                busy.iter().map(|kline| kline.low).min().unwrap(),
                last.close,
            ],
            volumes: [
                total(|kline| kline.volume),
                total(|kline| kline.quote_volume),
                total(|kline| kline.taker_buy_volume),
                total(|kline| kline.taker_buy_quote_volume),
            ],
            trades: busy.iter().map(|kline| kline.trades).sum(),
            ids: (first.first_id, last.last_id),
        }
    }
}

/// Every kline of `large` up to `at` is the sum of its klines of `small`, the open one included.
fn check_sums(market: &Market, symbol: &str, large: &str, small: &str, count: usize, at: i64) {
    let (large, small) = (interval(large), interval(small));
    let place = market.find(symbol).unwrap();
    for kline in market.newest(symbol, large, count, at) {
        let mut memory = ReaderMemory::default();
        let parts =
            market.reader(place, &mut memory).forwards(small, kline.open_time, kline.close_time, usize::MAX, at);
        assert_eq!(Sum::of(&kline), Sum::over(&parts), "{symbol} {} at {}", large.name(), kline.open_time);
    }
}

#[test]
fn large_klines_are_sums_of_small_ones_to_the_last_digit() {
    let market = market(1);
    for symbol in ["BTCUSDT", "PEPEUSDT", "ACAUSDT", "USDCUSDT", "币安人生USDT"] {
        for at in [NOW, NOW + 1, NOW / MINUTE * MINUTE, NOW / MINUTE * MINUTE - 1, NOW / (24 * HOUR) * 24 * HOUR] {
            check_sums(&market, symbol, "1m", "1s", 3, at);
            check_sums(&market, symbol, "5m", "1m", 30, at);
            check_sums(&market, symbol, "15m", "5m", 10, at);
            check_sums(&market, symbol, "1h", "3m", 5, at);
            check_sums(&market, symbol, "4h", "1h", 10, at);
            check_sums(&market, symbol, "1d", "12h", 10, at);
            check_sums(&market, symbol, "3d", "1d", 3, at);
            check_sums(&market, symbol, "1w", "1d", 60, at);
            check_sums(&market, symbol, "1M", "1d", 14, at);
        }
    }
}

#[test]
fn klines_are_well_formed_and_trade_ids_count_on() {
    let market = market(2);
    for symbol in market.symbols().iter().filter(|symbol| symbol.status == Status::Trading) {
        let mut next_id = None;
        for kline in market.newest(&symbol.name, Interval::M1, 400, NOW) {
            let at = format!("{} {kline:?}", symbol.name);
            assert!(0 < kline.low && kline.low <= kline.open.min(kline.close), "{at}");
            assert!(kline.high >= kline.open.max(kline.close), "{at}");
            assert!(kline.taker_buy_volume <= kline.volume, "{at}");
            if kline.trades == 0 {
                assert_eq!((kline.first_id, kline.last_id, kline.volume), (-1, -1, 0), "{at}");
                assert_eq!((kline.open, kline.high, kline.low), (kline.close, kline.close, kline.close), "{at}");
                continue;
            }
            assert!(kline.volume > 0 && next_id.is_none_or(|id| id == kline.first_id), "{at}");
            next_id = Some(kline.last_id + 1);
        }
    }
}

#[test]
fn an_open_kline_grows_by_whole_trades() {
    let market = market(1);
    let open = NOW / MINUTE * MINUTE;
    let mut last: Option<Kline> = None;
    for at in (open..open + MINUTE).step_by(37) {
        let now = market.kline("SOLUSDT", Interval::M1, open, at).unwrap();
        assert!(!now.closed);
        // Before its first trade a kline shows the last price, which then need not be within its range.
        if let Some(last) = last.filter(|last| last.trades > 0) {
            assert!(now.trades >= last.trades && now.high >= last.high && now.quote_volume >= last.quote_volume);
            if now.trades == last.trades {
                assert_eq!((now.close, now.volume), (last.close, last.volume));
            }
        }
        last = Some(now);
    }
    let closed = market.kline("SOLUSDT", Interval::M1, open, open + MINUTE).unwrap();
    assert!(closed.closed);
    assert_eq!(market.kline("SOLUSDT", Interval::M1, open, NOW + 1_000 * HOUR).unwrap(), closed);
    assert_eq!(market.kline("SOLUSDT", Interval::M1, open, open - 1), None);
}

#[test]
fn answers_do_not_depend_on_what_was_asked_before() {
    let market = market(3);
    let place = market.find("LTCUSDT").unwrap();
    let mut memory = ReaderMemory::default();
    for step in 0..300 {
        let at = NOW + step * 7_919 * SECOND - (step % 5) * 30 * HOUR;
        for name in ["1s", "1m", "1h", "1d", "1w"] {
            let open = interval(name).floor(at);
            let remembered = market.reader(place, &mut memory).kline(interval(name), open, at);
            assert_eq!(remembered, market.kline("LTCUSDT", interval(name), open, at));
        }
        assert_eq!(market.reader(place, &mut memory).ticker(at), market.ticker("LTCUSDT", at));
    }
}

#[test]
fn a_seed_gives_the_same_candles_for_ever() {
    let open = NOW / MINUTE * MINUTE;
    let kline = |seed| market(seed).kline("BTCUSDT", Interval::M1, open, NOW).unwrap();
    assert_eq!(kline(1), kline(1));
    assert_ne!(kline(1).close, kline(2).close);
    // Written down once. If this fails, every recorded run means something else from now on.
    let golden = kline(1);
    assert_eq!((golden.open, golden.close, golden.volume, golden.trades), GOLDEN);
}

const GOLDEN: (i64, i64, u128, u64) = (7_520_930_000_000, 7_521_793_000_000, 337_554_000, 1_505);

#[test]
fn the_ticker_is_the_sum_of_its_1440_minutes() {
    let market = market(1);
    let at = NOW / MINUTE * MINUTE - 1;
    for symbol in ["ETHUSDT", "SHIBUSDT", "ACAUSDT"] {
        let ticker = market.ticker(symbol, at).unwrap();
        let sum = Sum::over(&market.newest(symbol, Interval::M1, 1_440, at));
        assert_eq!([ticker.open, ticker.high, ticker.low, ticker.last], sum.prices);
        assert_eq!([ticker.volume, ticker.quote_volume], sum.volumes[..2]);
        assert_eq!((ticker.trades, ticker.first_id, ticker.last_id), (sum.trades, sum.ids.0, sum.ids.1));
        assert!(ticker.weighted_average() as i64 >= ticker.low && ticker.weighted_average() as i64 <= ticker.high);
    }
}

#[test]
fn a_symbol_has_no_klines_before_its_listing_and_after_its_end() {
    let market = market(1);
    let symbol = &market.symbols()[market.find("LUNAUSDT").unwrap()];
    let end = symbol.delisted.unwrap();
    let all = market.newest("LUNAUSDT", Interval::D1, usize::MAX, NOW);
    assert_eq!((all[0].open_time, all[0].first_id), (symbol.listed, 0));
    assert_eq!(all.last().unwrap().close_time, end - 1);
    assert_eq!(market.kline("LUNAUSDT", Interval::D1, end, NOW), None);
    // The first week is there from its Monday, with the trades since the listing.
    let week = market.newest("LUNAUSDT", Interval::W1, usize::MAX, NOW)[0];
    assert_eq!(week.open_time, Interval::W1.floor(symbol.listed));
    assert_eq!((week.first_id, week.open), (0, all[0].open));
    assert_eq!(market.ticker("LUNAUSDT", NOW).unwrap().close_time, end - 1);
}

#[test]
fn files_serve_their_interval_and_whole_multiples() {
    let hour = |index: i64| index * HOUR;
    let text = format!("h\n{},10,12,9,11,4.5\n{},11,13,11,12,1\n{},5,5,5,5,1\n", hour(8), hour(9), hour(12));
    let csv = Csv::parse(&text, Interval::H1).unwrap();
    let symbols = vec![Symbol::new("BTC", "USDT", 1.0, 0.0, 0)];
    let market = Market::new(1, symbols, HashMap::from([("BTCUSDT".to_owned(), csv)]));
    let at = hour(20);
    let open_times = |name: &str| -> Vec<i64> {
        market.newest("BTCUSDT", interval(name), 50, at).iter().map(|kline| kline.open_time / HOUR).collect()
    };
    assert_eq!(open_times("1h"), [8, 9, 12]);
    assert_eq!(open_times("4h"), [8, 12]);
    assert_eq!(open_times("1d"), [0]);
    assert_eq!(open_times("1m"), [0; 0]);
    let four = market.kline("BTCUSDT", interval("4h"), hour(8), at).unwrap();
    assert_eq!([four.open, four.high, four.low, four.close].map(|price| price / crate::symbols::UNIT), [10, 13, 9, 12]);
    assert_eq!(four.volume, 550_000_000);
    // Of the window that ends in hour 32, the row of hour 8 has dropped out.
    let hours = market.newest("BTCUSDT", Interval::H1, 2, at);
    let ticker = market.ticker("BTCUSDT", hour(32)).unwrap();
    assert_eq!(ticker.trades, hours.iter().map(|kline| kline.trades).sum::<u64>());
    assert_eq!(market.ticker("BTCUSDT", hour(90)).unwrap().last, 0);
}

/// Relative strength over `closes` by Wilder's smoothing, only to see that it moves.
fn rsi(closes: &[f64]) -> Vec<f64> {
    let (mut gain, mut loss) = (0.0, 0.0);
    closes
        .windows(2)
        .map(|pair| {
            let change = pair[1] - pair[0];
            gain = (gain * 13.0 + f64::max(change, 0.0)) / 14.0;
            loss = (loss * 13.0 + f64::max(-change, 0.0)) / 14.0;
            100.0 * gain / (gain + loss)
        })
        .collect()
}

#[test]
fn the_market_is_lively_enough_for_signals_within_minutes() {
    let market = market(1);
    let (mut dips, mut peaks) = (0, 0);
    let symbols = &market.symbols()[..20];
    for symbol in symbols {
        let closes: Vec<f64> =
            market.newest(&symbol.name, Interval::M1, 300, NOW).iter().map(|kline| kline.close as f64).collect();
        let rsi = &rsi(&closes)[50..];
        dips += rsi.windows(2).filter(|pair| pair[0] >= 30.0 && pair[1] < 30.0).count();
        peaks += rsi.windows(2).filter(|pair| pair[0] <= 70.0 && pair[1] > 70.0).count();
    }
    // At speed 60 these 250 minutes pass in four: an oversold and an overbought symbol each every ten seconds.
    assert!(dips > 25 && peaks > 25, "{dips} dips, {peaks} peaks");
    let empty = |symbol: &str| market.newest(symbol, Interval::M1, 500, NOW).iter().filter(|k| k.trades == 0).count();
    assert_eq!(empty("BTCUSDT"), 0);
    assert!(empty("ACAUSDT") > 50);
}

#[test]
fn years_of_daily_klines_cost_nothing() {
    let market = market(1);
    let began = std::time::Instant::now();
    for symbol in &market.symbols()[..20] {
        market.newest(&symbol.name, Interval::D1, 1_279, NOW);
        market.newest(&symbol.name, Interval::M1, 1_791, NOW);
    }
    // Takes 0.1 s unoptimised on a slow machine; adding up minutes would take a minute.
    assert!(began.elapsed().as_secs() < 5, "{:?}", began.elapsed());
}
