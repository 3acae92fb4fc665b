//! The image credential provider of Kubernetes: kubelet sends an image's name, and gets the password of its registry.
//!
//! All three versions of the protocol are answered in kind. A service account's token (`tokenAttributes` in kubelet's
//! configuration) is exchanged for the role that its annotation `eks.amazonaws.com/ecr-role-arn`, or the environment's
//! `AWS_ECR_ROLE_ARN`, names. When ECR Public gives no password, the answer has no credentials at all, so that pods from
//! public images start without an account.
//!
//! Decisions: the answer speaks of the host that was asked for (`Registry`), and lasts for half of the password's
//! remaining life. Images on other hosts are answered with no credentials too: kubelet asks only what its configuration
//! lists, and a failure would be logged at every pull.

use std::fmt::Write as _;
use std::io::Read;

use serde_json::{Map, Value, json};

use super::helper::HelperOutput;
use super::identity::ServiceAccount;
use super::login::LoginContext;
use super::login_conf::Rules;
use super::login_error::LoginError;
use super::obtain_token::now;
use crate::image::host::Address;
use crate::settings::Settings;

const GROUP: &str = "credentialprovider.kubelet.k8s.io";
const VERSIONS: [&str; 3] = ["v1", "v1beta1", "v1alpha1"];
const ROLE_ANNOTATION: &str = "eks.amazonaws.com/ecr-role-arn";
/// A request has a token of some kilobytes at most.
const MAX_BYTES: u64 = 1 << 20;

/// Every form of ECR's hosts, as kubelet's configuration matches images.
const IMAGES: [&str; 15] = [
    "*.dkr.ecr.*.amazonaws.com",
    "*.dkr.ecr-fips.*.amazonaws.com",
    "*.dkr-ecr.*.on.aws",
    "*.dkr-ecr-fips.*.on.aws",
    "*.dkr.ecr.*.amazonaws.com.cn",
    "*.dkr-ecr.*.on.amazonwebservices.com.cn",
    "*.dkr.ecr.*.amazonaws.eu",
    "*.dkr.ecr.*.c2s.ic.gov",
    "*.dkr.ecr.*.sc2s.sgov.gov",
    "*.dkr.ecr.*.cloud.adc-e.uk",
    "*.dkr.ecr.*.csp.hci.ic.gov",
    "*.dkr.ecr-fips.*.c2s.ic.gov",
    "*.dkr.ecr-fips.*.sc2s.sgov.gov",
    "public.ecr.aws",
    "ecr-public.aws.com",
];

/// Answers one request of kubelet's.
pub fn provide(settings: &Settings, input: &mut dyn Read) -> HelperOutput {
    let context = LoginContext::open(settings);
    let mut answer = match respond(&context, input) {
        Ok(response) => HelperOutput::success(format!("{response}\n")),
        // kubelet quotes stderr in the pod's events.
        Err(reason) => {
            let stderr = format!("ecr: {}\n", context.log.redacted(&reason));
            HelperOutput { stdout: String::new(), stderr, code: 1 }
        }
    };
    answer.stderr.insert_str(0, &context.log.take_lines());
    answer
}

fn respond(context: &LoginContext<'_>, input: &mut dyn Read) -> Result<Value, String> {
    let request = read(input)?;
    let text = |name: &str| request.get(name).and_then(Value::as_str).unwrap_or_default();
    let version = text("apiVersion");
    let known = version.strip_prefix(GROUP).and_then(|rest| rest.strip_prefix('/'));
    if text("kind") != "CredentialProviderRequest" || !known.is_some_and(|known| VERSIONS.contains(&known)) {
        return Err(format!(
            "stdin has no CredentialProviderRequest of {GROUP}/v1, v1beta1 or v1alpha1 (kind '{}', apiVersion '{version}')",
            text("kind")
        ));
    }
    let image = text("image");
    let address = Address::parse(image).ok_or_else(|| format!("'{image}' is no image's name"))?;
    let rules = Rules::load(context.settings).map_err(|error| error.to_string())?;
    let account = service_account(context, &request)?;
    let registry = rules.registry(&address).filter(|registry| !registry.anonymous());
    let mut auth = Map::new();
    let mut seconds = 0;
    if let Some(registry) = registry {
        match context.login(&registry, account.as_ref()) {
            Ok(entry) => {
                let (username, password) = entry.login().unwrap_or_default();
                auth.insert(registry.host.clone(), json!({"username": username, "password": password}));
                seconds = entry.expires.saturating_sub(now()) / 2;
            }
            // Pulls from the public gallery need no account and no permission.
            Err(LoginError::NoCredentials { .. } | LoginError::Denied { .. }) if registry.public => {}
            Err(failure) => return Err(format!("login to {} failed: {}", registry.host, failure.line())),
        }
    }
    let mut response = json!({
        "kind": "CredentialProviderResponse",
        "apiVersion": version,
        "cacheKeyType": "Registry",
        "cacheDuration": duration(seconds),
        "auth": auth,
    });
    if account.is_some() {
        // Required by the versions of Kubernetes that know it, passed over by the others.
        response["serviceAccountTokenCacheType"] = "ServiceAccount".into();
    }
    Ok(response)
}

