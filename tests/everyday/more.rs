//! `ecr repos`, `ecr inspect` and `ecr du`.

use serde_json::{Value, json};

use super::sample::{image, registry};
use super::scripted::{Registry, Service};
use super::{golden, valid};
use crate::harness::registry::digest;

/// A registry with an empty repository, and with policies, tags and scans of some.
fn repositories_with_settings() -> Service {
    let mut sample = registry().with("team/empty", vec![]);
    sample.repositories[2]["imageTagMutability"] = json!("IMMUTABLE_WITH_EXCLUSION");
    sample.repositories[2]["imageTagMutabilityExclusionFilters"] =
        json!([{"filterType": "WILDCARD", "filter": "dev-*"}]);
    sample.repositories[1]["repositoryName"] = json!("team/odd");
    let odd = sample.images.remove(&format!("team/{}", "o".repeat(251))).unwrap();
    sample.images.insert("team/odd".to_owned(), odd);
    Service::start(move |operation, input, _| match operation {
        "GetRegistryScanningConfiguration" => {
            Ok(json!({"registryId": "123456789012", "scanningConfiguration": {
                "scanType": "ENHANCED", "rules": [{"scanFrequency": "CONTINUOUS_SCAN", "repositoryFilters": [
                    {"filter": "team/app", "filterType": "WILDCARD"}
                ]}]
            }}))
        }
        "GetLifecyclePolicy" if input["repositoryName"] == "team/app" => {
            Ok(json!({"lifecyclePolicyText": "{}"}))
        }
        "GetLifecyclePolicy" => Err((400, "LifecyclePolicyNotFoundException", "none".to_owned())),
        "GetRepositoryPolicy" if input["repositoryName"] == "team/odd" => Err((
            400,
            "AccessDeniedException",
            "not authorized to perform: ecr:GetRepositoryPolicy".to_owned(),
        )),
        "GetRepositoryPolicy" => Err((400, "RepositoryPolicyNotFoundException", "none".to_owned())),
        "ListTagsForResource" if input["resourceArn"].as_str().unwrap().ends_with("/team/app") => {
            Ok(json!({"tags": [{"Key": "team", "Value": "a"}]}))
        }
        "ListTagsForResource" => Ok(json!({"tags": []})),
        _ => sample.answer(operation, input),
    })
}

#[test]
fn repositories() {
    let service = repositories_with_settings();
    let mut machine = service.machine();
    for width in [40, 80, 200] {
        machine.set("COLUMNS", width.to_string());
        golden(&format!("repos-{width}.txt"), &machine.ok("repos --usage"));
    }
    machine.unset("COLUMNS");
    golden("repos.md", &machine.ok("repos --output markdown"));
    golden("repos.tsv", &machine.ok("repos --usage --sort images --output text"));
    let outcome = machine.ecr(&["repos", "--policies", "--output", "json"]);
    assert_eq!(outcome.code, 4, "{}", outcome.transcript());
    let value = valid("repos", &outcome.stdout);
    let policies = |at: usize| {
        let repository = &value["repositories"][at];
        (repository["hasLifecyclePolicy"].clone(), repository["hasRepositoryPolicy"].clone())
    };
    assert_eq!(policies(0), (json!(true), json!(false)));
    assert_eq!(policies(2), (json!(false), Value::Null));
    valid("repos", &machine.ok("repos --usage --output json"));
    assert_eq!(
        machine.ok("repos --output text --query repositories[].repositoryName"),
        "team/app\tteam/empty\tteam/odd\n"
    );
}

