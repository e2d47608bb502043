//! A throw-away cluster: made for one test, ended with it whatever happens.

use super::install::{Install, Place, succeed};
use super::invariants;
use super::session::Session;
use super::until_within;
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

/// Lines of the server's log that a failed test shows.
const LOG_TAIL: usize = 60;
/// A server that has not stopped by then hangs; the tests of stopping have tighter bounds of their own.
const STOP_WITHIN: Duration = Duration::from_secs(30);

/// How a server is told to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Sessions are ended, everything is written.
    Fast,
    /// As a crash: what is in memory is lost.
    Immediate,
}

pub struct Cluster {
    root: PathBuf,
    socket: PathBuf,
    settings: BTreeMap<String, String>,
    server: Option<Child>,
    _place: Option<Place>,
}

impl Cluster {
    /// Makes a cluster with these settings and starts it. Nothing is preloaded unless they say so.
    pub fn start(name: &str, settings: &[(&str, &str)]) -> Cluster {
        let mut cluster = Cluster::create(name, settings);
        cluster.run().unwrap_or_else(|status| panic!("the server did not start: {status}\n{}", cluster.log_tail()));
        cluster
    }

    /// Makes a cluster and does not start it.
    pub fn create(name: &str, settings: &[(&str, &str)]) -> Cluster {
        Cluster::make(name, settings, Install::make_data, Some(Install::get().place()))
    }

    /// Starts another cluster with the same settings, which is another database system. It takes no place of its own: two
    /// tests that each had one and waited for a second would wait for ever.
    pub fn stranger(&self, name: &str) -> Cluster {
        let mut cluster = Cluster::make(name, &self.settings(), Install::make_system, None);
        cluster.run().unwrap_or_else(|status| panic!("the server did not start: {status}\n{}", cluster.log_tail()));
        cluster
    }

    /// Moves what is in this cluster, which has been stopped, to a new one with the same settings by `pg_upgrade`, as if that
    /// were of a later major version, and starts it. It takes no place of its own.
    pub fn upgraded(&self, name: &str) -> Cluster {
        assert!(self.server.is_none(), "pg_upgrade starts the servers itself");
        let mut cluster = Cluster::make(name, &self.settings(), Install::make_system, None);
        let bin = Install::get().bin();
        let mut upgrade = Install::get().program("pg_upgrade");
        upgrade.current_dir(&cluster.socket); // it leaves a script there
        upgrade.args(["--username", "postgres", "--socketdir"]).arg(&cluster.socket);
        upgrade.arg("--old-bindir").arg(bin).arg("--new-bindir").arg(bin);
        succeed(upgrade.arg("--old-datadir").arg(&self.root).arg("--new-datadir").arg(&cluster.root));
        cluster.run().unwrap_or_else(|status| panic!("the server did not start: {status}\n{}", cluster.log_tail()));
        cluster
    }

    /// Starts a copy of this cluster that follows it, and can be promoted. It takes no place of its own.
    pub fn standby(&self, name: &str) -> Cluster {
        let follow = format!("host={} port=5432 user=postgres application_name={name}", self.socket.display());
        let mut settings = self.settings();
        settings.push(("primary_conninfo", &follow));
        let copy = |_: &Install, to: &Path| {
            let mut backup = self.client("pg_basebackup");
            succeed(backup.arg("--pgdata").arg(to).args([
                "--checkpoint",
                "fast",
                "--wal-method",
                "stream",
                "--no-sync",
            ]));
            fs::remove_file(to.join("test.log")).expect("the log lies among the data");
            fs::write(to.join("standby.signal"), "").expect("it is ours");
        };
        let mut cluster = Cluster::make(name, &settings, copy, None);
        cluster.run().unwrap_or_else(|status| panic!("the standby did not start: {status}\n{}", cluster.log_tail()));
        cluster
    }

