//! The snapshot file: read once at the start, written a little each turn.
//!
//! A first round of everything goes into a file beside it, which takes its place when it is whole; later rounds of changes
//! are appended, until the file has grown to twice its first round and is begun anew. Nothing is forced to the disk: after
//! a crash of the machine the checksums tell what is whole, and what is lost the exchange still has.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use vyx_core::Millis;
use vyx_core::store::snapshot::{BadSnapshot, Encoder, Extent, Header, Round, restore, scan};
use vyx_core::store::{Counter, Gauge, Writer};

/// Written to the file at once; a record of klines has 40 KB.
const WRITE_AT: usize = 256 << 10;
/// A small file is not worth beginning anew.
const LEAST_TO_COMPACT: u64 = 16 << 20;
const READ_BUFFER: usize = 1 << 20;

/// What became of the file at the start.
#[derive(Debug)]
pub enum Loaded {
    /// There is none.
    Nothing,
    /// So many klines came back. `cut_off`: the last round was not whole and was left out.
    Restored {
        klines: u64,
        cut_off: bool,
    },
    Refused(BadSnapshot),
}

pub struct SnapshotFile {
    path: PathBuf,
    header: Header,
    /// How far the file is whole; `None` where the next round has to be a first one.
    extent: Option<Extent>,
    writing: Option<Writing>,
    /// When the last round began; `None` before the first.
    began_at: Option<Instant>,
}

/// A round under way.
struct Writing {
    round: Round,
    encoder: Encoder,
    buffer: Vec<u8>,
    file: File,
    /// `None`: a first round, into the file beside.
    goes_on: Option<Extent>,
    written: u64,
}

impl SnapshotFile {
    pub fn new(path: impl Into<PathBuf>, header: Header) -> SnapshotFile {
        SnapshotFile { path: path.into(), header, extent: None, writing: None, began_at: None }
    }

