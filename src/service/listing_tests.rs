//! Pages and waiters against a backend that answers from a list. Results were recorded from AWS CLI 2.38.1.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

use super::paginate::{PageOptions, Pages};
use super::tests::run;
use super::wait::wait_with;
use super::{Backend, Client, Request, ServiceError};
use crate::model;

/// Answers one value after the other, the last one for ever.
struct List {
    answers: Vec<Result<Value, ServiceError>>,
    seen: Mutex<Vec<String>>,
}

impl Backend for List {
    fn answer(&self, request: Request) -> Result<Value, ServiceError> {
        let mut seen = self.seen.lock().expect("tests do not panic with the lock");
        seen.push(request.input.to_string());
        self.answers[(seen.len() - 1).min(self.answers.len() - 1)].clone()
    }
}

fn list(answers: impl IntoIterator<Item = Value>) -> (Client, Arc<List>) {
    let list = Arc::new(List { answers: answers.into_iter().map(Ok).collect(), seen: Mutex::default() });
    (Client::in_process(model::ecr(), Arc::clone(&list) as Arc<dyn Backend>), list)
}

fn repositories() -> [Value; 3] {
    let named = |name: &str| json!({"repositoryName": name});
    [
        json!({"repositories": [named("a1"), named("a2")], "nextToken": "t1"}),
        json!({"repositories": [named("b1"), named("b2")], "nextToken": "t2"}),
        json!({"repositories": [named("c1")]}),
    ]
}

/// Returns the joined answer as text with names alone, and the requests.
fn whole(
    operation: &str,
    input: Value,
    answers: impl IntoIterator<Item = Value>,
    options: PageOptions,
) -> (String, Vec<String>) {
    let (client, list) = list(answers);
    let result = run(async { Pages::new(&client, operation, input, options)?.whole().await });
    let text = result.map_or_else(|error| error.to_string(), |value| value.to_string());
    (text.replace("{\"repositoryName\":", "").replace("\"}", "\""), list.seen.lock().unwrap().clone())
}

fn of_repositories(options: PageOptions) -> (String, Vec<String>) {
    whole("DescribeRepositories", json!({}), repositories(), options)
}

