//! What text output makes of the pages of an answer (contract 2.7): each page shows its lists, the first one also
//! what belongs to the answer as a whole, and whatever is absent shows as null.

use serde_json::{Map, Value};

use super::Error;
use super::python::type_name;
use crate::model::Paginator;

/// The part of a raw page that text output prints.
///
/// It fails, as the AWS CLI does, where a list belongs into a member that is null: the findings of a scan that is
/// still running.
pub fn text_page(paginator: &Paginator, page: &Value, is_first: bool) -> Result<Value, Error> {
    let mut shown = Value::Object(Map::new());
    let once = paginator.non_aggregate_keys.iter().filter(|_| is_first);
    for path in once.chain(&paginator.result_keys) {
        let found = path.split('.').try_fold(page, |value, key| value.get(key));
        set(&mut shown, path, found.cloned().unwrap_or_default())?;
    }
    Ok(shown)
}

fn set(target: &mut Value, path: &str, value: Value) -> Result<(), Error> {
    let crash = |text: String| Err(Error::Crash(text));
    let (key, rest) = path.split_once('.').unwrap_or((path, ""));
    match target {
        Value::Object(members) if rest.is_empty() => {
            members.insert(key.to_owned(), value);
            Ok(())
        }
        Value::Object(members) => {
            set(members.entry(key).or_insert_with(|| Value::Object(Map::new())), rest, value)
        }
        Value::Array(_) => crash("list indices must be integers or slices, not str".to_owned()),
        other => crash(format!("'{}' object does not support item assignment", type_name(other))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model;

    fn paginator(operation: &str) -> &'static Paginator {
        let service = model::ecr();
        service.paginator(service.operation(operation).expect("in the model")).expect("paged")
    }

    #[test]
    fn the_first_page_shows_the_whole_answers_members_and_absent_lists_are_null() {
        let preview = paginator("GetLifecyclePolicyPreview");
        let page =
            json!({"registryId": "1", "repositoryName": "foo", "status": "IN_PROGRESS", "nextToken": "t"});
        let first = json!({
            "registryId": "1", "repositoryName": "foo", "lifecyclePolicyText": null, "status": "IN_PROGRESS",
            "summary": null, "previewResults": null
        });
        assert_eq!(text_page(preview, &page, true).expect("a page"), first);
        assert_eq!(text_page(preview, &page, false).expect("a page"), json!({"previewResults": null}));
    }

    #[test]
    fn a_scan_without_findings_fails_as_the_aws_cli_does() {
        let findings = paginator("DescribeImageScanFindings");
        let error = text_page(findings, &json!({"registryId": "1"}), true).expect_err("no findings");
        assert_eq!(error.to_string(), "'NoneType' object does not support item assignment");
    }
}
