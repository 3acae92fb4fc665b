//! Files, folders and programs.

use std::path::{Path, PathBuf};

use indexmap::IndexMap;

use super::Settings;
use super::error::Error;
use super::files;
use crate::platform;

impl Settings {
    /// The home directory.
    pub fn home(&self) -> Option<PathBuf> {
        match self.filled_variable(platform::HOME) {
            Some(home) => Some(PathBuf::from(home)),
            // The password database is this machine's, not a given environment's.
            None if self.environment.is_of_this_process() => dirs::home_dir(),
            None => None,
        }
    }

    /// Returns whether the embedded ECR answers: `--local`, or `ECR_LOCAL` set to anything but `0`, `false` or nothing.
    pub fn local(&self) -> bool {
        let is_enabled = |value: String| !matches!(value.to_ascii_lowercase().as_str(), "0" | "false" | "no");
        self.globals.local || self.filled_variable("ECR_LOCAL").is_some_and(is_enabled)
    }

    /// The embedded ECR's folder: `--folder`, `ECR_LOCAL_FOLDER`, else `ecr` in the platform's data folder.
    pub fn local_folder(&self) -> Result<PathBuf, Error> {
        if let Some(folder) = &self.globals.folder {
            return Ok(folder.clone());
        }
        if let Some(folder) = self.filled_variable("ECR_LOCAL_FOLDER") {
            return Ok(PathBuf::from(folder));
        }
        self.data_folder().map(|folder| folder.join("ecr")).ok_or(Error::NoLocalFolder)
    }

    fn data_folder(&self) -> Option<PathBuf> {
        if self.environment.is_of_this_process() {
            return dirs::data_dir();
        }
        self.base_folder("XDG_DATA_HOME", ".local/share")
    }

    /// Returns the platform's folder for caches, if there is one.
    pub fn cache_folder(&self) -> Option<PathBuf> {
        if self.environment.is_of_this_process() {
            return dirs::cache_dir();
        }
        self.base_folder("XDG_CACHE_HOME", ".cache")
    }

    /// A folder of the XDG Base Directory Specification: the one in `variable`, else `default` below the home folder.
    pub fn base_folder(&self, variable: &str, default: &str) -> Option<PathBuf> {
        let below = |home: PathBuf| default.split('/').fold(home, |folder, name| folder.join(name));
        self.absolute_path(variable).or_else(|| self.home().map(below))
    }

    /// The path in a variable. A relative one is ignored, as the XDG Base Directory Specification demands.
    pub fn absolute_path(&self, variable: &str) -> Option<PathBuf> {
        self.filled_variable(variable).map(PathBuf::from).filter(|path| path.is_absolute())
    }

    /// Returns the sections of AWS CLI's file of aliases, `~/.aws/cli/alias`: an alias's name and its expansion.
    pub fn aliases(&self) -> Result<IndexMap<String, IndexMap<String, String>>, Error> {
        files::raw_sections(&self.expanded("~/.aws/cli/alias"))
    }

    /// Returns the address of docker's engine, or podman's, from `DOCKER_HOST`.
    pub fn engine(&self) -> Option<String> {
        self.filled_variable("DOCKER_HOST")
    }

    /// Returns the default sockets of engines: docker's, docker's and podman's of this user, podman's of the system.
    pub fn engine_sockets(&self) -> Vec<PathBuf> {
        let mut sockets = vec![PathBuf::from(platform::DOCKER_SOCKET)];
        if let Some(folder) = self.filled_variable("XDG_RUNTIME_DIR").map(PathBuf::from) {
            sockets.push(folder.join("docker.sock"));
            sockets.push(folder.join("podman/podman.sock"));
        }
        sockets.extend(self.home().map(|home| home.join(".docker/run/docker.sock")));
        sockets.push(platform::PODMAN_SOCKET.into());
        sockets
    }

    /// The file that this program was started from.
    pub fn own_program(&self) -> Option<PathBuf> {
        std::env::current_exe().ok()
    }

    /// The operating system and the processor, as in `linux/x86_64`.
    pub fn platform(&self) -> String {
        format!("{}/{}", std::env::consts::OS, std::env::consts::ARCH)
    }

    /// The programs of this name on `PATH`, first found first.
    pub fn programs(&self, name: &str) -> Vec<PathBuf> {
        let path = self.variable("PATH").unwrap_or_default();
        let file = format!("{name}{}", platform::PROGRAM_SUFFIX);
        std::env::split_paths(&path)
            .map(|folder| folder.join(&file))
            .filter(|file| is_program(file))
            .collect()
    }
}

fn is_program(file: &Path) -> bool {
    file.metadata().is_ok_and(|facts| platform::is_program(&facts))
}
