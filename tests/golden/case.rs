//! The format of the case files; `cases.py` beside this file describes it and writes it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Environment of both programs; a case changes it with `env` and `unset`. The same table as in `cases.py`.
const ENVIRONMENT: &[(&str, &str)] = &[
    ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
    ("HOME", "{DIR}"),
    ("TZ", "UTC"),
    ("LC_ALL", "C.UTF-8"),
    ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
    ("AWS_SECRET_ACCESS_KEY", "secret"),
    ("AWS_REGION", "us-east-1"),
    ("AWS_ENDPOINT_URL", "{SERVER}"),
    ("AWS_EC2_METADATA_DISABLED", "true"),
    ("AWS_CONFIG_FILE", "{DIR}/config"),
    ("AWS_SHARED_CREDENTIALS_FILE", "{DIR}/credentials"),
];

/// One question, and the answer that the real AWS CLI gave to it.
#[derive(Debug)]
pub(crate) struct Case {
    /// Title of the case.
    pub(crate) title: String,
    /// The environment, complete.
    pub(crate) environment: BTreeMap<String, String>,
    /// Files in the case folder.
    pub(crate) files: Vec<(String, Vec<u8>)>,
    /// Empty folders in the case folder.
    pub(crate) folders: Vec<String>,
    /// The words after `aws`.
    pub(crate) arguments: Vec<String>,
    /// Answers of the server, in order; the last one repeats.
    pub(crate) replies: Vec<Reply>,
    /// The recorded answer as it stands in the file.
    pub(crate) recorded: Vec<String>,
}

/// One scripted reply; `None` hangs up.
#[derive(Debug, Clone)]
pub(crate) struct Reply(pub(crate) Option<Response>);

/// HTTP response of the server.
#[derive(Debug, Clone)]
pub(crate) struct Response {
    /// The HTTP status.
    pub(crate) status: u16,
    /// Headers besides content-type and content-length.
    pub(crate) headers: Vec<(String, String)>,
    /// The body's bytes.
    pub(crate) body: Vec<u8>,
}

/// Result of a program, in the terms of a case file.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    /// The requests that the server saw, one line each.
    pub(crate) requests: Vec<String>,
    /// The exit code, or minus the signal.
    pub(crate) exit: i32,
    /// All of standard output.
    pub(crate) stdout: Vec<u8>,
    /// All of standard error.
    pub(crate) stderr: Vec<u8>,
}

impl Answer {
    /// The lines that the recorder would have written for this answer.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut lines: Vec<String> = self.requests.iter().map(|request| format!("> {request}")).collect();
        lines.push(format!("exit {}", self.exit));
        lines.push("stdout".to_owned());
        lines.extend(lines_of(&self.stdout));
        lines.push("stderr".to_owned());
        lines.extend(lines_of(&self.stderr));
        lines
    }
}

/// All cases of a file.
pub(crate) fn parse_file(text: &str) -> Vec<Case> {
    let mut cases = Vec::new();
    let mut block: Vec<&str> = Vec::new();
    for line in text.split('\n').chain(["=== "]) {
        if line.starts_with("=== ") && !block.is_empty() {
            if block[0].starts_with("=== ") {
                cases.push(parse_case(&block));
            }
            block.clear();
        }
        block.push(line);
    }
    cases
}

fn parse_case(block: &[&str]) -> Case {
    let title = block[0].trim_start_matches("=== ").to_owned();
    let cut = block.iter().position(|line| *line == "--- recorded").unwrap_or(block.len());
    let recorded = block.get(cut + 1..).unwrap_or_default();
    let length = recorded.iter().rposition(|line| !line.is_empty()).map_or(0, |last| last + 1);
    let mut case = Case {
        title,
        environment: ENVIRONMENT.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
        files: Vec::new(),
        folders: Vec::new(),
        arguments: Vec::new(),
        replies: Vec::new(),
        recorded: recorded[..length].iter().map(|line| (*line).to_owned()).collect(),
    };
    let mut in_file = false;
    for line in &block[1..cut] {
        if in_file && (line.starts_with('|') || line.starts_with('"') || line.starts_with('\\')) {
            let (_, data) = case.files.last_mut().expect("a file was begun above");
            append_line(data, line);
            continue;
        }
        in_file = line.starts_with("file ");
        question_line(&mut case, line);
    }
    assert_eq!(
        case.arguments.first().map(String::as_str),
        Some("aws"),
        "{}: the command is not `aws`",
        case.title
    );
    case.arguments.remove(0);
    case
}

