//! A real file in a directory of its own, written and read as the worker does.

use super::*;
use std::sync::atomic::{AtomicU32, Ordering};
use vyx_core::store::{Series, Shape, Store};
use vyx_core::sync::AtomicU64;
use vyx_core::{Interval, Kline, Provenance, Symbol, SymbolInfo, SymbolStatus};

const OURS: Header = Header { system: 7, exchange: 9 };
const AT_ONCE: Duration = Duration::from_nanos(1);
const LONG: Duration = Duration::from_secs(60);
const SLOTS: u32 = 2_000;

/// A directory that goes when the test ends.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Directory {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("vyx-snapshot-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Directory(path)
    }

    fn file(&self) -> PathBuf {
        self.0.join("snapshot")
    }

    fn names(&self) -> Vec<String> {
        let names = fs::read_dir(&self.0).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.collect()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The words of a store with one symbol; it must outlive its writer.
fn words() -> Vec<AtomicU64> {
    (0..shape().words()).map(|_| AtomicU64::new(0)).collect()
}

fn shape() -> Shape {
    Shape::new(2, &[(Interval::M1, SLOTS)]).unwrap()
}

fn attach(words: &[AtomicU64]) -> Writer<'_> {
    Writer::attach(Store::initialize(words, &shape()).unwrap())
}

fn follow<'a>(writer: &Writer<'a>) -> Series {
    let name = |text| Symbol::new(text).unwrap();
    let info = SymbolInfo {
        symbol: name("BTCUSDT"),
        base: name("BTC"),
        quote: name("USDT"),
        status: SymbolStatus::Trading,
        tick_size: 0.01,
        step_size: 0.01,
    };
    let id = writer.put_symbol(&info, Millis(1)).unwrap();
    writer.store().series(id, Interval::M1).unwrap()
}

fn close(writer: &Writer, series: Series, ordinals: std::ops::Range<i64>) {
    for ordinal in ordinals {
        let kline = Kline {
            open_time: Interval::M1.open_time(ordinal),
            open: 1.0,
            high: 2.0,
            low: 0.5,
            close: 1.0 + (ordinal % 7) as f64 / 10.0,
            volume: 1.0,
            quote_volume: 1.0,
            trades: 1,
            taker_buy_volume: 0.5,
            taker_buy_quote_volume: 0.5,
            closed: true,
            revision: 0,
            provenance: Provenance::Stream,
        };
        assert!(writer.put_kline(series, &kline).accepted());
    }
}

fn held(writer: &Writer) -> usize {
    let store = writer.store();
    let id = store.symbols().next();
    id.map_or(0, |id| store.last(store.series(id, Interval::M1).unwrap(), 9_999, false, None).map_or(0, |k| k.len()))
}

fn round(file: &mut SnapshotFile, writer: &Writer) {
    file.turn(writer, AT_ONCE, LONG, Millis(5)).unwrap();
}

#[test]
fn what_a_process_wrote_the_next_one_reads_and_goes_on_with() {
    let directory = Directory::new();
    let mut file = SnapshotFile::new(directory.file(), OURS);
    let first = words();
    let writer = attach(&first);
    assert!(matches!(file.load(&writer, &mut || true), Loaded::Nothing));
    let series = follow(&writer);
    close(&writer, series, 0..1_000);
    round(&mut file, &writer);
    close(&writer, series, 1_000..1_010);
    round(&mut file, &writer);
    assert_eq!(writer.store().count(Counter::Snapshots), 2);
    assert_eq!(writer.store().gauge(Gauge::SnapshotTime), 5);
    round(&mut file, &writer);
    assert_eq!(writer.store().count(Counter::Snapshots), 2, "nothing was new");

    let mut next = SnapshotFile::new(directory.file(), OURS);
    let second = words();
    let writer = attach(&second);
    assert!(matches!(next.load(&writer, &mut || true), Loaded::Restored { klines: 1_010, cut_off: false }));
    assert_eq!(held(&writer), 1_010);
    let series = follow(&writer);
    close(&writer, series, 1_010..1_020);
    let before = fs::metadata(directory.file()).unwrap().len();
    round(&mut next, &writer);
    let grown = fs::metadata(directory.file()).unwrap().len() - before;
    assert!(grown < 2_000, "ten klines were appended, not {grown} bytes");

    let third = words();
    let writer = attach(&third);
    SnapshotFile::new(directory.file(), OURS).load(&writer, &mut || true);
    assert_eq!(held(&writer), 1_020);
    assert_eq!(directory.names(), ["snapshot"]);
}

#[test]
fn a_turn_takes_its_time_and_no_more_and_a_first_round_that_was_broken_off_leaves_the_old_file() {
    let directory = Directory::new();
    let words = words();
    let writer = attach(&words);
    let series = follow(&writer);
    close(&writer, series, 0..2_000);
    let mut file = SnapshotFile::new(directory.file(), OURS);
    let mut turns = 0;
    while writer.store().count(Counter::Snapshots) == 0 {
        file.turn(&writer, AT_ONCE, Duration::ZERO, Millis(5)).unwrap();
        turns += 1;
    }
    assert!(turns > 5, "{turns}");
    let whole = fs::read(directory.file()).unwrap();

    // Another process begins anew, since it does not know what the one before it has written.
    let mut other = SnapshotFile::new(directory.file(), OURS);
    other.turn(&writer, AT_ONCE, Duration::ZERO, Millis(5)).unwrap();
    assert_eq!(fs::read(directory.file()).unwrap(), whole);
    other.finish(&writer, Duration::ZERO, Millis(5)).unwrap();
    assert_eq!((fs::read(directory.file()).unwrap(), directory.names().len()), (whole, 1));
}

