//! One process writes, four read, over memory they really share: no reader ever sees a torn kline.
//!
//! The klines are made so that every number follows from the ordinal and the number of trades, and one
//! series is written as fast as it goes, around and around its ring, so that reads and writes collide.
#![cfg(unix)]

use std::time::{Duration, Instant};
use vyx_core::store::{Counter, ReadError, Series, Shape, Store, SymbolId, Writer};
use vyx_core::sync::AtomicU64;
use vyx_core::{Interval, Kline, Millis, Provenance, Symbol, SymbolInfo, SymbolStatus};

const READERS: usize = 4;
const FOR: Duration = Duration::from_millis(1_000);
const SLOTS: u32 = 16;

/// Memory that this process and its children share. Never unmapped: the test process is about to end.
fn shared_words(count: usize) -> &'static [AtomicU64] {
    // SAFETY: a new anonymous mapping; the kernel picks an address nobody uses.
    let address = unsafe {
        let access = libc::PROT_READ | libc::PROT_WRITE;
        libc::mmap(std::ptr::null_mut(), count * 8, access, libc::MAP_SHARED | libc::MAP_ANONYMOUS, -1, 0)
    };
    assert_ne!(address, libc::MAP_FAILED, "no shared memory: {}", std::io::Error::last_os_error());
    // SAFETY: the mapping is page-aligned, zeroed, `count` words long and never unmapped; all zeroes is a
    // valid AtomicU64, and from here on everybody touches the words as atomics only.
    unsafe { std::slice::from_raw_parts(address.cast::<AtomicU64>(), count) }
}

/// Runs `work` in a process of its own, which exits with what it returns, 101 if it panics.
fn spawn(work: impl FnOnce() -> u8 + std::panic::UnwindSafe) -> libc::pid_t {
    // SAFETY: the child only runs `work` and ends by _exit. Other threads of the test runner do not exist in
    // it; what it allocates goes through glibc's allocator, which is made usable in a forked child.
    match unsafe { libc::fork() } {
        -1 => panic!("cannot fork: {}", std::io::Error::last_os_error()),
        0 => {
            let code = std::panic::catch_unwind(work).unwrap_or(101);
            // SAFETY: ends this process at once, without the runner's exit handlers.
            unsafe { libc::_exit(i32::from(code)) }
        }
        child => child,
    }
}

fn exit_code(child: libc::pid_t) -> i32 {
    let mut status = 0;
    // SAFETY: `child` is ours and was not waited for yet; `status` is ours to be written.
    let waited = unsafe { libc::waitpid(child, &mut status, 0) };
    assert_eq!(waited, child, "{}", std::io::Error::last_os_error());
    if libc::WIFEXITED(status) { libc::WEXITSTATUS(status) } else { -libc::WTERMSIG(status) }
}

fn info(name: &str) -> SymbolInfo {
    let symbol = Symbol::new(name).unwrap();
    SymbolInfo { symbol, base: symbol, quote: symbol, status: SymbolStatus::Trading, tick_size: 0.0, step_size: 0.0 }
}

fn kline(ordinal: i64, trades: u64, closed: bool) -> Kline {
    let n = (ordinal as u64 * 1_000_003 + trades) as f64;
    Kline {
        open_time: Interval::M1.open_time(ordinal),
        open: n + 1.0,
        high: n + 3.0,
        low: n + 0.5,
        close: n + 2.0,
        volume: n + 4.0,
        quote_volume: n + 5.0,
        trades,
        taker_buy_volume: n + 6.0,
        taker_buy_quote_volume: n + 7.0,
        closed,
        revision: 0,
        provenance: Provenance::Stream,
    }
}

/// Four states of each kline, the last of them closed, until the time is up.
fn write(store: Store<'static>, series: Series) -> u8 {
    let writer = Writer::attach(store);
    let begun = Instant::now();
    let mut ordinal = 1;
    while begun.elapsed() < FOR {
        for _ in 0..64 {
            for trades in 1..=4 {
                writer.put_kline(series, &kline(ordinal, trades, trades == 4));
            }
            ordinal += 1;
        }
        // A moment's rest, or on a machine with a core for each process no read would ever succeed.
        (0..500).for_each(|_| std::hint::spin_loop());
    }
    u8::from(ordinal < 1_000)
}

