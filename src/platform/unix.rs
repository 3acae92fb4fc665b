//! Linux and macOS.

use std::borrow::Cow;
use std::fs::{DirBuilder, File, Metadata, OpenOptions, Permissions};
use std::io::{self, IsTerminal as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::{
    DirBuilderExt as _, FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown,
};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use rustix::fs::{Access, OFlags, access};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use super::StopRequest;

pub use std::os::unix::fs::FileExt;

/// Suffix of the file names of programs.
pub const PROGRAM_SUFFIX: &str = "";

/// The variable that names the user's folder.
pub const HOME: &str = "HOME";
/// The scheme of a socket's address in DOCKER_HOST.
pub const SOCKET_SCHEME: &str = "unix://";
/// Socket of docker's engine on this machine.
pub const DOCKER_SOCKET: &str = "/var/run/docker.sock";
/// Socket of podman's engine on this machine.
pub const PODMAN_SOCKET: &str = "/run/podman/podman.sock";

/// A text with the line ends of this system.
pub fn with_line_ends(text: &[u8]) -> Cow<'_, [u8]> {
    Cow::Borrowed(text)
}

/// The path by which this process can open a file that has no name, if the system has one.
pub fn path_of_unnamed(file: &File) -> Option<PathBuf> {
    let descriptor = std::os::fd::AsRawFd::as_raw_fd(file);
    Some(Path::new("/dev/fd").join(descriptor.to_string())).filter(|path| path.exists())
}

/// The path of a socket in an address of DOCKER_HOST.
pub fn socket_path(address: &str) -> Option<PathBuf> {
    address.strip_prefix(SOCKET_SCHEME).filter(|path| path.starts_with('/')).map(PathBuf::from)
}

/// Connects to a socket in the file system.
pub async fn connect(socket: &Path) -> io::Result<tokio::net::UnixStream> {
    tokio::net::UnixStream::connect(socket).await
}

/// Returns the limit of files that this process may have open; `None` if there is none.
pub fn open_files() -> Option<u64> {
    rustix::process::getrlimit(rustix::process::Resource::Nofile).current
}

/// The user that this process acts as.
pub fn user() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Returns the user that owns a file.
pub fn owner(facts: &Metadata) -> u32 {
    facts.uid()
}

/// The bits of a file's mode.
pub fn mode(facts: &Metadata) -> u32 {
    facts.mode() & 0o7777
}

/// Gives an open file a mode.
pub fn set_mode(file: &File, mode: u32) -> io::Result<()> {
    file.set_permissions(Permissions::from_mode(mode))
}

/// Closes a folder to everybody but its owner.
pub fn make_private(folder: &Path) -> io::Result<()> {
    std::fs::set_permissions(folder, Permissions::from_mode(0o700))
}

/// Gives a file the owner and the group of another one, where this user may do so.
pub fn give(file: &File, to: &Metadata) -> io::Result<()> {
    let own = file.metadata()?;
    if (own.uid(), own.gid()) != (to.uid(), to.gid()) {
        // Under sudo the file stays its owner's; who may not give it away leaves it to himself.
        let _ = fchown(file, Some(to.uid()), Some(to.gid()));
    }
    Ok(())
}

/// Returns whether this user may write to a file, and it is not protected against everybody.
pub fn is_writable(path: &Path, facts: &Metadata) -> bool {
    // Root may write everywhere; a file without any write bit is protected against root, too.
    facts.mode() & 0o222 != 0 && access(path, Access::WRITE_OK).is_ok()
}

/// Returns whether a file is executable.
pub fn is_program(facts: &Metadata) -> bool {
    facts.is_file() && facts.mode() & 0o111 != 0
}

/// Returns whether a file is a named pipe.
pub fn is_pipe(facts: &Metadata) -> bool {
    facts.file_type().is_fifo()
}

/// Returns the number of a file's names (hard links).
pub fn names(facts: &Metadata) -> u64 {
    facts.nlink()
}