fn question_line(case: &mut Case, line: &str) {
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    match word {
        "" | "#" => {}
        "env" => {
            let (name, value) = rest.split_once('=').expect("env NAME=VALUE");
            case.environment.insert(name.to_owned(), value.to_owned());
        }
        "unset" => {
            case.environment.remove(rest).expect("only what is set can be unset");
        }
        "file" => case.files.push((rest.to_owned(), Vec::new())),
        "folder" => case.folders.push(rest.to_owned()),
        "$" => case.arguments = shell_words::split(rest).expect("the command is quoted as for a shell"),
        "+" => {
            case.arguments.push(String::from_utf8(json_string(rest)).expect("arguments are UTF-8"));
        }
        "reply" => case.replies.push(reply(rest)),
        _ => panic!("{}: what is {line:?}?", case.title),
    }
}

fn reply(text: &str) -> Reply {
    if text == "close" {
        return Reply(None);
    }
    let (status, mut rest) = text.split_once(' ').unwrap_or((text, ""));
    let mut headers = Vec::new();
    loop {
        let (word, after) = rest.split_once(' ').unwrap_or((rest, ""));
        let Some((name, value)) = word.split_once('=') else { break };
        let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
        if !is_name {
            break;
        }
        headers.push((name.to_owned(), value.to_owned()));
        rest = after;
    }
    let body = match rest.strip_prefix('\\') {
        Some(string) if string.starts_with('"') => json_string(string),
        _ => rest.as_bytes().to_vec(),
    };
    Reply(Some(Response { status: status.parse().expect("a status"), headers, body }))
}

/// Adds a `| text`, `"text"` or `\ no newline` line to what came before.
fn append_line(data: &mut Vec<u8>, line: &str) {
    if line.starts_with('\\') {
        data.pop();
        return;
    }
    if line.starts_with('"') {
        data.extend(json_string(line));
    } else {
        data.extend(line.get(2..).unwrap_or_default().as_bytes());
    }
    data.push(b'\n');
}

/// The bytes that a JSON string literal means; a lone `\udcXX` is the byte XX, as in Python's surrogateescape.
fn json_string(literal: &str) -> Vec<u8> {
    let inner = literal.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).expect("a quoted string");
    let mut out = Vec::new();
    let mut characters = inner.chars();
    let mut high: Option<u32> = None;
    while let Some(character) = characters.next() {
        let mut push = |c: char| out.extend(c.encode_utf8(&mut [0; 4]).bytes());
        if character != '\\' {
            push(character);
            continue;
        }
        match characters.next().expect("a character after the backslash") {
            'n' => push('\n'),
            't' => push('\t'),
            'r' => push('\r'),
            'b' => push('\u{8}'),
            'f' => push('\u{c}'),
            'u' => {
                let digits: String = characters.by_ref().take(4).collect();
                let code = u32::from_str_radix(&digits, 16).expect("four hexadecimal digits");
                match (high.take(), code) {
                    (Some(first), 0xdc00..=0xdfff) => {
                        let joined = 0x10000 + ((first - 0xd800) << 10) + (code - 0xdc00);
                        push(char::from_u32(joined).expect("a pair of surrogates"));
                    }
                    (_, 0xd800..=0xdbff) => high = Some(code),
                    (_, 0xdc80..=0xdcff) => out.extend(u8::try_from(code - 0xdc00)),
                    _ => push(char::from_u32(code).expect("a character")),
                }
            }
            other => push(other),
        }
    }
    out
}

