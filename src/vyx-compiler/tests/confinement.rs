//! Tries to break out of the confined process, from inside.
//!
//! A test binary without the usual harness: it starts itself again, once for each attempt, and that copy confines
//! itself exactly as the compiler does before it tries. A harness would have threads, which confinement forbids.

use std::fs;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, IntoRawFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use vyx_compiler::confine::{MAX_CPU_SECONDS, MAX_DATA_BYTES, MAX_STACK_BYTES, confine};

const SURVIVED: &str = "survived";

fn main() {
    let args: Vec<String> = std::env::args().collect();
    match &args[..] {
        [_, flag, what, parent] if flag == "--inside" => inside(what, parent.parse().expect("a process id")),
        [_, flag] if flag == "--in-between" => in_between(),
        // Asked for its list of tests, or for one of another binary.
        [_, flag, ..] if flag == "--list" => {}
        [_, filter, ..] if !filter.starts_with('-') && !"confinement".contains(filter.as_str()) => {}
        _ => {
            let tests: [(&str, fn()); 9] = [
                ("forbidden calls end the process", forbidden_calls_end_the_process),
                ("memory is bounded", memory_is_bounded),
                ("cpu time is bounded", cpu_time_is_bounded),
                ("limits are set in the kernel", limits_are_set_in_the_kernel),
                ("inherited descriptors are closed", inherited_descriptors_are_closed),
                ("signals, session and environment are fresh", signals_session_and_environment_are_fresh),
                ("it dies with its parent", it_dies_with_its_parent),
                ("another parent is refused", another_parent_is_refused),
                ("the compiler confines itself before it answers", the_compiler_confines_itself_before_it_answers),
            ];
            for (name, test) in tests {
                test();
                println!("test {name} ... ok");
            }
        }
    }
}

/// Confines itself and does one thing.
fn inside(what: &str, parent: u32) {
    confine(parent).expect("confined");
    match what {
        "nothing" => {}
        "wait" => {
            println!("ready");
            let _ = std::io::stdin().read(&mut [0]);
        }
        "environment" => println!("{}", std::env::vars_os().count()),
        "open a file" => drop(fs::File::open("/etc/passwd")),
        "write a file" => drop(fs::write("/no-such-folder/vyx", "x")),
        "list a directory" => drop(fs::read_dir("/")),
        "delete a file" => drop(fs::remove_file("/no-such-folder/vyx")),
        "connect" => drop(std::net::TcpStream::connect("127.0.0.1:1")),
        "listen" => drop(std::net::TcpListener::bind("127.0.0.1:0")),
        "open a local socket" => drop(std::os::unix::net::UnixDatagram::unbound()),
        "start a program" => drop(Command::new("/bin/true").spawn()),
        "become a program" => drop(Command::new("/bin/true").exec()),
        "start a thread" => drop(std::thread::Builder::new().spawn(|| {})),
        "duplicate a descriptor" => drop(std::os::fd::AsFd::as_fd(&std::io::stdin()).try_clone_to_owned()),
        "sleep" => std::thread::sleep(Duration::from_millis(1)),
        "take memory" => take_memory(),
        "take time" => take_time(),
        "dig a stack" => println!("{}", dig(0)),
        other => call(other, parent),
    }
    println!("{SURVIVED}");
}