#[test]
fn the_last_round_of_a_process_is_whole_when_there_is_time() {
    let directory = Directory::new();
    let words = words();
    let writer = attach(&words);
    let series = follow(&writer);
    let mut file = SnapshotFile::new(directory.file(), OURS);
    round(&mut file, &writer);
    close(&writer, series, 0..100);
    file.finish(&writer, LONG, Millis(5)).unwrap();
    let again = self::words();
    let writer = attach(&again);
    SnapshotFile::new(directory.file(), OURS).load(&writer, &mut || true);
    assert_eq!(held(&writer), 100);
}

#[test]
fn a_file_that_is_not_good_is_refused_and_replaced() {
    let directory = Directory::new();
    let words = words();
    let writer = attach(&words);
    let series = follow(&writer);
    close(&writer, series, 0..100);
    round(&mut SnapshotFile::new(directory.file(), OURS), &writer);
    let good = fs::read(directory.file()).unwrap();
    let mut flipped = good.clone();
    flipped[good.len() / 2] ^= 1;
    let foreign = Header { system: 8, ..OURS };
    for (bytes, header) in [(&flipped[..], OURS), (&good[..good.len() / 2], OURS), (b"", OURS), (&good[..], foreign)] {
        fs::write(directory.file(), bytes).unwrap();
        let empty = self::words();
        let writer = attach(&empty);
        let mut file = SnapshotFile::new(directory.file(), header);
        assert!(matches!(file.load(&writer, &mut || true), Loaded::Refused(_)));
        assert_eq!(writer.store().symbols().count(), 0, "nothing of it was taken");
        let series = follow(&writer);
        close(&writer, series, 0..3);
        round(&mut file, &writer);
        let after = self::words();
        let writer = attach(&after);
        assert!(matches!(
            SnapshotFile::new(directory.file(), header).load(&writer, &mut || true),
            Loaded::Restored { klines: 3, cut_off: false }
        ));
    }
}

#[test]
fn a_round_that_was_cut_off_is_left_out_and_written_over() {
    let directory = Directory::new();
    let words = words();
    let writer = attach(&words);
    let series = follow(&writer);
    close(&writer, series, 0..100);
    let mut file = SnapshotFile::new(directory.file(), OURS);
    round(&mut file, &writer);
    close(&writer, series, 100..200);
    round(&mut file, &writer);
    let whole = fs::read(directory.file()).unwrap();
    fs::write(directory.file(), &whole[..whole.len() - 5]).unwrap();
    let again = self::words();
    let writer = attach(&again);
    let mut file = SnapshotFile::new(directory.file(), OURS);
    assert!(matches!(file.load(&writer, &mut || true), Loaded::Restored { klines: 100, cut_off: true }));
    let series = follow(&writer);
    close(&writer, series, 100..150);
    round(&mut file, &writer);
    let third = self::words();
    let writer = attach(&third);
    let loaded = SnapshotFile::new(directory.file(), OURS).load(&writer, &mut || true);
    assert!(matches!(loaded, Loaded::Restored { klines: 150, cut_off: false }), "{loaded:?}");
}

#[test]
fn a_file_that_cannot_be_written_is_an_error_and_tried_again_from_the_beginning() {
    let directory = Directory::new();
    let words = words();
    let writer = attach(&words);
    let series = follow(&writer);
    close(&writer, series, 0..100);
    let beside = directory.0.join("snapshot.new");
    fs::create_dir(&beside).unwrap();
    let mut file = SnapshotFile::new(directory.file(), OURS);
    assert!(file.turn(&writer, AT_ONCE, LONG, Millis(5)).is_err());
    assert_eq!(writer.store().count(Counter::SnapshotFailures), 1);
    assert!(file.turn(&writer, LONG, LONG, Millis(5)).is_ok(), "not before its time");
    fs::remove_dir(&beside).unwrap();
    round(&mut file, &writer);
    // Somebody removes the file that was to be appended to.
    fs::remove_file(directory.file()).unwrap();
    close(&writer, series, 100..110);
    assert!(file.turn(&writer, AT_ONCE, LONG, Millis(5)).is_err());
    round(&mut file, &writer);
    let again = self::words();
    let writer = attach(&again);
    SnapshotFile::new(directory.file(), OURS).load(&writer, &mut || true);
    assert_eq!(held(&writer), 110);
}

#[test]
fn a_file_that_has_grown_is_begun_anew() {
    let directory = Directory::new();
    let words = words();
    let writer = attach(&words);
    let series = follow(&writer);
    close(&writer, series, 0..2_000);
    let mut file = SnapshotFile::new(directory.file(), OURS);
    round(&mut file, &writer);
    let first = fs::metadata(directory.file()).unwrap().len();
    let mut rounds = 0;
    let mut next = 2_000;
    loop {
        close(&writer, series, next..next + 2_000);
        next += 2_000;
        round(&mut file, &writer);
        rounds += 1;
        let now = fs::metadata(directory.file()).unwrap().len();
        assert!(now < LEAST_TO_COMPACT + 2 * first, "{now}");
        if now <= first + 200 {
            break;
        }
    }
    assert!(rounds > 50, "{rounds}");
    let again = self::words();
    let writer = attach(&again);
    SnapshotFile::new(directory.file(), OURS).load(&writer, &mut || true);
    assert_eq!(held(&writer), SLOTS as usize);
}
