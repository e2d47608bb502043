//! What is counted is true, and a real Prometheus reads it by way of the exporter and the files of tests/demo/monitoring.

use crate::harness::{Session, Stage, until};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// The only labels there are: none of them grows with symbols or tenants.
const LABELS: [&str; 6] = ["version", "status", "worker", "outcome", "reason", "le"];

#[test]
fn prometheus_scrapes_what_is_counted() {
    let stage = Stage::start("monitoring", &["BTCUSDT", "ETHUSDT"], Stage::speed(60.0), &[("vyx.intervals", "1m")]);
    let session = stage.cluster.session();
    stage.settle(&session);
    // Of each kind: what matches, what does not, what can not be said yet, what is held back.
    session.run(
        "INSERT INTO vyx.traders (user_id, name, script, fire_on, cooldown, state) VALUES
            (NULL, 'always', 'close > 0', 'match', '0', 'running'), (NULL, 'never', 'close < 0', 'match', '0', 'running'),
            (NULL, 'undefined', 'barssince(close < 0) > 1', 'match', '0', 'running'),
            (NULL, 'held back', 'close > 0', 'match', '1 day', 'running')",
    );
    until("somebody runs", || session.one::<bool>("SELECT count(*) = 4 FROM vyx_active_traders()", &[]).then_some(()));
    session.run("SELECT vyx_change_trader(id, 'close > 0', shadow => true) FROM vyx.traders WHERE name = 'never'");
    until("signals, some that were held back, and some of a shadow", || {
        session
            .one::<bool>("SELECT coalesce(least(sum(suppressed_cooldown), sum(shadowed)), 0) >= 4 FROM vyx.cycles", &[])
            .then_some(())
    });
    check_counts(&session);
    check_what_is_undone_is_not_counted(&session);
    check_counts(&session);

    let files = Path::new(env!("CARGO_MANIFEST_DIR")).join("demo/monitoring");
    check_text(&session);
    let monitor = Monitor::start(&stage, &files);
    monitor.promtool(&["check", "rules", "alerts.yml"]);
    monitor.promtool(&["check", "config", "prometheus.yml"]);
    until("the signals are in Prometheus", || {
        let signals = monitor.query("vyx_signals_total").first()?["value"][1].as_str()?.parse::<f64>().ok()?;
        (signals >= 8.0).then_some(())
    });
    check_files(&session, &monitor, &files);
    // Without a server the target is down, and not silent.
    drop(session);
    drop(stage);
    until("Prometheus sees it go", || (monitor.query("up")[0]["value"][1] == "0").then_some(()));
}

/// The counters and the tables say the same, at a moment between two closes.
#[track_caller]
fn check_counts(session: &Session) {
    let pairs = "SELECT m.name || m.labels::text, m.value, c.value FROM vyx_metrics() m JOIN (
            SELECT v.* FROM (SELECT sum(matched) AS matched, sum(unmatched) AS unmatched, sum(not_ready) AS not_ready, sum(failed) AS failed,
                    sum(fired) AS fired, sum(suppressed_cooldown) AS cooldown, sum(suppressed_lag) AS lag, sum(series) AS series, sum(shadowed) AS shadowed,
                    sum(evaluate_ms) / 1000 AS evaluate, sum(write_ms) / 1000 AS write FROM vyx.cycles) AS c
            CROSS JOIN (SELECT count(*) AS written, count(DISTINCT xmin::text) AS batches FROM vyx.signals) AS s
            CROSS JOIN LATERAL (VALUES
                ('vyx_evaluations_total', '{\"outcome\": \"matched\"}', c.matched::float8), ('vyx_evaluations_total', '{\"outcome\": \"unmatched\"}', c.unmatched),
                ('vyx_evaluations_total', '{\"outcome\": \"not_ready\"}', c.not_ready), ('vyx_evaluations_failed_total', '{}', c.failed),
                ('vyx_fired_total', '{}', c.fired), ('vyx_suppressed_total', '{\"reason\": \"cooldown\"}', c.cooldown),
                ('vyx_suppressed_total', '{\"reason\": \"lag\"}', c.lag), ('vyx_shadowed_total', '{}', c.shadowed), ('vyx_series_evaluated_total', '{}', c.series),
                ('vyx_signals_total', '{}', s.written), ('vyx_notifications_total', '{}', s.batches),
                ('vyx_running_traders', '{}', 4), ('vyx_symbols', '{}', 2),
                ('vyx_cycle_evaluate_seconds_sum', '{}', c.evaluate), ('vyx_cycle_write_seconds_sum', '{}', c.write)
            ) AS v(name, labels, value)
        ) AS c ON c.name = m.name AND c.labels::jsonb = m.labels";
    let mut last = Vec::new();
    until("counters and tables agree", || {
        last = session
            .rows(pairs, &[])
            .iter()
            .map(|row| (row.get(0), row.get(1), row.get(2)))
            .collect::<Vec<(String, f64, f64)>>();
        let agree = last.iter().all(|(_, counted, stored)| (counted - stored).abs() <= 1e-3 + 1e-6 * stored.abs());
        (agree && last.len() == 15).then_some(())
    });
    for name in [
        "evaluations_total{\"outcome\": \"matched\"}",
        "evaluations_total{\"outcome\": \"unmatched\"}",
        "evaluations_total{\"outcome\": \"not_ready\"}",
        "suppressed_total{\"reason\": \"cooldown\"}",
        "shadowed_total{}",
        "cycle_write_seconds_sum{}",
    ] {
        assert!(
            last.iter().any(|(other, counted, _)| *other == format!("vyx_{name}") && *counted > 0.0),
            "{name}: {last:?}"
        );
    }
}

