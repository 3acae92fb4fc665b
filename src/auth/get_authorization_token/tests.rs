use super::errors::{hint, refusal};
use super::*;
use crate::auth::login_conf::Rules;
use crate::settings::{Entry as Key, Environment, Globals};

fn registry(host: &str) -> EcrRegistry {
    Rules::default().registry(&Address::parse(host).unwrap()).unwrap()
}

fn settings(variables: &[(&str, &str)]) -> Settings {
    let mut all = vec![("AWS_CONFIG_FILE", "/nowhere"), ("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")];
    all.extend_from_slice(variables);
    Settings::with_environment(Globals::default(), Environment::given(all))
}

#[test]
fn the_form_of_the_host_switches_endpoints_on_and_never_off() {
    let form = |host: &str, variables: &[(&str, &str)]| {
        let (settings, registry) = (settings(variables), registry(host));
        let for_registry =
            settings_for_registry(&settings, &registry, &Identity::of(&settings, &registry), None);
        (
            for_registry.region().unwrap().unwrap(),
            for_registry.fips().unwrap(),
            for_registry.dualstack().unwrap(),
        )
    };
    let plain = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";
    assert_eq!(form(plain, &[("AWS_REGION", "us-east-1")]), ("eu-west-1".into(), false, false));
    assert_eq!(form(plain, &[("AWS_USE_FIPS_ENDPOINT", "true")]), ("eu-west-1".into(), true, false));
    let fips = "123456789012.dkr.ecr-fips.us-west-2.amazonaws.com";
    assert_eq!(form(fips, &[("AWS_USE_FIPS_ENDPOINT", "false")]), ("us-west-2".into(), true, false));
    assert_eq!(form("123456789012.dkr-ecr.us-west-2.on.aws", &[]), ("us-west-2".into(), false, true));
    assert_eq!(form("ecr-public.aws.com", &[("AWS_REGION", "eu-west-1")]), ("us-east-1".into(), false, true));
}

#[test]
fn the_role_of_a_rule_is_assumed_with_the_default_credentials() {
    let mut registry = registry("123456789012.dkr.ecr.eu-west-1.amazonaws.com");
    let role = "arn:aws:iam::2:role/pull";
    let mut rule = crate::auth::login_conf::Rule::default();
    (rule.name, rule.role_arn) = ("r".into(), Some(role.into()));
    registry.rule = Some(rule);
    let key = |variables: &[(&str, &str)], name: &str| {
        let settings = settings(variables);
        let for_registry =
            settings_for_registry(&settings, &registry, &Identity::of(&settings, &registry), None);
        assert_eq!(for_registry.profile().as_deref(), Some("login.conf r"));
        for_registry.profile_section().unwrap().unwrap().get(name).and_then(Key::text).map(str::to_owned)
    };
    assert_eq!(key(&[], "role_arn").as_deref(), Some(role));
    assert_eq!(key(&[], "credential_source").as_deref(), Some("Ec2InstanceMetadata"));
    assert_eq!(key(&[("AWS_ACCESS_KEY_ID", "A")], "credential_source").as_deref(), Some("Environment"));
    assert_eq!(key(&[("AWS_PROFILE", "p")], "source_profile").as_deref(), Some("p"));
}

#[test]
fn answers_of_both_services_are_read() {
    let registry = registry("123456789012.dkr.ecr.eu-west-1.amazonaws.com");
    let identity = Identity::of(&settings(&[]), &registry);
    let token = base64_simd::STANDARD.encode_to_string("AWS:word");
    let data =
        json!({"authorizationToken": token, "expiresAt": 1_700_000_000.5, "proxyEndpoint": "https://x"});
    let expires = |value: Value| read(&value, &registry, &identity, 7).map(|entry| entry.expires);
    assert_eq!(expires(json!({"authorizationData": [data]})), Some(1_700_000_000));
    assert_eq!(expires(json!({"authorizationData": data})), Some(1_700_000_000));
    let text = json!({"authorizationToken": token, "expiresAt": "2023-11-14T22:13:20Z"});
    assert_eq!(expires(json!({"authorizationData": [text]})), Some(1_700_000_000));
    assert_eq!(expires(json!({"authorizationData": [{"authorizationToken": token}]})), Some(7 + LIFETIME));
    for empty in [json!({}), json!({"authorizationData": []}), json!({"authorizationData": [{}]})] {
        assert_eq!(expires(empty), None);
    }
}

#[test]
fn a_refusal_names_the_remedy() {
    let registry = registry("public.ecr.aws");
    let text = |code: &str, status: u16| refusal(code, "Words.", status, &registry).line();
    assert_eq!(
        text("AccessDeniedException", 400),
        "access denied: Words. The identity needs the permission ecr-public:GetAuthorizationToken and \
         sts:GetServiceBearerToken"
    );
    assert_eq!(text("ThrottlingException", 400), "ECR cannot answer just now (ThrottlingException): Words");
    assert!(refusal("Any", "", 503, &registry).is_temporary());
    assert!(!refusal("Any", "", 400, &registry).is_temporary());
    assert!(text("ExpiredTokenException", 400).contains("'aws sso login'"));
    let profile = Identity::of(&settings(&[("AWS_PROFILE", "p")]), &registry);
    assert_eq!(hint("The SSO session has expired", &profile), ". Run 'aws sso login --profile p'");
}
