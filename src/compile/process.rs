//! The compiler's process: started for one request, fed under the latch, killed and reaped however the statement ends.
//! Moves bytes and knows nothing of what they say.

#![allow(unsafe_code)]

use super::Failure;
use pgrx::pg_sys;
use std::ffi::CStr;
use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};
use vyx_engine::wire::MAX_RESPONSE_BYTES;

/// The file beside the library.
const PROGRAM: &str = "vyx-compiler";
/// Wall time for one request. The compiler itself ends after 2 s of CPU time; the rest allows for a busy machine.
const DEADLINE: Duration = Duration::from_secs(10);
/// The compiler this server started with: an update on disk does not change it under a running server.
static OPENED: OnceLock<Option<File>> = OnceLock::new();

/// Opens the program while libraries are preloaded; every backend inherits the descriptor.
pub fn open() {
    OPENED.get_or_init(|| File::open(path()).ok());
}

fn path() -> String {
    // SAFETY: a NUL-terminated array that the server fills before it loads any library.
    let directory = unsafe { CStr::from_ptr((&raw const pg_sys::pkglib_path).cast()) };
    format!("{}/{PROGRAM}", directory.to_string_lossy())
}

/// Sends `request` to a fresh compiler and returns its answer.
///
/// May be cancelled: the statement's error passes through here and takes the compiler with it.
///
/// # Errors
/// See [`Failure`].
pub fn ask(request: &[u8]) -> Result<Vec<u8>, Failure> {
    open();
    // exec through /proc keeps the file that was opened, whatever has its name now.
    let program = match OPENED.get() {
        Some(Some(file)) => format!("/proc/self/fd/{}", file.as_raw_fd()),
        _ => path(),
    };
    let child = Command::new(program)
        .arg("--serve")
        .arg(std::process::id().to_string())
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(Failure::NotStarted)?;
    Compiler(child).talk(request)
}

/// A running compiler; killed and reaped when it is dropped, whichever way this statement ends.
struct Compiler(Child);

impl Drop for Compiler {
    fn drop(&mut self) {
        // Both fail only for a child that is gone already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Compiler {
    fn talk(mut self, request: &[u8]) -> Result<Vec<u8>, Failure> {
        let deadline = Instant::now() + DEADLINE;
        let mut input = self.0.stdin.take().expect("asked for at spawn");
        let mut output = self.0.stdout.take().expect("asked for at spawn");
        set_nonblocking(input.as_raw_fd()).map_err(Failure::Pipe)?;
        set_nonblocking(output.as_raw_fd()).map_err(Failure::Pipe)?;

        let mut rest = request;
        while !rest.is_empty() {
            match input.write(rest) {
                Ok(written) => rest = &rest[written..],
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    wait(input.as_raw_fd(), pg_sys::WL_SOCKET_WRITEABLE, deadline)?;
                }
                // It may have refused the request before reading all of it: its answer says why.
                Err(error) if error.kind() == ErrorKind::BrokenPipe => break,
                Err(error) => return Err(Failure::Pipe(error)),
            }
        }
        drop(input);

        let mut answer = Vec::new();
        let mut chunk = [0; 16 * 1024];
        loop {
            match output.read(&mut chunk) {
                Ok(0) => break,
                Ok(count) => answer.extend_from_slice(&chunk[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    wait(output.as_raw_fd(), pg_sys::WL_SOCKET_READABLE, deadline)?;
                }
                Err(error) => return Err(Failure::Pipe(error)),
            }
            if answer.len() > MAX_RESPONSE_BYTES {
                return Err(Failure::AnswerTooLong);
            }
        }
        if answer.is_empty() {
            let status = self.0.wait().map_err(Failure::Pipe)?;
            return Err(Failure::Died(status));
        }
        Ok(answer)
    }
}

/// Waits until the pipe is ready, as Postgres waits: a cancelled statement ends here, so does a dead postmaster.
fn wait(fd: RawFd, ready: u32, deadline: Instant) -> Result<(), Failure> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(Failure::TooSlow);
    }
    let events = ready | pg_sys::WL_LATCH_SET | pg_sys::WL_TIMEOUT | pg_sys::WL_EXIT_ON_PM_DEATH;
    // SAFETY: called on the backend's main thread; `fd` is open, MyLatch is this process' own.
    unsafe {
        let happened = pg_sys::WaitLatchOrSocket(
            pg_sys::MyLatch,
            events as i32,
            fd,
            left.as_millis() as i64,
            pg_sys::PG_WAIT_EXTENSION,
        );
        if happened & pg_sys::WL_LATCH_SET as i32 != 0 {
            pg_sys::ResetLatch(pg_sys::MyLatch);
        }
    }
    pgrx::check_for_interrupts!();
    Ok(())
}

fn set_nonblocking(fd: RawFd) -> io::Result<()> {
    // SAFETY: `fd` is open and ours.
    unsafe {
        let flags = libc::fcntl(fd, libc::F_GETFL);
        if flags < 0 || libc::fcntl(fd, libc::F_SETFL, flags | libc::O_NONBLOCK) < 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}
