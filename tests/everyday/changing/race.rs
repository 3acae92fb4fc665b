//! Random repositories, random options, and somebody who pushes and moves tags between any two calls: what stays keeps all
//! that it needs, what the plan names is gone, and nothing else is.
//!
//! `PROPTEST_CASES=10000 cargo test --test integration changing::race` runs longer; `RACE_SEED` runs one case.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::super::valid;
use super::stage::{Registry, Stage, image, index, referrer};
use crate::harness::random::Random;

/// Number of random repositories, unless the environment says otherwise.
const CASES: u64 = 12;
const REPOSITORY: &str = "team/app";

/// Edges of an image, as it was made.
#[derive(Debug, Clone, Default)]
struct Made {
    children: Vec<String>,
    subjects: Vec<String>,
    /// The subject that the manifest names; the others are those of tags.
    referrer: Option<String>,
}

type World = BTreeMap<String, Made>;

/// Puts random images into a repository, each after what it lists.
fn fill(registry: &Registry, random: &mut Random, world: &mut World) {
    let mut known: Vec<String> = Vec::new();
    // Tags of companions, and the numbers of the images that have them.
    let mut holders: BTreeMap<String, usize> = BTreeMap::new();
    for number in 0..3 + random.below(12) {
        let name = format!("image-{number}-{}", random.0);
        let mut made = Made::default();
        let kind = if known.is_empty() { 0 } else { random.below(10) };
        let manifest = match kind {
            0..=4 => image(&name),
            5..=7 => {
                let children: BTreeSet<String> =
                    (0..=random.below(3)).map(|_| random.pick(&known).clone()).collect();
                made.children = children.into_iter().collect();
                let mut list = index(&made.children.iter().map(String::as_str).collect::<Vec<_>>());
                list["annotations"] = json!({"name": name});
                list
            }
            _ => {
                let subject = random.pick(&known).clone();
                made.subjects = vec![subject.clone()];
                made.referrer = Some(subject.clone());
                referrer(&name, &subject)
            }
        };
        let mut tags: Vec<String> = Vec::new();
        if random.chance(45) {
            tags.push(format!("{}-{number}", random.pick(&["v", "pr", "build"])));
        }
        if random.chance(15) {
            tags.push(format!("also-{number}"));
        }
        if random.chance(15) && !known.is_empty() {
            let subject = random.pick(&known).clone();
            let tag = format!("sha256-{}{}", &subject[7..], random.pick(&["", ".sig", ".att"]));
            if let Some(earlier) = holders.insert(tag.clone(), number) {
                // The tag moves here, and the image that had it is no companion by it any more.
                let made: &mut Made = world.get_mut(&known[earlier]).unwrap();
                if let Some(at) = made.subjects.iter().rposition(|each| *each == subject) {
                    made.subjects.remove(at);
                }
            }
            tags.push(tag);
            made.subjects.push(subject);
        }
        let digest = registry.put(REPOSITORY, &manifest, tags.first().map(String::as_str));
        for tag in tags.iter().skip(1) {
            registry.put(REPOSITORY, &manifest, Some(tag));
        }
        // A tag of a companion means something only beside no ordinary one.
        if tags.iter().any(|tag| !tag.starts_with("sha256-")) {
            made.subjects.retain(|subject| manifest["subject"]["digest"] == json!(subject));
        }
        registry.age(&digest, i64::try_from(random.below(120)).unwrap());
        known.push(digest.clone());
        world.insert(digest, made);
    }
    for digest in &known {
        if random.chance(6) {
            let input = json!({
                "repositoryName": REPOSITORY, "imageId": {"imageDigest": digest}, "targetStorageClass": "ARCHIVE"
            });
            let _ = registry.call("UpdateImageStorageClass", input);
        }
    }
}

fn options(random: &mut Random) -> Vec<String> {
    let mut words = Vec::new();
    let mut add = |text: &str| words.extend(text.split(' ').map(str::to_owned));
    add(random.pick::<&str>(&[
        "--untagged",
        "--tagged",
        "--older-than 20d",
        "--match pr-*",
        "--orphans",
        "--match *",
        "--not-pulled-for 10d",
    ]));
    if random.chance(40) {
        add(&format!("--older-than={}d", random.below(90)));
    }
    let keep = random.chance(30).then(|| random.below(4));
    if random.chance(20) {
        add(random.pick::<&str>(&["--keep-tag=also-*", "--keep-tag=v-*", "--keep-tag=*-3"]));
    }
    if let Some(keep) = keep.filter(|_| words[0] != "--untagged") {
        words.push(format!("--keep={keep}"));
    }
    let plain = words.iter().all(|word| word != "--untagged" && word != "--orphans");
    if plain && random.chance(20) {
        words.push("--tags".to_owned());
    }
    words.extend(["--allow-empty", "--jobs=1"].map(str::to_owned));
    if random.chance(50) {
        words.push("--grace=0s".to_owned());
    }
    words
}

/// Concurrent changes by another client.
#[derive(Default)]
struct Others {
    /// Images that were pushed or got a tag after the listing, and must be there at the end.
    touched: BTreeSet<String>,
    /// The tags of all images when they were listed.
    listed: BTreeMap<String, Vec<String>>,
    made: World,
    last_was_a_look: bool,
    failures: Vec<String>,
}

