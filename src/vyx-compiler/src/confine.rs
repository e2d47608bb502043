//! Gives up everything this process does not need, before it reads the first byte of a script.
//!
//! The script is a stranger's and the parser is large. Whatever it might be made to do happens in a process that can
//! read its stdin, write its stdout, use some memory and end: it opens nothing, reaches nobody, starts nothing, and
//! outlives neither its parent nor two seconds of work. The only unsafe code of the crate; Linux only.

#![allow(unsafe_code)]

use libc::{c_int, c_ulong, rlim_t};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule, TargetArch,
};
use std::collections::BTreeMap;
use std::io;

/// Memory for data: the syntax tree of 16 KiB of script takes well below one MiB.
pub const MAX_DATA_BYTES: u64 = 256 << 20;
/// The stack: the deepest syntax tree the parser lets through needs a tenth.
pub const MAX_STACK_BYTES: u64 = 8 << 20;
/// CPU time of the whole process in seconds. A script takes milliseconds.
pub const MAX_CPU_SECONDS: u64 = 2;
/// stdin, stdout, stderr.
const MAX_FILES: u64 = 3;

/// Confines the process that calls it, which must have one thread. `parent` is who started it.
///
/// # Errors
/// Any step that fails, and a parent that is gone already. The process must not go on then.
pub fn confine(parent: u32) -> io::Result<()> {
    leave_session();
    close_inherited()?;
    reset_signals()?;
    clear_environment();
    die_with(parent)?;
    limit_resources()?;
    give_up_privileges()?;
    filter_system_calls()
}

/// A signal to the session of a backend (a cancelled statement reaches its whole process group) is not for us.
fn leave_session() {
    // SAFETY: no arguments. It fails only for the leader of a process group, which has a session of its own or is
    // started by hand from a shell.
    unsafe { libc::setsid() };
}

/// A child of Postgres inherits sockets, latches and the descriptor of a WAL segment.
fn close_inherited() -> io::Result<()> {
    // SAFETY: plain numbers. Nothing in this process owns a descriptor from 3 on: it has opened none.
    check(unsafe { libc::syscall(libc::SYS_close_range, 3 as c_ulong, c_ulong::from(u32::MAX), 0 as c_ulong) } as c_int)
}

/// Postgres blocks and handles signals; both would be inherited, blocked ones even through exec.
fn reset_signals() -> io::Result<()> {
    for signal in 1..=libc::SIGRTMAX() {
        // SAFETY: SIG_DFL is a valid handler. It fails for signals that cannot be caught or are libc's own.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    // SAFETY: `none` is initialised by sigemptyset before it is read, and outlives the call.
    unsafe {
        let mut none = std::mem::zeroed();
        check(libc::sigemptyset(&mut none))?;
        check(libc::sigprocmask(libc::SIG_SETMASK, &none, std::ptr::null_mut()))
    }
}

/// The starter passes none; this holds whoever starts it.
fn clear_environment() {
    // SAFETY: the process has one thread, and nothing holds a pointer into the environment.
    unsafe { libc::clearenv() };
}

/// Ends this process when its parent ends, or now if that has happened already.
fn die_with(parent: u32) -> io::Result<()> {
    // SAFETY: plain numbers.
    check(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL as c_ulong) })?;
    if std::os::unix::process::parent_id() != parent {
        return Err(io::Error::other("started by another process than was said"));
    }
    Ok(())
}

fn limit_resources() -> io::Result<()> {
    limit(libc::RLIMIT_DATA, MAX_DATA_BYTES)?;
    limit(libc::RLIMIT_STACK, MAX_STACK_BYTES)?;
    limit(libc::RLIMIT_CPU, MAX_CPU_SECONDS)?;
    limit(libc::RLIMIT_NPROC, 0)?;
    limit(libc::RLIMIT_NOFILE, MAX_FILES)?;
    limit(libc::RLIMIT_FSIZE, 0)?;
    limit(libc::RLIMIT_CORE, 0)
}

