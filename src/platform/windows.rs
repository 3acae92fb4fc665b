//! Windows, which has access lists instead of modes and owners.

use std::borrow::Cow;
use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::windows::fs::{FileExt as _, OpenOptionsExt as _};
use std::os::windows::io::AsHandle as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use super::StopRequest;

/// Suffix of the file names of programs.
pub const PROGRAM_SUFFIX: &str = ".exe";
/// The variable that names the user's folder, as for Python.
pub const HOME: &str = "USERPROFILE";
/// The scheme of a named pipe's address in DOCKER_HOST.
pub const SOCKET_SCHEME: &str = "npipe://";
/// Named pipe of docker's engine on this machine.
pub const DOCKER_SOCKET: &str = r"\\.\pipe\docker_engine";
/// Named pipe of podman's engine on this machine.
pub const PODMAN_SOCKET: &str = r"\\.\pipe\podman-machine-default";
/// Error of opening a pipe while each of its ends is taken (ERROR_PIPE_BUSY).
const PIPE_BUSY: i32 = 231;
/// Attempts to open a pipe that is busy, 50 milliseconds apart.
const PIPE_ATTEMPTS: usize = 100;

/// A text with the line ends of this system, as the AWS CLI prints it.
pub fn with_line_ends(text: &[u8]) -> Cow<'_, [u8]> {
    if !text.contains(&b'\n') {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.split_inclusive(|byte| *byte == b'\n').fold(Vec::new(), |mut lines, line| {
        match line.strip_suffix(b"\n") {
            Some(line) => lines.extend([line, b"\r\n"].concat()),
            None => lines.extend(line),
        }
        lines
    }))
}

/// The path by which this process can open a file that has no name; there is none.
pub fn path_of_unnamed(_: &File) -> Option<PathBuf> {
    None
}

/// The path of a named pipe in an address of DOCKER_HOST.
pub fn socket_path(address: &str) -> Option<PathBuf> {
    let path = address.strip_prefix(SOCKET_SCHEME)?.replace('/', r"\");
    path.to_ascii_lowercase().starts_with(r"\\.\pipe\").then(|| path.into())
}

/// Connects to a named pipe.
pub async fn connect(pipe: &Path) -> io::Result<tokio::net::windows::named_pipe::NamedPipeClient> {
    for _ in 1..PIPE_ATTEMPTS {
        match tokio::net::windows::named_pipe::ClientOptions::new().open(pipe) {
            Err(error) if error.raw_os_error() == Some(PIPE_BUSY) => {
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
            opened => return opened,
        }
    }
    tokio::net::windows::named_pipe::ClientOptions::new().open(pipe)
}

/// Flag that opens a link itself, not its target (FILE_FLAG_OPEN_REPARSE_POINT).
const NO_FOLLOW: u32 = 0x0020_0000;
/// The exit code after Ctrl-C, which is that of the AWS CLI.
const INTERRUPTED: i32 = 130;

/// Reading and writing at positions.
pub trait FileExt {
    /// Reads from an offset on, as much as is available.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Writes at a position.
    fn write_all_at(&self, buffer: &[u8], offset: u64) -> io::Result<()>;

    /// Fills the buffer from a position on.
    fn read_exact_at(&self, mut buffer: &mut [u8], mut offset: u64) -> io::Result<()> {
        while !buffer.is_empty() {
            match self.read_at(buffer, offset)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => {
                    buffer = &mut buffer[read..];
                    offset += read as u64;
                }
            }
        }
        Ok(())
    }
}

impl FileExt for File {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.seek_read(buffer, offset)
    }

    fn write_all_at(&self, mut buffer: &[u8], mut offset: u64) -> io::Result<()> {
        while !buffer.is_empty() {
            match self.seek_write(buffer, offset)? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                written => {
                    buffer = &buffer[written..];
                    offset += written as u64;
                }
            }
        }
        Ok(())
    }
}

/// Returns the limit of files that this process may have open: there is none.
pub fn open_files() -> Option<u64> {
    None
}

/// The user that this process acts as; users have no numbers here.
pub fn user() -> u32 {
    0
}

/// Returns the user that owns a file, whom the access list of its folder has let in.
pub fn owner(_: &Metadata) -> u32 {
    user()
}

/// Returns the nearest mode: the folder's access list lets only its owner in.
pub fn mode(facts: &Metadata) -> u32 {
    if facts.permissions().readonly() { 0o400 } else { 0o600 }
}

/// Does nothing: a file has the access list that its folder hands down.
#[allow(clippy::unnecessary_wraps, reason = "it can fail where there are modes")]
pub fn set_mode(_: &File, _: u32) -> io::Result<()> {
    Ok(())
}