/// Bytes as lines of a case file.
fn lines_of(data: &[u8]) -> Vec<String> {
    if data.is_empty() {
        return Vec::new();
    }
    let mut lines: Vec<String> = data.split(|byte| *byte == b'\n').map(written_line).collect();
    if data.ends_with(b"\n") {
        lines.pop();
    } else {
        lines.push("\\ no newline".to_owned());
    }
    lines
}

fn written_line(line: &[u8]) -> String {
    match std::str::from_utf8(line) {
        Ok("") => "|".to_owned(),
        Ok(text) if !text.ends_with(' ') && !text.chars().any(unprintable) => format!("| {text}"),
        _ => escaped(line),
    }
}

/// A line, or a request's body, as a JSON string.
pub(crate) fn escaped(line: &[u8]) -> String {
    let mut out = String::from("\"");
    for chunk in line.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                '\u{8}' => out.push_str("\\b"),
                '\u{c}' => out.push_str("\\f"),
                other if unprintable(other) => {
                    let _ = write!(out, "\\u{:04x}", u32::from(other));
                }
                other => out.push(other),
            }
        }
        for byte in chunk.invalid() {
            let _ = write!(out, "\\udc{byte:02x}");
        }
    }
    out.push('"');
    out
}

/// Returns whether a diff or an editor would not show the character; the same set as in `cases.py`.
pub(crate) fn unprintable(character: char) -> bool {
    matches!(character,
        '\0'..='\u{1f}' | '\u{7f}'..='\u{a0}' | '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202f}' | '\u{feff}')
}

#[test]
fn a_case_is_read_whole() {
    let text = "What comes first is a comment.\n\n=== one\nenv TZ=Asia/Tokyo\nunset AWS_REGION\nfile a/b\n| x\n\"t\\tab\\udcff\"\n\\ no newline\n\
                $ aws ecr describe-images --filter 'a b'\n+ \"\\ud83d\\ude80\\n\"\nreply 400 x-a=b {\"m\": \"c=d\"}\nreply close\n\
                --- recorded\n> ecr us-east-1 DescribeImages {}\nexit 0\nstdout\n|\nstderr\n\n=== two\n$ aws\n";
    let cases = parse_file(text);
    assert_eq!(cases.len(), 2);
    let case = &cases[0];
    assert_eq!(case.title, "one");
    assert_eq!(case.environment["TZ"], "Asia/Tokyo");
    assert!(!case.environment.contains_key("AWS_REGION"));
    assert_eq!(case.files, [("a/b".to_owned(), b"x\nt\tab\xff".to_vec())]);
    assert_eq!(case.arguments, ["ecr", "describe-images", "--filter", "a b", "\u{1f680}\n"]);
    let Reply(Some(first)) = &case.replies[0] else { panic!("the first reply is a response") };
    assert_eq!((first.status, first.headers.len()), (400, 1));
    assert_eq!(first.body, b"{\"m\": \"c=d\"}");
    assert!(case.replies[1].0.is_none());
    assert_eq!(case.recorded, ["> ecr us-east-1 DescribeImages {}", "exit 0", "stdout", "|", "stderr"]);
}

#[test]
fn an_answer_is_written_as_the_recorder_writes_it() {
    let answer = Answer {
        requests: vec!["ecr us-east-1 DescribeImages {}".to_owned()],
        exit: 254,
        stdout: b"plain\nends with space \nt\tab \\ \xc3\xa9 \xff".to_vec(),
        stderr: b"\nx\n".to_vec(),
    };
    let expected = [
        "> ecr us-east-1 DescribeImages {}",
        "exit 254",
        "stdout",
        "| plain",
        "\"ends with space \"",
        "\"t\\tab \\\\ \u{e9} \\udcff\"",
        "\\ no newline",
        "stderr",
        "|",
        "| x",
    ];
    assert_eq!(answer.lines(), expected);
}