/// Pushes an index of images that are there, an image, or a tag that moves.
fn meddle(registry: &Registry, random: &mut Random, others: &mut Others) {
    let there: Vec<String> = registry.images(REPOSITORY).into_iter().map(|(digest, _)| digest).collect();
    let name = format!("other-{}", random.0);
    match random.below(3) {
        0 if !there.is_empty() => {
            let children: BTreeSet<String> =
                (0..=random.below(2)).map(|_| random.pick(&there).clone()).collect();
            let children: Vec<String> = children.into_iter().collect();
            let mut list = index(&children.iter().map(String::as_str).collect::<Vec<_>>());
            list["annotations"] = json!({"name": name});
            let digest = registry.put(REPOSITORY, &list, Some(&format!("other-{}", random.below(3))));
            others.touched.insert(digest.clone());
            others.made.insert(digest, Made { children, ..Made::default() });
        }
        1 if !there.is_empty() => {
            let wanted = random.pick(&there).clone();
            let input = json!({"repositoryName": REPOSITORY, "imageIds": [{"imageDigest": wanted}]});
            let got = registry.call("BatchGetImage", input).unwrap();
            let Some(text) = got["images"][0]["imageManifest"].as_str() else { return };
            let manifest: Value = serde_json::from_str(text).unwrap();
            registry.put_text(REPOSITORY, text, &manifest, Some(&format!("moving-{}", random.below(2))));
            others.touched.insert(wanted);
        }
        _ => {
            let digest = registry.image(REPOSITORY, &name, random.chance(50).then_some("pushed"));
            others.touched.insert(digest.clone());
            others.made.insert(digest, Made::default());
        }
    }
}

/// Checks that a deletion is permitted at the time of its call.
fn check_call(registry: &Registry, input: &Value, world: &World, others: &mut Others, by_tag: bool) {
    // The children of an archived index are unreadable: the service refuses to delete them, and they are spared.
    let active = registry.call("DescribeImages", json!({"repositoryName": REPOSITORY})).unwrap();
    let active = active["imageDetails"].as_array().unwrap().iter();
    let there: BTreeSet<String> =
        active.map(|image| image["imageDigest"].as_str().unwrap().to_owned()).collect();
    for id in input["imageIds"].as_array().unwrap() {
        let Some(digest) = id["imageDigest"].as_str() else {
            if !by_tag {
                others.failures.push(format!("a tag without a digest is deleted: {id}"));
            }
            continue;
        };
        if id.get("imageTag").is_some() {
            others.failures.push(format!("{id} has both"));
        }
        // Of the indexes that were there from the start none that lists it is there any more.
        if let Some((list, _)) = world
            .iter()
            .find(|(list, made)| there.contains(*list) && made.children.iter().any(|child| child == digest))
        {
            others.failures.push(format!("{digest} is deleted while {list} lists it"));
        }
    }
}

fn run(seed: u64) -> Result<usize, String> {
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let stage = Stage::new();
    stage.registry.repository(REPOSITORY);
    let mut world = World::new();
    fill(&stage.registry, &mut random, &mut world);
    let before: BTreeSet<String> =
        stage.registry.images(REPOSITORY).into_iter().map(|(digest, _)| digest).collect();
    let options = options(&mut random);
    let by_tag = options.iter().any(|word| word == "--tags");
    let others = Arc::new(Mutex::new(Others::default()));
    let (seen, known, chances) = (Arc::clone(&others), world.clone(), Mutex::new(Random(random.0)));
    let eager = random.below(80);
    stage.before_each_call(move |registry, operation, input, _| {
        let (mut others, mut random) = (seen.lock().unwrap(), chances.lock().unwrap());
        let is_look = operation == "DescribeImages" && input.get("imageIds").is_some();
        if operation == "BatchDeleteImage" {
            check_call(registry, input, &known, &mut others, by_tag);
        } else if !others.last_was_a_look && random.chance(eager) {
            // Between the last look and the deletion nothing can be done, and so nothing is tried there.
            meddle(registry, &mut random, &mut others);
        }
        let now: BTreeMap<String, Vec<String>> = registry.images(REPOSITORY).into_iter().collect();
        if operation == "DescribeImages" && !is_look {
            others.listed.clone_from(&now);
        }
        // An image with the tags of the listing is as the plan has it, whatever was done to it, and may go by it.
        let Others { touched, listed, .. } = &mut *others;
        touched.retain(|digest| listed.get(digest) != now.get(digest));
        others.last_was_a_look = is_look;
        None
    });
    let words: Vec<&str> = ["prune", REPOSITORY, "--yes", "--output", "json"]
        .into_iter()
        .chain(options.iter().map(String::as_str))
        .collect();
    let outcome = stage.machine.ecr(&words);
    if outcome.code != 0 {
        return Err(format!("{words:?}\n{}", outcome.transcript()));
    }
    let others = others.lock().unwrap();
    let value = valid("prune", &outcome.stdout);
    let problem = verdict(&stage.registry, &value["repositories"][0], &before, &world, &others);
    problem.map_err(|problem| {
        format!("{problem}\n{words:?}\nothers {:?}\n{}\nworld {world:#?}", others.touched, outcome.stdout)
    })
}

