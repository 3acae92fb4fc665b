//! References to images in any text: manifests and listings of Kubernetes, task definitions, compose files, plain lists.

use std::collections::{HashMap, HashSet};

use crate::image::graph::Graph;
use crate::image::{Digest, host};

/// Images that a text refers to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct References {
    /// Tags by repository, whatever the registry: images are replicated, and under the same name.
    tags: HashMap<String, HashSet<String>>,
    /// Digests, wherever they stand.
    digests: HashSet<Digest>,
    /// The number of references to a registry of ECR.
    pub count: usize,
}

/// A reference in a text that cannot be understood, so that what it protects cannot be told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {text}: {reason}")]
pub struct Unclear {
    /// The line, from 1.
    pub line: usize,
    /// The reference as far as it goes.
    pub text: String,
    /// The reason why it is no reference.
    pub reason: String,
}

impl References {
    /// Finds every reference to a registry of ECR. `is_ecr` says which further hosts are such.
    pub fn read(text: &str, is_ecr: impl Fn(&str) -> bool) -> Result<Self, Unclear> {
        let mut found = Self::default();
        for (number, line) in text.lines().enumerate() {
            let mut rest = line;
            while let Some(start) = rest.find(is_part) {
                let word = &rest[start..];
                let end = word.find(|character| !is_part(character)).unwrap_or(word.len());
                let next = word[end..].chars().next();
                found.take(&word[..end], next, &is_ecr).map_err(|reason| Unclear {
                    line: number + 1,
                    text: word[..end].to_owned(),
                    reason,
                })?;
                rest = &word[end..];
            }
        }
        Ok(found)
    }

    /// Takes what one word of the text refers to; `next` is the character behind it.
    fn take(&mut self, word: &str, next: Option<char>, is_ecr: &impl Fn(&str) -> bool) -> Result<(), String> {
        self.take_digest(word);
        let word = word.rsplit_once("//").map_or(word, |(_, rest)| rest);
        let Some((first, path)) = word.split_once('/') else { return Ok(()) };
        let Some(host) = host::Address::parse(first) else { return Ok(()) };
        if !(host.ecr().is_some() || is_ecr(first)) {
            return Ok(());
        }
        if path.is_empty() || matches!(next, Some('$' | '{' | '%' | '<' | '*' | '`')) {
            return Err(
                "the reference goes on with something to be filled in; write out what it becomes".to_owned()
            );
        }
        self.count += 1;
        // A sentence may end behind a reference. What both readings name is protected.
        let plain = path.trim_end_matches(['.', ':', '-', '_', '/']);
        for path in [path, plain] {
            self.take_path(path)?;
            if path == plain {
                break;
            }
        }
        Ok(())
    }

    fn take_path(&mut self, path: &str) -> Result<(), String> {
        let (named, digest) = path.split_once('@').map_or((path, None), |(named, rest)| (named, Some(rest)));
        if digest.is_some_and(|digest| digest.parse::<Digest>().is_err()) {
            return Err("this is no digest".to_owned());
        }
        let (repository, tag) = match named.rsplit_once(':') {
            Some((repository, tag)) if !tag.contains('/') => (repository, Some(tag)),
            _ => (named, None),
        };
        let tag = match (tag, digest) {
            (Some(tag), _) => tag,
            (None, Some(_)) => return Ok(()),
            (None, None) => "latest",
        };
        self.tags.entry(repository.to_owned()).or_default().insert(tag.to_owned());
        Ok(())
    }

    fn take_digest(&mut self, word: &str) {
        for (start, prefix) in word.match_indices("sha256:").chain(word.match_indices("sha512:")) {
            let digits = word[start + prefix.len()..].bytes().take_while(u8::is_ascii_hexdigit).count();
            let digest = word[start..start + prefix.len() + digits].to_ascii_lowercase();
            self.digests.extend(digest.parse::<Digest>());
        }
    }

    /// Adds those of another text.
    pub fn extend(&mut self, other: Self) {
        for (repository, tags) in other.tags {
            self.tags.entry(repository).or_default().extend(tags);
        }
        self.digests.extend(other.digests);
        self.count += other.count;
    }

    /// The images of a repository that are referred to.
    pub fn positions(&self, repository: &str, graph: &Graph) -> Vec<usize> {
        let tags = self.tags.get(repository);
        let is_named = |position: &usize| {
            let image = graph.image(*position);
            tags.is_some_and(|tags| image.tags().any(|tag| tags.contains(tag)))
                || self.digests.contains(&image.digest())
        };
        (0..graph.len()).filter(is_named).collect()
    }
}

/// Whether a character can be part of a reference.
fn is_part(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '.' | '_' | '-' | '/' | ':' | '@' | '+')
}

#[cfg(test)]
mod tests;