/// What is rolled back was never so, nor is what a restored dump brings news.
fn check_what_is_undone_is_not_counted(session: &Session) {
    let cycle = "INSERT INTO vyx.cycles (\"interval\", close_time, matched, series, evaluated_by) VALUES ('1h', '2020-01-01', 1000000, 1, 'test')";
    session
        .run(&format!("BEGIN; SET LOCAL ROLE vyx_owner; {cycle}; UPDATE vyx.writer SET seq = seq + 1000000; ROLLBACK"));
    session.run(&format!(
        "BEGIN; SET LOCAL ROLE vyx_owner; SAVEPOINT a; {cycle}; SAVEPOINT b; RELEASE b; ROLLBACK TO a; COMMIT"
    ));
    session.run(&format!("{cycle}; DELETE FROM vyx.cycles WHERE evaluated_by = 'test'"));
}

/// Prometheus' own parser and linter have nothing to say of the text, and it holds what the rows hold.
fn check_text(session: &Session) {
    let text: String = session.one("SELECT vyx_metrics_text()", &[]);
    let mut promtool = Command::new(program("promtool"))
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool can be run");
    promtool.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("it reads");
    let output = promtool.wait_with_output().expect("it ends");
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success() && said.is_empty(), "{}\n{text}", String::from_utf8_lossy(&said));
    let samples = text.lines().filter(|line| !line.starts_with('#')).count() as i64;
    assert_eq!(session.one::<i64>("SELECT count(*) FROM vyx_metrics()", &[]), samples);
    let labels = session.rows("SELECT DISTINCT jsonb_object_keys(labels) FROM vyx_metrics()", &[]);
    assert!(labels.iter().all(|row| LABELS.contains(&row.get(0))), "{labels:?}");
}

