//! Editing of foreign JSON: only the members that change are touched, and every other byte (order, indentation,
//! numbers, unknown keys) stays as it is.

use std::ops::Range;

/// A text that is one JSON object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonText {
    text: String,
}

/// Error of editing JSON text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The text is not JSON.
    #[error("it is not JSON (line {line}, column {column})")]
    Damaged {
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
    },
    /// A member that should be an object is not one.
    #[error("{0} is not a JSON object")]
    NoObject(String),
}

#[derive(Debug)]
struct Member {
    key: String,
    /// From the key's quote to the value's end.
    whole: Range<usize>,
    value: Range<usize>,
}

impl JsonText {
    /// Reads a text; an empty one is an empty object.
    pub fn read(text: &str) -> Result<Self, Error> {
        let text = text.trim_start_matches('\u{feff}');
        if text.trim().is_empty() {
            return Ok(Self { text: "{}".to_owned() });
        }
        let value: serde_json::Value = serde_json::from_str(text)
            .map_err(|error| Error::Damaged { line: error.line(), column: error.column() })?;
        if !value.is_object() {
            return Err(Error::NoObject("it".to_owned()));
        }
        Ok(Self { text: text.to_owned() })
    }

    /// The text as it is now.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The value at a path of keys.
    pub fn get(&self, path: &[&str]) -> Option<serde_json::Value> {
        serde_json::from_str(&self.text[self.find(path)?.value]).ok()
    }

    /// The keys of the object at a path.
    pub fn keys(&self, path: &[&str]) -> Vec<String> {
        let object =
            if path.is_empty() { Some(self.root()) } else { self.find(path).map(|member| member.value) };
        object
            .map(|object| self.members(object).into_iter().map(|member| member.key).collect())
            .unwrap_or_default()
    }

    /// Sets a member; missing objects on its path are created.
    pub fn set(&mut self, path: &[&str], value: &serde_json::Value) -> Result<(), Error> {
        let Some((_, parents)) = path.split_last() else { return Ok(()) };
        for depth in 1..=parents.len() {
            let parent = &parents[..depth];
            match self.find(parent) {
                None => self.put(parent, "{}"),
                Some(member) if self.text.as_bytes()[member.value.start] != b'{' => {
                    return Err(Error::NoObject(format!("'{}'", parent.join("."))));
                }
                Some(_) => {}
            }
        }
        let pretty = self.pretty(value, path.len());
        self.put(path, &pretty);
        Ok(())
    }

    /// Removes a member, all of that name; whether there was one.
    pub fn remove(&mut self, path: &[&str]) -> bool {
        let mut removed = false;
        while let Some(range) = self.find(path).map(|member| member.whole) {
            self.cut(range);
            removed = true;
        }
        removed
    }

    /// Removes the object at a path where it has no members.
    pub fn remove_if_empty(&mut self, path: &[&str]) {
        if self.get(path).is_some_and(|value| value.as_object().is_some_and(serde_json::Map::is_empty)) {
            self.remove(path);
        }
    }

    fn put(&mut self, path: &[&str], value: &str) {
        if let Some(member) = self.find(path) {
            self.text.replace_range(member.value, value);
            return;
        }
        let (key, parents) = path.split_last().expect("a member has a path");
        let object = if parents.is_empty() {
            self.root()
        } else {
            self.find(parents).expect("parents are made before their members").value
        };
        let members = self.members(object.clone());
        let key = serde_json::Value::from(*key).to_string();
        let colon = self.colon();
        if let Some(last) = members.last() {
            // As the last one is set off, so is the new one.
            let before = self.space_before(last.whole.start, object.start);
            self.text.insert_str(last.whole.end, &format!(",{before}{key}{colon}{value}"));
        } else if let Some(indent) = self.indent() {
            let (inner, outer) = (indent.repeat(path.len()), indent.repeat(path.len() - 1));
            self.text.replace_range(object, &format!("{{\n{inner}{key}{colon}{value}\n{outer}}}"));
        } else {
            self.text.replace_range(object, &format!("{{{key}{colon}{value}}}"));
        }
    }

