//! The program: everything happens in the library.

use std::process::ExitCode;

/// The allocator of the static binaries. Musl's own gives every buffer of 64 KiB and more back to the system at once: a
/// push of 512 MiB mapped 11,300 anew and took 200,000 page faults, where glibc takes 13,000. Measured with
/// `benches/builds.py`, as times of the glibc build, in one run (musl's in brackets): `--version` 0.57 (0.64), credential
/// helper 0.58 (0.68), push 1.09 (1.32), pull 1.04 (1.13). Mimalloc moves bytes faster still, but takes 1.23 to start and
/// 110 KB more.
#[cfg(all(target_os = "linux", target_env = "musl"))]
#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

fn main() -> ExitCode {
    ecr::run(&std::env::args_os().collect::<Vec<_>>())
}
