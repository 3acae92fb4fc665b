//! References to images in any text: manifests and listings of Kubernetes, task definitions, compose files, plain lists.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use crate::image::graph::Graph;
use crate::image::{Digest, Registry, host};

/// Images that a text refers to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct References {
    /// Tags by repository, whatever the registry: replicated images have the same name.
    tags: HashMap<String, HashSet<String>>,
    /// Tags by the end of a repository's name, where the text leaves the beginning open.
    endings: HashMap<String, HashSet<String>>,
    /// Digests, wherever they stand.
    digests: HashSet<Digest>,
    /// The number of references to a registry of ECR; of a list of nothing but digests, that of the digests.
    pub count: usize,
}

/// Reference that cannot be parsed; it might be meant to protect any image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {text}: {reason}")]
pub struct UnreadableReference {
    /// The line, from 1.
    pub line: usize,
    /// The reference as far as it goes.
    pub text: String,
    /// The reason why it is no reference.
    pub reason: String,
}

impl References {
    /// Finds every reference to a registry of ECR. `is_ecr` says which further hosts are such. References to a registry of
    /// this machine protect too and do not count, as addresses of other services look like them. JSON that ends too early
    /// is an error: what is missing would protect nothing.
    pub fn read(text: &str, is_ecr: impl Fn(&str) -> bool) -> Result<Self, UnreadableReference> {
        check_whole(text)?;
        let mut found = Self::default();
        for (number, line) in text.lines().enumerate() {
            each_word(&unescape(line), &mut |word| {
                found.take(word, &is_ecr).map_err(|reason| UnreadableReference {
                    line: number + 1,
                    text: word.text.to_owned(),
                    reason: reason.to_owned(),
                })
            })?;
        }
        if found.count == 0 && is_digest_list(text) {
            found.count = found.digests.len();
        }
        Ok(found)
    }

    /// Adds the reference in one word of the text.
    fn take(&mut self, word: &Word<'_>, is_ecr: &impl Fn(&str) -> bool) -> Result<(), &'static str> {
        self.take_digest(word.text);
        let (scheme, plain) = word.plain.rsplit_once("//").unwrap_or(("", &word.plain));
        let Some((first, path)) = plain.split_once('/') else {
            // `image: ${IMAGE}` may be anything.
            return match word.key {
                Key::Image if plain.contains(PLACEHOLDER) => Err(TO_BE_FILLED_IN),
                Key::Part if is_host(plain, is_ecr) => Err(IN_PARTS),
                _ => Ok(()),
            };
        };
        let is_open = path.is_empty()
            || path.contains(PLACEHOLDER)
            || matches!(word.next, Some('$' | '{' | '%' | '<' | '*' | '`'))
            || path.ends_with([':', '@']) && matches!(word.next, Some('"' | '\''));
        if is_host(first, is_ecr) {
            if is_open {
                return Err(TO_BE_FILLED_IN);
            }
            if matches!(word.key, Key::Part | Key::Name) && !path.contains([':', '@']) {
                return Err(IN_PARTS);
            }
            self.count += 1;
            return self.take_reference(path);
        }
        // Whose registry these are cannot be told, so that they do not count, and what is no reference is no error.
        let taken = if is_open && first.contains(PLACEHOLDER) {
            Err(TO_BE_FILLED_IN)
        } else if is_open {
            Ok(())
        } else if first.contains(PLACEHOLDER) {
            take_both_ends(&mut self.endings, path)
        } else if matches!(Registry::of_host(first), Some(Registry::Loopback(_)))
            && ["", "docker:", "docker-pullable:"].contains(&scheme)
        {
            self.take_reference(path)
        } else {
            Ok(())
        };
        if word.key == Key::Image { taken } else { Ok(()) }
    }

    /// Adds the reference behind a host: a repository with its tag or digest, or the path of a manifest's URL.
    fn take_reference(&mut self, path: &str) -> Result<(), &'static str> {
        let of_url = path.strip_prefix("v2/").and_then(|path| path.rsplit_once("/manifests/"));
        if let Some((repository, reference)) = of_url {
            let separator = if reference.contains(':') { '@' } else { ':' };
            take_both_ends(&mut self.tags, &format!("{repository}{separator}{reference}"))?;
        }
        take_both_ends(&mut self.tags, path)
    }

    fn take_digest(&mut self, word: &str) {
        for (start, prefix) in word.match_indices("sha256:").chain(word.match_indices("sha512:")) {
            let digits = word[start + prefix.len()..].bytes().take_while(u8::is_ascii_hexdigit).count();
            let digest = word[start..start + prefix.len() + digits].to_ascii_lowercase();
            self.digests.extend(digest.parse::<Digest>());
        }
    }

