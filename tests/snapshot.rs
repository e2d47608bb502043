//! The snapshot file: a start is warm from it, and one that is not good is refused in a line and does no harm.

use crate::harness::{
    Cluster, Gap, MINUTE, SYMBOLS, Session, Stage, Stop, check_ledger, count, gaps, klines, market_time, signal, until,
    until_within,
};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

const FILE: &str = "pgsql_tmp_vyx.snapshot";

fn stage(name: &str, settings: &[(&str, &str)]) -> Stage {
    let basic = [("vyx.intervals", "1m,5m"), ("vyx.ring_size", "240"), ("vyx.evaluate_worker", "off")];
    Stage::start(name, &SYMBOLS, Stage::speed(60.0), &[&basic, settings].concat())
}

fn file(cluster: &Cluster) -> PathBuf {
    cluster.data().join(FILE)
}

/// Waits for a round that began after this call.
fn written(session: &Session) {
    let rounds = count(session, "snapshots");
    // One may be under way.
    until("two rounds are written", || (count(session, "snapshots") >= rounds + 2).then_some(()));
}

/// The closed klines of every series, and the tickers, as text that can be compared.
fn held(session: &Session) -> Vec<String> {
    let mut held = Vec::new();
    for symbol in SYMBOLS {
        for interval in ["1m", "5m"] {
            let closed = klines(session, symbol, interval).into_iter().filter(|kline| kline.closed);
            held.extend(closed.map(|kline| format!("{symbol} {interval} {kline:?}")));
        }
    }
    let tickers = session.rows("SELECT t::text FROM vyx_tickers() t ORDER BY symbol COLLATE \"C\"", &[]);
    held.extend(tickers.iter().map(|row| row.get::<_, String>(0)));
    held
}

/// Holds all of these. In the place of each series' open kline there may be the one that it had pushed out.
#[track_caller]
fn same(is: &[String], should: &[String]) {
    let lost: Vec<_> = should.iter().filter(|line| !is.contains(line)).take(5).collect();
    assert!(lost.is_empty(), "not there any more: {lost:#?}\n{} of {} lines", is.len(), should.len());
    assert!(is.len() <= should.len() + 6, "{} lines instead of {}", is.len(), should.len());
}

fn states(session: &Session) -> Vec<String> {
    session.rows("SELECT DISTINCT state FROM vyx_series()", &[]).iter().map(|row| row.get(0)).collect()
}

/// The lines of the log behind this place that hold these words.
fn told(cluster: &Cluster, from: usize, words: &str) -> usize {
    cluster.log()[from..].lines().filter(|line| line.contains(words)).count()
}

#[test]
fn a_start_is_warm_from_the_snapshot_however_the_server_ended() {
    let mut stage = stage("snapshot-warm", &[("vyx.snapshot_interval", "1")]);
    for how in ["stopped fast", "stopped at once", "an ingest was killed"] {
        let session = stage.cluster.session();
        stage.settle(&session);
        // A row of the ledger to be remembered.
        let withheld = stage.exchange.state().withheld;
        stage.inject(vyx_sim::Kind::MissingClose, |fault| fault.count = Some(1));
        until("a close is withheld", || (stage.exchange.state().withheld > withheld).then_some(()));
        stage.reach(&session, stage.exchange.market_time() + 2 * MINUTE);
        stage.settle(&session);
        stage.vanish(&session);
        if how != "stopped fast" {
            // A round is begun each second as long as anything is new.
            until("nothing is left to write", || {
                let rounds = count(&session, "snapshots");
                std::thread::sleep(Duration::from_millis(1_500));
                (count(&session, "snapshots") == rounds).then_some(())
            });
        }
        let (klines, ledger, time) = (held(&session), ended(&session), market_time(&session));
        let from = stage.cluster.log().len();
        match how {
            "stopped fast" => _ = stage.cluster.stop(Stop::Fast),
            "stopped at once" => _ = stage.cluster.stop(Stop::Immediate),
            _ => {
                signal(session.one("SELECT ingest_pid FROM vyx_health()", &[]), libc::SIGKILL);
                until("the server ends its sessions", || session.try_rows("SELECT 1", &[]).is_err().then_some(()));
            }
        }
        if how != "an ingest was killed" {
            stage.cluster.run().expect("the server starts again");
        }
        let session = stage.cluster.session();
        // Long before the exchange says a word: it says none.
        until_within(Duration::from_secs(5), &format!("{how}: klines answer"), || {
            let answers = "SELECT count(*) = 6 AND bool_and(klines > 200) FROM vyx_series()";
            session.one::<Option<bool>>(answers, &[]).filter(|answers| *answers)
        });
        same(&held(&session), &klines);
        assert_eq!(states(&session), ["stale"], "{how}");
        assert_eq!(market_time(&session), time, "{how}");
        let is = ended(&session);
        assert!(ledger.iter().all(|gap| is.contains(gap)), "{how}: rows of the ledger were lost");
        assert_eq!(told(&stage.cluster, from, "a snapshot brought"), 1, "{how}");

        until("candles close meanwhile", || (stage.exchange.market_time() >= time + 3 * MINUTE).then_some(()));
        stage.exchange.clear(None);
        stage.settle(&session);
        stage.reach(&session, stage.exchange.market_time() + MINUTE);
        stage.settle(&session);
        stage.check(&session);
        let new: Vec<Gap> = check_ledger(&session).into_iter().filter(|gap| !ledger.contains(gap)).collect();
        for symbol in SYMBOLS {
            let restart = |gap: &&Gap| (&*gap.symbol, &*gap.interval, &*gap.reason) == (symbol, "1m", "restart");
            let missed: i64 = new.iter().filter(restart).map(|gap| gap.klines).sum();
            assert!((1..120).contains(&missed), "{how}: {symbol} was fetched anew: {missed} klines\n{new:#?}");
        }
        assert!(new.iter().all(|gap| gap.reason != "symbol added"), "{how}: {new:#?}");
    }
}

