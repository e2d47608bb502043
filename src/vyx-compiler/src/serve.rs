//! One request a line, one answer a line, until the input ends.

use std::io::{self, BufRead, Read, Write};
use std::process::ExitCode;
use vyx_engine::wire::{MAX_REQUEST_BYTES, Request, Response, build};

/// Confines this process, whose parent must be `parent`, and serves its stdin.
pub fn run(parent: &str) -> ExitCode {
    let confined = parent.parse().map_err(io::Error::other).and_then(vyx_compiler::confine::confine);
    match confined.and_then(|()| answer_all(io::stdin().lock(), io::stdout().lock())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("vyx-compiler: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Answers every line. A line that is longer than any request ends the conversation: there is no telling where the
/// next one begins.
fn answer_all(mut input: impl BufRead, mut output: impl Write) -> io::Result<()> {
    let mut line = Vec::new();
    loop {
        line.clear();
        (&mut input).take(MAX_REQUEST_BYTES as u64 + 1).read_until(b'\n', &mut line)?;
        if line.is_empty() {
            return Ok(());
        }
        let too_long = line.len() > MAX_REQUEST_BYTES;
        let response = match serde_json::from_slice::<Request>(&line) {
            _ if too_long => failed(format!("a request of more than {MAX_REQUEST_BYTES} bytes")),
            Ok(request) => vyx_compiler::compile(&request),
            Err(error) => failed(format!("not a request: {error}")),
        };
        serde_json::to_writer(&mut output, &response)?;
        output.write_all(b"\n")?;
        output.flush()?;
        if too_long {
            return Ok(());
        }
    }
}

fn failed(message: String) -> Response {
    Response::Failed { build: build(), message }
}
