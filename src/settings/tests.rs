//! Sources of settings. Outcomes and texts recorded from AWS CLI 2.38.1.

use std::path::PathBuf;
use std::time::Duration;

use tempfile::TempDir;

use super::*;

struct Home(TempDir);

impl Home {
    fn new(configuration: &str, credentials: &str) -> Self {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir(home.path().join(".aws")).unwrap();
        std::fs::write(home.path().join(".aws/config"), configuration).unwrap();
        std::fs::write(home.path().join(".aws/credentials"), credentials).unwrap();
        Self(home)
    }

    fn with(&self, globals: Globals, variables: &[(&str, &str)]) -> Settings {
        let home = ("HOME", self.0.path().to_str().unwrap());
        let variables = variables.iter().chain([&home]).copied();
        Settings::with_environment(globals, Environment::given(variables))
    }

    fn plain(&self, variables: &[(&str, &str)]) -> Settings {
        self.with(Globals::default(), variables)
    }
}

fn told<T: std::fmt::Debug>(answer: Result<T, Error>) -> String {
    answer.unwrap_err().to_string()
}

#[test]
fn the_region_has_an_order() {
    let home = Home::new("[default]\nregion = file\n[profile p]\nregion=p", "[p]\nregion = credentials\n");
    let region = |globals: Globals, variables: &[(&str, &str)]| home.with(globals, variables).region();
    let named = |name: &str| Ok(Some(name.to_owned()));
    let option = |name: &str| Globals { region: Some(name.to_owned()), ..Globals::default() };
    let both = [("AWS_REGION", "one"), ("AWS_DEFAULT_REGION", "two")];
    assert_eq!(region(option("option"), &both), named("option"));
    assert_eq!(region(option(""), &both), named(""));
    assert_eq!(region(Globals::default(), &both[1..]), named("two"));
    assert_eq!(region(Globals::default(), &[]), named("file"));
    assert_eq!(region(Globals::default(), &[("AWS_PROFILE", "p")]), named("credentials"));
    assert_eq!(region(Globals::default(), &[("AWS_REGION", "")]), named(""));
    for bad in ["us east", "us_east", "1234", "-a", "a-"] {
        let words = format!("Provided region_name '{bad}' doesn't match a supported format.");
        assert_eq!(told(region(option(bad), &[])), words);
    }
}

#[test]
fn a_profile_must_exist_once_it_is_named() {
    let home = Home::new("[profile a]\noutput=text\n", "");
    assert_eq!(home.plain(&[]).output(), Ok("json".to_owned()));
    assert_eq!(home.plain(&[("AWS_PROFILE", "a")]).output(), Ok("text".to_owned()));
    let words = "The config profile (nope) could not be found";
    assert_eq!(told(home.plain(&[("AWS_DEFAULT_PROFILE", "nope")]).output()), words);
    assert_eq!(told(home.plain(&[("AWS_PROFILE", "")]).output()), "The config profile () could not be found");
    let missing = home.plain(&[("AWS_PROFILE", "nope")]);
    assert_eq!(missing.timestamp_format(), Ok(TimestampFormat::Iso8601));
    assert_eq!(missing.error_format(), ErrorFormat::Legacy);
}

#[test]
fn broken_files_are_named() {
    let home = Home::new("nonsense", "");
    let file = home.0.path().join(".aws/config");
    assert_eq!(told(home.plain(&[]).output()), format!("Unable to parse config file: {}", file.display()));
    let elsewhere = home.plain(&[("AWS_CONFIG_FILE", "$HOME/none"), ("AWS_SHARED_CREDENTIALS_FILE", "~")]);
    assert_eq!(elsewhere.output(), Ok("json".to_owned()), "what is missing or a folder counts as empty");
}

