mod property;

use std::collections::{HashMap, HashSet};

use serde_json::{Value, json};

use super::*;
use crate::image::graph::{Detail, Graph, Time};
use crate::image::{Digest, media_type};

const NOW: &str = "2026-11-30T12:00:00Z";

fn at(text: &str) -> Time {
    Time::of(text.parse().unwrap())
}

fn digest(name: &str) -> Digest {
    Digest::of(name.as_bytes())
}

/// Repository of sample images: a name, tags, and further members.
struct Sample(Vec<(String, Value, Vec<String>)>);

impl Sample {
    fn image(mut self, name: &str, tags: &[&str], days: i64) -> Self {
        let pushed = NOW.parse::<jiff::Timestamp>().unwrap().as_second() - days * 86_400 - 60;
        let mut detail = json!({
            "imageDigest": digest(name), "imagePushedAt": pushed, "imageManifestMediaType": media_type::OCI_MANIFEST
        });
        if !tags.is_empty() {
            detail["imageTags"] = json!(tags);
        }
        self.0.push((name.to_owned(), detail, Vec::new()));
        self
    }

    fn index(self, name: &str, tags: &[&str], days: i64, children: &[&str]) -> Self {
        let mut sample = self.image(name, tags, days);
        let last = sample.0.last_mut().unwrap();
        last.1["imageManifestMediaType"] = json!(media_type::OCI_INDEX);
        last.2 = children.iter().map(|child| (*child).to_owned()).collect();
        sample
    }

    /// Sets a member of the image that was added last.
    fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.last_mut().unwrap().1[name] = value.into();
        self
    }

    fn graph(&self) -> Graph {
        let mut graph = Graph::default();
        for (_, detail, _) in &self.0 {
            graph.add(Detail::read(detail).unwrap());
        }
        graph.link();
        for (position, (_, detail, children)) in self.0.iter().enumerate() {
            if detail["imageManifestMediaType"] == media_type::OCI_INDEX && children != &["?"] {
                graph.set_listed(position, children.iter().map(|child| (digest(child), None)));
            }
        }
        graph.link();
        graph
    }

    /// Returns the removed images, and the reasons of the others.
    fn plan(&self, criteria: &Criteria, protected: &[&str]) -> (Vec<String>, HashMap<String, String>) {
        let graph = self.graph();
        let protected = protected
            .iter()
            .map(|name| (graph.position(&digest(name)).unwrap(), Protector::Reference))
            .collect();
        let pulls = HashMap::new();
        let plan = plan(Repository { graph: &graph, pulls: &pulls, protected: &protected }, criteria);
        self.told(&graph, &plan)
    }

    fn told(&self, graph: &Graph, plan: &Plan) -> (Vec<String>, HashMap<String, String>) {
        let (mut gone, mut kept) = (Vec::new(), HashMap::new());
        for (position, (name, _, _)) in self.0.iter().enumerate() {
            match plan.verdict(position) {
                Verdict::Go(_) => gone.push(name.clone()),
                Verdict::Keep(reason) => {
                    let mut text = reason.text(graph);
                    for (other, _, _) in &self.0 {
                        text = text.replace(&digest(other).to_string(), other);
                    }
                    kept.insert(name.clone(), text);
                }
            }
        }
        (gone, kept)
    }
}

fn sample() -> Sample {
    Sample(Vec::new())
}

fn criteria() -> Criteria {
    Criteria::none(at("2026-11-30T11:00:00Z"))
}

fn untagged() -> Criteria {
    Criteria { tags: Some(TagState::Untagged), ..criteria() }
}

fn tagged() -> Criteria {
    Criteria { tags: Some(TagState::Tagged), ..criteria() }
}

fn signature(of: &str) -> String {
    format!("sha256-{}.sig", digest(of).hexadecimal())
}