    /// Without those that say where it is or whom it follows.
    fn settings(&self) -> Vec<(&str, &str)> {
        let own = ["unix_socket_directories", "cron.host", "primary_conninfo"];
        let settings = self.settings.iter().filter(|(name, _)| !own.contains(&&***name));
        settings.map(|(name, value)| (&**name, &**value)).collect()
    }

    fn make(
        name: &str,
        settings: &[(&str, &str)],
        make_data: impl FnOnce(&Install, &Path),
        place: Option<Place>,
    ) -> Cluster {
        let install = Install::get();
        let root = install.directory(name);
        make_data(install, &root);
        let socket = install.socket(name);
        fs::create_dir_all(&socket).expect("a directory for the socket can be made");
        // The server's user is another one than the test's where that is root.
        fs::set_permissions(&socket, fs::Permissions::from_mode(0o777)).expect("it is ours");
        let path = socket.to_string_lossy().into_owned();
        let basic = [
            ("listen_addresses", ""),
            ("unix_socket_directories", &path),
            ("fsync", "off"),
            ("shared_buffers", "16MB"),
            ("max_connections", "40"),
            ("max_worker_processes", "16"),
            ("jit", "off"),
            ("log_line_prefix", "%m [%p] "),
            // pg_cron connects as any client does.
            ("cron.host", &path),
            ("vyx.max_symbols", "24"),
        ];
        let settings =
            basic.iter().chain(settings).map(|(name, value)| (name.to_string(), value.to_string())).collect();
        let cluster = Cluster { root, socket, settings, server: None, _place: place };
        cluster.write_settings();
        cluster
    }

    /// Starts the server and waits until it answers.
    ///
    /// # Errors
    /// How it ended, if it did not come up.
    pub fn run(&mut self) -> Result<(), ExitStatus> {
        let log = fs::OpenOptions::new().create(true).append(true).open(self.log_file()).expect("a log can be written");
        let mut postgres = Install::get().program("postgres");
        postgres.arg("-D").arg(&self.root).stdout(log.try_clone().expect("a descriptor")).stderr(log);
        self.server = Some(postgres.spawn().expect("postgres can be run"));
        until_within(Duration::from_secs(60), "the server answers", || {
            if let Some(status) = self.server.as_mut()?.try_wait().expect("it is our child") {
                self.server = None;
                return Some(Err(status));
            }
            Session::connect(&self.socket, "postgres").is_ok().then_some(Ok(()))
        })
    }