    /// Adds the references of another text.
    pub fn extend(&mut self, other: Self) {
        for (repository, tags) in other.tags {
            self.tags.entry(repository).or_default().extend(tags);
        }
        for (ending, tags) in other.endings {
            self.endings.entry(ending).or_default().extend(tags);
        }
        self.digests.extend(other.digests);
        self.count += other.count;
    }

    /// The images of a repository that are referred to.
    pub fn positions(&self, repository: &str, graph: &Graph) -> Vec<usize> {
        let named = self.in_repository(repository);
        let is_named = |position: &usize| {
            let image = graph.image(*position);
            named.has(&image.digest(), image.tags())
        };
        (0..graph.len()).filter(is_named).collect()
    }

    /// The references to one repository.
    pub fn in_repository(&self, repository: &str) -> ReferencedImages<'_> {
        let ends = |ending: &str| {
            repository.strip_suffix(ending).is_some_and(|rest| rest.is_empty() || rest.ends_with('/'))
        };
        let by_ending = self.endings.iter().filter(|(ending, _)| ends(ending)).map(|(_, tags)| tags);
        let tags = self.tags.get(repository).into_iter().chain(by_ending).collect();
        ReferencedImages { tags, digests: &self.digests }
    }
}

/// Images of one repository that a text refers to.
#[derive(Debug)]
pub struct ReferencedImages<'a> {
    tags: Vec<&'a HashSet<String>>,
    digests: &'a HashSet<Digest>,
}

impl ReferencedImages<'_> {
    /// Returns whether the image with this digest and these tags is referenced.
    pub fn has<'t>(&self, digest: &Digest, mut tags: impl Iterator<Item = &'t str>) -> bool {
        tags.any(|tag| self.tags.iter().any(|named| named.contains(tag))) || self.digests.contains(digest)
    }
}

/// Refuses JSON that was cut off. Text of any other form is whole wherever it ends.
fn check_whole(text: &str) -> Result<(), UnreadableReference> {
    let text = text.trim_start_matches('\u{feff}').trim_start();
    if !text.starts_with(['{', '[']) {
        return Ok(());
    }
    let values = serde_json::Deserializer::from_str(text).into_iter::<serde::de::IgnoredAny>();
    match values.last() {
        Some(Err(error)) if error.is_eof() => Err(UnreadableReference {
            line: text.lines().count(),
            text: text.lines().next_back().unwrap_or_default().chars().take(MAX_QUOTED).collect(),
            reason: "the JSON is cut off here".to_owned(),
        }),
        _ => Ok(()),
    }
}

/// Replaces the escapes of JSON that may stand for a part of a reference: `\/` and `\u002f`.
fn unescape(line: &str) -> Cow<'_, str> {
    if !line.contains("\\/") && !line.contains("\\u00") {
        return Cow::Borrowed(line);
    }
    let line = line.replace("\\/", "/");
    let mut pieces = line.split("\\u00");
    let mut plain = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let code = piece.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        if let Some(character) = code.map(char::from).filter(|character| is_part(*character)) {
            plain.push(character);
            plain.push_str(&piece[2..]);
        } else {
            plain.push_str("\\u00");
            plain.push_str(piece);
        }
    }
    Cow::Owned(plain)
}

/// Returns whether a text is a list of digests and nothing else, one a line or in JSON.
fn is_digest_list(text: &str) -> bool {
    let is_separator = |character: char| character.is_whitespace() || "[],\"'".contains(character);
    text.split(is_separator).filter(|word| !word.is_empty()).all(|word| word.parse::<Digest>().is_ok())
}

/// Takes a repository with its tag or digest. A sentence may end behind it: what both readings name is protected.
fn take_both_ends(tags: &mut HashMap<String, HashSet<String>>, path: &str) -> Result<(), &'static str> {
    let plain = path.trim_end_matches(['.', ':', '-', '_', '/']);
    take_path(tags, path)?;
    if path == plain { Ok(()) } else { take_path(tags, plain) }
}

fn take_path(tags: &mut HashMap<String, HashSet<String>>, path: &str) -> Result<(), &'static str> {
    let (named, digest) = path.split_once('@').map_or((path, None), |(named, rest)| (named, Some(rest)));
    if digest.is_some_and(|digest| digest.parse::<Digest>().is_err()) {
        return Err("this is no digest");
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
    tags.entry(repository.to_owned()).or_default().insert(tag.to_owned());
    Ok(())
}

/// Word of a text that may be a reference.
struct Word<'a> {
    /// The reference's text.
    text: &'a str,
    /// With a [`PLACEHOLDER`] for everything that is to be filled in.
    plain: String,
    /// The character behind it.
    next: Option<char>,
    key: Key,
}

/// Key in front of a word, as far as it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Key {
    /// `image`, whose value is a whole reference.
    Image,
    /// `repository`, `registry` or `newName`, beside which the tag stands in another value.
    Part,
    /// `name`, which is like [`Key::Part`] where its value has a host and a path.
    Name,
    Other,
}