/// Calls that the standard library does not make.
#[allow(unsafe_code)]
fn call(what: &str, parent: u32) {
    // SAFETY: plain numbers, or null where nothing is pointed at. None of them is expected to return.
    unsafe {
        match what {
            "kill the parent" => {
                libc::kill(parent as i32, 0);
            }
            "fork" => {
                libc::fork();
            }
            "trace the parent" => {
                libc::ptrace(libc::PTRACE_ATTACH, parent as i32, 0, 0);
            }
            "trace itself" => {
                libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0);
            }
            "read memory of the parent" => {
                let mut byte = [0u8];
                let here = libc::iovec { iov_base: byte.as_mut_ptr().cast(), iov_len: 1 };
                libc::process_vm_readv(parent as i32, &here, 1, &here, 1, 0);
            }
            "take a handle of the parent" => {
                libc::syscall(libc::SYS_pidfd_open, parent, 0);
            }
            "set a timer" => {
                libc::alarm(1);
            }
            "ignore a signal" => {
                libc::signal(libc::SIGXCPU, libc::SIG_IGN);
            }
            "outlive the parent" => {
                libc::prctl(libc::PR_SET_PDEATHSIG, 0);
            }
            "loosen the filter" => {
                libc::syscall(libc::SYS_seccomp, 1, 0, std::ptr::null::<u8>());
            }
            "become another user" => {
                libc::setuid(0);
            }
            "leave its namespace" => {
                libc::unshare(libc::CLONE_NEWUSER);
            }
            "join another session" => {
                libc::setsid();
            }
            "hand work to the kernel" => {
                libc::syscall(libc::SYS_io_uring_setup, 1, std::ptr::null::<u8>());
            }
            "make a file in memory" => {
                libc::memfd_create(c"vyx".as_ptr(), 0);
            }
            "share memory" => {
                let (read_write, shared) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
                libc::mmap(std::ptr::null_mut(), 4_096, read_write, shared, -1, 0);
            }
            "map a second stack" => {
                let (read_write, grows) =
                    (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_GROWSDOWN);
                libc::mmap(std::ptr::null_mut(), 4_096, read_write, grows, -1, 0);
            }
            "share memory of the system" => {
                libc::shmget(libc::IPC_PRIVATE, 4_096, 0o600);
            }
            "make code of its data" => {
                let data = std::hint::black_box([0u8; 8_192]);
                let page = data.as_ptr() as usize / 4_096 * 4_096;
                libc::mprotect(page as *mut libc::c_void, 4_096, libc::PROT_READ | libc::PROT_EXEC);
            }
            "make memory executable" => {
                let (read_execute, private) =
                    (libc::PROT_READ | libc::PROT_EXEC, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
                libc::mmap(std::ptr::null_mut(), 4_096, read_execute, private, -1, 0);
            }
            "raise a limit" => {
                let more = libc::rlimit { rlim_cur: 1, rlim_max: libc::RLIM_INFINITY };
                libc::setrlimit(libc::RLIMIT_CPU, &more);
            }
            "write to another descriptor" => {
                libc::write(5, b"x".as_ptr().cast(), 1);
            }
            "read from another descriptor" => {
                libc::read(5, [0u8].as_mut_ptr().cast(), 1);
            }
            other => panic!("unknown attempt {other}"),
        }
    }
}

fn take_memory() {
    let mut held = Vec::new();
    for _ in 0..2 * MAX_DATA_BYTES / (1 << 20) {
        held.push(vec![1u8; 1 << 20]);
    }
    println!("{}", held.len());
}

fn take_time() {
    let mut x = 0u64;
    while std::hint::black_box(true) {
        x = std::hint::black_box(x.wrapping_add(1));
    }
}

fn dig(depth: u64) -> u64 {
    let room = std::hint::black_box([depth; 128]);
    if depth == u64::MAX { room[0] } else { dig(depth + 1) + room[1] }
}

fn start(what: &str) -> Child {
    command(what).spawn().expect("starts")
}