/// Device and number of a file, which tell it from every other one.
pub fn identity(file: &File) -> io::Result<(u64, u64)> {
    file.metadata().map(|facts| (facts.dev(), facts.ino()))
}

/// Device and number of the file that a path leads to.
pub fn identity_of(path: &Path) -> io::Result<(u64, u64)> {
    path.metadata().map(|facts| (facts.dev(), facts.ino()))
}

/// Device, number, and when the file's entry changed last, which no program can set.
pub fn entry_state(facts: &Metadata) -> Option<(u64, u64, i64, i64)> {
    Some((facts.dev(), facts.ino(), facts.ctime(), facts.ctime_nsec()))
}

/// Returns a builder of folders, with those above them, that only their owner can enter.
pub fn private_folder() -> DirBuilder {
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o700);
    builder
}

/// Returns options to create a file that only its owner can read.
pub fn private_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(0o600);
    options
}

/// Like [`private_file`]; a link is not followed, and a pipe is not waited for.
pub fn private_file_without_links() -> OpenOptions {
    let mut options = private_file();
    options.custom_flags(flags(OFlags::NOFOLLOW | OFlags::NONBLOCK));
    options
}

/// Returns options to open a file without waiting, should it be a pipe.
pub fn without_waiting() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.custom_flags(flags(OFlags::NONBLOCK));
    options
}

#[allow(clippy::cast_possible_wrap, reason = "the flags are the same bits, signed in the one interface")]
fn flags(flags: OFlags) -> i32 {
    flags.bits() as i32
}

/// Builder of temporary folders that only their owner can enter.
pub fn restrict(builder: &mut tempfile::Builder<'_, '_>) {
    builder.permissions(Permissions::from_mode(0o700));
}

/// Makes a program available under another name.
pub fn link_program(program: &Path, name: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(program, name)
}

/// Returns whether `name` is a link to `program`.
pub fn is_link_to(name: &Path, program: &Path) -> bool {
    std::fs::read_link(name).is_ok_and(|to| std::fs::canonicalize(to).is_ok_and(|real| real == program))
}

/// Standard input as a file of its own.
pub fn input() -> io::Result<File> {
    io::stdin().as_fd().try_clone_to_owned().map(File::from)
}

/// Replaces this process by another program, named `called`. Returns only where that fails.
pub fn replace_process(command: &mut Command, called: &str) -> io::Result<ExitStatus> {
    use std::os::unix::process::CommandExt as _;
    Err(command.arg0(called).exec())
}

/// The signal that ended a process.
pub fn signal_of(status: ExitStatus) -> Option<i32> {
    std::os::unix::process::ExitStatusExt::signal(&status)
}

/// Calls back on every request to stop, on a thread of its own. Where `tell` answers that nobody took it, it does what
/// it does to every program: it ends it.
pub fn watch_stop_requests(tell: impl Fn(StopRequest) -> bool + Send + 'static) -> io::Result<()> {
    let mut wanted = vec![SIGINT, SIGTERM];
    if !ignores_hang_up() {
        wanted.push(SIGHUP);
    }
    let mut signals = signal_hook::iterator::Signals::new(wanted)?;
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        for number in signals.forever() {
            let request = match number {
                SIGTERM => StopRequest::Terminate,
                SIGHUP => StopRequest::HangUp,
                _ => StopRequest::Interrupt,
            };
            if !tell(request) {
                let _ = signal_hook::low_level::emulate_default_handler(number);
            }
        }
    })?;
    Ok(())
}

/// Returns whether this process was started to outlive its terminal, as nohup does it. Where the system does not say
/// so, it is assumed of a program that does not talk to a terminal: nohup sends its output to a file.
fn ignores_hang_up() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    match ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()) {
        Some(mask) => mask & (1 << (SIGHUP - 1)) != 0,
        None => !io::stderr().is_terminal(),
    }
}
