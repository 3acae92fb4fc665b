//! Each thing that can be wrong, built and found. Where an issue is named, somebody had this very situation.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use serde_json::{Value, json};

use super::aws::{Answers, Aws, index_for_plan9};
use crate::harness::Machine;

pub(super) const HOST: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";
const REFERENCE: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/app:1.0";

/// A machine with something wrong, and what is found there.
pub(super) struct Situation {
    pub(super) name: &'static str,
    pub(super) arguments: &'static [&'static str],
    /// Expected findings; of those other than `ok`, all.
    pub(super) finds: &'static [&'static str],
    /// Only root can build the situation.
    pub(super) needs_root: bool,
    pub(super) build: fn(&mut Machine) -> Aws,
}

const fn situation(
    name: &'static str,
    arguments: &'static [&'static str],
    finds: &'static [&'static str],
    build: fn(&mut Machine) -> Aws,
) -> Situation {
    Situation { name, arguments, finds, needs_root: false, build }
}

/// A machine without any program, on which nothing is configured.
pub(super) fn machine() -> Machine {
    let mut machine = Machine::new();
    let path = |name: &str| machine.path().join(name).display().to_string();
    let (bin, run) = (path("bin"), path("run"));
    std::fs::create_dir(&bin).unwrap();
    machine.set("PATH", bin).set("XDG_RUNTIME_DIR", run);
    machine
}

/// AWS as it answers usually, or as told, and credentials for it.
pub(super) fn aws(machine: &mut Machine, answers: Answers) -> Aws {
    let aws = Aws::start(answers);
    machine.set("AWS_ENDPOINT_URL", format!("http://{}", aws.address));
    machine.set("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE").set("AWS_SECRET_ACCESS_KEY", "hush-of-the-key");
    aws
}

