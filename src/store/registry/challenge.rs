//! Parser of a registry's 401: `WWW-Authenticate` headers, each with one or more challenges (RFC 9110, 11.6.1).

use reqwest::header::{HeaderMap, WWW_AUTHENTICATE};

/// Authentication that a registry asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Challenge {
    /// With a token that a realm gives out.
    Bearer { realm: String, service: Option<String> },
    /// With the login itself.
    Basic,
}

/// A challenge as it is written: the scheme, and its parameters with their names in lower case.
#[derive(Debug, Default)]
struct Written {
    scheme: String,
    parameters: Vec<(String, String)>,
}

/// The challenge to answer, of all that a response has: a token's before the login's. `None` where there is none, or
/// none that can be met.
pub(super) fn of(headers: &HeaderMap) -> Option<Challenge> {
    let headers = headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|header| header.to_str().ok());
    let met: Vec<Challenge> = headers.flat_map(written).filter_map(|challenge| met(&challenge)).collect();
    met.iter().find(|challenge| **challenge != Challenge::Basic).or(met.first()).cloned()
}

fn met(challenge: &Written) -> Option<Challenge> {
    let parameter = |name: &str| {
        let found = challenge.parameters.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.clone())
    };
    if challenge.scheme.eq_ignore_ascii_case("bearer") {
        return Some(Challenge::Bearer { realm: parameter("realm")?, service: parameter("service") });
    }
    challenge.scheme.eq_ignore_ascii_case("basic").then_some(Challenge::Basic)
}

/// The challenges of a header: `scheme name=value, name="value", scheme name=value`. What is no such list ends it.
fn written(header: &str) -> Vec<Written> {
    let mut challenges: Vec<Written> = Vec::new();
    let mut rest = header.trim_start_matches([' ', '\t', ',']);
    while !rest.is_empty() {
        let (word, behind) = token(rest);
        if word.is_empty() {
            break;
        }
        let spaced = behind.trim_start();
        if let (Some(value), Some(challenge)) = (spaced.strip_prefix('='), challenges.last_mut()) {
            let Some((value, behind)) = self::value(value.trim_start()) else { break };
            challenge.parameters.push((word.to_ascii_lowercase(), value));
            rest = behind;
        } else {
            challenges.push(Written { scheme: word.to_owned(), parameters: Vec::new() });
            rest = behind;
        }
        rest = rest.trim_start_matches([' ', '\t', ',']);
    }
    challenges
}

/// Splits the token at the beginning of a text from the rest.
fn token(text: &str) -> (&str, &str) {
    let end = text.find(|character: char| " \t,=\"".contains(character)).unwrap_or(text.len());
    text.split_at(end)
}

/// Splits a value, quoted or not, from the rest. Registries write URLs and paths without quotes, too.
fn value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([',', ' ', '\t']).unwrap_or(text.len());
        return Some((text[..end].to_owned(), &text[end..]));
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, &quoted[at + 1..])),
            '\\' => value.push(characters.next()?.1),
            character => value.push(character),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn challenge(headers: &[&str]) -> Option<Challenge> {
        let mut map = HeaderMap::new();
        for header in headers {
            map.append(WWW_AUTHENTICATE, header.parse().unwrap());
        }
        of(&map)
    }

    #[test]
    fn a_challenge_names_its_realm() {
        let bearer = |realm: &str, service: Option<&str>| {
            Some(Challenge::Bearer { realm: realm.to_owned(), service: service.map(str::to_owned) })
        };
        for (headers, expected) in [
            (vec![r#"Bearer realm="https://a/token",service="b c""#], bearer("https://a/token", Some("b c"))),
            (
                vec![r#"bearer Service=x, scope="a,b", realm="https://a/t?x=y""#],
                bearer("https://a/t?x=y", Some("x")),
            ),
            (vec![r#"Bearer realm="a\"b""#], bearer("a\"b", None)),
            (vec![r#"Bearer service="x""#], None),
            (vec![r#"Bearer realm="never ends"#], None),
            (vec![r#"Basic realm="https://a""#], Some(Challenge::Basic)),
            (vec!["Basic"], Some(Challenge::Basic)),
            (vec!["Bearer"], None),
            (vec![""], None),
            (vec!["Negotiate"], None),
            // Several challenges in one header and in several.
            (
                vec![r#"Basic realm="x", Bearer realm="https://a/t",service="s""#],
                bearer("https://a/t", Some("s")),
            ),
            (
                vec![r#"Bearer realm="https://a/t", service="s", Basic realm="x""#],
                bearer("https://a/t", Some("s")),
            ),
            (vec![r#"Negotiate, NTLM, Basic realm="x""#], Some(Challenge::Basic)),
            (vec![r#"Basic realm="x""#, r#"Bearer realm="https://a/t""#], bearer("https://a/t", None)),
            (vec!["Bearer realm=https://a/t,service=s"], bearer("https://a/t", Some("s"))),
            (vec![r#", ,Bearer realm = "https://a/t" , service = s"#], bearer("https://a/t", Some("s"))),
        ] {
            assert_eq!(challenge(&headers), expected, "{headers:?}");
        }
    }
}
