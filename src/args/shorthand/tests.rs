use super::*;
use crate::model::ecr;
use serde_json::json;

fn no_files() -> Files<'static> {
    Files { home: None, variable: &|_| None, encoding: None }
}

fn shown(result: Result<Value, Error>) -> Value {
    match result {
        Ok(value) => json!({ "value": value }),
        Err(error) => json!({"error": error.to_string()}),
    }
}

#[test]
fn reads_what_the_aws_cli_reads_and_complains_as_it_does() {
    let recorded = include_str!("../../../tests/fixtures/shorthand.json");
    let cases: Vec<(String, Value)> = serde_json::from_str(recorded).unwrap();
    for (text, expected) in cases {
        assert_eq!(shown(parse(&text, no_files())), expected, "{text:?}");
    }
}

#[test]
fn long_and_deep_texts_end_soon() {
    let long = format!("a={}", "b,".repeat(100_000));
    assert!(parse(&long, no_files()).is_err());
    assert!(parse(&format!("a='{}", r"\'".repeat(100_000)), no_files()).is_ok());
    let deep = |levels| parse(&format!("a={}{}", "[".repeat(levels), "]".repeat(levels)), no_files());
    assert!(deep(MAX_LEVELS).is_ok());
    assert_eq!(deep(MAX_LEVELS + 1), Err(Error::Failure("maximum recursion depth exceeded".to_owned())));
}

#[test]
fn values_come_from_files_after_an_at_sign() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("content").to_str().unwrap().to_owned();
    std::fs::write(&path, "x,y\n").unwrap();
    let cases = [
        (format!("a@=file://{path},b=file://{path}"), json!({"a": "x,y\n", "b": format!("file://{path}")})),
        (format!("a@=[file://{path},z]"), json!({"a": ["x,y\n", "z"]})),
        (format!("a@=[{{b=c}},file://{path}]"), json!({"a": [{"b": "c"}, format!("file://{path}")]})),
        (format!("a@='fileb://{path}'"), json!({"a": {"\0bytes": "eCx5Cg=="}})),
        (format!("a@=b,file://{path}"), json!({"a": ["b", "x,y\n"]})),
    ];
    for (text, expected) in cases {
        assert_eq!(parse(&text, no_files()), Ok(expected));
    }
    let missing = "Unable to load paramfile file:///nowhere: [Errno 2] No such file or directory: '/nowhere'";
    assert_eq!(parse("a@=file:///nowhere", no_files()), Err(Error::Failure(missing.to_owned())));
}

#[test]
fn values_are_fitted_to_the_model() {
    let cases = [
        (
            "ReplicationConfiguration",
            "rules={destinations={region=r}}",
            json!({"value": {"rules": [{"destinations": {"region": "r"}}]}}),
        ),
        (
            "ReplicationConfiguration",
            "rules=[{destinations={region=r}}]",
            json!({"value": {"rules": [{"destinations": [{"region": "r"}]}]}}),
        ),
        ("ImageScanningConfiguration", "scanOnPush=TRUE", json!({"value": {"scanOnPush": true}})),
        (
            "ImageScanningConfiguration",
            "scanOnPush=yes,x=1",
            json!({"value": {"scanOnPush": "yes", "x": "1"}}),
        ),
        (
            "ImageScanningConfiguration",
            "scanOnPush=a,b",
            json!({"error": "'list' object has no attribute 'lower'"}),
        ),
        ("UploadLayerPartRequest", "partFirstByte= +1_0 ", json!({"value": {"partFirstByte": 10}})),
        (
            "UploadLayerPartRequest",
            "partFirstByte=x",
            json!({"error": "invalid literal for int() with base 10: 'x'"}),
        ),
        (
            "UploadLayerPartRequest",
            "partFirstByte={a=b}",
            json!({"error": "int() argument must be a string, a bytes-like object or a real number, not 'dict'"}),
        ),
    ];
    for (shape, text, expected) in cases {
        let fitted =
            parse(text, no_files()).and_then(|mut value| fit(ecr(), shape, &mut value).map(|()| value));
        assert_eq!(shown(fitted), expected, "{text}");
    }
}
