//! Days of market time with faults: does anything grow? A market at high speed stands for `VYX_SOAK_HOURS`, and what must
//! stay flat is sampled and judged. `make soak` runs it; it ends with an error if anything grew.
//!
//! Real time counts for what the processes do by the clock (the snapshot, rotation, the list of symbols), so those are set
//! to their shortest: a run has about as many of them as the days it stands for.

#[allow(dead_code)] // the measurements use the rest
mod bench_process;
#[allow(dead_code, unused_imports)] // the tests use the rest
mod harness;

use bench_process::Process;
use harness::{MIXED, OWN, Session, Stage, save, until_within};
use std::time::{Duration, Instant};
use vyx_sim::{Kind, Settings};

const HOUR: i64 = 3_600_000;
const MIB: f64 = 1_048_576.0;
/// Between two samples, in real time.
const SAMPLE_EVERY: Duration = Duration::from_secs(4);
/// Between two faults, in real time: each has healed before the next. Each third one ends the connection; one that lived
/// for half a minute has earned that the next attempt is made at once, or the feed would rather wait than follow.
const FAULT_EVERY: Duration = Duration::from_secs(12);
/// A symbol for each kind of life: busy, quiet, a name that is no ASCII, and some more. The last one is halted at times.
const SYMBOLS: [&str; 8] = ["BTCUSDT", "ETHUSDT", "SOLUSDT", "DOGEUSDT", "ACAUSDT", "PHAUSDT", "币安人生USDT", HALTED];
const HALTED: &str = "XRPUSDT";

/// What the private memory of a process may be larger in the second half of the run than at the end of the first. An
/// allocator that settles moves by some hundred KiB; a leak of ten bytes a message would be 10 MiB.
const GROWTH: f64 = 2.0 * MIB;
/// Descriptors a process may have beyond its least: two connections at a time while one replaces the other, four requests
/// for history and one for each of list, clock and tickers, the snapshot and the file beside it, with room for two.
const DESCRIPTORS: usize = 2 + 4 + 3 + 2 + 2;
/// Files of tables and indexes that `vyx evaluate` may come to open late, as Postgres keeps them open once they are.
const LATE_FILES: usize = 8;
/// The feed says each of its topics once a minute at most, and there are fourteen of them; the workers' own lines, a
/// dozen at their start and one for each change of fortune of `vyx evaluate`, fit beneath.
const LINES_A_MINUTE: f64 = 14.0;
const LINES_AT_START: f64 = 40.0;

/// What one look showed.
struct Sample {
    market_hours: f64,
    ingest: [f64; 2],
    evaluate: [f64; 2],
    ingest_descriptors: usize,
    evaluate_descriptors: usize,
    lines: usize,
    gaps: i64,
    reconnects: i64,
    signals: i64,
}

fn main() {
    let hours = from_environment("VYX_SOAK_HOURS", 72.0);
    let speed = from_environment("VYX_SOAK_SPEED", 540.0);
    let real = Duration::from_secs_f64(hours * 3_600.0 / speed);
    let exchange =
        Settings { ping_every: Duration::from_secs(2), lifetime: Duration::from_secs(80), ..Stage::speed(speed) };
    let settings = [
        ("vyx.intervals", "1m,5m,1h"),
        ("vyx.rotate_after", "50s"),
        ("vyx.snapshot_interval", "3s"),
        ("vyx.symbol_refresh", "10s"),
        ("vyx.stale_after", "5s"),
        ("vyx.weight_budget", "6000"),
    ];
    println!("{hours} hours of market time at speed {speed}: {:.0} s, {} symbols", real.as_secs_f64(), SYMBOLS.len());
    let stage = Stage::start("soak", &SYMBOLS, exchange, &settings);
    let session = stage.cluster.session();
    settle(&stage, &session);
    save(&session, &OWN.iter().chain(&MIXED).collect::<Vec<_>>());

    let samples = play(&stage, &session, real);

    stage.exchange.clear(None);
    settle(&stage, &session);
    stage.check(&session);
    let gaps: i64 = session.one("SELECT gaps_open FROM vyx_health()", &[]);
    println!("in the end every ring equals the simulator's market; {gaps} gaps are open");
    let verdicts = judge(&samples, real);
    assert!(gaps == 0 && verdicts, "not everything stayed as it should");
}

fn from_environment(name: &str, usual: f64) -> f64 {
    match std::env::var(name) {
        Ok(text) => text.parse().ok().filter(|n| *n > 0.0).unwrap_or_else(|| panic!("{name} is \"{text}\"")),
        Err(_) => usual,
    }
}

