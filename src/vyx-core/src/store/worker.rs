//! What a background worker says about itself, since one without a database shows up nowhere else.

use super::text::{self, TextSlot};
use super::{Counter, Store};
use crate::Millis;
use crate::sync::{AtomicU64, Ordering};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum WorkerKind {
    Ingest,
    Evaluate,
    /// Evaluates what is not to hold up the others.
    EvaluatePatient,
}

pub(crate) const KINDS: usize = 3;

const PID: usize = 0;
const STARTED: usize = 1;
const HEARTBEAT: usize = 2;
const PROC_NUMBER: usize = 3;
const TEXT: usize = 4;
pub(crate) const WORDS: usize = (TEXT + text::WORDS).next_multiple_of(8);

/// The block of one worker. The worker writes, anybody reads.
#[derive(Clone, Copy)]
pub struct WorkerBlock<'a> {
    store: Store<'a>,
    words: &'a [AtomicU64],
}

/// A worker as it last reported. Wall clock, since both sides run on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerStatus {
    pub pid: i32,
    /// The server's number for the process, by which its latch is found.
    pub proc_number: i64,
    pub started: Millis,
    pub heartbeat: Millis,
    /// What it is doing, in words; at most [`MAX_TEXT_BYTES`](super::MAX_TEXT_BYTES) bytes.
    pub state: String,
}

impl<'a> Store<'a> {
    pub fn worker(&self, kind: WorkerKind) -> WorkerBlock<'a> {
        let begin = self.layout.workers + kind as usize * WORDS;
        WorkerBlock { store: *self, words: &self.words[begin..begin + WORDS] }
    }
}

impl WorkerBlock<'_> {
    /// Says that the worker runs from `now` on, and counts the start.
    pub fn started(&self, pid: i32, proc_number: i64, now: Millis) {
        self.set(PROC_NUMBER, proc_number);
        self.set(STARTED, now.0);
        self.set(HEARTBEAT, now.0);
        // Last, since whoever sees the pid may use the rest.
        self.words[PID].store(i64::from(pid) as u64, Ordering::Release);
        self.store.add(Counter::WorkerStarts, 1);
    }

    pub fn heartbeat(&self, now: Millis) {
        self.set(HEARTBEAT, now.0);
    }

    pub fn set_state(&self, state: &str) {
        self.text().set(state);
    }

    /// Says that the worker has ended in good order.
    pub fn stopped(&self) {
        self.words[PID].store(0, Ordering::Release);
    }

    /// What the worker says; `None` before its first start and after it has stopped.
    pub fn status(&self) -> Option<WorkerStatus> {
        let pid = self.words[PID].load(Ordering::Acquire) as i32;
        (pid != 0).then(|| WorkerStatus {
            pid,
            proc_number: self.get(PROC_NUMBER),
            started: Millis(self.get(STARTED)),
            heartbeat: Millis(self.get(HEARTBEAT)),
            state: self.text().get(),
        })
    }

    fn text(&self) -> TextSlot<'_> {
        TextSlot::over(&self.words[TEXT..])
    }

    fn get(&self, field: usize) -> i64 {
        self.words[field].load(Ordering::Relaxed) as i64
    }

    fn set(&self, field: usize, value: i64) {
        self.words[field].store(value as u64, Ordering::Relaxed);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::super::tests::store;
    use super::*;
    use crate::Interval;

    #[test]
    fn each_worker_has_a_block_of_its_own_from_start_to_stop() {
        let store = store(1, &[(Interval::M1, 1)]);
        let (ingest, evaluate) = (store.worker(WorkerKind::Ingest), store.worker(WorkerKind::Evaluate));
        assert_eq!(ingest.status(), None);
        ingest.started(4_711, 17, Millis(100));
        ingest.set_state("connecting");
        ingest.heartbeat(Millis(250));
        let expected = WorkerStatus {
            pid: 4_711,
            proc_number: 17,
            started: Millis(100),
            heartbeat: Millis(250),
            state: "connecting".into(),
        };
        assert_eq!((ingest.status(), evaluate.status()), (Some(expected), None));
        assert_eq!(store.count(Counter::WorkerStarts), 1);
        ingest.stopped();
        assert_eq!(ingest.status(), None);
    }
}