fn read(input: &mut dyn Read) -> Result<Value, String> {
    let mut bytes = Vec::new();
    input
        .take(MAX_BYTES)
        .read_to_end(&mut bytes)
        .map_err(|error| format!("stdin cannot be read: {error}"))?;
    if bytes.is_empty() {
        return Err("stdin is empty: kubelet sends a CredentialProviderRequest there".to_owned());
    }
    // No word of the text, which may have a token in it.
    serde_json::from_slice(&bytes)
        .map_err(|error| format!("stdin is not JSON (line {}, column {})", error.line(), error.column()))
}

fn service_account(context: &LoginContext<'_>, request: &Value) -> Result<Option<ServiceAccount>, String> {
    let token = request.get("serviceAccountToken").and_then(Value::as_str).filter(|token| !token.is_empty());
    let Some(token) = token else { return Ok(None) };
    let annotated =
        request.get("serviceAccountAnnotations").and_then(|all| all.get(ROLE_ANNOTATION)?.as_str());
    let role = annotated.map(str::to_owned).or_else(|| context.settings.filled_variable("AWS_ECR_ROLE_ARN"));
    let role_arn = role.ok_or_else(|| {
        format!("kubelet sent a service account's token, but no role for it: annotate the service account with {ROLE_ANNOTATION}, or set AWS_ECR_ROLE_ARN")
    })?;
    Ok(Some(ServiceAccount { token: token.to_owned(), role_arn }))
}

/// Seconds as Go's `time.Duration` writes them.
fn duration(seconds: u64) -> String {
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match (hours, minutes) {
        (0, 0) => format!("{rest}s"),
        (0, _) => format!("{minutes}m{rest}s"),
        _ => format!("{hours}h{minutes}m{rest}s"),
    }
}

/// Content of the generated configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Configuration<'a> {
    /// The program's name in kubelet's folder of providers.
    pub name: &'a str,
    /// The protocol's version.
    pub version: &'a str,
    /// The audience of service accounts' tokens; `None` for the node's own identity.
    pub audience: Option<&'a str>,
    /// A folder in which passwords are kept, since a node's kubelet has no home.
    pub cache: Option<&'a str>,
}

