//! Market time: the start plus the monotonic time since then times the speed. The monotonic time is tokio's, which a
//! paused runtime makes virtual.
//!
//! It may be kept in a file; then it goes on from there at the next start, and pauses in between.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use tokio::time::Instant;

/// The exchange's clock.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: i64,
    began: Instant,
    speed: f64,
}

impl Clock {
    /// A clock that shows `start` (milliseconds since the epoch) now and then runs at `speed` times real time.
    pub fn new(start: i64, speed: f64) -> Clock {
        Clock { start, began: Instant::now(), speed }
    }

    /// Market time now, in milliseconds since the epoch.
    pub fn now(&self) -> i64 {
        self.start + (self.began.elapsed().as_secs_f64() * 1_000.0 * self.speed) as i64
    }

    pub fn speed(&self) -> f64 {
        self.speed
    }

    /// The real time until the market clock shows `moment`; zero if it has passed.
    pub fn until(&self, moment: i64) -> Duration {
        // One millisecond of market time more, so that the clock, which is cut off, has certainly reached it.
        let real = ((moment - self.start + 1) as f64 / self.speed / 1_000.0).max(0.0);
        Duration::from_secs_f64(real).saturating_sub(self.began.elapsed())
    }

    /// The span of market time that passes in `real` time, at least a millisecond.
    pub fn market_millis(&self, real: Duration) -> i64 {
        ((real.as_secs_f64() * 1_000.0 * self.speed) as i64).max(1)
    }
}

/// Wall time now, in milliseconds since the epoch.
pub fn wall_millis() -> i64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}

/// The file in which a market clock outlives its process.
#[derive(Clone, Debug)]
pub struct ClockFile(PathBuf);

impl ClockFile {
    pub fn new(path: impl Into<PathBuf>) -> ClockFile {
        ClockFile(path.into())
    }

    /// The saved time, or `None` if there is no file yet.
    ///
    /// # Errors
    /// If the file cannot be read or holds something else than milliseconds: starting anew would jump in time.
    pub fn read(&self) -> io::Result<Option<i64>> {
        let text = match std::fs::read_to_string(&self.0) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        let time = text.trim().parse().map_err(|_| {
            io::Error::new(io::ErrorKind::InvalidData, format!("{}: not a market time: {text:?}", self.0.display()))
        })?;
        Ok(Some(time))
    }

    /// Saves a time. The file is replaced in one step: a kill at any moment leaves the old or the new time.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&self, time: i64) -> io::Result<()> {
        replace_file(&self.0, &format!("{time}\n"))
    }
}

/// Writes a small file so that readers see all of it or nothing.
pub fn replace_file(path: &Path, text: &str) -> io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    std::fs::write(&beside, text)?;
    std::fs::rename(&beside, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_saved_clock_is_read_back_and_a_spoilt_one_refused() {
        let path = std::env::temp_dir().join(format!("vyx-sim-clock-{}", std::process::id()));
        let file = ClockFile::new(&path);
        assert_eq!(file.read().unwrap(), None);
        file.write(1_795_176_042_011).unwrap();
        assert_eq!(file.read().unwrap(), Some(1_795_176_042_011));
        std::fs::write(&path, "yesterday").unwrap();
        assert_eq!(file.read().unwrap_err().kind(), io::ErrorKind::InvalidData);
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn the_market_runs_at_its_speed() {
        let clock = Clock::new(1_000, 60.0);
        assert!(clock.now() < 31_000, "half a second cannot have passed");
        assert!(clock.until(61_000) > Duration::from_millis(500));
        assert_eq!(clock.market_millis(Duration::from_millis(100)), 6_000);
        assert_eq!(clock.until(0), Duration::ZERO);
    }
}