#[test]
fn repositories_are_chosen_and_sorted() {
    let service = repositories_with_settings();
    let machine = service.machine();
    let names = |options: &str| {
        machine
            .ok(&format!("repos --output text {options}"))
            .lines()
            .map(|line| line.split('\t').next().unwrap().to_owned())
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(names(""), "team/app team/empty team/odd");
    assert_eq!(names("--empty"), "team/empty");
    assert_eq!(names("--sort size"), "team/app team/odd team/empty");
    assert_eq!(names("--unused 2023-01-01"), "");
    assert_eq!(names("--unused 1d"), "team/app team/empty team/odd");
    assert_eq!(names("--resource-tag team=a"), "team/app");
    assert_eq!(names("*/o*"), "team/odd");
}

#[test]
fn what_an_image_is() {
    let configuration = json!({
        "architecture": "amd64", "os": "linux", "created": "2026-01-02T03:04:05Z",
        "config": {
            "Entrypoint": ["/app", "serve now"], "Cmd": ["--port", "80"], "User": "app", "WorkingDir": "/srv",
            "ExposedPorts": {"80/tcp": {}}, "Labels": {"a": "b", "evil": "\u{1b}[2J"}
        },
        "rootfs": {"type": "layers", "diff_ids": []},
        "history": [
            {"created_by": "COPY app /app"}, {"created_by": "ENV A=1", "empty_layer": true}, {"created_by": "RUN x"}
        ]
    })
    .to_string();
    let machine = {
        let mut machine = crate::harness::Machine::new();
        machine.set("TZ", "UTC").set("ECR_LOCAL", "1");
        machine
    };
    machine.ok("create-repository --repository-name team/app");
    let blob = |bytes: &str| json!({"digest": digest(bytes.as_bytes()), "size": bytes.len()});
    let layers = ["one", "three"].map(|bytes| {
        let mut layer = blob(bytes);
        layer["mediaType"] = json!("application/vnd.oci.image.layer.v1.tar");
        layer
    });
    let mut config = blob(&configuration);
    config["mediaType"] = json!("application/vnd.oci.image.config.v1+json");
    let manifest = json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": config,
        "layers": layers
    })
    .to_string();
    for bytes in [configuration.as_str(), "one", "three", manifest.as_str()] {
        machine.write(&format!("layout/blobs/sha256/{}", &digest(bytes.as_bytes())[7..]), bytes);
    }
    machine.write("layout/oci-layout", r#"{"imageLayoutVersion":"1.0.0"}"#);
    let index = json!({"schemaVersion": 2, "manifests": [{
        "mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": digest(manifest.as_bytes()),
        "size": manifest.len()
    }]});
    machine.write("layout/index.json", index.to_string());
    machine.ok("push ./layout team/app:1");
    let page = machine.ok("inspect team/app:1 --layers");
    let shown: Vec<&str> =
        page.lines().filter(|line| !line.starts_with("PUSHED") && !line.starts_with("PULLED")).collect();
    golden("inspect.txt", &(shown.join("\n") + "\n"));
    assert_eq!(machine.ok("inspect team/app:1 --raw"), manifest);
    assert_eq!(machine.ok("inspect team/app:1 --config"), configuration);
    let value = valid("inspect", &machine.ok("inspect team/app:1 --output json"));
    assert_eq!(value["config"]["config"]["User"], "app");
    assert_eq!(
        machine.ok("inspect team/app:1 --platform linux/amd64 --query config.os"),
        machine.ok("inspect team/app:1 --query config.os")
    );
    let _ = machine.fails(1, "inspect team/app:1 --platform linux/arm64");
    let _ = machine.fails(254, "inspect team/app:2");
}

#[test]
fn what_an_index_is() {
    let service = Service::of(registry());
    let machine = service.machine();
    golden("inspect-index.txt", &machine.ok("inspect team/app:1.2.3"));
    golden("inspect-index.tsv", &machine.ok("inspect team/app:1.2.3 --output text"));
    golden("inspect-index.md", &machine.ok("inspect team/app:1.2.3 --output markdown"));
    golden("inspect-tree.txt", &machine.ok("inspect team/app:1.2.3 --tree"));
    valid("inspect", &machine.ok("inspect team/app:1.2.3 --output json"));
    let _ = machine.fails(252, "inspect team/app:1.2.3 --config");
    // The manifest was fetched once, and no other.
    assert_eq!(service.count("BatchGetImage"), 1);
}

/// Two repositories that share a layer, and an archived image.
fn shared() -> Registry {
    let mut registry = Registry::default();
    let layer = |name: &str, size: u64| json!({"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": digest(name.as_bytes()), "size": size});
    let manifest = |layers: Vec<Value>| {
        json!({
            "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest(b"{}"), "size": 2},
            "layers": layers
        })
    };
    let one = registry.manifest(&manifest(vec![layer("base", 1 << 20), layer("one", 1 << 18)]));
    let two = registry.manifest(&manifest(vec![layer("base", 1 << 20), layer("two", 1 << 18)]));
    let images = |list: &[(&String, &str, u64)]| {
        let of = |(digest, tag, month): &(&String, &str, u64)| {
            image(
                "",
                json!({
                    "imageDigest": digest, "imageTags": [tag], "imageSizeInBytes": (1 << 20) + (1 << 18),
                    "imagePushedAt": 1_700_000_000 + month * 30 * 86400
                }),
            )
        };
        list.iter().map(of).collect::<Vec<_>>()
    };
    let mut app = images(&[(&one, "v1", 0), (&two, "release-2", 1)]);
    app.push(image(
        "cold",
        json!({"imageSizeInBytes": 1 << 30, "imageStatus": "ARCHIVED", "imagePushedAt": 1_700_000_000}),
    ));
    registry.with("team/app", app).with("team/tool", images(&[(&one, "1", 2)]))
}