#[test]
fn untagged_is_not_unused() {
    let repository = sample()
        .image("amd", &[], 10)
        .image("arm", &[], 10)
        .index("app", &["1"], 10, &["amd", "arm"])
        .image("signature", &[&signature("app")], 10)
        .image("of-child", &[], 10)
        .with("subjectManifestDigest", json!(digest("amd")))
        .image("pinned", &[], 10)
        .image("left", &[], 10);
    let (gone, kept) = repository.plan(&untagged(), &["pinned"]);
    assert_eq!(gone, ["left"]);
    assert_eq!(kept["amd"], "held by app");
    assert_eq!(kept["signature"], "about app");
    assert_eq!(kept["of-child"], "about amd");
    assert_eq!(kept["pinned"], "protected by a reference");
    assert_eq!(kept["app"], "has a tag");
}

#[test]
fn an_index_goes_with_all_that_hangs_on_it_and_nothing_else() {
    let repository = sample()
        .image("amd", &[], 90)
        .image("shared", &[], 90)
        .image("tagged", &["1-arm"], 90)
        .index("old", &["1"], 90, &["amd", "shared", "tagged"])
        .index("new", &["2"], 1, &["shared"])
        .image("signature", &[&signature("old")], 90)
        .image("of-signature", &[], 90)
        .with("subjectManifestDigest", json!(digest("signature")))
        .image("report", &["report"], 90)
        .with("subjectManifestDigest", json!(digest("old")));
    let old = Criteria { pushed_before: Some(at("2026-11-01T00:00:00Z")), ..tagged() };
    let (gone, kept) = repository.plan(&old, &[]);
    assert_eq!(gone, ["amd", "old", "signature", "of-signature"]);
    assert_eq!(kept["shared"], "held by new");
    assert_eq!(kept["tagged"], "has a tag of its own");
    assert_eq!(kept["report"], "has a tag of its own");
    assert_eq!(kept["new"], "pushed too recently");
}

#[test]
fn protected_images_keep_their_indexes_and_subjects() {
    let repository = || {
        sample().image("amd", &[], 90).index("old", &["1"], 90, &["amd"]).image(
            "signature",
            &[&signature("amd")],
            90,
        )
    };
    let (gone, kept) = repository().plan(&tagged(), &["amd"]);
    assert_eq!(gone, Vec::<String>::new());
    assert_eq!(kept["old"], "waits for amd, which has to stay");
    let (gone, kept) = repository().plan(&tagged(), &["signature"]);
    assert_eq!((gone.len(), kept["old"].as_str()), (0, "waits for amd, which has to stay"));
    // A signature of a minute ago means that the image is in use.
    let signed = repository().image("new", &[&signature("old")], 0);
    assert_eq!(signed.plan(&tagged(), &[]).1["old"], "waits for new, which has to stay");
    let (gone, _) = repository().plan(&tagged(), &[]);
    assert_eq!(gone, ["amd", "old", "signature"]);
}

#[test]
fn keep_counts_images_that_people_tagged() {
    let repository = sample()
        .image("a", &["v1"], 40)
        .image("b", &["v2"], 30)
        .image("c", &["v3"], 20)
        .image("cold", &["v4"], 10)
        .with("imageStatus", "ARCHIVED")
        .image("signature", &[&signature("c")], 5)
        .image("d", &["other"], 4)
        .image("e", &[], 3);
    let keep = |number| Criteria { keep: Some(number), matching: vec!["v*".to_owned()], ..criteria() };
    let (gone, kept) = repository.plan(&keep(2), &[]);
    assert_eq!(gone, ["a", "cold"]);
    assert_eq!((kept["c"].as_str(), kept["b"].as_str()), ("newest 2", "newest 2"));
    assert_eq!((kept["d"].as_str(), kept["e"].as_str()), ("no tag matches", "no tag matches"));
    assert_eq!(repository.plan(&keep(0), &[]).0, ["a", "b", "c", "cold", "signature"]);
}