#[test]
fn pages_are_joined() {
    let (text, seen) = of_repositories(PageOptions { page_size: Some(2), ..PageOptions::default() });
    assert_eq!(text, r#"{"repositories":["a1","a2","b1","b2","c1"]}"#);
    assert_eq!(
        seen,
        [
            r#"{"maxResults":2}"#,
            r#"{"maxResults":2,"nextToken":"t1"}"#,
            r#"{"maxResults":2,"nextToken":"t2"}"#
        ]
    );
}

#[test]
fn pages_without_items_and_without_an_end_have_one() {
    let page = |token: usize| json!({"repositories": [], "nextToken": token.to_string()});
    let (text, seen) = whole("DescribeRepositories", json!({}), (0..2000).map(page), PageOptions::default());
    assert_eq!(text, "Error during pagination: 1000 pages in a row have no items");
    assert_eq!(seen.len(), 1001);
}

#[test]
fn a_limit_cuts_and_says_where_to_go_on() {
    let limited = |most: i64, token: Option<&str>| {
        let starting_token = token.map(str::to_owned);
        of_repositories(PageOptions { max_items: Some(most), starting_token, page_size: None })
    };
    let first = "eyJuZXh0VG9rZW4iOiBudWxsLCAiYm90b190cnVuY2F0ZV9hbW91bnQiOiAxfQ==";
    assert_eq!(
        limited(1, None).0,
        format!(r#"{{"repositories":["a1"],"NextToken":"{first}"}}"#).replace("\"}", "\"")
    );
    // On a page's border the service's own next token, inside a page that page's with a count.
    assert_eq!(
        limited(2, None).0,
        r#"{"repositories":["a1","a2"],"NextToken":"eyJuZXh0VG9rZW4iOiAidDEifQ==""#
    );
    assert_eq!(
        limited(3, None).0,
        r#"{"repositories":["a1","a2","b1"],"NextToken":"eyJuZXh0VG9rZW4iOiAidDEiLCAiYm90b190cnVuY2F0ZV9hbW91bnQiOiAxfQ==""#
    );
    assert_eq!(limited(5, None).0, r#"{"repositories":["a1","a2","b1","b2","c1"]}"#);
    assert_eq!(
        limited(0, None).0,
        r#"{"repositories":[],"NextToken":"eyJuZXh0VG9rZW4iOiBudWxsLCAiYm90b190cnVuY2F0ZV9hbW91bnQiOiAwfQ==""#
    );
    assert_eq!(
        limited(-1, None).0,
        r#"{"repositories":["a1"],"NextToken":"eyJuZXh0VG9rZW4iOiBudWxsLCAiYm90b190cnVuY2F0ZV9hbW91bnQiOiAtMX0=""#
    );
    let (text, seen) = limited(2, Some(first));
    assert_eq!(
        text,
        r#"{"repositories":["a2","b1"],"NextToken":"eyJuZXh0VG9rZW4iOiAidDEiLCAiYm90b190cnVuY2F0ZV9hbW91bnQiOiAxfQ==""#
    );
    assert_eq!(seen, ["{}", r#"{"nextToken":"t1"}"#]);
}

#[test]
fn the_first_page_alone_gives_what_is_not_listed() {
    let pages = [
        json!({"registryId": "1", "repositoryName": "r", "imageScanFindings": {
            "imageScanCompletedAt": 1, "findings": [{"name": "A"}], "enhancedFindings": [{"title": "E"}]}, "nextToken": "t"}),
        json!({"registryId": "2", "imageScanFindings": {"findings": [{"name": "B"}]}}),
    ];
    let (text, _) = whole(
        "DescribeImageScanFindings",
        json!({"repositoryName": "rr", "imageId": {}}),
        pages,
        PageOptions::default(),
    );
    assert_eq!(
        text,
        r#"{"imageScanFindings":{"findings":[{"name":"A"},{"name":"B"}],"enhancedFindings":[{"title":"E"}],"imageScanCompletedAt":1},"registryId":"1","repositoryName":"r","imageId":null,"imageScanStatus":null}"#
            .replace("\"}", "\"")
    );
    let (text, _) = whole(
        "GetLifecyclePolicyPreview",
        json!({"repositoryName": "rr"}),
        [json!({"registryId": "1", "status": "IN_PROGRESS"})],
        PageOptions::default(),
    );
    assert_eq!(
        text,
        r#"{"registryId":"1","repositoryName":null,"lifecyclePolicyText":null,"status":"IN_PROGRESS","summary":null}"#
    );
    let (text, _) = whole("DescribeRepositories", json!({}), [json!({})], PageOptions::default());
    assert_eq!(text, "{}");
}

#[test]
fn a_token_that_comes_twice_ends_it() {
    let page = json!({"repositories": [], "nextToken": "same"});
    let (text, seen) = whole("DescribeRepositories", json!({}), [page], PageOptions::default());
    assert_eq!(
        text,
        "Error during pagination: The same next token was received twice: {'nextToken': 'same'}"
    );
    assert_eq!(seen.len(), 2);
}

#[test]
fn an_invalid_starting_token_is_reported() {
    let options = PageOptions { starting_token: Some("a___b___1".into()), ..PageOptions::default() };
    assert_eq!(of_repositories(options), ("Bad starting token: a___b___1".to_owned(), vec![]));
}

#[test]
fn text_shows_page_by_page() {
    let (client, _) = list([
        json!({"registryId": "1", "status": "COMPLETE", "nextToken": "t"}),
        json!({"registryId": "1", "previewResults": [{"imageTags": ["x"]}]}),
    ]);
    let shown = run(async {
        let input = json!({"repositoryName": "rr"});
        let mut pages = Pages::new(&client, "GetLifecyclePolicyPreview", input, PageOptions::default())?;
        let mut shown = Vec::new();
        while let Some(page) = pages.next().await? {
            shown.push(pages.as_text(&page).to_string());
        }
        Ok::<_, super::Error>(shown)
    });
    assert_eq!(
        shown.unwrap(),
        [
            r#"{"registryId":"1","repositoryName":null,"lifecyclePolicyText":null,"status":"COMPLETE","summary":null,"previewResults":null}"#,
            r#"{"previewResults":[{"imageTags":["x"]}]}"#
        ]
    );
}

/// The outcome, how often was polled, and the pauses in seconds.
fn waited(answers: Vec<Result<Value, ServiceError>>) -> (String, usize, Vec<u64>) {
    let list = Arc::new(List { answers, seen: Mutex::default() });
    let client = Client::in_process(model::ecr(), Arc::clone(&list) as Arc<dyn Backend>);
    let pauses = Mutex::new(Vec::new());
    let pause = |time: Duration| {
        pauses.lock().unwrap().push(time.as_secs());
        std::future::ready(())
    };
    let (name, waiter) =
        model::ecr().waiters().find(|(name, _)| *name == "LifecyclePolicyPreviewComplete").unwrap();
    let outcome = run(wait_with(&client, name, waiter, json!({"repositoryName": "rr"}), pause));
    let words = outcome.map_or_else(|error| error.to_string(), |()| "done".to_owned());
    let polls = list.seen.lock().unwrap().len();
    (words, polls, pauses.into_inner().unwrap())
}

#[test]
fn a_waiter_polls_until_something_ends_it() {
    let status = |status: &str| Ok(json!({"status": status}));
    let failed = "Waiter LifecyclePolicyPreviewComplete failed: ";
    assert_eq!(waited(vec![status("COMPLETE")]), ("done".to_owned(), 1, vec![]));
    assert_eq!(waited(vec![status("IN_PROGRESS"), status("COMPLETE")]), ("done".to_owned(), 2, vec![5]));
    assert_eq!(waited(vec![status("EXPIRED")]), (format!("{failed}Max attempts exceeded"), 20, vec![5; 19]));
    assert_eq!(
        waited(vec![status("FAILED")]),
        (
            format!(
                "{failed}Waiter encountered a terminal failure state: For expression \"status\" we matched expected \
                 path: \"FAILED\""
            ),
            1,
            vec![]
        )
    );
    let refusal = ServiceError {
        code: "ThrottlingException".to_owned(),
        message: "slow".to_owned(),
        members: serde_json::Map::new(),
        status: 400,
    };
    assert_eq!(
        waited(vec![Err(refusal)]),
        (format!("{failed}An error occurred (ThrottlingException): slow"), 1, vec![])
    );
}