/// Rows of the ledger that have ended.
fn ended(session: &Session) -> Vec<Gap> {
    gaps(session).into_iter().filter(|gap| gap.resolution.is_some()).collect()
}

/// Puts these bytes in the file's place, as the server's user.
fn put(path: &Path, bytes: &[u8]) {
    fs::write(path, bytes).expect("the data directory can be written");
    fs::set_permissions(path, fs::Permissions::from_mode(0o666)).expect("it is ours");
}

#[test]
fn a_file_that_is_not_good_is_refused_in_one_line_and_the_start_is_cold() {
    let settings = [("vyx.snapshot_interval", "1")];
    let mut stage = stage("snapshot-bad", &settings);
    let session = stage.cluster.session();
    stage.settle(&session);
    written(&session);
    drop(session);
    let foreign = {
        let mut stranger = stage.cluster.stranger("snapshot-stranger");
        let session = stranger.session();
        session.run("CREATE EXTENSION vyx");
        stage.settle(&session);
        written(&session);
        stranger.stop(Stop::Fast);
        fs::read(file(&stranger)).expect("it has a snapshot")
    };
    for (name, words, spoil) in [
        ("damaged", "damaged", (|good, _| changed(good, 100, |byte| byte ^ 1)) as fn(&[u8], &[u8]) -> Vec<u8>),
        ("cut off", "damaged or cut off", |good, _| good[..1_000].to_vec()),
        ("of another cluster", "another database system", |_, foreign| foreign.to_vec()),
        ("of a later version", "version 2", |good, _| later(good)),
        ("with a number changed", "damaged", |good, _| changed(good, 8, |byte| byte + 1)),
        ("empty", "is not used", |_, _| Vec::new()),
        ("no snapshot", "no snapshot", |_, _| b"once upon a time there was a server".repeat(100)),
        ("a directory", "cannot be read", |_, _| Vec::new()),
    ] {
        eprintln!("---- {name} ----");
        stage.cluster.stop(Stop::Fast);
        let (path, from) = (file(&stage.cluster), stage.cluster.log().len());
        let good = fs::read(&path).expect("it has a snapshot");
        if name == "a directory" {
            fs::remove_file(&path).expect("it is there");
            fs::create_dir(&path).expect("a directory can be made");
        } else {
            put(&path, &spoil(&good, &foreign));
        }
        stage.cluster.run().expect("the server starts");
        let session = stage.cluster.session();
        stage.settle(&session);
        stage.check(&session);
        check_ledger(&session);
        let log = stage.cluster.log();
        let lines: Vec<&str> = log[from..].lines().filter(|line| line.contains("is not used")).collect();
        assert!(lines.len() == 1 && lines[0].contains(words), "{name}: {lines:#?}");
        assert_eq!(told(&stage.cluster, from, "a snapshot brought"), 0, "{name}");
        assert_eq!(told(&stage.cluster, from, "panicked"), 0, "{name}");
        if name == "a directory" {
            until("it is told that nothing can be written", || {
                (told(&stage.cluster, from, "cannot be written") > 0).then_some(())
            });
            fs::remove_dir_all(&path).expect("a directory that the test made");
        }
        written(&session);
    }
    // What was written over them is good.
    let from = stage.cluster.log().len();
    stage.cluster.stop(Stop::Fast);
    stage.cluster.run().expect("the server starts");
    until("the next start is warm", || (told(&stage.cluster, from, "a snapshot brought") == 1).then_some(()));
    let session = stage.cluster.session();
    stage.settle(&session);
    stage.check(&session);
}