fn command(what: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this file"));
    let parent = std::process::id().to_string();
    command.args(["--inside", what, &parent]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    command
}

fn outcome(what: &str) -> (ExitStatus, String) {
    let output = start(what).wait_with_output().expect("reaped");
    (output.status, String::from_utf8_lossy(&output.stdout).into_owned())
}

fn forbidden_calls_end_the_process() {
    let (status, text) = outcome("nothing");
    assert!(status.success() && text.contains(SURVIVED), "what does nothing ends well: {status} {text}");
    for what in [
        "open a file",
        "write a file",
        "list a directory",
        "delete a file",
        "connect",
        "listen",
        "open a local socket",
        "start a program",
        "become a program",
        "start a thread",
        "duplicate a descriptor",
        "sleep",
        "kill the parent",
        "fork",
        "trace the parent",
        "trace itself",
        "read memory of the parent",
        "take a handle of the parent",
        "set a timer",
        "ignore a signal",
        "outlive the parent",
        "loosen the filter",
        "become another user",
        "leave its namespace",
        "join another session",
        "hand work to the kernel",
        "make a file in memory",
        "share memory",
        "map a second stack",
        "share memory of the system",
        "make code of its data",
        "make memory executable",
        "raise a limit",
        "write to another descriptor",
        "read from another descriptor",
    ] {
        let (status, text) = outcome(what);
        assert_eq!(status.signal(), Some(libc::SIGSYS), "{what}: {status} {text}");
    }
}

fn memory_is_bounded() {
    let (status, text) = outcome("take memory");
    assert!(!status.success() && text.is_empty(), "twice the limit was given: {status} {text}");
    let (status, _) = outcome("dig a stack");
    assert_eq!(status.signal(), Some(libc::SIGSEGV), "a stack without end: {status}");
}

fn cpu_time_is_bounded() {
    let start = Instant::now();
    let (status, _) = outcome("take time");
    assert!(matches!(status.signal(), Some(libc::SIGKILL | libc::SIGXCPU)), "{status}");
    // A busy machine gives it less than a whole processor.
    assert!(start.elapsed() < 20 * Duration::from_secs(MAX_CPU_SECONDS), "{:?}", start.elapsed());
}

/// A confined child that waits, once it says that it is ready.
fn waiting(command: &mut Command) -> Child {
    let mut child = command.spawn().expect("starts");
    let mut word = [0; 6];
    child.stdout.as_mut().expect("piped").read_exact(&mut word).expect("ready");
    assert_eq!(&word, b"ready\n");
    child
}

fn limits_are_set_in_the_kernel() {
    let mut child = waiting(&mut command("wait"));
    // Since it is not dumpable, only root may look.
    match fs::read_to_string(format!("/proc/{}/limits", child.id())) {
        Ok(limits) => {
            let limit = |name: &str| {
                let line = limits.lines().find(|line| line.starts_with(name)).expect("a limit of this name");
                line[26..].split_whitespace().next().expect("its value").to_owned()
            };
            assert_eq!(limit("Max data size"), MAX_DATA_BYTES.to_string());
            assert_eq!(limit("Max stack size"), MAX_STACK_BYTES.to_string());
            assert_eq!(limit("Max cpu time"), MAX_CPU_SECONDS.to_string());
            assert_eq!(limit("Max processes"), "0");
            assert_eq!(limit("Max open files"), "3");
            assert_eq!(limit("Max file size"), "0");
            assert_eq!(limit("Max core file size"), "0");
        }
        Err(error) => eprintln!("skipped: the limits of a confined process cannot be read: {error}"),
    }
    drop(child.stdin.take());
    assert!(child.wait().expect("reaped").success(), "it ends when its input ends");
}

fn inherited_descriptors_are_closed() {
    let (mut reader, writer) = std::io::pipe().expect("a pipe");
    let inherited = writer.into_raw_fd();
    let mut command = command("wait");
    // SAFETY: fcntl may be called between fork and exec; the descriptor is open there.
    #[allow(unsafe_code)]
    unsafe {
        command.pre_exec(move || {
            if libc::fcntl(inherited, libc::F_SETFD, 0) == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
        });
    }
    let mut child = waiting(&mut command);
    // SAFETY: it was given up by `into_raw_fd`, and nobody else has it.
    #[allow(unsafe_code)]
    drop(unsafe { <std::os::fd::OwnedFd as std::os::fd::FromRawFd>::from_raw_fd(inherited) });
    // The end of the pipe is seen only when no process has the other end: the child, alive, gave it up.
    assert_eq!(reader.read(&mut [0]).expect("the end"), 0);
    assert!(reader.as_raw_fd() > 2 && child.try_wait().expect("alive").is_none());
    child.kill().expect("killed");
    child.wait().expect("reaped");
}

fn signals_session_and_environment_are_fresh() {
    let mut command = command("wait");
    // SAFETY: signal and sigprocmask may be called between fork and exec, on memory of this frame.
    #[allow(unsafe_code)]
    unsafe {
        command.pre_exec(|| {
            libc::signal(libc::SIGTERM, libc::SIG_IGN);
            let mut all = std::mem::zeroed();
            libc::sigfillset(&mut all);
            libc::sigprocmask(libc::SIG_BLOCK, &all, std::ptr::null_mut());
            Ok(())
        });
    }
    let mut child = waiting(&mut command);
    let field = |name: &str| status_field(&child, name);
    // Signals 32 and 33 belong to the C library, which lets nobody change them.
    let own = 0b11 << 31;
    for mask in ["SigBlk", "SigIgn", "SigCgt"] {
        assert_eq!(u64::from_str_radix(&field(mask), 16).expect("hexadecimal") & !own, 0, "{mask}");
    }
    assert_eq!((field("NoNewPrivs"), field("Seccomp"), field("Threads")), ("1".into(), "2".into(), "1".into()));
    assert_eq!(session(&child), child.id().to_string(), "it leads a session of its own");
    child.kill().expect("killed");
    child.wait().expect("reaped");

    let (_, text) = outcome("environment");
    assert!(text.starts_with("0\n"), "{text} variables are left");
}

/// What the kernel says of a process, which everybody may read.
fn status_field(child: &Child, name: &str) -> String {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).expect("readable by all");
    let line = status.lines().find(|line| line.starts_with(name)).expect("a field of this name");
    line[name.len() + 1..].trim().to_owned()
}