/// Restricts a folder, and its later content, to its owner.
///
/// Access lists are set by the system's own program, since this crate has no unsafe code. It is not looked for on PATH,
/// where somebody else could have put another one.
pub fn make_private(folder: &Path) -> io::Result<()> {
    /// Access list entry: full access for the owner (OWNER RIGHTS), inherited by files and folders.
    const OWNER: &str = "*S-1-3-4:(OI)(CI)F";
    let system = std::env::var_os("SystemRoot").map_or_else(|| PathBuf::from(r"C:\Windows"), PathBuf::from);
    let status = Command::new(system.join(r"System32\icacls.exe"))
        .arg(folder)
        .args(["/inheritance:r", "/grant:r", OWNER, "/q"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()?;
    if status.success() {
        return Ok(());
    }
    Err(io::Error::other(format!("its access list cannot be set: icacls ends with {status}")))
}

/// Does nothing: a file that replaces another one in its folder has the same access list.
#[allow(clippy::unnecessary_wraps, reason = "it can fail where there are owners")]
pub fn give(_: &File, _: &Metadata) -> io::Result<()> {
    Ok(())
}

/// Returns whether a file is not protected against writing.
pub fn is_writable(_: &Path, facts: &Metadata) -> bool {
    !facts.permissions().readonly()
}

/// Returns whether a file is executable.
pub fn is_program(facts: &Metadata) -> bool {
    facts.is_file()
}

/// Returns whether a file is a named pipe; those are not in the file system here.
pub fn is_pipe(_: &Metadata) -> bool {
    false
}

/// Returns the number of a file's names; further ones are rare and not counted here.
pub fn names(_: &Metadata) -> u64 {
    1
}

/// Volume and number of a file, which tell it from every other one.
pub fn identity(file: &File) -> io::Result<(u64, u64)> {
    let facts = winapi_util::file::information(file)?;
    Ok((facts.volume_serial_number(), facts.file_index()))
}

/// Volume and number of the file that a path leads to.
pub fn identity_of(path: &Path) -> io::Result<(u64, u64)> {
    identity(&File::open(path)?)
}

/// Returns nothing: any program can set every time of a file here.
pub fn entry_state(_: &Metadata) -> Option<(u64, u64, i64, i64)> {
    None
}

/// Creates folders that only their owner can enter.
#[derive(Debug)]
pub struct PrivateFolder;

impl PrivateFolder {
    /// Creates a folder and missing ones above it.
    pub fn create(&self, folder: impl AsRef<Path>) -> io::Result<()> {
        let folder = folder.as_ref();
        if folder.is_dir() {
            return Ok(());
        }
        std::fs::create_dir_all(folder)?;
        make_private(folder)
    }
}

/// Returns a builder of folders that only their owner can enter, with those above them.
pub fn private_folder() -> PrivateFolder {
    PrivateFolder
}

/// Returns options to create a file; it is as private as its folder.
pub fn private_file() -> OpenOptions {
    OpenOptions::new()
}

/// Like [`private_file`]; a link is not followed.
pub fn private_file_without_links() -> OpenOptions {
    let mut options = private_file();
    options.custom_flags(NO_FOLLOW);
    options
}

/// Returns options to open a file; there are no pipes in the file system to wait for.
pub fn without_waiting() -> OpenOptions {
    OpenOptions::new()
}

/// Does nothing: the user's folder for temporary files is private.
pub fn restrict(_: &mut tempfile::Builder<'_, '_>) {}

/// Makes a program available under another name: as another name of its file, or as a copy on another volume. Links are
/// a privilege here.
pub fn link_program(program: &Path, name: &Path) -> io::Result<()> {
    std::fs::hard_link(program, name).or_else(|_| std::fs::copy(program, name).map(drop))
}

/// Returns whether a name is that of this program, or of a copy.
pub fn is_link_to(name: &Path, program: &Path) -> bool {
    let length = |path: &Path| path.metadata().map(|facts| facts.len()).ok();
    identity_of(name).is_ok_and(|own| identity_of(program).is_ok_and(|other| own == other))
        || (length(name).is_some() && length(name) == length(program))
}

/// Standard input as a file of its own.
pub fn input() -> io::Result<File> {
    io::stdin().as_handle().try_clone_to_owned().map(File::from)
}

/// Runs another program instead, and answers how it ended.
pub fn replace_process(command: &mut Command, _: &str) -> io::Result<ExitStatus> {
    command.status()
}

/// The signal that ended a process; there are none here.
pub fn signal_of(_: ExitStatus) -> Option<i32> {
    None
}

/// Calls back on every request to stop, on a thread of its own. Where `tell` answers that nobody took it, the program
/// ends.
pub fn watch_stop_requests(tell: impl Fn(StopRequest) -> bool + Send + 'static) -> io::Result<()> {
    use tokio::signal::windows;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (mut interrupt, mut terminate, mut close) = {
        let _entered = runtime.enter();
        (windows::ctrl_c()?, windows::ctrl_break()?, windows::ctrl_close()?)
    };
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        loop {
            let request = runtime.block_on(async {
                tokio::select! {
                    _ = interrupt.recv() => StopRequest::Interrupt,
                    _ = terminate.recv() => StopRequest::Terminate,
                    _ = close.recv() => StopRequest::HangUp,
                }
            });
            if !tell(request) {
                signal_hook::low_level::exit(INTERRUPTED);
            }
        }
    })?;
    Ok(())
}