/// kubelet's configuration for this program (`--image-credential-provider-config`).
pub fn configuration(wanted: Configuration<'_>) -> Result<String, String> {
    let Configuration { name, version, audience, cache } = wanted;
    if !VERSIONS.contains(&version) {
        return Err(format!(
            "there is no version {version} of the protocol: v1, v1beta1 and v1alpha1 are there"
        ));
    }
    if audience.is_some() && version != "v1" {
        return Err(format!("{version} knows no service accounts' tokens: v1 does"));
    }
    let mut text = format!(
        "apiVersion: kubelet.config.k8s.io/{version}\nkind: CredentialProviderConfig\nproviders:\n  - name: {name}\n    \
         apiVersion: {GROUP}/{version}\n    defaultCacheDuration: 6h0m0s\n    matchImages:\n"
    );
    for image in IMAGES {
        let _ = writeln!(text, "      - \"{image}\"");
    }
    if name != "ecr-credential-provider" {
        text.push_str("    args:\n      - credential-provider\n");
    }
    if let Some(cache) = cache {
        let _ = write!(
            text,
            "    env:\n      - name: AWS_ECR_CACHE_DIR\n        value: {}\n",
            Value::from(cache)
        );
    }
    if let Some(audience) = audience {
        let _ = write!(
            text,
            "    tokenAttributes:\n      serviceAccountTokenAudience: {}\n      cacheType: ServiceAccount\n      \
             requireServiceAccount: false\n      optionalServiceAccountAnnotationKeys:\n        - {ROLE_ANNOTATION}\n",
            Value::from(audience)
        );
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::cached_token::CachedToken;
    use crate::auth::identity::Identity;
    use crate::settings::{Environment, Globals};

    const HERE: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";

    fn answered(settings: &Settings, input: &str) -> (Value, String, u8) {
        let answer = provide(settings, &mut input.as_bytes());
        (serde_json::from_str(&answer.stdout).unwrap_or(Value::Null), answer.stderr, answer.code)
    }

    fn settings(folder: &std::path::Path) -> Settings {
        let home = folder.to_str().unwrap();
        let variables = [("HOME", home), ("AWS_EC2_METADATA_DISABLED", "true")];
        Settings::with_environment(Globals::default(), Environment::given(variables))
    }

    fn request(version: &str, image: &str) -> String {
        json!({"kind": "CredentialProviderRequest", "apiVersion": format!("{GROUP}/{version}"), "image": image})
            .to_string()
    }

    #[test]
    fn each_api_version_is_answered_in_its_own_form() {
        let folder = tempfile::tempdir().unwrap();
        let settings = settings(folder.path());
        let registry = Rules::default().registry(&Address::parse(HERE).unwrap()).unwrap();
        let key = Identity::of(&settings, &registry).key(&settings, &registry);
        let token = base64_simd::STANDARD.encode_to_string("AWS:word");
        let entry = CachedToken::new("ecr", "eu-west-1", "instance".into(), token, now()..now() + 43_200);
        LoginContext::open(&settings).cache.unwrap().write(&key, &entry).unwrap();
        for version in VERSIONS {
            let (mut response, stderr, code) =
                answered(&settings, &request(version, &format!("{HERE}/a/b:1")));
            let lasts = response["cacheDuration"].take();
            assert!(lasts.as_str().unwrap().starts_with("5h59m5") || lasts == "6h0m0s", "{lasts}");
            let expected = json!({
                "kind": "CredentialProviderResponse",
                "apiVersion": format!("{GROUP}/{version}"),
                "cacheKeyType": "Registry",
                "cacheDuration": null,
                "auth": {HERE: {"username": "AWS", "password": "word"}},
            });
            assert_eq!((response, stderr.as_str(), code), (expected, "", 0));
        }
    }

    #[test]
    fn the_public_gallery_and_other_registries_get_no_credentials_and_no_failure() {
        let folder = tempfile::tempdir().unwrap();
        for image in ["public.ecr.aws/docker/library/alpine", "docker.io/library/alpine"] {
            let (response, stderr, code) = answered(&settings(folder.path()), &request("v1", image));
            assert_eq!((response["auth"].clone(), stderr.as_str(), code), (json!({}), "", 0));
            assert_eq!(response["cacheDuration"], "0s");
        }
    }

    #[test]
    fn malformed_requests_are_reported_without_quoting_them() {
        let folder = tempfile::tempdir().unwrap();
        let settings = settings(folder.path());
        let said = |input: &str| answered(&settings, input).1;
        assert_eq!(said(""), "ecr: stdin is empty: kubelet sends a CredentialProviderRequest there\n");
        assert_eq!(said("{\"secret"), "ecr: stdin is not JSON (line 1, column 8)\n");
        assert!(said("{}").contains("(kind '', apiVersion '')"));
        assert!(said(&request("v2", HERE)).contains("apiVersion 'credentialprovider.kubelet.k8s.io/v2'"));
        let mut with_token: Value = serde_json::from_str(&request("v1", HERE)).unwrap();
        with_token["serviceAccountToken"] = "a.b.c".into();
        assert!(said(&with_token.to_string()).contains("annotate the service account"));
    }

    #[test]
    fn durations_are_go_s() {
        let expected = ["0s", "59s", "1m0s", "5h59m59s"].map(str::to_owned);
        assert_eq!([0, 59, 60, 21_599].map(duration), expected);
    }

    #[test]
    fn the_configuration_matches_every_form_of_host() {
        let wanted =
            Configuration { name: "ecr", version: "v1", audience: Some("aud"), cache: Some("/var/lib/ecr") };
        let text = configuration(wanted).unwrap();
        let ends = "    args:
      - credential-provider
    env:
      - name: AWS_ECR_CACHE_DIR
        value: \"/var/lib/ecr\"
    tokenAttributes:
      serviceAccountTokenAudience: \"aud\"
      cacheType: ServiceAccount
      requireServiceAccount: false
      optionalServiceAccountAnnotationKeys:
        - eks.amazonaws.com/ecr-role-arn
";
        assert!(text.ends_with(ends), "{text}");
        for image in IMAGES {
            let host = image.replacen('*', "123456789012", 1).replace('*', "us-east-1");
            assert!(Address::parse(&host).unwrap().ecr().is_some(), "{host}");
        }
        assert!(configuration(Configuration { version: "v2", ..wanted }).is_err());
        assert!(configuration(Configuration { version: "v1beta1", ..wanted }).is_err());
    }
}