/// Returns whether an image is below another one: its child, a child's child, or a companion of any of these. Where it
/// is also what the other one is about, neither order keeps both: the service wants the index to go first, and somebody
/// may need the rest.
fn is_below(world: &World, image: &str, other: &str) -> bool {
    let (mut seen, mut waiting) = (BTreeSet::new(), vec![other]);
    while let Some(next) = waiting.pop() {
        if seen.insert(next) {
            let listed = world.get(next).into_iter().flat_map(|made| &made.children);
            waiting.extend(listed.map(String::as_str));
            let about = world.iter().filter(|(_, made)| made.subjects.iter().any(|subject| subject == next));
            waiting.extend(about.map(|(digest, _)| digest.as_str()));
        }
    }
    seen.contains(image)
}

/// The images that one was about when it was listed: by its tags only where nobody had given it an ordinary one.
fn subjects<'a>(digest: &str, made: &'a Made, others: &Others) -> impl Iterator<Item = &'a String> {
    let listed = others.listed.get(digest);
    let is_plain = listed.is_none_or(|tags| tags.iter().all(|tag| tag.starts_with("sha256-")));
    made.subjects.iter().filter(move |subject| is_plain || made.referrer.as_ref() == Some(*subject))
}

fn verdict(
    registry: &Registry,
    result: &Value,
    before: &BTreeSet<String>,
    world: &World,
    others: &Others,
) -> Result<usize, String> {
    if let Some(failure) = others.failures.first() {
        return Err(failure.clone());
    }
    let after: BTreeSet<String> = registry.images(REPOSITORY).into_iter().map(|(digest, _)| digest).collect();
    let digests = |list: &Value, of: &str| -> BTreeSet<String> {
        let each = list.as_array().unwrap().iter();
        each.filter_map(|one| one.pointer(of).and_then(Value::as_str).map(str::to_owned)).collect()
    };
    let planned = digests(&result["delete"], "/imageDigest");
    let spared = digests(&result["spared"], "/imageId/imageDigest");
    for digest in before {
        let is_there = after.contains(digest);
        if planned.contains(digest) && !spared.contains(digest) {
            if is_there && !others.touched.contains(digest) {
                return Err(format!("{digest} was planned and is there"));
            }
        } else if !is_there {
            return Err(format!("{digest} is gone and was not planned, or was spared"));
        }
    }
    for digest in &others.touched {
        if !after.contains(digest) {
            return Err(format!("{digest} was pushed or tagged meanwhile and is gone"));
        }
    }
    for (digest, made) in world.iter().chain(&others.made) {
        if after.contains(digest) {
            if let Some(child) = made.children.iter().find(|child| !after.contains(*child)) {
                return Err(format!("{digest} is there and has lost {child}"));
            }
            // An index has no layers of its own.
            if made.children.is_empty() {
                check_layers(registry, digest)?;
            }
        } else if let Some(subject) = subjects(digest, made, others)
            .find(|subject| after.contains(*subject) && !is_below(world, subject, digest))
        {
            return Err(format!("{digest} is gone and {subject}, which it is about, is there"));
        }
    }
    Ok(planned.len() - spared.len().min(planned.len()))
}

/// Every blob of an image is still there: those of an archived image may be in the archive.
fn check_layers(registry: &Registry, digest: &str) -> Result<(), String> {
    let layers = ["{}", "layer"].map(|blob| crate::harness::registry::digest(blob.as_bytes()));
    let input = json!({"repositoryName": REPOSITORY, "layerDigests": layers});
    let answer = registry.call("BatchCheckLayerAvailability", input).unwrap();
    let id = json!({"repositoryName": REPOSITORY, "imageIds": [{"imageDigest": digest}]});
    let image = registry.call("DescribeImages", id).unwrap();
    let is_archived = image["imageDetails"][0]["imageStatus"] == "ARCHIVED";
    let is_there = |layer: &&Value| {
        layer["layerAvailability"] == "AVAILABLE" || (is_archived && layer["layerAvailability"] == "ARCHIVED")
    };
    if answer["layers"].as_array().unwrap().iter().filter(is_there).count() == 2 {
        return Ok(());
    }
    Err(format!("{digest} has lost a layer: {answer}"))
}

#[test]
fn no_image_is_lost_to_concurrent_changes() {
    let variable = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seeds = if let Some(seed) = variable("RACE_SEED") {
        seed..seed + 1
    } else {
        let first = variable("RACE_FIRST").unwrap_or(1);
        first..first + variable("PROPTEST_CASES").unwrap_or(CASES)
    };
    let (mut cases, mut gone) = (0, 0);
    for seed in seeds {
        match run(seed) {
            Ok(number) => gone += number,
            Err(problem) => panic!("RACE_SEED={seed}: {problem}"),
        }
        cases += 1;
    }
    assert!(cases < 10 || gone > cases / 2, "{gone} images went from {cases} repositories");
}