/// Whatever alerts and dashboard ask for is there, and each panel shows something.
fn check_files(session: &Session, monitor: &Monitor, files: &Path) {
    let read = |name: &str| fs::read_to_string(files.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    let (alerts, dashboard) = (read("alerts.yml"), read("dashboard.json"));
    let known: BTreeSet<String> =
        session.rows("SELECT DISTINCT name FROM vyx_metrics()", &[]).iter().map(|row| row.get(0)).collect();
    let asked = metric_names(&alerts).into_iter().chain(metric_names(&dashboard));
    let unknown: Vec<String> = asked.filter(|name| !known.contains(name)).collect();
    assert!(unknown.is_empty(), "nothing is called {unknown:?}");

    let dashboard: Value = serde_json::from_str(&dashboard).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels");
    let expressions: Vec<&str> = panels
        .iter()
        .flat_map(|panel| panel["targets"].as_array().expect("targets"))
        .map(|target| target["expr"].as_str().expect("an expression"))
        .collect();
    assert!(expressions.len() >= panels.len() && panels.len() >= 10);
    for expression in expressions {
        // A rate takes two scrapes.
        until(expression, || (!monitor.query(&expression.replace("$__rate_interval", "1m")).is_empty()).then_some(()));
    }
    let rules = monitor.get("/api/v1/rules");
    let rules = rules["data"]["groups"][0]["rules"].as_array().expect("rules").clone();
    assert_eq!(rules.len(), alerts.matches("- alert:").count());
    until("every rule has been evaluated", || {
        let rules = monitor.get("/api/v1/rules");
        let rules = rules["data"]["groups"][0]["rules"].as_array()?.clone();
        rules.iter().all(|rule| rule["health"] == "ok").then_some(())
    });
}

/// The words that begin as our metrics do and are followed by what may follow a metric: names in prose have a bracket.
fn metric_names(text: &str) -> BTreeSet<String> {
    let expressions = text.lines().filter(|line| line.contains("expr") || line.trim_start().starts_with("rate("));
    let words = expressions.flat_map(|line| line.split(|c: char| !c.is_ascii_alphanumeric() && c != '_'));
    words.filter(|word| word.starts_with("vyx_")).map(str::to_owned).collect()
}

/// The exporter and a Prometheus that scrapes it, with the files as they are but for addresses and pace.
struct Monitor {
    directory: PathBuf,
    address: String,
    processes: Vec<Child>,
}

impl Monitor {
    fn start(stage: &Stage, files: &Path) -> Monitor {
        let directory = std::env::temp_dir().join(format!("vyx-monitoring-{}", std::process::id()));
        fs::create_dir_all(&directory).expect("a directory can be made");
        let [exporter, prometheus] = free_addresses();
        let config = fs::read_to_string(files.join("prometheus.yml")).expect("it is there");
        assert!(config.contains("127.0.0.1:9752") && config.contains("15s"));
        let config = config.replace("127.0.0.1:9752", &exporter).replace("15s", "300ms");
        fs::write(directory.join("prometheus.yml"), config).expect("it can be written");
        fs::copy(files.join("alerts.yml"), directory.join("alerts.yml")).expect("it can be copied");
        let mut monitor = Monitor { directory, address: prometheus, processes: Vec::new() };
        let psql = stage.cluster.client("psql");
        let mut exporter_command = Command::new("python3");
        exporter_command.arg(files.join("exporter.py")).arg(exporter);
        exporter_command.env("PGHOST", stage.cluster.socket()).env("PGUSER", "postgres").env("PGDATABASE", "postgres");
        // The exporter calls psql by its name.
        let bin = Path::new(psql.get_program()).parent().expect("a path").to_owned();
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path = std::env::join_paths([bin].into_iter().chain(std::env::split_paths(&path))).expect("no colons");
        monitor.spawn(exporter_command.env("PATH", path), "exporter.log");
        let mut command = Command::new(program("prometheus"));
        command.arg(format!("--config.file={}", monitor.directory.join("prometheus.yml").display()));
        command.arg(format!("--storage.tsdb.path={}", monitor.directory.join("data").display()));
        command.arg(format!("--web.listen-address={}", monitor.address));
        monitor.spawn(&mut command, "prometheus.log");
        until("Prometheus is ready", || monitor.try_get("/-/ready"));
        monitor
    }

    fn spawn(&mut self, command: &mut Command, log: &str) {
        let log = fs::File::create(self.directory.join(log)).expect("a log can be written");
        let process = command.stdin(Stdio::null()).stdout(log.try_clone().expect("a descriptor")).stderr(log).spawn();
        self.processes.push(process.unwrap_or_else(|error| panic!("{command:?}: {error}")));
    }

    /// # Panics
    /// With what it said, if it finds fault.
    fn promtool(&self, args: &[&str]) {
        let output = Command::new(program("promtool")).args(args).current_dir(&self.directory).output();
        let output = output.expect("promtool can be run");
        assert!(
            output.status.success(),
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }

    /// What an expression is now, a value a series.
    fn query(&self, expression: &str) -> Vec<Value> {
        let encoded: String = expression.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let answer = self.get(&format!("/api/v1/query?query={encoded}"));
        assert_eq!(answer["status"], "success", "{expression}: {answer}");
        answer["data"]["result"].as_array().expect("a result").clone()
    }

    fn get(&self, path: &str) -> Value {
        let text = self.try_get(path).expect("Prometheus answers");
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}\n{text}"))
    }

    /// The body of an answer, if there is one and it is a good one.
    fn try_get(&self, path: &str) -> Option<String> {
        let mut stream = TcpStream::connect(&self.address).ok()?;
        // Of version 1.0, so that the answer comes whole and the connection ends.
        write!(stream, "GET {path} HTTP/1.0\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        let is_answer = [" 200 ", " 400 ", " 422 "]
            .iter()
            .any(|status| head.lines().next().is_some_and(|line| line.contains(status)));
        is_answer.then(|| body.to_owned())
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        for process in &mut self.processes {
            let _ = process.kill();
            let _ = process.wait();
        }
        if std::thread::panicking() {
            for log in ["exporter.log", "prometheus.log"] {
                eprintln!("---- {log} ----\n{}", fs::read_to_string(self.directory.join(log)).unwrap_or_default());
            }
        }
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// Two addresses of this machine where nobody listens.
fn free_addresses() -> [String; 2] {
    let listeners = [0, 1].map(|_| TcpListener::bind("127.0.0.1:0").expect("there are free ports"));
    listeners.map(|listener| listener.local_addr().expect("it is bound").to_string())
}

/// A program of Prometheus': where setup.sh puts it, or in PATH.
fn program(name: &str) -> PathBuf {
    let home = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache"));
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or_else(home);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places = cache.map(|cache| cache.join("vyx/tools/prometheus")).into_iter().chain(std::env::split_paths(&path));
    let found = places.map(|place| place.join(name)).find(|file| file.exists());
    found.unwrap_or_else(|| panic!("there is no {name}: tests/demo/setup.sh test fetches it"))
}