/// Reads until the time is up. 0: some reads succeeded and all were whole; 1: a torn one; 2: none succeeded.
fn read(store: Store<'static>, series: Series) -> u8 {
    let (begun, mut whole) = (Instant::now(), 0_u64);
    while begun.elapsed() < FOR {
        match store.last(series, SLOTS as usize, true, None) {
            Ok(klines) => {
                let neighbours = klines.windows(2).all(|k| k[1].open_time - k[0].open_time == Millis::MINUTE);
                let untorn = klines.iter().all(|k| *k == kline(Interval::M1.ordinal(k.open_time), k.trades, k.closed));
                if !neighbours || !untorn {
                    eprintln!("torn: {klines:?}");
                    return 1;
                }
                whole += 1;
            }
            Err(ReadError::Busy | ReadError::NeverFilled) => {}
            Err(ReadError::Gone) => return 3,
        }
    }
    if whole == 0 { 2 } else { 0 }
}

fn store_with_one_symbol() -> (Store<'static>, SymbolId) {
    let shape = Shape::new(2, &[(Interval::M1, SLOTS)]).unwrap();
    let store = Store::initialize(shared_words(shape.words()), &shape).unwrap();
    let id = Writer::attach(store).put_symbol(&info("BTCUSDT"), Millis(1)).unwrap();
    (store, id)
}

#[test]
fn no_process_sees_a_torn_kline() {
    let (store, id) = store_with_one_symbol();
    let series = store.series(id, Interval::M1).unwrap();
    let mut children = vec![spawn(move || write(store, series))];
    children.extend((0..READERS).map(|_| spawn(move || read(store, series))));
    let codes: Vec<i32> = children.into_iter().map(exit_code).collect();
    assert_eq!(codes, [0; 1 + READERS], "writer first; 1 torn, 2 never a whole read, 3 gone, 101 panic");
    assert_eq!(store.epoch(), 2, "the writer in the other process is the second");
}

/// The same inside one process, where the thread sanitizer can look on.
#[test]
fn no_thread_sees_a_torn_kline() {
    let (store, id) = store_with_one_symbol();
    let series = store.series(id, Interval::M1).unwrap();
    std::thread::scope(|scope| {
        let mut threads = vec![scope.spawn(move || write(store, series))];
        threads.extend((0..READERS).map(|_| scope.spawn(move || read(store, series))));
        let codes: Vec<u8> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        assert_eq!(codes, [0; 1 + READERS], "as above");
    });
}

#[test]
fn an_id_never_finds_the_symbol_that_took_its_slot() {
    let (store, first) = store_with_one_symbol();
    let writes = spawn(move || {
        let writer = Writer::attach(store);
        let (begun, mut id, mut n) = (Instant::now(), first, 0_u32);
        while begun.elapsed() < FOR {
            n += 1;
            writer.remove_symbol(id);
            id = writer.put_symbol(&info(&format!("S{n}")), Millis(i64::from(n))).unwrap();
            let series = store.series(id, Interval::M1).unwrap();
            writer.put_kline(series, &kline(i64::from(n), 1, true));
        }
        0
    });
    let reads = spawn(move || {
        let begun = Instant::now();
        while begun.elapsed() < FOR {
            for id in store.symbols() {
                let Some(entry) = store.symbol(id) else { continue };
                let name = entry.info.symbol;
                let agrees = name == entry.info.base
                    && (name.as_str() == "BTCUSDT" || name.as_str()[1..] == entry.since.0.to_string());
                if !agrees || store.find(&name).is_some_and(|found| found != id) {
                    return 1;
                }
                let newest = store.newest(store.series(id, Interval::M1).unwrap());
                if newest.is_ok_and(|k| Interval::M1.ordinal(k.open_time) != entry.since.0) {
                    return 2;
                }
            }
        }
        0
    });
    assert_eq!([writes, reads].map(exit_code), [0, 0], "1: parts of two symbols, 2: another symbol's kline");
}

#[test]
fn a_writer_killed_in_mid_write_costs_at_most_the_kline_it_was_writing() {
    let mut lost = 0;
    for _ in 0..20 {
        let (store, id) = store_with_one_symbol();
        let series = store.series(id, Interval::M1).unwrap();
        let child = spawn(move || write(store, series));
        while store.count(Counter::Klines) < 1_000 {
            std::thread::sleep(Duration::from_millis(1));
        }
        // SAFETY: sends a signal to our own child, which is not waited for yet.
        unsafe { libc::kill(child, libc::SIGKILL) };
        assert_eq!(exit_code(child), -libc::SIGKILL);
        Writer::attach(store);
        lost += store.count(Counter::DamagedSlots);
        let klines = store.last(series, SLOTS as usize, true, None).unwrap();
        assert!(klines.len() >= SLOTS as usize - 1, "{} klines left", klines.len());
        assert!(
            klines.iter().all(|k| *k == kline(Interval::M1.ordinal(k.open_time), k.trades, k.closed)),
            "{klines:?}"
        );
    }
    eprintln!("killed 20 times, {lost} times in mid-write");
}