#[test]
fn orphans_are_chosen_as_such_alone() {
    let repository = sample()
        .image("signature", &[&signature("gone")], 90)
        .image("referrer", &[], 90)
        .with("subjectManifestDigest", json!(digest("gone")))
        .image("named", &["report"], 90)
        .with("subjectManifestDigest", json!(digest("gone")))
        .index("hollow", &["1"], 90, &["gone"])
        .index("empty", &["2"], 90, &[])
        .image("plain", &[], 90);
    let orphans = Criteria { orphans: true, ..criteria() };
    assert_eq!(repository.plan(&orphans, &[]).0, ["signature", "referrer", "hollow"]);
    for other in [untagged(), tagged(), Criteria { matching: vec!["*".to_owned()], ..criteria() }] {
        let gone = repository.plan(&other, &[]).0;
        assert!(
            !gone.iter().any(|name| ["signature", "referrer", "named"].contains(&name.as_str())),
            "{gone:?}"
        );
    }
}

#[test]
fn images_of_unknown_use_stay() {
    // The children of an archived index, an image without a push time, one on its way back, one that is just pushed.
    let repository = sample()
        .index("archived", &["1"], 90, &["?"])
        .with("imageStatus", "ARCHIVED")
        .image("perhaps", &[], 90)
        .image("tagged", &["2"], 90)
        .image("younger", &["6"], 89)
        .image("timeless", &["3"], 90)
        .with("imagePushedAt", Value::Null)
        .image("activating", &["4"], 90)
        .with("imageStatus", "ACTIVATING")
        .image("new", &["5"], 0);
    let all = Criteria { pushed_before: Some(at("2027-01-01T00:00:00Z")), ..criteria() };
    let (gone, kept) = repository.plan(&all, &[]);
    assert_eq!(gone, ["archived", "younger"]);
    assert_eq!(kept["perhaps"], "may belong to archived archived");
    assert_eq!(kept["tagged"], "may belong to archived archived");
    assert_eq!(kept["timeless"], "push time not known");
    assert_eq!(kept["activating"], "on its way back from the archive");
    assert_eq!(kept["new"], "younger than the grace");
}

#[test]
fn last_use_is_that_of_an_index_and_its_children() {
    let repository = sample()
        .image("amd", &[], 200)
        .with("lastRecordedPullTime", "2026-11-20T00:00:00Z")
        .index("app", &["1"], 200, &["amd"])
        .image("old", &["2"], 200)
        .with("lastRecordedPullTime", "2026-06-01T00:00:00Z");
    let unused = Criteria { unused_since: Some(at("2026-09-01T00:00:00Z")), ..criteria() };
    let (gone, kept) = repository.plan(&unused, &[]);
    assert_eq!((gone, kept["app"].as_str()), (vec!["old".to_owned()], "used too recently"));
}

#[test]
fn by_tag_an_image_goes_with_its_last_tag() {
    let repository = sample()
        .image("both", &["pr-1", "v1"], 90)
        .image("one", &["pr-2"], 90)
        .image("two", &["pr-3", "pr-4"], 80)
        .image("kept", &["pr-keep"], 90)
        .image("child", &["pr-5", "pr-6"], 90)
        .index("app", &["v2"], 90, &["child"]);
    let graph = repository.graph();
    let none = (HashMap::new(), HashMap::new());
    let wanted = Criteria {
        by_tag: true,
        matching: vec!["pr-*".to_owned()],
        keep_tags: vec!["*-keep".to_owned()],
        keep: Some(1),
        ..criteria()
    };
    let plan = plan(Repository { graph: &graph, pulls: &none.0, protected: &none.1 }, &wanted);
    let (gone, kept) = repository.told(&graph, &plan);
    // The newest tag is pr-4 of "two"; "child" is held and keeps its tags.
    assert_eq!(gone, ["one"]);
    assert_eq!(plan.untag, [(0, "pr-1".to_owned()), (2, "pr-3".to_owned())]);
    assert_eq!(kept["both"], "has tags that stay");
}

