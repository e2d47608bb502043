//! The simulator as a program: starts it, says where it listens, ends on SIGTERM or SIGINT.

mod arguments;

use arguments::{HELP, Wish};
use chrono::DateTime;
use std::path::Path;
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};
use vyx_sim::{Settings, Simulator, replace_file};

fn main() -> ExitCode {
    let result = match arguments::parse(std::env::args().skip(1)) {
        Ok(Wish::Help) => {
            print!("{HELP}");
            Ok(())
        }
        Ok(Wish::Run { settings, port_file }) => run(*settings, port_file.as_deref()),
        Err(error) => Err(format!("{error}; --help lists the options")),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("vyx-sim: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(settings: Settings, port_file: Option<&Path>) -> Result<(), String> {
    let (port, speed) = (settings.port, settings.speed);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| e.to_string())?;
    // Before anybody can know the port: a signal must never find the default action.
    let (mut term, mut int) = {
        let _context = runtime.enter();
        let listen = |kind| signal(kind).map_err(|error| format!("cannot listen for signals: {error}"));
        (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?)
    };
    let simulator = Simulator::start(settings).map_err(|error| match error.kind() {
        std::io::ErrorKind::AddrInUse => format!("port {port} of 127.0.0.1 is in use; choose another with --port"),
        _ => error.to_string(),
    })?;
    if let Some(path) = port_file {
        let text = format!("{}\n", simulator.address().port());
        replace_file(path, &text).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    let time = DateTime::from_timestamp_millis(simulator.market_time()).unwrap_or_default();
    let time = time.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    println!("vyx-sim listening on {}, market time {time}, speed {speed}", simulator.address());
    runtime.block_on(async {
        tokio::select! {
            _ = term.recv() => {}
            _ = int.recv() => {}
        }
    });
    simulator.stop().map_err(|error| error.to_string())
}
