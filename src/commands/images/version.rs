//! Versions in tags: `v?MAJOR[.MINOR[.PATCH]][-PRE]`.

use semver::{Prerelease, Version};

/// A tag of digits alone with more of them is a build number or a date, and no version.
const MAX_DIGITS: usize = 5;

/// Parses a tag as a version; missing parts are 0.
pub(in crate::commands) fn version(tag: &str) -> Option<Version> {
    let text = tag.strip_prefix('v').unwrap_or(tag);
    let (numbers, pre) = text.split_once('-').map_or((text, None), |(numbers, pre)| (numbers, Some(pre)));
    let parts: Vec<&str> = numbers.split('.').collect();
    if parts.len() > 3 || (parts.len() == 1 && numbers.len() > MAX_DIGITS) {
        return None;
    }
    let number = |at: usize| -> Option<u64> {
        let Some(part) = parts.get(at) else { return Some(0) };
        let digits = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        part.parse().ok().filter(|_| digits)
    };
    let mut version = Version::new(number(0)?, number(1)?, number(2)?);
    if let Some(pre) = pre {
        version.pre = Prerelease::new(pre).ok().filter(|pre| !pre.is_empty())?;
    }
    Some(version)
}

#[cfg(test)]
mod tests {
    use super::version;

    #[test]
    fn tags_that_are_versions_and_tags_that_are_none() {
        let read = |tag: &str| version(tag).map(|version| version.to_string());
        for (tag, expected) in [
            ("1", "1.0.0"),
            ("1.2", "1.2.0"),
            ("v1.2.3", "1.2.3"),
            ("1.2.3-rc.1", "1.2.3-rc.1"),
            ("1.2-alpine", "1.2.0-alpine"),
            ("20231", "20231.0.0"),
        ] {
            assert_eq!(read(tag).as_deref(), Some(expected), "{tag}");
        }
        for tag in
            ["", "v", "latest", "1.", "1..2", "1.2.3.4", "202311", "1.2.3_4", "1.2.3-", "V1", "1.x", "+1"]
        {
            assert_eq!(read(tag), None, "{tag}");
        }
    }
}