/// At this speed a minute closes ten times a second: there is always a candle on its way, so a moment with all complete has
/// to be caught, more than once.
fn settle(stage: &Stage, session: &Session) {
    until_within(Duration::from_secs(120), "every series is complete", || {
        session
            .one::<bool>(
                "SELECT connections > 0 AND streams = streams_wanted AND series_total > 0
                    AND series_complete = series_total AND gaps_open = 0 FROM vyx_health()",
                &[],
            )
            .then_some(())
    });
    stage.reach(session, stage.exchange.market_time());
}

/// Lets the market run with a fault now and then, and looks.
fn play(stage: &Stage, session: &Session, real: Duration) -> Vec<Sample> {
    println!(
        "   hours  ingest: private   shared  fds   evaluate: private   shared  fds  log lines  open gaps  reconnects    signals"
    );
    let (start, from) = (Instant::now(), stage.exchange.market_time());
    let mut samples: Vec<Sample> = Vec::new();
    let mut faults = 0;
    while start.elapsed() < real {
        let next_fault = FAULT_EVERY * (faults as u32 + 1);
        // The last of them has time to heal.
        if start.elapsed() >= next_fault && start.elapsed() + FAULT_EVERY < real {
            misbehave(stage, faults);
            faults += 1;
        }
        let next_sample = SAMPLE_EVERY * samples.len() as u32;
        if start.elapsed() >= next_sample {
            let sample = look(stage, session, from);
            print(&sample);
            samples.push(sample);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    println!("{faults} faults in {:.0} s", start.elapsed().as_secs_f64());
    samples
}

/// One fault after the other, each of a different kind.
fn misbehave(stage: &Stage, number: usize) {
    let status = |word: &'static str| {
        stage.inject(Kind::Status, |fault| {
            (fault.symbol, fault.word) = (Some(HALTED.to_owned()), Some(word.to_owned()));
        })
    };
    let times = |kind: Kind, count: u32| stage.inject(kind, |fault| fault.count = Some(count));
    // Nobody needs their numbers: what lasts ends by its count or its time.
    let _ = match number % 15 {
        0 | 12 => times(Kind::MissingClose, 20),
        1 => status("BREAK"),
        2 => stage.inject(Kind::Drop, |_| ()),
        3 => status("TRADING"),
        4 => stage.inject(Kind::Malformed, |_| ()),
        5 => stage.inject(Kind::Cut, |_| ()),
        6 => {
            stage.inject(Kind::RefuseRest, |fault| (fault.status, fault.count) = (Some(503), Some(3)));
            times(Kind::MissingClose, 20)
        }
        7 => {
            times(Kind::Repeat, 200);
            times(Kind::Reorder, 200)
        }
        8 => stage.inject(Kind::HalfOpen, |fault| fault.for_ms = Some(6_000)),
        9 => stage.inject(Kind::LateClose, |fault| (fault.by_ms, fault.count) = (Some(60_000), Some(20))),
        10 => stage.inject(Kind::DropStream, |fault| {
            (fault.symbol, fault.interval) = (Some(SYMBOLS[1].to_owned()), Some("1m".to_owned()));
        }),
        11 => stage.inject(Kind::ServerShutdown, |fault| fault.by_ms = Some(1_000)),
        13 => {
            stage.inject(Kind::RefuseRest, |fault| {
                (fault.status, fault.retry_after_s, fault.count) = (Some(429), Some(1), Some(1));
            });
            times(Kind::MissingClose, 20)
        }
        _ => {
            stage.inject(Kind::RefuseConnections, |fault| fault.for_ms = Some(1_500));
            stage.inject(Kind::Drop, |fault| fault.reset = Some(true))
        }
    };
}

fn look(stage: &Stage, session: &Session, from: i64) -> Sample {
    let row = &session.rows(
        "SELECT ingest_pid, evaluate_pid, gaps_open, reconnects, (SELECT count(*) FROM vyx.signals) FROM vyx_health()",
        &[],
    )[0];
    let process = |column: usize| Process::of(row.get::<_, Option<i32>>(column).expect("the workers run"));
    let memory = |process: &Process| {
        let memory = process.memory();
        [memory.private as f64, memory.shared as f64]
    };
    let (ingest, evaluate) = (process(0), process(1));
    Sample {
        market_hours: (stage.exchange.market_time() - from) as f64 / HOUR as f64,
        ingest: memory(&ingest),
        evaluate: memory(&evaluate),
        ingest_descriptors: ingest.descriptors(),
        evaluate_descriptors: evaluate.descriptors(),
        lines: stage.cluster.log().lines().filter(|line| line.contains("vyx ")).count(),
        gaps: row.get(2),
        reconnects: row.get(3),
        signals: row.get(4),
    }
}

fn print(sample: &Sample) {
    let [ingest, ingest_shared] = sample.ingest.map(|bytes| bytes / MIB);
    let [evaluate, evaluate_shared] = sample.evaluate.map(|bytes| bytes / MIB);
    println!(
        "  {:>6.2}  {ingest:>11.2} MiB {ingest_shared:>8.2} {:>4}   {evaluate:>13.2} MiB {evaluate_shared:>8.2} {:>4} {:>10} {:>10} {:>11} {:>10}",
        sample.market_hours,
        sample.ingest_descriptors,
        sample.evaluate_descriptors,
        sample.lines,
        sample.gaps,
        sample.reconnects,
        sample.signals,
    );
}

/// Says of each number whether it stayed flat; whether all did.
fn judge(samples: &[Sample], real: Duration) -> bool {
    assert!(samples.len() >= 6, "{} samples show nothing: a longer run is needed", samples.len());
    let (first, second) = samples.split_at(samples.len() / 2);
    let mut all = true;
    let mut say = |what: &str, is: String, bound: String, holds: bool| {
        println!("  {:<4} {what:<38} {is:<44} {bound}", if holds { "ok" } else { "BAD" });
        all &= holds;
    };
    // What vyx evaluate touches of shared memory is mostly Postgres' buffers, which its tables fill up to their size.
    for (what, read) in [
        ("private memory of vyx ingest", (|sample: &Sample| sample.ingest[0]) as fn(&Sample) -> f64),
        ("private memory of vyx evaluate", |sample| sample.evaluate[0]),
        ("shared memory touched by vyx ingest", |sample| sample.ingest[1]),
    ] {
        // The median of a quarter, so that one sample in the middle of a fault decides nothing.
        let before = median(first[first.len() / 2..].iter().map(read).collect());
        let after = median(second[second.len() / 2..].iter().map(read).collect());
        let grown = after - before;
        say(
            what,
            format!("{:+.2} MiB, {:+.2} KiB a market hour", grown / MIB, slope(second, read) / 1_024.0),
            format!("less than {:+.0} MiB between the halves", GROWTH / MIB),
            grown < GROWTH,
        );
    }
    let most = |samples: &[Sample], read: fn(&Sample) -> usize| samples.iter().map(read).max().unwrap_or(0);
    let ingest: fn(&Sample) -> usize = |sample| sample.ingest_descriptors;
    let least = samples.iter().map(ingest).min().unwrap_or(0);
    say(
        "descriptors of vyx ingest",
        format!("{least} to {}, {:+.3} a market hour", most(samples, ingest), slope(second, |s| ingest(s) as f64)),
        format!("at most {DESCRIPTORS} more than the least"),
        most(samples, ingest) <= least + DESCRIPTORS,
    );
    let evaluate: fn(&Sample) -> usize = |sample| sample.evaluate_descriptors;
    let (before, after) = (most(first, evaluate), most(second, evaluate));
    say(
        "descriptors of vyx evaluate",
        format!("{before}, then {after}, {:+.3} a market hour", slope(second, |s| evaluate(s) as f64)),
        format!("at most {LATE_FILES} more in the second half"),
        after <= before + LATE_FILES,
    );
    let lines = samples[samples.len() - 1].lines as f64;
    let bound = LINES_AT_START + LINES_A_MINUTE * (real.as_secs_f64() / 60.0).ceil();
    say(
        "lines in the server's log",
        format!("{lines}, {:+.2} a market hour", slope(second, |sample| sample.lines as f64)),
        format!("at most {bound:.0}: {LINES_A_MINUTE} a real minute and {LINES_AT_START} at the start"),
        lines <= bound,
    );
    all
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_unstable_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

/// The least-squares slope over market time.
fn slope(samples: &[Sample], read: impl Fn(&Sample) -> f64) -> f64 {
    let count = samples.len() as f64;
    let mean_x = samples.iter().map(|sample| sample.market_hours).sum::<f64>() / count;
    let mean_y = samples.iter().map(&read).sum::<f64>() / count;
    let above = |sample: &Sample| sample.market_hours - mean_x;
    let rise = samples.iter().map(|sample| above(sample) * (read(sample) - mean_y)).sum::<f64>();
    rise / samples.iter().map(|sample| above(sample).powi(2)).sum::<f64>()
}
