//! The command line.

use chrono::DateTime;
use std::path::PathBuf;
use std::time::Duration;
use vyx_sim::{Interval, Settings, demonstration, universe};

pub const HELP: &str = "\
vyx-sim: a simulator of the Binance spot exchange on 127.0.0.1

usage: vyx-sim [options]

  --port N                  port to listen on; 0 picks a free one (default 0)
  --port-file PATH          write the port there once it is open
  --seed N                  which market (default 1)
  --speed X                 market time per real time (default 1)
  --start TIME              market time of the start, RFC 3339 (default: now)
  --clock-file PATH         keep the market clock there; it continues from there and comes before --start
  --symbols N               so many USDT pairs, 1 to 600 (default: the demonstration's 20); a few more
                            symbols that are not to be tracked are always there
  --csv SYMBOL=INTERVAL:PATH  real candles for a symbol: open_time,open,high,low,close,volume; repeatable
  --unlisted SYMBOL         not there at the start; the fault status lists it later; repeatable
  --update-floor-ms N       least real time between two updates of a stream (default 100)
  --weight-limit N          REST weight of a minute of real time (default 6000)
  --ping-ms N               real time between pings (default 20000)
  --pong-ms N               real time within which a pong must come (default 60000)
  --lifetime-ms N           real time after which any connection is cut (default 86400000)
  --help                    this text

streams: ws://127.0.0.1:PORT/stream, /ws · REST: http://127.0.0.1:PORT/api/v3/
faults:  POST http://127.0.0.1:PORT/control/fault; GET /control/kinds lists them, GET /control/state shows what
         happens, POST /control/clear ends all
";

/// The most tracked symbols.
const MOST_SYMBOLS: usize = 600;

/// What the command line asks for.
#[derive(Debug)]
pub enum Wish {
    Help,
    Run { settings: Box<Settings>, port_file: Option<PathBuf> },
}

/// # Errors
/// With the option that is not understood.
pub fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Wish, String> {
    let mut settings = Settings { symbols: demonstration(), ..Settings::default() };
    let mut port_file = None;
    while let Some(argument) = arguments.next() {
        if argument == "--help" || argument == "-h" {
            return Ok(Wish::Help);
        }
        let (option, value) = match argument.split_once('=') {
            Some((option, value)) if option != "--csv" => (option.to_owned(), Some(value.to_owned())),
            _ => (argument, None),
        };
        let known = HELP.lines().any(|line| line.trim_start().split(' ').next() == Some(option.as_str()));
        if !option.starts_with("--") || !known {
            return Err(format!("unknown option \"{option}\""));
        }
        let value = value.or_else(|| arguments.next()).ok_or_else(|| format!("{option} needs a value"))?;
        let bad = |what: &str| format!("{option}: {what}: \"{value}\"");
        let number = || value.parse::<u64>().map_err(|_| bad("not a number"));
        let millis = || number().map(Duration::from_millis);
        match option.as_str() {
            "--port" => settings.port = value.parse().map_err(|_| bad("not a port"))?,
            "--port-file" => port_file = Some(value.into()),
            "--seed" => settings.seed = number()?,
            "--speed" => settings.speed = value.parse().map_err(|_| bad("not a number"))?,
            "--start" => {
                let time = DateTime::parse_from_rfc3339(&value).map_err(|_| bad("not an RFC 3339 time"))?;
                settings.start = Some(time.timestamp_millis());
            }
            "--clock-file" => settings.clock_file = Some(value.into()),
            "--symbols" => match number()? as usize {
                count @ 1..=MOST_SYMBOLS => settings.symbols = universe(count),
                _ => return Err(bad("not from 1 to 600")),
            },
            "--csv" => {
                let (symbol, rest) = value.split_once('=').ok_or_else(|| bad("not SYMBOL=INTERVAL:PATH"))?;
                let (interval, path) = rest.split_once(':').ok_or_else(|| bad("not SYMBOL=INTERVAL:PATH"))?;
                Interval::parse(interval).ok_or_else(|| bad("unknown interval"))?;
                settings.files.insert(symbol.to_owned(), (interval.to_owned(), path.into()));
            }
            "--unlisted" => settings.unlisted.push(value),
            "--update-floor-ms" => settings.update_floor = millis()?,
            "--weight-limit" => settings.weight_limit = number()?,
            "--ping-ms" => settings.ping_every = millis()?,
            "--pong-ms" => settings.pong_within = millis()?,
            "--lifetime-ms" => settings.lifetime = millis()?,
            _ => return Err(format!("unknown option \"{option}\"")),
        }
    }
    Ok(Wish::Run { settings: Box::new(settings), port_file })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, error: Option<&str>) {
        let result = parse(line.split_whitespace().map(str::to_owned));
        match error {
            None => drop(result.unwrap()),
            Some(expected) => assert!(result.unwrap_err().contains(expected), "{line}"),
        }
    }

    #[test]
    fn options_are_understood_or_named() {
        check("--port 0 --speed=60 --start 2026-11-20T00:00:00Z --symbols 30", None);
        check("--csv BTCUSDT=1h:/data/file.csv --clock-file x --unlisted ACAUSDT --seed 7 --ping-ms 100", None);
        check("--prot 1", Some("unknown option \"--prot\""));
        check("60", Some("unknown option \"60\""));
        check("--speed", Some("--speed needs a value"));
        check("--symbols 0", Some("not from 1 to 600"));
        check("--csv BTCUSDT=7m:x", Some("unknown interval"));
        check("--start yesterday", Some("RFC 3339"));
    }
}