/// The header's version is one more, and its checksum right.
fn later(good: &[u8]) -> Vec<u8> {
    let mut bytes = changed(good, 8, |byte| byte + 1);
    let bit = |crc: u32, _| if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 };
    let crc = !bytes[..32].iter().fold(!0u32, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), bit));
    bytes[32..36].copy_from_slice(&crc.to_le_bytes());
    bytes
}

fn changed(bytes: &[u8], place: usize, change: fn(u8) -> u8) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[place] = change(bytes[place]);
    bytes
}

#[test]
fn a_snapshot_is_not_in_a_base_backup() {
    let stage = stage("snapshot-backup", &[("vyx.snapshot_interval", "1")]);
    let session = stage.cluster.session();
    stage.settle(&session);
    written(&session);
    assert!(file(&stage.cluster).exists());
    let backup = stage.cluster.base_backup("snapshot-backup-copy");
    assert!(backup.join("PG_VERSION").exists());
    let copied: Vec<_> = fs::read_dir(&backup).expect("it was made").flatten().map(|entry| entry.file_name()).collect();
    fs::remove_dir_all(&backup).expect("it was made");
    assert!(copied.iter().all(|name| !name.to_string_lossy().contains(FILE)), "{copied:?}");
}

#[test]
fn an_interval_of_zero_writes_no_snapshot_and_reads_none() {
    let mut stage = stage("snapshot-off", &[("vyx.snapshot_interval", "0")]);
    let session = stage.cluster.session();
    stage.settle(&session);
    stage.reach(&session, stage.exchange.market_time() + 2 * MINUTE);
    let never: bool = session.one("SELECT snapshot_time IS NULL FROM vyx_health()", &[]);
    assert!(never && count(&session, "snapshots") == 0);
    stage.cluster.stop(Stop::Fast);
    assert!(!file(&stage.cluster).exists());
    // Nor is one that lies there read.
    put(&file(&stage.cluster), b"what is this");
    stage.cluster.run().expect("the server starts");
    let session = stage.cluster.session();
    stage.settle(&session);
    stage.check(&session);
    assert_eq!(told(&stage.cluster, 0, "is not used"), 0);
    // It is a matter of a reload.
    session.reload(&[("vyx.snapshot_interval", "1")]);
    until("a round is written", || (count(&session, "snapshots") > 0).then_some(()));
}

#[test]
fn a_snapshot_that_cannot_be_written_is_told_and_holds_nothing_up() {
    let mut stage = stage("snapshot-blocked", &[("vyx.snapshot_interval", "1")]);
    stage.cluster.stop(Stop::Fast);
    let _ = fs::remove_file(file(&stage.cluster));
    let obstacle = stage.cluster.data().join(format!("{FILE}.new"));
    fs::create_dir(&obstacle).expect("a directory can be made");
    stage.cluster.run().expect("the server starts");
    let session = stage.cluster.session();
    stage.settle(&session);
    until("it fails again and again", || (count(&session, "snapshot_failures") >= 3).then_some(()));
    assert!(told(&stage.cluster, 0, "cannot be written") >= 1, "the log says so");
    stage.reach(&session, stage.exchange.market_time() + 2 * MINUTE);
    stage.settle(&session);
    stage.check(&session);
    fs::remove_dir(&obstacle).expect("a directory that the test made");
    until("it is written after all", || (count(&session, "snapshots") > 0).then_some(()));
    assert!(file(&stage.cluster).exists());
}