    fn cut(&mut self, range: Range<usize>) {
        let bytes = self.text.as_bytes();
        let blank = |byte: u8| byte.is_ascii_whitespace();
        let mut before = range.start;
        while before > 0 && blank(bytes[before - 1]) {
            before -= 1;
        }
        let mut after = range.end;
        while after < bytes.len() && blank(bytes[after]) {
            after += 1;
        }
        let range = match (bytes.get(before.wrapping_sub(1)), bytes.get(after)) {
            (Some(b','), _) => before - 1..range.end,
            // The first of several: what set it off sets off the next one.
            (_, Some(b',')) => {
                let mut next = after + 1;
                while next < bytes.len() && blank(bytes[next]) {
                    next += 1;
                }
                range.start..next
            }
            // The only one.
            _ => before..after,
        };
        self.text.replace_range(range, "");
    }

    fn space_before(&self, at: usize, floor: usize) -> String {
        let gap = &self.text[floor..at];
        gap[gap.trim_end().len()..].to_owned()
    }

    /// One step of indentation; `None` for a text in one line.
    fn indent(&self) -> Option<String> {
        let first = self.members(self.root()).first().map(|member| self.space_before(member.whole.start, 0));
        match first {
            // docker writes tabs.
            None => Some("\t".to_owned()),
            Some(space) => space.rsplit_once('\n').map(|(_, indent)| indent.to_owned()),
        }
    }

