//! `vyx-compiler`: the confined process that compiles scripts, and a way to check a file at the terminal.
//!
//! ```text
//! vyx-compiler --serve PARENT_PID      one request a line on stdin, one answer a line on stdout, until stdin ends
//! vyx-compiler --check FILE [--interval 1m]
//! vyx-compiler --build                 what a request must carry as its build
//! ```

mod check;
mod serve;

use std::process::ExitCode;

const USAGE: &str = "usage: vyx-compiler --serve PARENT_PID | --check FILE [--interval 1m] | --build";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args_os().skip(1).map(|arg| arg.to_string_lossy().into_owned()).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["--serve", parent] => serve::run(parent),
        ["--check", file] => check::run(file, "1m"),
        ["--check", file, "--interval", interval] => check::run(file, interval),
        ["--build"] => {
            println!("{}", vyx_engine::wire::build());
            ExitCode::SUCCESS
        }
        _ => {
            eprintln!("{USAGE}");
            ExitCode::from(2)
        }
    }
}
