//! The program: its first line, its files, its end.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vyx-sim"));
    command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn run(arguments: &[&str]) -> Output {
    command(arguments).output().unwrap()
}

/// Starts the program and waits for its first line.
fn start(arguments: &[&str]) -> (Child, String) {
    let mut child = command(arguments).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    (child, line)
}

/// Ends the program as `kill` does.
fn terminate(mut child: Child) -> Option<i32> {
    Command::new("kill").arg(child.id().to_string()).status().unwrap();
    child.wait().unwrap().code()
}

/// A path for one test, empty at first.
fn scratch(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("vyx-sim-{name}-{}", std::process::id()));
    let _ = std::fs::remove_file(&path);
    path
}

#[test]
fn the_market_clock_continues_where_it_stopped() {
    let (clock, port) = (scratch("clock"), scratch("port"));
    let files = [clock.to_str().unwrap(), port.to_str().unwrap()];
    let arguments =
        ["--speed", "60", "--start", "2026-11-20T22:00:00Z", "--clock-file", files[0], "--port-file", files[1]];
    let (child, line) = start(&arguments);
    assert!(line.starts_with("vyx-sim listening on 127.0.0.1:"), "{line}");
    assert!(line.ends_with(", market time 2026-11-20T22:00:00Z, speed 60\n"), "{line}");
    assert_eq!(terminate(child), Some(0));
    let saved: i64 = std::fs::read_to_string(&clock).unwrap().trim().parse().unwrap();
    assert!((1_795_212_000_000..1_795_212_600_000).contains(&saved), "{saved}");
    std::fs::write(&clock, "1795215600000\n").unwrap();
    let (child, line) = start(&arguments);
    assert!(line.contains("market time 2026-11-20T23:00:0"), "{line}");
    // The file is there before the line.
    let written = std::fs::read_to_string(&port).unwrap();
    assert!(line.contains(&format!(":{},", written.trim())), "{line} {written}");
    assert_eq!(terminate(child), Some(0));
    for path in [clock, port] {
        std::fs::remove_file(path).unwrap();
    }
}

#[test]
fn mistakes_end_with_words_and_code_1() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let check = |arguments: &[&str], words: &str| {
        let output = run(arguments);
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{error}");
        assert!(error.starts_with("vyx-sim: ") && error.contains(words), "{error}");
    };
    check(&["--port", &port], "is in use");
    check(&["--speed", "0"], "speed must be above 0");
    check(&["--csv", "BTCUSDT=1h:/nowhere.csv"], "/nowhere.csv");
    check(&["--loud"], "unknown option");
    let help = run(&["--help"]);
    assert!(help.status.success() && String::from_utf8(help.stdout).unwrap().contains("--clock-file"));
}