    /// Separator between key and value, as the file has it.
    fn colon(&self) -> &'static str {
        let first = self.members(self.root()).into_iter().next();
        let spaced =
            first.is_none_or(|member| self.text[member.whole.start..member.value.start].contains(": "));
        if spaced { ": " } else { ":" }
    }

    fn pretty(&self, value: &serde_json::Value, depth: usize) -> String {
        let (Some(indent), true) =
            (self.indent(), value.as_object().is_some_and(|object| !object.is_empty()))
        else {
            return value.to_string();
        };
        let object = value.as_object().expect("looked at just before");
        let members: Vec<String> = object
            .iter()
            .map(|(key, value)| {
                let key = serde_json::Value::from(key.as_str());
                format!("{}{key}{}{}", indent.repeat(depth + 1), self.colon(), self.pretty(value, depth + 1))
            })
            .collect();
        format!("{{\n{}\n{}}}", members.join(",\n"), indent.repeat(depth))
    }

    fn root(&self) -> Range<usize> {
        let start = self.text.find('{').expect("read as an object");
        start..self.end_of_value(start)
    }

    fn find(&self, path: &[&str]) -> Option<Member> {
        let (first, rest) = path.split_first()?;
        let mut found = self.last_member(self.root(), first)?;
        for key in rest {
            found = self.last_member(found.value, key)?;
        }
        Some(found)
    }

    /// Of several members of one name the last one counts, as everywhere.
    fn last_member(&self, object: Range<usize>, key: &str) -> Option<Member> {
        self.members(object).into_iter().rfind(|member| member.key == key)
    }

    fn members(&self, object: Range<usize>) -> Vec<Member> {
        let mut members = Vec::new();
        if self.text.as_bytes().get(object.start) != Some(&b'{') {
            return members;
        }
        let mut at = self.skip(object.start + 1);
        while self.text.as_bytes()[at] == b'"' {
            let key_end = self.end_of_value(at);
            let key = serde_json::from_str(&self.text[at..key_end]).unwrap_or_default();
            let value_start = self.skip(self.skip(key_end) + 1);
            let value_end = self.end_of_value(value_start);
            members.push(Member { key, whole: at..value_end, value: value_start..value_end });
            at = self.skip(value_end);
            if self.text.as_bytes()[at] == b',' {
                at = self.skip(at + 1);
            }
        }
        members
    }

    fn skip(&self, from: usize) -> usize {
        let rest = &self.text.as_bytes()[from..];
        from + rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count()
    }

    /// The end of the value that starts here. The text is known to be sound.
    fn end_of_value(&self, start: usize) -> usize {
        let bytes = self.text.as_bytes();
        let (mut depth, mut at, mut quoted) = (0_usize, start, false);
        while at < bytes.len() {
            match bytes[at] {
                b'\\' if quoted => at += 1,
                b'"' => {
                    quoted = !quoted;
                    if !quoted && depth == 0 {
                        return at + 1;
                    }
                }
                _ if quoted => {}
                b'{' | b'[' => depth += 1,
                b'}' | b']' | b',' if depth == 0 => return at,
                b'}' | b']' => {
                    depth -= 1;
                    if depth == 0 {
                        return at + 1;
                    }
                }
                byte if depth == 0 && byte.is_ascii_whitespace() => return at,
                _ => {}
            }
            at += 1;
        }
        bytes.len()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn edited(text: &str, edit: impl FnOnce(&mut JsonText)) -> String {
        let mut json = JsonText::read(text).unwrap();
        edit(&mut json);
        let _: serde_json::Value = serde_json::from_str(json.text()).unwrap();
        json.text().to_owned()
    }

    const DOCKER: &str = "{\n\t\"auths\": {\n\t\t\"a\": {\n\t\t\t\"auth\": \"x\"\n\t\t},\n\t\t\"b\": {}\n\t},\n\t\"detachKeys\": \"ctrl-e,e\",\n\t\"big\": 1.50e400\n}";

    #[test]
    fn members_are_set_where_the_others_stand() {
        let set = |text: &str, path: &[&str]| edited(text, |json| json.set(path, &json!("v")).unwrap());
        assert_eq!(set("", &["k"]), "{\n\t\"k\": \"v\"\n}");
        assert_eq!(set("{}\n", &["o", "k"]), "{\n\t\"o\": {\n\t\t\"k\": \"v\"\n\t}\n}\n");
        assert_eq!(set(r#"{"a":1}"#, &["o", "k"]), r#"{"a":1,"o":{"k":"v"}}"#);
        assert_eq!(
            set("{\n  \"a\": 1\n}", &["o", "k"]),
            "{\n  \"a\": 1,\n  \"o\": {\n    \"k\": \"v\"\n  }\n}"
        );
        assert_eq!(set(r#"{"k": {"deep": [1, "}"]}, "z": 1}"#, &["k"]), r#"{"k": "v", "z": 1}"#);
        let expected = DOCKER.replace("\"b\": {}\n", "\"b\": {},\n\t\t\"c\": \"v\"\n");
        assert_eq!(set(DOCKER, &["auths", "c"]), expected);
        let object = edited(DOCKER, |json| json.set(&["auths", "b"], &json!({"auth": "y"})).unwrap());
        assert_eq!(object, DOCKER.replace("\"b\": {}", "\"b\": {\n\t\t\t\"auth\": \"y\"\n\t\t}"));
    }

    #[test]
    fn members_are_removed_with_their_comma() {
        let remove = |text: &str, path: &[&str]| edited(text, |json| assert!(json.remove(path)));
        assert_eq!(remove(r#"{"a":1,"b":2,"c":3}"#, &["a"]), r#"{"b":2,"c":3}"#);
        assert_eq!(remove(r#"{"a":1,"b":2,"c":3}"#, &["b"]), r#"{"a":1,"c":3}"#);
        assert_eq!(remove(r#"{"a":1,"b":2,"c":3}"#, &["c"]), r#"{"a":1,"b":2}"#);
        assert_eq!(remove("{\n  \"a\": 1\n}", &["a"]), "{}");
        assert_eq!(remove(r#"{"a":1,"a":2}"#, &["a"]), "{}");
        let without = DOCKER.replace("\n\t\t\"a\": {\n\t\t\t\"auth\": \"x\"\n\t\t},", "");
        assert_eq!(remove(DOCKER, &["auths", "a"]), without);
        assert!(!JsonText::read(DOCKER).unwrap().remove(&["auths", "zzz"]));
    }

    #[test]
    fn setting_and_removing_again_changes_nothing() {
        for text in [DOCKER, "{}", r#"{"a":1}"#, "{\n    \"a\": {}\n}\n"] {
            let same = edited(text, |json| {
                json.set(&["credHelpers", "h.example:5000"], &json!("ecr-login")).unwrap();
                json.set(&["auths", "q\"uote"], &json!({"auth": "y"})).unwrap();
                json.remove(&["auths", "q\"uote"]);
                json.remove(&["credHelpers", "h.example:5000"]);
                json.remove_if_empty(&["credHelpers"]);
                if !text.contains("auths") {
                    json.remove_if_empty(&["auths"]);
                }
            });
            assert_eq!(same, text);
        }
    }

    #[test]
    fn texts_that_cannot_be_edited_are_refused() {
        assert_eq!(JsonText::read("{\n x}").unwrap_err().to_string(), "it is not JSON (line 2, column 2)");
        assert_eq!(JsonText::read("[]").unwrap_err().to_string(), "it is not a JSON object");
        let mut json = JsonText::read(r#"{"auths":[]}"#).unwrap();
        assert_eq!(
            json.set(&["auths", "a"], &json!(1)).unwrap_err().to_string(),
            "'auths' is not a JSON object"
        );
        assert_eq!(json.keys(&[]), vec!["auths".to_owned()]);
    }
}