/// Lowers a limit to `max`, or leaves it where it is lower already.
fn limit(resource: libc::__rlimit_resource_t, max: rlim_t) -> io::Result<()> {
    let mut now = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `now` is valid for writing, and for reading afterwards.
    check(unsafe { libc::getrlimit(resource, &mut now) })?;
    let max = max.min(now.rlim_max);
    let lower = libc::rlimit { rlim_cur: max, rlim_max: max };
    // SAFETY: `lower` is valid for reading.
    check(unsafe { libc::setrlimit(resource, &lower) })
}

fn give_up_privileges() -> io::Result<()> {
    let zero: c_ulong = 0;
    // SAFETY: plain numbers; the unused arguments must be zero.
    unsafe {
        check(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1 as c_ulong, zero, zero, zero))?;
        // Nobody but root may trace this process or read its memory.
        check(libc::prctl(libc::PR_SET_DUMPABLE, zero))
    }
}

/// From here on any call but these ends the process at once.
fn filter_system_calls() -> io::Result<()> {
    let filter = || -> Result<BpfProgram, seccompiler::BackendError> {
        let arch: TargetArch = std::env::consts::ARCH.try_into()?;
        SeccompFilter::new(allowed()?, SeccompAction::KillProcess, SeccompAction::Allow, arch)?.try_into()
    };
    let filter = filter().map_err(io::Error::other)?;
    seccompiler::apply_filter(&filter).map_err(io::Error::other)
}

/// The calls that reading, compiling, writing and ending take.
fn allowed() -> Result<BTreeMap<i64, Vec<SeccompRule>>, seccompiler::BackendError> {
    let always = [
        libc::SYS_exit,
        libc::SYS_exit_group,
        libc::SYS_munmap,
        libc::SYS_mremap,
        libc::SYS_brk,
        libc::SYS_madvise,
        libc::SYS_rt_sigreturn,
        libc::SYS_rt_sigprocmask,
        libc::SYS_sigaltstack,
        libc::SYS_futex,
        libc::SYS_getrandom,
        libc::SYS_clock_gettime,
        libc::SYS_restart_syscall,
    ];
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = always.into_iter().map(|call| (call, Vec::new())).collect();
    rules.insert(libc::SYS_read, vec![argument(0, SeccompCmpOp::Eq, libc::STDIN_FILENO)?]);
    let to_standard = [libc::STDOUT_FILENO, libc::STDERR_FILENO].map(|fd| argument(0, SeccompCmpOp::Eq, fd));
    rules.insert(libc::SYS_write, to_standard.into_iter().collect::<Result<_, _>>()?);
    // Memory, but none that can be executed, and none that the limit on data does not count: the kernel takes what is
    // shared for no data, and what grows down for a stack.
    let no_code = || condition(2, SeccompCmpOp::MaskedEq(libc::PROT_EXEC as u64), 0);
    let uncounted = libc::MAP_SHARED | libc::MAP_GROWSDOWN;
    let counted = condition(3, SeccompCmpOp::MaskedEq(uncounted as u64), 0)?;
    rules.insert(libc::SYS_mmap, vec![SeccompRule::new(vec![no_code()?, counted])?]);
    rules.insert(libc::SYS_mprotect, vec![SeccompRule::new(vec![no_code()?])?]);
    Ok(rules)
}

fn argument(index: u8, op: SeccompCmpOp, value: c_int) -> Result<SeccompRule, seccompiler::BackendError> {
    SeccompRule::new(vec![condition(index, op, value)?])
}

fn condition(index: u8, op: SeccompCmpOp, value: c_int) -> Result<SeccompCondition, seccompiler::BackendError> {
    SeccompCondition::new(index, SeccompCmpArgLen::Dword, op, value as u64)
}

fn check(result: c_int) -> io::Result<()> {
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