fn session(child: &Child) -> String {
    let stat = fs::read_to_string(format!("/proc/{}/stat", child.id())).expect("readable by all");
    stat.rsplit(") ").next().and_then(|rest| rest.split(' ').nth(3)).expect("its session").to_owned()
}

/// Starts a confined child, says which, and waits to be killed.
#[allow(clippy::zombie_processes)] // It must not outlive its parent, which is what is tested.
fn in_between() {
    let child = waiting(command("wait").stdin(Stdio::inherit()));
    println!("{}", child.id());
    std::io::stdout().flush().expect("written");
    std::thread::sleep(Duration::from_secs(60));
}

fn it_dies_with_its_parent() {
    let this = std::env::current_exe().expect("this file");
    let mut between =
        Command::new(this).arg("--in-between").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("starts");
    let mut digits = Vec::new();
    let stdout = between.stdout.as_mut().expect("piped");
    let mut byte = [0];
    while stdout.read(&mut byte).expect("a number") == 1 && byte[0] != b'\n' {
        digits.push(byte[0]);
    }
    let confined = String::from_utf8(digits).expect("digits");
    assert!(runs(&confined), "{confined} runs before");
    between.kill().expect("killed");
    between.wait().expect("reaped");
    let end = Instant::now() + Duration::from_secs(10);
    while runs(&confined) {
        assert!(Instant::now() < end, "{confined} outlives its parent");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Whether a process of this id exists and is no zombie.
fn runs(id: &str) -> bool {
    fs::read_to_string(format!("/proc/{id}/stat")).is_ok_and(|stat| !stat.contains(") Z ") && !stat.contains(") X "))
}

fn another_parent_is_refused() {
    let output = Command::new(env!("CARGO_BIN_EXE_vyx-compiler"))
        .args(["--serve", "1"])
        .stdin(Stdio::null())
        .output()
        .expect("starts");
    assert!(!output.status.success() && output.stdout.is_empty(), "{output:?}");
}

/// All other attempts are made by a copy that confines itself; this is the program that is installed.
fn the_compiler_confines_itself_before_it_answers() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_vyx-compiler"))
        .args(["--serve", &std::process::id().to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("starts");
    child.stdin.as_mut().expect("piped").write_all(b"{}\n").expect("taken");
    let mut answer = [0];
    child.stdout.as_mut().expect("piped").read_exact(&mut answer).expect("an answer");
    let field = |name: &str| status_field(&child, name);
    assert_eq!((field("NoNewPrivs"), field("Seccomp"), field("Threads")), ("1".into(), "2".into(), "1".into()));
    assert_eq!(session(&child), child.id().to_string(), "it leads a session of its own");
    drop(child.stdin.take());
    assert!(child.wait().expect("reaped").success(), "it ends when its input ends");
}