    /// Stops the server; how long that took.
    pub fn stop(&mut self, how: Stop) -> Duration {
        let start = Instant::now();
        let Some(mut server) = self.server.take() else { return Duration::ZERO };
        signal(server.id() as i32, if how == Stop::Fast { libc::SIGINT } else { libc::SIGQUIT });
        while start.elapsed() < STOP_WITHIN {
            if server.try_wait().expect("it is our child").is_some() {
                return start.elapsed();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = server.kill();
        let _ = server.wait();
        panic!("the server did not stop within {STOP_WITHIN:?}\n{}", self.log_tail());
    }

    /// Ends the postmaster as nothing can be caught that ends it so. What it leaves behind is the next start's business.
    pub fn kill(&mut self) {
        let Some(mut server) = self.server.take() else { return };
        invariants::note_kill();
        server.kill().expect("it is our child");
        server.wait().expect("it is our child");
    }

    /// The data directory.
    pub fn data(&self) -> &Path {
        &self.root
    }

    /// The directory of the server's socket, for whoever connects while somebody else stops and starts the server.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Copies the running cluster as an administrator would, without its log of changes, into a directory below the
    /// clusters' one.
    pub fn base_backup(&self, name: &str) -> PathBuf {
        let to = Install::get().directory(name);
        let mut backup = Install::get().program("pg_basebackup");
        backup.arg("--pgdata").arg(&to).arg("--host").arg(&self.socket);
        succeed(backup.args(["--username", "postgres", "--checkpoint", "fast", "--wal-method", "none", "--no-sync"]));
        to
    }

    /// A client program that comes with the server, told where this cluster is.
    pub fn client(&self, name: &str) -> Command {
        let mut client = Install::get().program(name);
        client
            .env("PGHOST", &self.socket)
            .env("PGPORT", "5432")
            .env("PGUSER", "postgres")
            .env("PGDATABASE", "postgres");
        client
    }

    /// Adds a line to the configuration file, as a person with an editor would.
    pub fn append_setting(&self, line: &str) {
        let file = fs::OpenOptions::new().append(true).open(self.root.join("postgresql.conf"));
        writeln!(file.expect("it is there"), "{line}").expect("the configuration can be written");
    }

    fn write_settings(&self) {
        let preloaded = self.settings.get("shared_preload_libraries").map_or("", String::as_str);
        // Without their library they would only be noise in the log.
        let known = |name: &str| match name.split_once('.') {
            Some(("vyx", _)) => preloaded.contains("vyx"),
            Some(("cron", _)) => preloaded.contains("pg_cron"),
            _ => true,
        };
        let settings = self.settings.iter().filter(|(name, _)| known(name));
        let text: String =
            settings.map(|(name, value)| format!("{name} = '{}'\n", value.replace('\'', "''"))).collect();
        let file = self.root.join("postgresql.conf");
        fs::write(&file, text).expect("the configuration can be written");
    }

    pub fn session(&self) -> Session {
        self.session_in("postgres")
    }

    pub fn session_in(&self, database: &str) -> Session {
        until_within(Duration::from_secs(20), "a session", || Session::connect(&self.socket, database).ok())
    }

    /// A session of this login role.
    #[track_caller]
    pub fn session_as(&self, user: &str) -> Session {
        self.try_session_as(user, "").unwrap_or_else(|error| panic!("{user} cannot log in: {error}"))
    }

    /// A session of this login role, with options as in `PGOPTIONS`; why there is none, if it is refused.
    pub fn try_session_as(&self, user: &str, options: &str) -> Result<Session, tokio_postgres::Error> {
        Session::connect_as(user, options, &self.socket, "postgres")
    }

    /// Whether everything that always holds does: see [`invariants`].
    fn verdict(&mut self) -> Result<(), String> {
        let Some(server) = &mut self.server else { return Ok(()) };
        if let Some(status) = server.try_wait().expect("it is our child") {
            return Err(format!("the server has ended by itself: {status}"));
        }
        let other = self.settings.get("vyx.database").map(String::as_str);
        let sessions = ["postgres"].into_iter().chain(other);
        // One that was dropped, or never made, has nothing to say.
        let mut sessions = sessions.filter_map(|name| Session::connect(&self.socket, name).ok());
        sessions.try_for_each(|session| invariants::check(&session, &self.log()))
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    fn log_file(&self) -> PathBuf {
        self.root.join("test.log")
    }

    fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(LOG_TAIL)..].join("\n")
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let verdict = if std::thread::panicking() { Ok(()) } else { self.verdict() };
        if std::thread::panicking() || verdict.is_err() {
            eprintln!("---- the server's log ----\n{}\n----", self.log_tail());
        }
        if let Some(mut server) = self.server.take() {
            signal(server.id() as i32, libc::SIGQUIT);
            let _ = server.wait();
        }
        remove(&self.root);
        remove(&self.socket);
        if let Err(what) = verdict {
            panic!("{what}");
        }
    }
}

fn remove(directory: &Path) {
    if let Err(error) = fs::remove_dir_all(directory) {
        eprintln!("{} stays behind: {error}", directory.display());
    }
}

/// Sends a signal to a process that the test started, or whose number its server gave.
pub fn signal(pid: i32, signal: i32) {
    assert!(pid > 1, "{pid} is no process of a test");
    if signal == libc::SIGKILL {
        invariants::note_kill();
    }
    // SAFETY: kill takes two numbers; a process that has gone is an error, which is as good.
    unsafe { libc::kill(pid, signal) };
}