/// A program in the form of a script without other programs.
pub(super) fn program(machine: &Machine, name: &str, script: &str) {
    let path = machine.write(&format!("bin/{name}"), format!("#!/bin/sh\n{script}\n"));
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// A file that only its owner can read.
pub(super) fn private(machine: &Machine, name: &str, value: &Value) {
    let path = machine.write(name, value.to_string());
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

pub(super) fn docker(machine: &Machine, value: &Value) {
    private(machine, "home/.docker/config.json", value);
}

/// A password as ECR makes it, which ends at this time.
pub(super) fn password(end: u64) -> String {
    let value = json!({"payload": "hush-of-the-payload", "datakey": "x", "version": "2", "type": "DATA_KEY", "expiration": end});
    base64_simd::STANDARD.encode_to_string(value.to_string())
}

/// A password of which nobody knows the end.
fn timeless() -> String {
    base64_simd::STANDARD.encode_to_string("hush-of-the-timeless-password")
}

fn entry(user: &str, password: &str) -> Value {
    json!({"auth": base64_simd::STANDARD.encode_to_string(format!("{user}:{password}"))})
}

fn good() -> Value {
    entry("AWS", &timeless())
}

const LONG_AGO: u64 = 1_675_924_102;

/// docker's file with what is beside a login that is good, and AWS.
fn beside(machine: &mut Machine, mut value: Value) -> Aws {
    if value.get("auths").is_none() {
        value["auths"] = json!({HOST: good()});
    }
    docker(machine, &value);
    aws(machine, Answers::default())
}

fn answers(machine: &mut Machine, answers: Answers) -> Aws {
    docker(machine, &json!({"auths": {HOST: good()}}));
    aws(machine, answers)
}

/// A date in the form of HTTP, this many seconds from now.
fn date(seconds: i64) -> String {
    let time = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(seconds);
    jiff::fmt::rfc2822::to_string(&time.to_zoned(jiff::tz::TimeZone::UTC)).unwrap()
}

fn helper(machine: &Machine, name: &str) {
    let answer = format!(r#"read host; echo '{{"Username":"AWS","Secret":"{}"}}'"#, timeless());
    program(machine, name, &answer);
}

pub(super) fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|facts| facts.uid() == 0)
}

const WELL: &[&str] = &[
    "version",
    "profile",
    "credentials",
    "identity",
    "region",
    "connection",
    "docker-file",
    "docker-login",
    "token",
    "authorization",
    "repository",
    "image",
    "manifest",
    "layer",
    "push-layers",
    "push-upload",
    "scanning",
    "pull-time",
];

pub(super) const SITUATIONS: &[Situation] = &[
    situation("all is well", &[REFERENCE, "--push"], WELL, |machine| answers(machine, Answers::default())),
    situation("an ECR on this machine", &["ADDRESS/team/app:1.0"], &["endpoint"], |machine| {
        aws(machine, Answers::default())
    }),
    situation("no home", &[REFERENCE], &["home-missing"], |machine| {
        let folder = machine.path().join("home/.docker");
        machine.unset("HOME").set("DOCKER_CONFIG", folder);
        answers(machine, Answers::default())
    }),
    // amazon-ecr-credential-helper#207, #418
    Situation {
        needs_root: true,
        ..situation("docker under sudo", &[REFERENCE], &["home-sudo"], |machine| {
            machine.set("SUDO_USER", "ann");
            answers(machine, Answers::default())
        })
    },
    Situation {
        needs_root: true,
        ..situation("sudo keeps HOME", &[REFERENCE], &["home-owner"], |machine| {
            std::os::unix::fs::chown(machine.path().join("home"), Some(12345), None).unwrap();
            answers(machine, Answers::default())
        })
    },
    situation("a file of AWS's that is none", &[], &["configuration-invalid"], |machine| {
        machine.write("home/.aws/config", "[default\nregion");
        aws(machine, Answers::default())
    }),
    situation("a profile that is not there", &[], &["profile-missing"], |machine| {
        machine.write("home/.aws/config", "[profile there]\nregion = eu-west-1\n");
        machine.set("AWS_PROFILE", "absent");
        aws(machine, Answers::default())
    }),
    situation("a key in the environment", &[REFERENCE], &["credentials-shadowed"], |machine| {
        machine.write(
            "home/.aws/credentials",
            "[other]\naws_access_key_id = A\naws_secret_access_key = hush-of-other\n",
        );
        machine.set("AWS_PROFILE", "other");
        answers(machine, Answers::default())
    }),
    situation("no credentials", &[REFERENCE], &["credentials-missing"], |machine| {
        let aws = answers(machine, Answers::default());
        machine.unset("AWS_ACCESS_KEY_ID");
        aws
    }),
    situation("half a key", &[REFERENCE], &["credentials-invalid"], |machine| {
        let aws = answers(machine, Answers::default());
        machine.unset("AWS_SECRET_ACCESS_KEY");
        aws
    }),
    situation("a program for credentials that fails", &[REFERENCE], &["credentials-invalid"], |machine| {
        program(machine, "give", "echo hush-of-the-process >&2; exit 1");
        machine.write("home/.aws/config", "[default]\ncredential_process = give\n");
        let aws = answers(machine, Answers::default());
        machine.unset("AWS_ACCESS_KEY_ID");
        aws
    }),
    situation("a key that was deleted", &[REFERENCE], &["identity-refused"], |machine| {
        let text = "The security token included in the request is invalid.";
        answers(machine, Answers::refusing("GetCallerIdentity", "InvalidClientTokenId", text))
    }),
    situation("credentials that ended", &[REFERENCE], &["identity-expired"], |machine| {
        let text = "The security token included in the request is expired";
        answers(machine, Answers::refusing("GetCallerIdentity", "ExpiredToken", text))
    }),
    situation("no way to STS", &[REFERENCE], &["identity-unknown"], |machine| {
        machine.set("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:1");
        answers(machine, Answers::default())
    }),
    situation(
        "another account's registry",
        &["999999999999.dkr.ecr.eu-west-1.amazonaws.com/team/app:1.0"],
        &["identity-other-account"],
        |machine| aws(machine, Answers::default()),
    ),
    // amazon-ecr-credential-helper#557
    situation("no region", &["team/app"], &["region-missing"], |machine| aws(machine, Answers::default())),
    situation("the region of an instance", &["team/app"], &["region", "identity", "image"], |machine| {
        let aws = aws(machine, Answers::default());
        let address = aws.address.clone();
        machine.unset("AWS_EC2_METADATA_DISABLED");
        machine.set("AWS_EC2_METADATA_SERVICE_ENDPOINT", format!("http://{address}"));
        aws
    }),
    // aws-cli#5317
    situation("a password of another region", &[REFERENCE], &["region-differs"], |machine| {
        machine.set("AWS_REGION", "us-east-1");
        answers(machine, Answers::default())
    }),
    situation("an endpoint with a name", &[REFERENCE], &["dns", "connection"], |machine| {
        let aws = answers(machine, Answers::default());
        let address = aws.address.replace("127.0.0.1", "localhost");
        machine.set("AWS_ENDPOINT_URL_ECR", format!("http://{address}"));
        aws
    }),
    situation("an endpoint that is no URL", &[REFERENCE], &["endpoint-invalid"], |machine| {
        machine.set("AWS_ENDPOINT_URL_ECR", "http://a b");
        answers(machine, Answers::default())
    }),
    situation(
        "a name without an address",
        &["team/app", "--region", "eu-west-1"],
        &["dns-failed"],
        |machine| {
            machine.set("AWS_ENDPOINT_URL_ECR", "http://no-such-host.invalid");
            aws(machine, Answers::default())
        },
    ),
    // amazon-ecr-login#461
    situation(
        "a proxy in front of a VPC endpoint",
        &[REFERENCE],
        &["proxy", "proxy-no-bypass", "proxy-failed", "identity-unknown"],
        |machine| {
            machine.set("HTTP_PROXY", "http://ann:hush-of-the-proxy@127.0.0.1:1");
            answers(machine, Answers::default())
        },
    ),
    // cdk-cosmos/cosmos#92
    situation("a VPC without the API's endpoint", &[REFERENCE], &["connection-failed"], |machine| {
        machine.set("AWS_ENDPOINT_URL_ECR", "http://127.0.0.1:1");
        answers(machine, Answers::default())
    }),
    situation("no TLS on the other side", &[REFERENCE], &["tls-failed"], |machine| {
        let aws = answers(machine, Answers::default());
        let address = aws.address.clone();
        machine.set("AWS_ENDPOINT_URL_ECR", format!("https://{address}"));
        aws
    }),
    situation("TLS without a check", &[REFERENCE, "--no-verify-ssl"], &["tls-unverified"], |machine| {
        answers(machine, Answers::default())
    }),
    situation("a clock that is right", &[REFERENCE], &["clock"], |machine| {
        answers(machine, Answers { date: Some(date(0)), ..Answers::default() })
    }),
    situation("a clock that drifts", &[REFERENCE], &["clock-drift"], |machine| {
        answers(machine, Answers { date: Some(date(150)), ..Answers::default() })
    }),
    situation("a clock after sleep", &[REFERENCE], &["clock-skew"], |machine| {
        answers(machine, Answers { date: Some(date(7200)), ..Answers::default() })
    }),
    situation("docker's file is broken", &[REFERENCE], &["docker-file-unreadable"], |machine| {
        machine.write("home/.docker/config.json", r#"{"auths": {"x": {"auth": "aHVzaA=="}}"#);
        aws(machine, Answers::default())
    }),
    situation("docker's file is open to all", &[REFERENCE], &["docker-file-readable"], |machine| {
        let aws = answers(machine, Answers::default());
        let path = machine.path().join("home/.docker/config.json");
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o644)).unwrap();
        aws
    }),
    // amazon-ecr-credential-helper#76, where the file is called ~/.docker/config
    situation(
        "docker's file has another name",
        &[REFERENCE],
        &["docker-file-elsewhere", "docker-login-missing"],
        |machine| {
            program(machine, "docker", "exit 0");
            private(machine, "home/.docker/config", &json!({}));
            aws(machine, Answers::default())
        },
    ),
    // amazon-ecr-credential-helper#214
    situation("a member is misspelt", &[REFERENCE], &["docker-file-member"], |machine| {
        beside(machine, json!({"credStore": "secretservice"}))
    }),
    situation("DOCKER_CONFIG names the file", &[REFERENCE], &["docker-config-variable"], |machine| {
        let file = machine.path().join("home/.docker/config.json");
        machine.set("DOCKER_CONFIG", file);
        answers(machine, Answers::default())
    }),
    // docker/cli#6171
    situation("a variable wins over the file", &[REFERENCE], &["docker-auth-config"], |machine| {
        machine
            .set("DOCKER_AUTH_CONFIG", json!({"auths": {HOST: entry("AWS", "hush-of-gitlab")}}).to_string());
        answers(machine, Answers::default())
    }),
    situation("no login", &[REFERENCE], &["docker-login-missing"], |machine| {
        beside(machine, json!({"auths": {}}))
    }),
    // aws-cli#2351
    situation(
        "two logins for one host",
        &[REFERENCE],
        &["docker-logins-twice", "token-expired"],
        |machine| {
            let url = format!("https://{HOST}");
            beside(machine, json!({"auths": {url: good(), HOST: entry("AWS", &password(LONG_AGO))}}))
        },
    ),
    situation(
        "a helper, and an old password",
        &[REFERENCE],
        &["docker-helper", "docker-auths-shadowed"],
        |machine| {
            helper(machine, "docker-credential-ecr-login");
            beside(
                machine,
                json!({"credHelpers": {HOST: "ecr-login"}, "auths": {HOST: entry("AWS", &password(LONG_AGO))}}),
            )
        },
    ),
    // amazon-ecr-credential-helper#214
    situation(
        "a glob in credHelpers",
        &[REFERENCE],
        &["docker-helper-key", "docker-store-wins", "docker-store-empty"],
        |machine| {
            program(
                machine,
                "docker-credential-secretservice",
                "echo 'credentials not found in native keychain'; exit 1",
            );
            docker(
                machine,
                &json!({"credsStore": "secretservice", "credHelpers": {"*.dkr.ecr.*.amazonaws.com": "ecr-login"}}),
            );
            aws(machine, Answers::default())
        },
    ),
    situation(
        "a URL in credHelpers",
        &[REFERENCE],
        &["docker-helper-key", "docker-login-missing"],
        |machine| {
            let url = format!("https://{HOST}");
            docker(machine, &json!({"credHelpers": {url: "ecr-login"}}));
            aws(machine, Answers::default())
        },
    ),
    // docker/cli#2121, amazon-ecr-credential-helper#116
    situation("a helper that is not installed", &[REFERENCE], &["docker-helper-missing"], |machine| {
        docker(machine, &json!({"credHelpers": {HOST: "ecr-login"}}));
        aws(machine, Answers::default())
    }),
    // amazon-ecr-credential-helper#135
    situation("a helper by a short name", &[REFERENCE], &["docker-helper-missing"], |machine| {
        program(machine, "ecr-login", "exit 0");
        docker(machine, &json!({"credHelpers": {HOST: "ecr-login"}}));
        aws(machine, Answers::default())
    }),
    // microsoft/WSL#4752, docker/for-win#12242
    situation("Docker Desktop's store in WSL", &[REFERENCE], &["docker-helper-windows"], |machine| {
        machine.set("WSL_DISTRO_NAME", "Ubuntu");
        docker(machine, &json!({"credsStore": "desktop.exe"}));
        aws(machine, Answers::default())
    }),
    situation("a helper that fails", &[REFERENCE], &["docker-helper-failed"], |machine| {
        program(
            machine,
            "docker-credential-ecr-login",
            "echo 'no way: hush-of-the-failing-helper=='; echo hush-of-stderr >&2; exit 1",
        );
        docker(machine, &json!({"credHelpers": {HOST: "ecr-login"}}));
        aws(machine, Answers::default())
    }),
    situation("a helper that has nothing", &[REFERENCE], &["docker-helper-failed"], |machine| {
        program(
            machine,
            "docker-credential-ecr-login",
            "echo 'credentials not found in native keychain'; exit 1",
        );
        docker(machine, &json!({"credHelpers": {HOST: "ecr-login"}}));
        aws(machine, Answers::default())
    }),
    situation(
        "a keychain that waits for somebody",
        &[REFERENCE, "--cli-read-timeout", "1"],
        &["docker-helper-silent"],
        |machine| {
            program(machine, "docker-credential-pass", "exec /bin/sleep 4");
            docker(machine, &json!({"credsStore": "pass"}));
            aws(machine, Answers::default())
        },
    ),
    // amazon-ecr-credential-helper#76
    situation("a store without the login", &[REFERENCE], &["docker-store-empty"], |machine| {
        program(
            machine,
            "docker-credential-osxkeychain",
            "echo 'credentials not found in native keychain'; exit 1",
        );
        docker(machine, &json!({"credsStore": "osxkeychain"}));
        aws(machine, Answers::default())
    }),
    // amazon-ecr-credential-helper#239
    situation(
        "one helper for all registries",
        &[REFERENCE],
        &["docker-helper", "docker-store-is-ecr"],
        |machine| {
            helper(machine, "docker-credential-ecr-login");
            docker(machine, &json!({"credsStore": "ecr-login"}));
            aws(machine, Answers::default())
        },
    ),
    situation(
        "podman has another password",
        &[REFERENCE],
        &["podman-login", "podman-other-file", "token-expired"],
        |machine| {
            private(
                machine,
                "run/containers/auth.json",
                &json!({"auths": {HOST: entry("AWS", &password(LONG_AGO))}}),
            );
            answers(machine, Answers::default())
        },
    ),
    situation("podman's file is broken", &[REFERENCE], &["podman-file-unreadable"], |machine| {
        machine.write("run/containers/auth.json", "{");
        answers(machine, Answers::default())
    }),
    situation("podman asks no store", &[REFERENCE], &["docker-helper", "podman-no-store"], |machine| {
        program(machine, "podman", "exit 0");
        helper(machine, "docker-credential-pass");
        docker(machine, &json!({"credsStore": "pass"}));
        aws(machine, Answers::default())
    }),
    situation("podman has no login", &[REFERENCE], &["podman-login-missing"], |machine| {
        program(machine, "podman", "exit 0");
        aws(machine, Answers::default())
    }),
    situation(
        "helm has another password",
        &[REFERENCE],
        &["helm-login", "helm-other-file", "token-expired"],
        |machine| {
            private(
                machine,
                "home/.config/helm/registry/config.json",
                &json!({"auths": {HOST: entry("AWS", &password(LONG_AGO))}}),
            );
            answers(machine, Answers::default())
        },
    ),
    situation("helm's file is broken", &[REFERENCE], &["helm-file-unreadable"], |machine| {
        machine.write("home/.config/helm/registry/config.json", "[]");
        answers(machine, Answers::default())
    }),
    // CircleCI-Public/aws-ecr-orb#265
    situation("a password of yesterday", &[REFERENCE], &["token-expired"], |machine| {
        beside(machine, json!({"auths": {HOST: entry("AWS", &password(LONG_AGO))}}))
    }),
    // aws-cli#4962, aws-cli#6128
    situation("a password that went through a terminal", &[REFERENCE], &["token-damaged"], |machine| {
        beside(machine, json!({"auths": {HOST: entry("AWS", "hush-of-a-terminal\r")}}))
    }),
    situation("a token instead of its password", &[REFERENCE], &["token-damaged"], |machine| {
        let token = base64_simd::STANDARD.encode_to_string("AWS:hush-of-a-token");
        beside(machine, json!({"auths": {HOST: entry("AWS", &token)}}))
    }),
    situation("another user", &[REFERENCE], &["token-user"], |machine| {
        beside(machine, json!({"auths": {HOST: entry("ann", "hush-of-ann")}}))
    }),
    situation("login.conf is broken", &[REFERENCE], &["login-conf-invalid"], |machine| {
        machine.write("home/.config/ecr/login.conf", "nonsense\n");
        answers(machine, Answers::default())
    }),
    situation("a cache that others can write to", &[REFERENCE], &["cache-unsafe"], |machine| {
        let folder = machine.path().join("home/.cache/ecr/tokens");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o777)).unwrap();
        answers(machine, Answers::default())
    }),
    situation("GetAuthorizationToken is denied", &[REFERENCE], &["authorization-denied"], |machine| {
        let action = "ecr:GetAuthorizationToken";
        let reason = "because no identity-based policy allows the ecr:GetAuthorizationToken action";
        answers(machine, Answers::denying("GetAuthorizationToken", action, reason))
    }),
    situation("no such repository", &[REFERENCE], &["repository-missing"], |machine| {
        let text =
            "The repository with name 'team/app' does not exist in the registry with id '123456789012'";
        answers(machine, Answers::refusing("DescribeRepositories", "RepositoryNotFoundException", text))
    }),
    situation("DescribeRepositories is denied", &[REFERENCE], &["repository-denied"], |machine| {
        answers(machine, Answers::denying("DescribeRepositories", "ecr:DescribeRepositories", ""))
    }),
    situation("no such image", &[REFERENCE], &["image-missing"], |machine| {
        let text = "The image with imageId {imageDigest:'null', imageTag:'1.0'} does not exist";
        answers(machine, Answers::refusing("DescribeImages", "ImageNotFoundException", text))
    }),
    situation("an archived image", &[REFERENCE], &["image-archived"], |machine| {
        let image = json!({"imageDigest": crate::harness::registry::digest(b"x"), "imageStatus": "ARCHIVED"});
        answers(machine, Answers::answering("DescribeImages", json!({"imageDetails": [image]})))
    }),
    situation("DescribeImages is denied", &[REFERENCE], &["image-denied"], |machine| {
        answers(machine, Answers::denying("DescribeImages", "ecr:DescribeImages", ""))
    }),
    situation("BatchGetImage is denied", &[REFERENCE], &["manifest-denied"], |machine| {
        let reason = "because no resource-based policy allows the ecr:BatchGetImage action";
        answers(machine, Answers::denying("BatchGetImage", "ecr:BatchGetImage", reason))
    }),
    situation("a manifest that is not there", &[REFERENCE], &["image-missing"], |machine| {
        let failure = json!({"failureCode": "ImageNotFound", "failureReason": "Requested image not found"});
        answers(machine, Answers::answering("BatchGetImage", json!({"images": [], "failures": [failure]})))
    }),
    situation("no image for this platform", &[REFERENCE], &["platform-missing"], |machine| {
        answers(machine, Answers::answering("BatchGetImage", index_for_plan9()))
    }),
    situation("GetDownloadUrlForLayer is denied", &[REFERENCE], &["layer-denied"], |machine| {
        answers(machine, Answers::denying("GetDownloadUrlForLayer", "ecr:GetDownloadUrlForLayer", ""))
    }),
    // amazon-ecs-agent#2235
    situation("no way to the layers", &[REFERENCE], &["layer-unreachable"], |machine| {
        let url = "http://127.0.0.1:1/layer?X-Amz-Signature=hush-of-the-signature";
        answers(machine, Answers::answering("GetDownloadUrlForLayer", json!({"downloadUrl": url})))
    }),
    situation("an endpoint policy that lacks the layers", &[REFERENCE], &["layer-unreachable"], |machine| {
        answers(machine, Answers { layer: Some(403), ..Answers::default() })
    }),
    situation("layers cannot be checked", &[REFERENCE, "--push"], &["push-layers-denied"], |machine| {
        let action = "ecr:BatchCheckLayerAvailability";
        answers(machine, Answers::denying("BatchCheckLayerAvailability", action, ""))
    }),
    situation("no upload may begin", &[REFERENCE, "--push"], &["push-upload-denied"], |machine| {
        answers(machine, Answers::denying("InitiateLayerUpload", "ecr:InitiateLayerUpload", ""))
    }),
    situation("the scan type is a secret", &[REFERENCE], &["scanning-denied"], |machine| {
        let action = "ecr:GetRegistryScanningConfiguration";
        answers(machine, Answers::denying("GetRegistryScanningConfiguration", action, ""))
    }),
    // ecr-scan-image#19
    situation("no right for Amazon Inspector", &[REFERENCE], &["inspector-denied"], |machine| {
        answers(machine, Answers::denying("DescribeImageScanFindings", "inspector2:ListFindings", ""))
    }),
    situation("exclusions cannot be listed", &[REFERENCE], &["pull-time-denied"], |machine| {
        let action = "ecr:ListPullTimeUpdateExclusions";
        answers(machine, Answers::denying("ListPullTimeUpdateExclusions", action, ""))
    }),
    situation("the service fails", &[REFERENCE], &["call-failed"], |machine| {
        answers(
            machine,
            Answers::refusing(
                "GetAuthorizationToken",
                "ServerException",
                "These errors are usually caused by a server-side issue.",
            ),
        )
    }),
    situation("a password is kept", &[REFERENCE], &["cache"], |machine| {
        let aws = answers(machine, Answers::default());
        machine.ok(&format!("login --print {HOST}"));
        aws
    }),
];
