//! A script in a file, checked at the terminal: for who writes scripts in an editor.

use std::process::ExitCode;
use vyx_engine::wire::{Mode, Request, Response, build};

/// Prints what a server would say when the script is saved; fails if it would be refused.
pub fn run(file: &str, interval: &str) -> ExitCode {
    let script = match std::fs::read_to_string(file) {
        Ok(script) => script,
        Err(error) => {
            eprintln!("{file}: {error}");
            return ExitCode::from(2);
        }
    };
    let (interval, configured) = (interval.to_owned(), Vec::new());
    let request = Request { build: build(), mode: Mode::Trader, interval, configured, script };
    match vyx_compiler::compile(&request) {
        Response::Compiled(compiled) => {
            compiled.warnings.iter().for_each(|warning| println!("warning: {warning}"));
            for frame in &compiled.timeframes {
                let symbol = frame.symbol.as_ref().map(|symbol| format!("{symbol} ")).unwrap_or_default();
                println!("{symbol}{}: {} candles", frame.interval, frame.bars);
            }
            println!("{} nodes", compiled.program.nodes.len());
            ExitCode::SUCCESS
        }
        Response::Refused { problems } => {
            problems.iter().for_each(|problem| println!("{problem}"));
            ExitCode::FAILURE
        }
        Response::Failed { message, .. } => {
            eprintln!("{message}");
            ExitCode::from(2)
        }
    }
}