/// Character that replaces a placeholder.
const PLACEHOLDER: char = '\u{1a}';
/// Limit of the characters of a line that a message repeats.
const MAX_QUOTED: usize = 80;
const TO_BE_FILLED_IN: &str = "the reference has something to be filled in; write out what it becomes";
const IN_PARTS: &str =
    "this is a part of a reference, whose tag stands elsewhere; write the reference in one";

/// Calls `take` with the words of a line that may be references, and those inside of placeholders: a default, or the
/// command whose output it is.
fn each_word<E>(line: &str, take: &mut dyn FnMut(&Word<'_>) -> Result<(), E>) -> Result<(), E> {
    let mut at = 0;
    while let Some(character) = line[at..].chars().next() {
        let (start, mut plain) = (at, String::new());
        while let Some(character) = line[at..].chars().next() {
            if let Some(length) = placeholder(&line[at..]) {
                // Past the sign itself; `:-` stands before the default of a variable.
                let inner = line[at + 1..at + length].replace(":-", "  ");
                each_word(&inner, take)?;
                plain.push(PLACEHOLDER);
                at += length;
            } else if is_part(character) {
                plain.push(character);
                at += character.len_utf8();
            } else {
                break;
            }
        }
        if start == at {
            at += character.len_utf8();
            continue;
        }
        let (text, next) = (&line[start..at], line[at..].chars().next());
        take(&Word { text, plain, next, key: key(&line[..start]) })?;
    }
    Ok(())
}

/// Returns the length of a placeholder of a shell, compose, make, CloudFormation, helm or Windows, at the beginning of
/// a text.
fn placeholder(text: &str) -> Option<usize> {
    const LONGEST: usize = 256;
    let first = text.chars().next().filter(|first| matches!(first, '$' | '%' | '{'))?;
    let text = text.char_indices().nth(LONGEST).map_or(text, |(end, _)| &text[..end]);
    let closed = |open: &str, close: &str| {
        let inner = text.strip_prefix(open)?;
        Some(open.len() + inner.find(close)? + close.len())
    };
    let is_named = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    let named = 1 + text.bytes().skip(1).take_while(is_named).count();
    match first {
        '$' if text.starts_with("${") => braces(text),
        '$' => closed("$(", ")").or_else(|| (named > 1).then_some(named)),
        '%' => (named > 1 && text[named..].starts_with('%')).then_some(named + 1),
        _ => closed("{{", "}}"),
    }
}

/// The length of `${…}`, in which there may be more of them.
fn braces(text: &str) -> Option<usize> {
    let mut open = 0_usize;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'{' => open += 1,
            b'}' if open == 1 => return Some(at + 1),
            b'}' => open -= 1,
            _ => {}
        }
    }
    None
}

/// Returns the key before a value, with or without quotes; a tag of YAML such as `!Sub` may stand between.
fn key(before: &str) -> Key {
    let is_quote = ['"', '\'', '\\'];
    let mut before = before.trim_end().trim_end_matches(is_quote).trim_end();
    // Only as far back as a tag goes: a line may be a whole cluster's dump, and this is looked for at each word.
    let is_of_tag = |character: char| character.is_ascii_alphanumeric() || "!&_-.".contains(character);
    let rest = before.trim_end_matches(is_of_tag);
    if before[rest.len()..].starts_with(['!', '&']) && rest.ends_with([' ', '\t']) {
        before = rest.trim_end();
    }
    let Some(before) = before.strip_suffix([':', '=']) else { return Key::Other };
    let before = before.trim_end().trim_end_matches(is_quote);
    let name = before.rsplit(|character: char| !character.is_ascii_alphanumeric()).next().unwrap_or_default();
    let ends = |ending: &str| {
        let start = name.len().checked_sub(ending.len());
        start.is_some_and(|start| name[start..].eq_ignore_ascii_case(ending))
    };
    match name {
        "image" | "Image" => Key::Image,
        "name" => Key::Name,
        _ if ["repository", "registry", "newname"].into_iter().any(ends) => Key::Part,
        _ => Key::Other,
    }
}

/// Returns whether a host is one of ECR, be its account or region still to be filled in.
fn is_host(host: &str, is_ecr: &impl Fn(&str) -> bool) -> bool {
    // Languages write an account to be filled in as `{account}` or `<account>`, of which only what follows is a word.
    if host.contains(PLACEHOLDER) || host.starts_with('.') {
        return [".dkr.ecr", ".dkr-ecr"].iter().any(|part| host.contains(part));
    }
    host::Address::parse(host).is_some_and(|address| address.ecr().is_some()) || is_ecr(host)
}

/// Returns whether a character can be part of a reference.
fn is_part(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '.' | '_' | '-' | '/' | ':' | '@' | '+')
}

#[cfg(test)]
mod tests;
