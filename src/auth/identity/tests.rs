use super::*;
use crate::image::host::Address;
use crate::settings::{Environment, Globals};

const CONFIGURATION: &str = "\
[default]
region = eu-west-1
[profile base]
sso_session = corp
sso_account_id = 111111111111
# a comment
[profile role]
role_arn = arn:aws:iam::1:role/r
source_profile = base
[sso-session corp]
sso_start_url = https://corp.example
[profile other]
credential_process = /bin/x
";

fn settings(variables: &[(&str, &str)]) -> Settings {
    let mut all = vec![("AWS_CONFIG_FILE", "/nowhere"), ("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")];
    all.extend_from_slice(variables);
    Settings::with_environment(Globals::default(), Environment::given(all))
}

fn registry(host: &str) -> EcrRegistry {
    super::super::login_conf::Rules::default().registry(&Address::parse(host).unwrap()).unwrap()
}

fn key(variables: &[(&str, &str)], host: &str) -> String {
    let (settings, registry) = (settings(variables), registry(host));
    Identity::of(&settings, &registry).key(&settings, &registry)
}

const HERE: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";

#[test]
fn a_definition_is_the_profile_and_what_it_refers_to() {
    let definition = Definition::of(CONFIGURATION, "[role]\naws_session_token = secret\nx = 1\n", "role");
    assert_eq!(
        definition,
        Definition {
            lines: [
                "profile role role_arn=arn:aws:iam::1:role/r",
                "profile role source_profile=base",
                "profile role x=1",
                "profile base sso_session=corp",
                "profile base sso_account_id=111111111111",
                "sso-session corp sso_start_url=https://corp.example",
            ]
            .map(str::to_owned)
            .to_vec(),
            has_credentials: true,
        }
    );
    assert!(!Definition::of(CONFIGURATION, "", "default").has_credentials);
}

/// Python's `configparser` takes a colon like an equals sign, and gives every section the keys of `[DEFAULT]`.
#[test]
fn credentials_count_wherever_the_aws_files_may_have_them() {
    let has = |configuration: &str, credentials: &str| {
        Definition::of(configuration, credentials, "default").has_credentials
    };
    assert!(has("", "[default]\naws_access_key_id: A\naws_secret_access_key: s\n"));
    assert!(has("[default]\nrole_arn : arn:aws:iam::1:role/r\n", ""));
    assert!(has("[default]\nregion = r\n[DEFAULT]\ncredential_process = /bin/x\n", ""));
    assert!(has("[DEFAULT]\ncredential_process = /bin/x\n[default]\nregion = r\n", ""));
    assert!(!has("[DEFAULT]\ncredential_process = /bin/x\n[profile other]\nregion = r\n", ""));
}

#[test]
fn a_profile_that_is_its_own_source_ends() {
    let text = "[profile a]\nrole_arn=x\nsource_profile=a\n";
    assert_eq!(Definition::of(text, "", "a").lines.len(), 2);
}

#[test]
fn the_sources_in_their_order() {
    let source = |variables: &[(&str, &str)]| Identity::of(&settings(variables), &registry(HERE)).source;
    assert_eq!(source(&[]), Source::Instance);
    assert_eq!(source(&[("AWS_ACCESS_KEY_ID", "A")]), Source::Environment);
    assert_eq!(source(&[("AWS_ACCESS_KEY_ID", "A"), ("AWS_PROFILE", "p")]), Source::Environment);
    assert_eq!(source(&[("AWS_PROFILE", "p")]), Source::Profile("p".into()));
    let web = [("AWS_ROLE_ARN", "r"), ("AWS_WEB_IDENTITY_TOKEN_FILE", "f")];
    assert_eq!(source(&web), Source::WebIdentity);
    let job = [("AWS_ROLE_ARN", "r"), ("ACTIONS_ID_TOKEN_REQUEST_URL", "u")];
    assert_eq!(source(&job), Source::GithubJob);
    assert_eq!(source(&[&job[..], &web[1..]].concat()), Source::WebIdentity);
    assert_eq!(source(&job[1..]), Source::Instance);
    assert_eq!(source(&[("AWS_CONTAINER_CREDENTIALS_FULL_URI", "u")]), Source::Container);
}

#[test]
fn accounts_share_a_key_and_regions_forms_and_identities_do_not() {
    let own = [("AWS_ACCESS_KEY_ID", "A")];
    let here = key(&own, HERE);
    assert_eq!(here.len(), 32);
    assert_eq!(here, key(&own, "999999999999.dkr.ecr.eu-west-1.amazonaws.com"));
    let rotated = [("AWS_ACCESS_KEY_ID", "A"), ("AWS_SECRET_ACCESS_KEY", "s"), ("AWS_SESSION_TOKEN", "t")];
    assert_eq!(here, key(&rotated, HERE));
    for other in [
        key(&own, "123456789012.dkr.ecr.eu-west-2.amazonaws.com"),
        key(&own, "123456789012.dkr.ecr-fips.eu-west-1.amazonaws.com"),
        key(&own, "123456789012.dkr-ecr.eu-west-1.on.aws"),
        key(&own, "public.ecr.aws"),
        key(&[("AWS_ACCESS_KEY_ID", "B")], HERE),
        key(&[("AWS_ACCESS_KEY_ID", "A"), ("AWS_ENDPOINT_URL", "http://x")], HERE),
        key(&[("AWS_PROFILE", "p")], HERE),
        key(&[], HERE),
    ] {
        assert_ne!(here, other);
    }
}

#[test]
fn a_renewed_token_has_the_same_subject() {
    let token = |claims: &str| format!("e30.{}.sig", base64_simd::URL_SAFE_NO_PAD.encode_to_string(claims));
    let first = subject(&token(r#"{"iss":"i","sub":"s","exp":1}"#));
    assert_eq!(first, "i s");
    assert_eq!(first, subject(&token(r#"{"iss":"i","sub":"s","exp":2}"#)));
    assert_eq!(subject("garbage").len(), 64);
}
