use super::*;

fn rules(text: &str) -> Rules {
    Rules { file: None, rules: parse(text, Path::new("login.conf")).unwrap() }
}

fn error(text: &str) -> String {
    parse(text, Path::new("login.conf")).unwrap_err().to_string()
}

/// Rule and region for a host.
fn chosen(rules: &Rules, host: &str) -> Option<(Option<String>, String)> {
    let registry = rules.registry(&Address::parse(host).unwrap())?;
    Some((registry.rule.map(|rule| rule.name), registry.region))
}

#[test]
fn the_example_parses_as_described() {
    let rules = rules(EXAMPLE);
    let named = |name: &str, region: &str| Some((Some(name.to_owned()), region.to_owned()));
    assert_eq!(
        chosen(&rules, "111111111111.dkr.ecr.us-west-2.amazonaws.com"),
        named("production", "us-west-2")
    );
    assert_eq!(
        chosen(&rules, "222233334444.dkr.ecr.eu-west-1.amazonaws.com"),
        named("partners", "eu-west-1")
    );
    let free = Some((None, "us-west-1".to_owned()));
    assert_eq!(chosen(&rules, "222233334444.dkr.ecr.us-west-1.amazonaws.com"), free);
    assert_eq!(chosen(&rules, "https://Registry.example.com/v2/"), named("mirror", "eu-west-1"));
    assert_eq!(chosen(&rules, "localhost:4510"), named("embedded", "us-east-1"));
    assert_eq!(chosen(&rules, "localhost:4511"), None);
    assert_eq!(chosen(&rules, "public.ecr.aws"), named("gallery", "us-east-1"));
    assert_eq!(chosen(&rules, "docker.io"), None);
    let hosts = ["registry.example.com", "localhost:4510"].map(str::to_owned).to_vec();
    assert_eq!(rules.named_hosts(), hosts);
}

#[test]
fn an_alias_takes_the_form_of_the_registry_behind_it() {
    let rules = rules("[a]\nmatch_host=*.example\nregistry=123456789012.dkr-ecr-fips.us-east-2.on.aws\n");
    let registry = rules.registry(&Address::parse("x.example:8443").unwrap()).unwrap();
    assert_eq!(registry.host, "x.example:8443");
    assert_eq!(registry.account.as_deref(), Some("123456789012"));
    assert_eq!((registry.fips, registry.dualstack, registry.public), (true, true, false));
}

#[test]
fn errors_name_their_line() {
    for (text, expected) in [
        ("profile=x", "line 1: 'profile' stands before the first rule: start one with [NAME]"),
        ("[a", "line 1: a rule starts with its name in brackets: [NAME]"),
        ("\n[a]\nwhat", "line 3: neither [NAME] nor KEY = VALUE"),
        ("[a]\nprofile=", "line 2: 'profile' has no value"),
        ("[a]\nprofile=x\nprofile=y", "line 3: 'profile' stands twice in the rule 'a'"),
        ("[a]\nmatch_host=*\n[a]", "line 3: there are two rules named 'a'"),
        (
            "[a]\nprofile=x",
            "line 1: the rule 'a' has no condition: give it match_host, match_account or match_region",
        ),
        ("[a]\nanonymous=maybe", "line 2: anonymous is true or false, not 'maybe'"),
        ("[a]\nrole_arn=x", "line 2: 'x' is no ARN of a role"),
        ("[a]\nendpoint_url=x", "line 2: 'x' is no URL: it starts with http:// or https://"),
        (
            "[a]\nmatch_host=*\nanonymous=true\nprofile=x",
            "line 1: the rule 'a' is anonymous and names credentials too",
        ),
        (
            "[a]\nmatch_host=*\nexternal_id=x",
            "line 1: the rule 'a' has external_id or role_session_name, but no role_arn",
        ),
    ] {
        assert_eq!(error(text), format!("login.conf, {expected}"));
    }
    assert!(
        error("[a]\nprofle=x").starts_with("login.conf, line 2: 'profle' is no key of a rule (match_host,")
    );
    assert!(error("[a]\nmatch_host=r.example").contains("r.example is no host of ECR; say which registry"));
}