#[test]
fn how_much_repositories_take() {
    let service = Service::of(shared());
    let mut machine = service.machine();
    for width in [40, 80, 200] {
        machine.set("COLUMNS", width.to_string());
        golden(&format!("du-{width}.txt"), &machine.ok("du --price 0.10,0.07"));
    }
    machine.unset("COLUMNS");
    for by in ["tag-prefix", "age", "status"] {
        golden(&format!("du-{by}.txt"), &machine.ok(&format!("du --all --by {by}")));
        valid("du", &machine.ok(&format!("du --by {by} --output json")));
    }
    assert_eq!(service.count("BatchGetImage"), 0);
    golden("du.tsv", &machine.ok("du --output text"));
    golden("du.md", &machine.ok("du --output markdown"));
    let outcome = machine.ecr(&["du", "--exact", "--output", "json", "--report", "html=du.html"]);
    assert_eq!(outcome.code, 0, "{}", outcome.transcript());
    let value = valid("du", &outcome.stdout);
    // Layers once: the base, two others, and a configuration of two bytes; one image is archived and not known.
    let app = &value["repositories"][0];
    assert_eq!(
        (&app["uniqueBytes"], &app["onlyHereBytes"]),
        (&json!((1 << 20) + 2 * (1 << 18) + 2), &json!(1 << 18))
    );
    assert_eq!((&app["exact"], &value["repositories"][1]["exact"]), (&json!(false), &json!(true)));
    assert_eq!(value["summary"]["uniqueBytes"], json!((1 << 20) + 2 * (1 << 18) + 2));
    assert!(outcome.stderr.contains("fetched, which count"), "{}", outcome.stderr);
    golden("du.html", &std::fs::read_to_string(machine.path().join("du.html")).unwrap());
    let fetched = service.count("BatchGetImage");
    golden("du-exact.txt", &machine.ok("du --exact"));
    assert_eq!(service.count("BatchGetImage"), fetched);
    for wrong in ["du --exact --by age", "du --price free", "du --report pdf=x", "du team/app --all"] {
        let _ = machine.fails(252, wrong);
    }
}

#[test]
fn one_screen_of_commands_and_one_sentence_for_errors() {
    let machine = crate::harness::Machine::new();
    let page = machine.ok("--help");
    golden("help.txt", &page);
    assert_eq!(machine.ecr(&[]).stdout, page);
    assert_eq!(machine.ok("help"), page);
    assert!(machine.ok("help operations").contains("describe-images"));
    assert_eq!(machine.ok("help images"), machine.ok("images help"));
    assert_eq!(
        machine.fails(252, "images team/app --lmit 3"),
        "error: unexpected argument '--lmit' found; a similar argument exists: '--limit'; `ecr images --help` lists the options\n"
    );
    assert_eq!(
        machine.fails(252, "images team/app --since 6m"),
        "error: invalid value '6m' for '--since <TIME>': '6m' may be minutes or months: write 6min, or 26w; \
         `ecr images --help` lists the options\n"
    );
    assert_eq!(
        machine.fails(252, "images"),
        "error: name a repository, a glob such as 'team/*', or --all for all of them\n"
    );
    assert_eq!(
        machine.fails(252, "imags team/app"),
        "error: there is no command imags; did you mean images? `ecr --help` lists the commands\n"
    );
}

/// The sizes are compared with gzip's, the diff ids with the image's own configuration.
#[test]
fn uncompressed_sizes_are_measured() {
    let mut machine = crate::harness::Machine::new();
    machine.set("ECR_LOCAL", "1");
    machine.ok("create-repository --repository-name team/app");
    let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/sample-image");
    machine.ok(&format!("push {sample} team/app:1"));
    let line = "inspect team/app:1 --platform linux/amd64 --layers --measure";
    let value = valid("inspect", &machine.ok(&format!("{line} --output json")));
    let layers = value["layers"].as_array().unwrap();
    assert!(!layers.is_empty());
    for (number, layer) in layers.iter().enumerate() {
        let blob = format!("{sample}/blobs/sha256/{}", &layer["digest"].as_str().unwrap()[7..]);
        let plain = std::process::Command::new("gzip").args(["-dc", &blob]).output().unwrap();
        assert_eq!(layer["uncompressedSizeInBytes"], plain.stdout.len());
        assert_eq!(layer["diffId"], value["config"]["rootfs"]["diff_ids"][number]);
    }
    assert_eq!(machine.ok("images team/app --query length(images)"), "1\n", "one value is no table");
    let page = machine.ok(line);
    let diff_id = &layers[0]["diffId"].as_str().unwrap()[7..19];
    assert!(page.lines().any(|line| line.contains(diff_id)), "{page}");
    let _ = machine.fails(252, "inspect team/app:1 --measure");
    // An image that is no index is for the platform that its configuration says.
    let amd = machine.ok("digest team/app:1 --platform linux/amd64");
    let image = format!("digest team/app@{}", amd.trim());
    assert_eq!(machine.ok(&format!("{image} --platform linux/amd64")), amd);
    machine.fails(1, &format!("{image} --platform linux/arm64"));
}
