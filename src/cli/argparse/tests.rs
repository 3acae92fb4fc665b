use super::*;
use crate::cli::options;
use crate::model::ecr;

fn parser(operation: &str) -> Parser {
    let operation = ecr().operation(operation).expect("an operation of the model");
    let help = Positional { name: "help", required: false, choices: None };
    Parser { options: options::options(&options::arguments(ecr(), operation)), positionals: vec![help] }
}

fn parse(parser: &Parser, line: &[&str]) -> Result<(Vec<(String, ArgumentValue)>, String), String> {
    let words: Vec<String> = line.iter().map(ToString::to_string).collect();
    parser
        .parse(&words)
        .map(|parsed| (parsed.values.into_iter().collect(), parsed.rest.join(", ")))
        .map_err(|mistake| mistake.0)
}

fn one(key: &str, value: &str) -> (String, ArgumentValue) {
    (key.to_owned(), ArgumentValue::One(value.to_owned()))
}

/// The values of `describe-images`, then its unknown words as AWS CLI 2.38.1 lists them.
#[test]
fn words_become_values_and_leftovers() {
    let describe = parser("DescribeImages");
    let foo = || one("repository-name", "foo");
    for (line, values, rest) in [
        (vec!["--repository-name", "foo"], vec![foo()], ""),
        (vec!["--repo=foo"], vec![foo()], ""),
        (vec!["--repository-name", ""], vec![one("repository-name", "")], ""),
        (vec!["--repository-name", "x", "--repository-name", "foo"], vec![foo()], ""),
        (vec!["--repository-name", "- foo"], vec![one("repository-name", "- foo")], ""),
        (vec!["--repository-name", "-"], vec![one("repository-name", "-")], ""),
        (vec!["--repository-name", "-5x"], vec![one("repository-name", "-5x")], ""),
        (vec!["--repository-name", "foo", "--page-size", " +1_0 "], vec![foo(), one("page-size", "10")], ""),
        (
            vec!["--foo", "bar", "--repository-name", "foo", "baz"],
            vec![one("help", "bar"), foo()],
            "--foo, baz",
        ),
        (vec!["foo", "bar", "--repository-name", "foo", "baz"], vec![one("help", "foo"), foo()], "bar, baz"),
        (
            vec!["--repository-name", "foo", "--", "--max-items", "4"],
            vec![foo(), one("help", "--max-items")],
            "4",
        ),
        (
            vec!["--repository-name", "foo", "--generate-cli-skeleton"],
            vec![foo(), one("generate-cli-skeleton", "input")],
            "",
        ),
    ] {
        assert_eq!(parse(&describe, &line), Ok((values, rest.to_owned())), "{line:?}");
    }
}

#[test]
fn a_list_takes_all_words_and_the_last_one_counts() {
    let describe = parser("DescribeImages");
    let many = |words: &[&str]| ArgumentValue::Many(words.iter().map(ToString::to_string).collect());
    for (line, ids) in [
        (vec!["--image-ids", "imageTag=a", "imageTag=b"], many(&["imageTag=a", "imageTag=b"])),
        (vec!["--image-ids", "imageTag=a", "--image-ids", "imageTag=b"], many(&["imageTag=b"])),
        (vec!["--image-ids=imageTag=a", "help"], many(&["imageTag=a"])),
        (vec!["--image-ids"], many(&[])),
    ] {
        let words = [&["--repository-name", "foo"], line.as_slice()].concat();
        let (values, _) = parse(&describe, &words).expect("it parses");
        assert_eq!(values[1], ("image-ids".to_owned(), ids), "{line:?}");
    }
}

/// Recorded from AWS CLI 2.38.1.
#[test]
fn mistakes_read_as_in_the_aws_cli() {
    let describe = parser("DescribeImages");
    let delete = parser("DeleteRepository");
    for (parser, line, text) in [
        (&describe, vec!["--max", "3"], "ambiguous option: --max could match --max-results, --max-items"),
        (&describe, vec!["--repository-name"], "argument --repository-name: expected one argument"),
        (&describe, vec!["--repo", "--image-ids"], "argument --repository-name: expected one argument"),
        (&describe, vec!["--repo", "-x"], "argument --repository-name: expected one argument"),
        (&describe, vec![], "the following arguments are required: --repository-name"),
        (
            &describe,
            vec!["--Repository-name", "a"],
            "the following arguments are required: --repository-name",
        ),
        (&describe, vec!["--page-size", "x"], "argument --page-size: invalid int value: 'x'"),
        (&describe, vec!["--page-size", "it's"], "argument --page-size: invalid int value: \"it's\""),
        (&describe, vec!["--page-size", "1__0"], "argument --page-size: invalid int value: '1__0'"),
        (
            &describe,
            vec!["--generate-cli-skeleton", "bogus"],
            "argument --generate-cli-skeleton: Found invalid choice 'bogus'\n",
        ),
        (&delete, vec!["--force=1"], "argument --force: ignored explicit argument '1'"),
    ] {
        assert_eq!(parse(parser, &line), Err(text.to_owned()), "{line:?}");
    }
}

#[test]
fn a_boolean_has_two_options_and_the_last_one_counts() {
    let (values, rest) =
        parse(&parser("DeleteRepository"), &["--repository-name", "a", "--force", "--no-force", "true"])
            .expect("it parses");
    assert_eq!(values[1], ("force".to_owned(), ArgumentValue::Flag(false)));
    assert_eq!((values[2].clone(), rest), (one("help", "true"), String::new()));
}

#[test]
fn extensions_are_written_in_full() {
    let parser = Parser { options: options::globals(true), positionals: Vec::new() };
    let (values, rest) =
        parse(&parser, &["--loc", "--local", "--folder=x", "--fold", "y"]).expect("it parses");
    assert_eq!(values, [("local".to_owned(), ArgumentValue::Flag(true)), one("folder", "x")]);
    assert_eq!(rest, "--loc, --fold, y");
}

#[test]
fn the_first_argument_is_found_behind_options() {
    let parser = Parser { options: options::globals(true), positionals: Vec::new() };
    for (line, first) in [
        (vec!["--region", "x", "push"], Some("push")),
        (vec!["--region=x", "--local", "push"], Some("push")),
        (vec!["--", "push"], Some("push")),
        (vec!["--local"], None),
    ] {
        let words: Vec<String> = line.iter().map(ToString::to_string).collect();
        assert_eq!(parser.first_argument(&words), first, "{line:?}");
    }
}