    /// The file that a first round is written to.
    fn beside(&self) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(".new");
        name.into()
    }

    /// Brings back what the file has into an empty store; a file that is not good from its first to its last whole round
    /// is refused and nothing of it taken. `go_on` is asked again and again; what was broken off is as good as refused.
    pub fn load(&mut self, writer: &Writer, go_on: &mut dyn FnMut() -> bool) -> Loaded {
        let open = || File::open(&self.path).map(|file| BufReader::with_capacity(READ_BUFFER, file));
        let extent = match open() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Loaded::Nothing,
            Err(error) => return Loaded::Refused(error.into()),
            Ok(file) => match scan(file, self.header, go_on) {
                Ok(extent) => extent,
                Err(error) => return Loaded::Refused(error),
            },
        };
        let restored =
            open().map_err(BadSnapshot::from).and_then(|file| restore(writer, file, self.header, &extent, go_on));
        match restored {
            Ok(klines) => {
                self.extent = Some(extent);
                self.began_at = Some(Instant::now());
                writer.store().set_gauge(Gauge::SnapshotBytes, extent.bytes as i64);
                Loaded::Restored { klines, cut_off: extent.has_rest }
            }
            Err(error) => Loaded::Refused(error),
        }
    }

    /// Klines of another exchange are another past: the next round begins a new file.
    pub fn set_header(&mut self, header: Header) {
        if header != self.header {
            self.header = header;
            self.extent = None;
            self.writing = None;
        }
    }

    /// Works at the snapshot for about `budget`: begins a round when `every` has passed since the last began and something
    /// has changed, and goes on with one under way. With `every` zero nothing is written.
    ///
    /// # Errors
    /// The file cannot be written; the next attempt, after `every`, begins it anew.
    pub fn turn(&mut self, writer: &Writer, every: Duration, budget: Duration, wall: Millis) -> io::Result<()> {
        if every.is_zero() {
            return Ok(());
        }
        let due = self.began_at.is_none_or(|at| at.elapsed() >= every);
        if self.writing.is_none() && due && (self.extent.is_none() || writer.has_changes()) {
            self.begin(writer)?;
        }
        self.write_for(writer, budget, wall)
    }

    /// The last round of a process that ends: `within` this time it is whole or was for nothing.
    ///
    /// # Errors
    /// The file cannot be written; what was whole before stands.
    pub fn finish(&mut self, writer: &Writer, within: Duration, wall: Millis) -> io::Result<()> {
        let start = Instant::now();
        // A first round on its way is seldom near its end, and what is new since its begin is in neither file.
        if self.writing.is_none() && (self.extent.is_none() || writer.has_changes()) {
            self.begin(writer)?;
        }
        self.write_for(writer, within.saturating_sub(start.elapsed()), wall)?;
        if self.writing.take().is_some_and(|writing| writing.goes_on.is_none()) {
            fs::remove_file(self.beside())?;
        }
        Ok(())
    }

    fn begin(&mut self, writer: &Writer) -> io::Result<()> {
        self.began_at = Some(Instant::now());
        let grown = |extent: &Extent| extent.bytes > (2 * extent.first_round_bytes).max(LEAST_TO_COMPACT);
        let goes_on = self.extent.filter(|extent| !grown(extent));
        let opened = match goes_on {
            Some(extent) => append(&self.path, &extent),
            None => File::create(self.beside()),
        };
        // Whoever took the file away, or the room for it, does not take the klines.
        let file = opened.inspect_err(|_| self.give_up(writer))?;
        let encoder = goes_on.as_ref().map_or_else(|| Encoder::begin(self.header), Encoder::go_on);
        let round = Round::new(goes_on.is_none());
        self.writing = Some(Writing { round, encoder, buffer: Vec::new(), file, goes_on, written: 0 });
        Ok(())
    }

    fn write_for(&mut self, writer: &Writer, budget: Duration, wall: Millis) -> io::Result<()> {
        let start = Instant::now();
        while let Some(writing) = &mut self.writing {
            match writing.step(writer) {
                Ok(true) => return self.complete(writer, wall),
                Ok(false) if start.elapsed() >= budget => return Ok(()),
                Ok(false) => {}
                Err(error) => {
                    self.give_up(writer);
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    fn complete(&mut self, writer: &Writer, wall: Millis) -> io::Result<()> {
        let Some(writing) = self.writing.take() else { return Ok(()) };
        let store = writer.store();
        let before = writing.goes_on.unwrap_or(Extent {
            bytes: 0,
            checksum: 0,
            rounds: 0,
            first_round_bytes: writing.written,
            market_time: store.market_time(),
            has_rest: false,
        });
        if writing.goes_on.is_none() {
            fs::rename(self.beside(), &self.path).inspect_err(|_| self.give_up(writer))?;
        }
        let extent = Extent {
            bytes: before.bytes + writing.written,
            checksum: writing.encoder.checksum(),
            rounds: before.rounds + 1,
            market_time: store.market_time(),
            has_rest: false,
            ..before
        };
        self.extent = Some(extent);
        store.add(Counter::Snapshots, 1);
        store.set_gauge(Gauge::SnapshotTime, wall.0);
        store.set_gauge(Gauge::SnapshotBytes, extent.bytes as i64);
        Ok(())
    }

    /// What was taken for this round is in no file: the next has to be a first one.
    fn give_up(&mut self, writer: &Writer) {
        self.writing = None;
        self.extent = None;
        writer.store().add(Counter::SnapshotFailures, 1);
        // It may be what fills the disk.
        let _ = fs::remove_file(self.beside());
    }
}

impl Writing {
    /// Takes a bit more and writes it when it is worth a call; `true` when all is written.
    fn step(&mut self, writer: &Writer) -> io::Result<bool> {
        let whole = self.round.step(writer, &mut self.encoder);
        self.buffer.append(&mut self.encoder.take());
        if whole || self.buffer.len() >= WRITE_AT {
            self.file.write_all(&self.buffer)?;
            self.written += self.buffer.len() as u64;
            self.buffer.clear();
        }
        Ok(whole)
    }
}

/// Opens the file to go on behind its last whole round.
fn append(path: &Path, extent: &Extent) -> io::Result<File> {
    let file = OpenOptions::new().append(true).open(path)?;
    if file.metadata()?.len() < extent.bytes {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the snapshot file has become shorter"));
    }
    file.set_len(extent.bytes)?;
    Ok(file)
}

#[cfg(test)]
mod tests;
