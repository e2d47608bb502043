//! What a process or a thread of this one costs, as the kernel counts it in /proc.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

pub struct Process(PathBuf);

/// Memory of a process, in bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Memory {
    /// Pages of its own that are written and belong to nobody else: heap, stack, relocated data.
    pub private: u64,
    /// Pages of shared mappings that it has touched, and its share of them where others have too.
    pub shared: u64,
    pub shared_by_share: u64,
}

impl Process {
    pub fn of(pid: i32) -> Process {
        Process(format!("/proc/{pid}").into())
    }

    /// The calling thread.
    pub fn this_thread() -> Process {
        Process(fs::canonicalize("/proc/thread-self").expect("Linux has threads in /proc"))
    }

    /// The thread of this process with this name.
    pub fn thread(name: &str) -> Process {
        let threads = fs::read_dir("/proc/self/task").expect("Linux has threads in /proc").flatten();
        let is_it = |path: &PathBuf| fs::read_to_string(path.join("comm")).is_ok_and(|comm| comm.trim() == name);
        Process(threads.map(|thread| thread.path()).find(is_it).unwrap_or_else(|| panic!("no thread \"{name}\" runs")))
    }

    fn read(&self, file: &str) -> String {
        let path = self.0.join(file);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// Processor time used so far, the kernel's on its behalf included.
    pub fn cpu(&self) -> Duration {
        let stat = self.read("stat");
        // The name, in parentheses, may hold anything.
        let fields: Vec<&str> = stat.rsplit_once(')').expect("a name").1.split_whitespace().collect();
        let ticks = |field: usize| fields[field].parse::<f64>().expect("a number of ticks");
        // SAFETY: sysconf takes a number and touches no memory of ours.
        let per_second = unsafe { libc::sysconf(libc::_SC_CLK_TCK) } as f64;
        Duration::from_secs_f64((ticks(11) + ticks(12)) / per_second)
    }

    pub fn memory(&self) -> Memory {
        let mut memory = Memory::default();
        let mut is_shared = false;
        for line in self.read("smaps").lines() {
            let mut words = line.split_whitespace();
            let (first, second) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
            let bytes = || second.parse::<u64>().unwrap_or(0) * 1_024;
            match first {
                "Rss:" if is_shared => memory.shared += bytes(),
                "Pss:" if is_shared => memory.shared_by_share += bytes(),
                "Private_Dirty:" | "Swap:" if !is_shared => memory.private += bytes(),
                // A mapping begins: its addresses, and what may be done with it.
                _ if !first.ends_with(':') => is_shared = second.ends_with('s'),
                _ => {}
            }
        }
        memory
    }

    /// Open file descriptors.
    pub fn descriptors(&self) -> usize {
        let path = self.0.join("fd");
        fs::read_dir(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())).count()
    }
}
