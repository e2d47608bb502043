//! Where the server under test is, as `make test` says by the environment.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Condvar, Mutex, OnceLock, PoisonError};

/// Servers at once. Each has some ten processes and an exchange beside it, which wait most of the time: three leave two
/// cores room enough for deadlines to hold.
const AT_ONCE: usize = 3;
/// How the directories of sockets begin, in the directory for temporary files.
const SOCKETS: &str = "vyx-e2e-";

/// A private copy of PostgreSQL with vyx in it, and a directory for clusters.
pub struct Install {
    bin: PathBuf,
    run: PathBuf,
    /// Who owns `run`: a postmaster refuses to be root, so `make test` gives that directory to the user it shall be.
    owner: (u32, u32),
    places: Mutex<usize>,
    freed: Condvar,
    template: OnceLock<PathBuf>,
}

/// Permission to run a server; whoever has none waits.
pub struct Place(());

impl Install {
    /// # Panics
    /// If the environment does not say where it is: such a run would test nothing.
    pub fn get() -> &'static Install {
        static INSTALL: OnceLock<Install> = OnceLock::new();
        INSTALL.get_or_init(|| {
            let path = |name: &str| {
                std::env::var_os(name).map(PathBuf::from).unwrap_or_else(|| {
                    panic!("{name} is not set: `make test` builds and installs a private server and sets it up")
                })
            };
            let config = path("VYX_PG_CONFIG");
            assert!(config.exists(), "VYX_PG_CONFIG is {}, which is not there: run `make test`", config.display());
            let (bin, run) = (path("VYX_BIN"), path("VYX_RUN"));
            // What a process says of its directory has no links in it.
            let run = run.canonicalize().unwrap_or(run);
            let owner = fs::metadata(&run).unwrap_or_else(|error| panic!("VYX_RUN {}: {error}", run.display()));
            assert!(owner.uid() != 0, "VYX_RUN {} belongs to root, and a server cannot run as root", run.display());
            let owner = (owner.uid(), owner.gid());
            let install = Install {
                bin,
                run,
                owner,
                places: Mutex::new(AT_ONCE),
                freed: Condvar::new(),
                template: OnceLock::new(),
            };
            install.sweep();
            install
        })
    }

    /// Waits for a place.
    pub fn place(&'static self) -> Place {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        while *places == 0 {
            places = self.freed.wait(places).unwrap_or_else(PoisonError::into_inner);
        }
        *places -= 1;
        Place(())
    }

    /// The directory of the server's programs.
    pub fn bin(&self) -> &Path {
        &self.bin
    }

    /// A program of the server, to be run as the clusters' user.
    pub fn program(&self, name: &str) -> Command {
        let mut command = self.as_owner(self.bin.join(name));
        // Messages are compared, and a cluster is made in this locale.
        command.env("LC_ALL", "C");
        // With backtraces on, each cancelled statement would carry one, and take as long as that takes.
        command.env_remove("RUST_BACKTRACE");
        command
    }

    /// Whether the server has a setting of this name: some came with a minor version.
    pub fn knows(&self, setting: &str) -> bool {
        let output = self.program("postgres").arg("--describe-config").output().expect("postgres can be run");
        String::from_utf8_lossy(&output.stdout).lines().any(|line| line.split('\t').next() == Some(setting))
    }

    fn as_owner(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        // The current directory may be closed to that user.
        command.current_dir(&self.run).stdin(Stdio::null());
        // SAFETY: geteuid cannot fail and touches no memory.
        if unsafe { libc::geteuid() } == 0 {
            command.uid(self.owner.0).gid(self.owner.1);
        }
        command
    }

    /// A directory of this process's own below the clusters' directory.
    pub fn directory(&self, name: &str) -> PathBuf {
        self.run.join(format!("{}-{name}", std::process::id()))
    }

    /// A directory for the sockets of a cluster. A socket's whole path must stay below 108 bytes, so it cannot lie below
    /// the clusters' directory, wherever that is.
    pub fn socket(&self, name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("{SOCKETS}{}-{name}", std::process::id()))
    }

    /// Makes the data directory of a database system that no other cluster is a copy of.
    pub fn make_system(&self, data: &Path) {
        let mut initdb = self.program("initdb");
        initdb.args(["--username", "postgres", "--encoding", "UTF8", "--no-locale", "--auth", "trust", "--no-sync"]);
        succeed(initdb.arg("--pgdata").arg(data));
    }

    /// Makes the data directory of a new cluster: a copy of one that initdb made once.
    pub fn make_data(&self, data: &Path) {
        let template = self.template.get_or_init(|| {
            let template = self.directory("template");
            self.make_system(&template);
            template
        });
        succeed(self.as_owner("cp").arg("-a").arg(template).arg(data));
    }

    /// Ends and removes what a killed run left behind.
    fn sweep(&self) {
        let places = [(&self.run, ""), (&std::env::temp_dir(), SOCKETS)];
        for (entry, prefix) in
            places.iter().flat_map(|(place, prefix)| entries(place).map(move |entry| (entry, prefix)))
        {
            let name = entry.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let of = name.strip_prefix(prefix).and_then(|name| name.split_once('-')?.0.parse::<u32>().ok());
            if of.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists()) {
                let server = fs::read_to_string(entry.join("postmaster.pid")).unwrap_or_default();
                let server = server.lines().next().and_then(|pid| pid.parse::<i32>().ok());
                // By now the number may be another process's; a postmaster works in its data directory.
                if let Some(pid) =
                    server.filter(|pid| fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd == entry))
                {
                    super::cluster::signal(pid, libc::SIGQUIT);
                }
                let _ = fs::remove_dir_all(entry);
            }
        }
    }
}

fn entries(directory: &Path) -> impl Iterator<Item = PathBuf> {
    fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path())
}

impl Drop for Place {
    fn drop(&mut self) {
        let install = Install::get();
        *install.places.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        install.freed.notify_one();
    }
}

/// What it writes.
///
/// # Panics
/// With what it said, if it fails.
pub fn succeed(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("programs of Postgres write UTF-8 here")
}