#[test]
fn the_endpoint_has_an_order() {
    let home = Home::new(
        "[default]\nendpoint_url=profile\nservices=s\n[services s]\necr =\n  endpoint_url = section\n[profile lost]\nservices=nope\n[profile off]\nendpoint_url=x\nignore_configured_endpoint_urls=TRUE\n",
        "",
    );
    let endpoint = |variables: &[(&str, &str)], service: &str| {
        home.plain(variables).endpoint(service).map(Option::unwrap_or_default)
    };
    let own = ("AWS_ENDPOINT_URL_ECR_PUBLIC", "own");
    let all = ("AWS_ENDPOINT_URL", "all");
    assert_eq!(endpoint(&[own, all], "ecr-public"), Ok("own".to_owned()));
    assert_eq!(endpoint(&[own, all], "ecr"), Ok("all".to_owned()));
    assert_eq!(endpoint(&[own, ("AWS_ENDPOINT_URL", "")], "ecr"), Ok("section".to_owned()));
    assert_eq!(endpoint(&[], "ecr-public"), Ok("profile".to_owned()));
    assert_eq!(endpoint(&[("AWS_PROFILE", "off"), all], "ecr"), Ok(String::new()));
    assert_eq!(endpoint(&[("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true"), all], "ecr"), Ok(String::new()));
    assert_eq!(endpoint(&[("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "1"), all], "ecr"), Ok("all".to_owned()));
    assert_eq!(
        told(endpoint(&[("AWS_PROFILE", "lost")], "ecr")),
        "The profile is configured to use the services section but the \"nope\" services configuration does not exist."
    );
    let option = Globals { endpoint_url: Some("option".to_owned()), ..Globals::default() };
    assert_eq!(home.with(option.clone(), &[all]).endpoint("ecr"), Ok(Some("option".to_owned())));
    let refused = home.with(option, &[]).check_endpoint_option();
    assert_eq!(refused.clone().map_err(|error| error.kind()), Err(Kind::Usage));
    assert_eq!(
        told(refused),
        "Bad value for --endpoint-url \"option\": scheme is missing.  Must be of the form http://<hostname>/ or https://<hostname>/"
    );
}

#[test]
fn the_pager_is_the_first_that_is_set() {
    let home = Home::new("[profile p]\ncli_pager=\n", "");
    let pager = |variables: &[(&str, &str)]| home.plain(variables).pager().unwrap();
    assert_eq!(pager(&[]).as_deref(), Some("less"));
    assert_eq!(pager(&[("PAGER", "more")]).as_deref(), Some("more"));
    assert_eq!(pager(&[("PAGER", "more"), ("AWS_PROFILE", "p")]), None);
    assert_eq!(
        pager(&[("PAGER", "more"), ("AWS_PROFILE", "p"), ("AWS_PAGER", "own")]).as_deref(),
        Some("own")
    );
    assert_eq!(pager(&[("PAGER", "more"), ("AWS_PAGER", "")]), None);
}

#[test]
fn retries_and_timeouts_are_checked() {
    let home = Home::new("[profile p]\nmax_attempts = 5\nretry_mode = adaptive\n", "");
    let attempts = |value: &str| home.plain(&[("AWS_MAX_ATTEMPTS", value)]).max_attempts();
    assert_eq!(home.plain(&[]).max_attempts(), Ok(3));
    assert_eq!(home.plain(&[("AWS_PROFILE", "p")]).max_attempts(), Ok(5));
    assert_eq!(home.plain(&[("AWS_PROFILE", "p")]).retry_mode(), Ok(RetryMode::Adaptive));
    assert_eq!(attempts(" 1_0 "), Ok(10));
    assert_eq!(
        told(attempts("0")),
        "Value provided to \"max_attempts\": 0 must be an integer greater than or equal to one."
    );
    assert_eq!(told(attempts("")), "invalid literal for int() with base 10: ''");
    assert_eq!(
        told(home.plain(&[("AWS_RETRY_MODE", "legacy")]).retry_mode()),
        "Invalid value provided to \"mode\": \"legacy\" must be one of: \"standard\" or \"adaptive\""
    );
    let read_timeout = |seconds: Option<i64>| {
        home.with(Globals { read_timeout: seconds, ..Globals::default() }, &[]).read_timeout()
    };
    assert_eq!(read_timeout(None), Ok(Some(Duration::from_mins(1))));
    assert_eq!(read_timeout(Some(0)), Ok(None));
    assert_eq!(
        told(read_timeout(Some(-1))),
        "Attempted to set read timeout to -1, but the timeout cannot be set to a value less than or equal to 0."
    );
}

#[test]
fn forms_are_checked() {
    let home =
        Home::new("[default]\ncli_timestamp_format=foo\ncli_binary_format=foo\ncli_error_format=JSON\n", "");
    let settings = home.plain(&[]);
    assert_eq!(settings.timestamp_format().map_err(|error| error.kind()), Err(Kind::Configuration));
    assert_eq!(
        told(settings.timestamp_format()),
        "Unknown cli_timestamp_format value: foo, valid values are \"wire\" or \"iso8601\""
    );
    assert_eq!(told(settings.binary_format()), "'foo'");
    assert_eq!(settings.error_format(), ErrorFormat::Json);
    assert_eq!(home.plain(&[("AWS_CLI_ERROR_FORMAT", "bogus")]).error_format(), ErrorFormat::Enhanced);
    assert_eq!(home.plain(&[("AWS_CLI_OUTPUT_ENCODING", "Latin-1")]).output_encoding(), Ok(Encoding::Latin1));
    assert_eq!(
        told(home.plain(&[("AWS_CLI_OUTPUT_ENCODING", "foo")]).output_encoding()),
        "Unknown codec `foo` specified for AWS_CLI_OUTPUT_ENCODING."
    );
    assert!(told(home.plain(&[("AWS_CA_BUNDLE", " ")]).ca_bundle()).starts_with("Invalid CA bundle: "));
}

#[test]
fn the_embedded_ecr_has_a_folder() {
    let home = Home::new("", "");
    let data = home.0.path().join(".local/share/ecr");
    assert_eq!(home.plain(&[]).local_folder(), Ok(data));
    assert_eq!(home.plain(&[("ECR_LOCAL_FOLDER", "/x")]).local_folder(), Ok(PathBuf::from("/x")));
    let globals = Globals { folder: Some(PathBuf::from("/y")), ..Globals::default() };
    assert_eq!(home.with(globals, &[("ECR_LOCAL_FOLDER", "/x")]).local_folder(), Ok(PathBuf::from("/y")));
    assert!(home.plain(&[("ECR_LOCAL", "1")]).local());
    assert!(!home.plain(&[("ECR_LOCAL", "0")]).local());
    assert!(!home.plain(&[("ECR_LOCAL", "")]).local());
}
