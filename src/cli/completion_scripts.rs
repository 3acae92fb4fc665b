//! The completion scripts of the shells. They know nothing: each hands the words before the cursor to the hidden
//! command `ecr complete` (see `complete`), which answers from the tables of the command line and, for repositories
//! and tags, from the service. So a script never becomes stale, and all shells complete the same.

/// The shells for which there is a script.
pub const SHELLS: [&str; 5] = ["bash", "zsh", "fish", "powershell", "elvish"];

/// Returns the completion script of a shell and its usual file name.
pub fn completion(shell: &str) -> Option<(&'static str, &'static str)> {
    match shell {
        "bash" => Some(("ecr.bash", include_str!("../../completions/ecr.bash"))),
        "zsh" => Some(("_ecr", include_str!("../../completions/_ecr"))),
        "fish" => Some(("ecr.fish", include_str!("../../completions/ecr.fish"))),
        "powershell" => Some(("_ecr.ps1", include_str!("../../completions/_ecr.ps1"))),
        "elvish" => Some(("ecr.elv", include_str!("../../completions/ecr.elv"))),
        _ => None,
    }
}