#[test]
fn named_images_go_with_their_children_and_companions() {
    let repository = sample()
        .image("amd", &[], 0)
        .image("shared", &[], 0)
        .index("app", &["1"], 0, &["amd", "shared"])
        .index("other", &["2"], 0, &["shared"])
        .image("signature", &[&signature("app")], 0);
    let graph = repository.graph();
    let named = HashSet::from([2]);
    let gone =
        |children, companions| repository.told(&graph, &removal(&graph, &named, children, companions)).0;
    assert_eq!(gone(true, true), ["amd", "app", "signature"]);
    assert_eq!(gone(false, true), ["app", "signature"]);
    assert_eq!(gone(true, false), ["amd", "app"]);
    assert_eq!(gone(false, false), ["app"]);
}

#[test]
fn indexes_go_before_their_children_and_subjects_before_their_referrers() {
    // P lists S; X is about S, and lists it.
    let repository = sample()
        .image("s", &[], 90)
        .index("p", &["1"], 90, &["s"])
        .index("x", &[&signature("s")], 90, &["s"])
        .image("plain", &["2"], 90);
    let graph = repository.graph();
    assert_eq!(levels(&graph, &[0, 1, 2, 3]), [vec![1, 3], vec![2], vec![0]]);
    assert_eq!(levels(&graph, &[]), Vec::<Vec<usize>>::new());
}

/// Reproduces the faults of other tools: docs/everyday.md, "What went wrong elsewhere".
#[test]
fn faults_of_other_tools_do_not_occur() {
    // acr-cli#131, #188: children of tagged indexes, docker's and OCI's.
    let repository = sample()
        .image("a", &[], 90)
        .image("b", &[], 90)
        .index("docker", &["1"], 90, &["a"])
        .with("imageManifestMediaType", media_type::DOCKER_LIST)
        .index("oci", &["2"], 90, &["b"]);
    // Whatever the index lists, `Sample` sets it for OCI's type alone.
    let mut graph = repository.graph();
    graph.set_listed(2, [(digest("a"), None)]);
    graph.link();
    let none = (HashMap::new(), HashMap::new());
    let plan = plan(Repository { graph: &graph, pulls: &none.0, protected: &none.1 }, &untagged());
    assert!(plan.is_empty());
    // ecrm#16: the tag of a SOCI index names its image; it follows it, and is no candidate.
    let soci = format!("sha256-{}", digest("app").hexadecimal());
    let repository = sample().image("app", &["1"], 90).index("soci", &[&soci], 90, &[]);
    assert!(repository.plan(&untagged(), &[]).0.is_empty());
    assert_eq!(repository.plan(&tagged(), &[]).0, ["app", "soci"]);
    // ghcr-cleanup-action#71, #102: an index of which a child is missing goes with those that are there.
    let repository = sample().image("amd", &[], 90).index("half", &["1"], 90, &["amd", "gone"]);
    assert_eq!(repository.plan(&tagged(), &[]).0, ["amd", "half"]);
    // harbor#8717: of four tags of one image the newest two stay, and with them the image.
    let repository = sample().image("one", &["h-1", "h-2", "h-3", "h-4"], 90);
    let graph = repository.graph();
    let wanted = Criteria { by_tag: true, keep: Some(2), matching: vec!["h-*".to_owned()], ..criteria() };
    let plan = super::plan(Repository { graph: &graph, pulls: &none.0, protected: &none.1 }, &wanted);
    assert_eq!(plan.untag, [(0, "h-1".to_owned()), (0, "h-2".to_owned())]);
    // acr-cli#480: untagged is untagged, with children of its own or without.
    let repository =
        sample().image("x", &[], 90).index("tagged", &["1"], 90, &["x"]).index("bare", &[], 90, &["x"]);
    assert_eq!(repository.plan(&untagged(), &[]).0, ["bare"]);
}
