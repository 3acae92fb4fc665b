//! Random repositories and random criteria: what a plan may never do, checked independently of how it is made.
//!
//! `PROPTEST_CASES=1000000 cargo test --lib retention::tests::property` runs longer. A failure names its seed, and
//! `RETENTION_SEED` runs it alone.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;

use serde_json::json;

use super::super::*;
use crate::harness::random::Random;
use crate::image::graph::{Detail, Graph, Status, Time};
use crate::image::{Digest, glob, media_type};

/// Number of random repositories, unless the environment says otherwise.
const CASES: u64 = 20_000;
/// The present, in seconds since 1970.
const NOW: i64 = 1_700_000_000;
const HOUR: i64 = 3600;

/// Repository, criteria, and protected images.
struct Case {
    graph: Graph,
    criteria: Criteria,
    protected: HashMap<usize, Protector>,
    pulls: HashMap<usize, Option<Time>>,
}

fn time(seconds: i64) -> Time {
    Time::of(jiff::Timestamp::from_second(seconds).unwrap())
}

fn digest(number: usize) -> Digest {
    Digest::of(number.to_string().as_bytes())
}

const TAGS: [&str; 8] = ["v1", "v2", "pr-1", "pr-2", "prod", "latest", "build-7", "keep-me"];
const GLOBS: [&str; 5] = ["v*", "pr-*", "prod", "*", "build-*"];

impl Case {
    fn new(seed: u64) -> Self {
        // The first steps of a small seed are small themselves.
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let size = 1 + random.below(14);
        let mut graph = Graph::default();
        let mut lists: Vec<(usize, Vec<usize>)> = Vec::new();
        for number in 0..size {
            let is_index = random.chance(35);
            graph.add(Detail::read(&detail(&mut random, (number, size), is_index)).unwrap());
            if is_index && random.chance(97) {
                // What an index lists was there before it, or is not there at all.
                let children = (0..random.below(4))
                    .map(|_| if random.chance(10) { size + 5 } else { random.below(number.max(1)) });
                lists.push((number, children.filter(|child| *child != number).collect()));
            }
        }
        graph.link();
        for (index, children) in &lists {
            graph.set_listed(*index, children.iter().map(|child| (digest(*child), None)));
        }
        graph.link();
        let protector = [Protector::Reference, Protector::InUse, Protector::UnknownUse];
        let protected =
            (0..size).filter(|_| random.chance(6)).map(|at| (at, protector[at % protector.len()])).collect();
        let pulls = (0..size).filter_map(|at| random.chance(5).then_some((at, None))).collect();
        Self { graph, criteria: criteria(&mut random), protected, pulls }
    }

    fn repository(&self) -> Repository<'_> {
        Repository { graph: &self.graph, pulls: &self.pulls, protected: &self.protected }
    }
}

/// An image as the service describes it, one of `size`.
fn detail(random: &mut Random, (number, size): (usize, usize), is_index: bool) -> serde_json::Value {
    let mut detail = json!({"imageDigest": digest(number), "imageSizeInBytes": random.below(1000)});
    detail["imageManifestMediaType"] =
        json!(if is_index { media_type::OCI_INDEX } else { media_type::OCI_MANIFEST });
    if random.chance(95) {
        let age = *random.pick(&[0, HOUR / 2, HOUR * 3, HOUR * 24 * 20, HOUR * 24 * 40, HOUR * 24 * 100]);
        detail["imagePushedAt"] = json!(NOW - age - i64::try_from(random.below(1000)).unwrap());
    }
    if random.chance(30) {
        detail["lastRecordedPullTime"] = json!(NOW - HOUR * 24 * i64::try_from(random.below(100)).unwrap());
    }
    let mut tags: Vec<String> = Vec::new();
    // A tag names one image.
    if random.chance(45) {
        tags.push(format!("{}-{number}", random.pick(&TAGS)));
    }
    if random.chance(12) {
        tags.push(format!("extra-{number}"));
    }
    if random.chance(18) {
        let subject = digest(random.below(size + 2));
        let ending = *random.pick(&["", ".sig", ".att", ".sbom"]);
        tags.push(format!("sha256-{}{ending}", subject.hexadecimal()));
    }
    if !tags.is_empty() {
        detail["imageTags"] = json!(tags);
    }
    if random.chance(18) {
        detail["subjectManifestDigest"] = json!(digest(random.below(size + 2)));
    }
    detail["imageStatus"] = json!(match random.below(20) {
        0 => "ARCHIVED",
        1 => "ACTIVATING",
        _ => "ACTIVE",
    });
    detail
}

fn criteria(random: &mut Random) -> Criteria {
    let mut criteria = Criteria::none(time(NOW - HOUR));
    let days = |random: &mut Random| time(NOW - HOUR * 24 * i64::try_from(random.below(60)).unwrap());
    criteria.tags = *random.pick(&[None, None, Some(TagState::Untagged), Some(TagState::Tagged)]);
    if random.chance(30) {
        criteria.matching = vec![(*random.pick(&GLOBS)).to_owned()];
    }
    criteria.pushed_before = random.chance(40).then(|| days(random));
    criteria.unused_since = random.chance(30).then(|| days(random));
    criteria.orphans = random.chance(25);
    criteria.keep = random.chance(30).then(|| random.below(4));
    if random.chance(20) {
        criteria.keep_tags = vec![(*random.pick(&["keep-*", "prod*", "*-3", "sha256-*"])).to_owned()];
    }
    criteria.by_tag = !criteria.orphans && criteria.tags != Some(TagState::Untagged) && random.chance(20);
    criteria.archives = !criteria.by_tag && random.chance(10);
    criteria
}

/// Returns whether the criteria choose an image: a second, independent implementation.
fn is_chosen(case: &Case, at: usize) -> bool {
    let (graph, wanted) = (&case.graph, &case.criteria);
    let image = graph.image(at);
    let ordinary: Vec<&str> = image.ordinary_tags().collect();
    let listed_by_some =
        (0..graph.len()).any(|index| graph.children(index).any(|child| child.position == at));
    let about: Vec<usize> = graph.subjects_of(at).collect();
    let companion = image.is_companion();
    if listed_by_some || (companion && !about.is_empty()) {
        return false;
    }
    let broken_index =
        graph.listed(at).is_some_and(|listed| !listed.absent.is_empty()) && graph.children(at).count() == 0;
    if wanted.orphans && !(companion || broken_index) {
        return false;
    }
    if companion
        && (!wanted.orphans || wanted.tags.is_some() || !wanted.matching.is_empty() || !ordinary.is_empty())
    {
        return false;
    }
    let tags = match wanted.tags {
        None => true,
        Some(TagState::Tagged) => image.tags().next().is_some(),
        Some(TagState::Untagged) => image.tags().next().is_none(),
    };
    let matches = wanted.matching.is_empty()
        || ordinary.iter().any(|tag| wanted.matching.iter().any(|one| glob::matches(one, tag)));
    let old = wanted.pushed_before.is_none_or(|before| image.pushed().is_some_and(|pushed| pushed < before));
    let unused = wanted.unused_since.is_none_or(|since| {
        let with_children = below(graph, at, false);
        image.pushed().is_some()
            && with_children.iter().all(|one| {
                let pulled = case.pulls.get(one).copied().unwrap_or_else(|| graph.image(*one).pulled());
                graph.image(*one).pushed().is_none_or(|pushed| pushed < since)
                    && pulled.is_none_or(|pulled| pulled < since)
            })
    });
    tags && matches && old && unused
}

/// Returns the images below an image: its children, and with companions the companions of any of these.
fn below(graph: &Graph, at: usize, companions: bool) -> HashSet<usize> {
    let mut all = HashSet::from([at]);
    loop {
        let mut more: Vec<usize> = Vec::new();
        for one in &all {
            more.extend(graph.children(*one).map(|child| child.position));
            if companions {
                more.extend(graph.companions(*one));
            }
        }
        let before = all.len();
        all.extend(more);
        if all.len() == before {
            return all;
        }
    }
}

/// Returns whether an image must stay for its own sake.
fn must_stay(case: &Case, at: usize) -> bool {
    let image = case.graph.image(at);
    let kept_tag = !case.criteria.by_tag
        && image.tags().any(|tag| case.criteria.keep_tags.iter().any(|one| glob::matches(one, tag)));
    case.protected.contains_key(&at)
        || kept_tag
        || image.status() == Status::Activating
        || image.pushed().is_none_or(|pushed| pushed >= case.criteria.young_since)
}

/// Returns whether an unreadable index may list an image: any that has no tag, and a tagged one unless it is younger.
fn may_belong(graph: &Graph, at: usize) -> bool {
    let pushed = |at: usize| graph.image(at).pushed();
    (0..graph.len()).any(|index| {
        let is_unknown = index != at && graph.is_index(index) && graph.listed(index).is_none();
        let is_younger = matches!((pushed(at), pushed(index)), (Some(own), Some(other)) if own > other);
        is_unknown && !(is_younger && graph.image(at).is_tagged())
    })
}

/// Describes the fault in the verdict on an image, with the other image that it concerns.
fn wrong(case: &Case, at: usize, goes: &impl Fn(usize) -> bool) -> Option<(String, usize)> {
    let graph = &case.graph;
    let image = graph.image(at);
    if !goes(at) {
        if let Some(child) = graph.children(at).find(|child| goes(child.position)) {
            return Some(("a kept index loses a child".to_owned(), child.position));
        }
        if let Some(companion) = graph.companions(at).find(|companion| goes(*companion)) {
            return Some(("a kept image loses what is about it".to_owned(), companion));
        }
        return None;
    }
    if must_stay(case, at) {
        return Some(("what must stay goes".to_owned(), at));
    }
    if let Some(below) = below(graph, at, true).into_iter().find(|one| must_stay(case, *one)) {
        return Some((format!("it goes although {below} below it must stay"), at));
    }
    if case.criteria.archives && image.status() == Status::Archived {
        return Some(("an archived image is archived".to_owned(), at));
    }
    if may_belong(graph, at) {
        return Some(("it may belong to an index that nobody can read".to_owned(), at));
    }
    let chosen = is_chosen(case, at);
    if image.ordinary_tags().next().is_some() && !chosen {
        return Some(("a tagged image goes that nobody chose".to_owned(), at));
    }
    let hangs_on_something_that_goes = graph.parents(at).chain(graph.subjects_of(at)).any(goes);
    if !chosen && !hangs_on_something_that_goes {
        return Some(("it goes for no reason".to_owned(), at));
    }
    None
}

fn check(case: &Case) -> Result<usize, String> {
    let graph = &case.graph;
    let plan = plan(case.repository(), &case.criteria);
    let going: Vec<usize> = plan.going().collect();
    let goes = |at: usize| going.contains(&at);
    let fail = |what: &str, at: usize| Err(format!("{what}: image {at}, verdict {:?}", plan.verdict(at)));
    for at in 0..graph.len() {
        if let Some((what, at)) = wrong(case, at, &goes) {
            return fail(&what, at);
        }
    }
    if !case.criteria.by_tag {
        newest_stay(case, &goes)?;
        for at in (0..graph.len()).filter(|at| is_chosen(case, *at) && !goes(*at)) {
            let is_bound = below(graph, at, true).into_iter().any(|one| must_stay(case, one));
            let archived = case.criteria.archives && graph.image(at).status() == Status::Archived;
            if !is_bound
                && !may_belong(graph, at)
                && !archived
                && !matches!(plan.verdict(at), Verdict::Keep(KeepReason::Newest(_)))
            {
                return fail("what was chosen stays for no reason", at);
            }
        }
    }
    tags_go_one_by_one(case, &plan)?;
    in_order(graph, &going)?;
    Ok(going.len() + plan.untag.len())
}

fn newest_stay(case: &Case, goes: &impl Fn(usize) -> bool) -> Result<(), String> {
    let Some(keep) = case.criteria.keep else { return Ok(()) };
    let graph = &case.graph;
    let mut tagged: Vec<usize> = (0..graph.len())
        .filter(|at| {
            let image = graph.image(*at);
            let is_free = graph.parents(*at).next().is_none() && !image.is_companion();
            let matches = image.ordinary_tags().any(|tag| {
                case.criteria.matching.is_empty()
                    || case.criteria.matching.iter().any(|one| glob::matches(one, tag))
            });
            is_free && matches && image.status() == Status::Active && image.pushed().is_some()
        })
        .collect();
    tagged.sort_by_key(|at| std::cmp::Reverse(graph.image(*at).pushed()));
    let kept = tagged.iter().filter(|at| !goes(**at)).count();
    if kept < keep.min(tagged.len()) {
        return Err(format!("{kept} tagged images stay of {}, and --keep says {keep}", tagged.len()));
    }
    // Whatever goes is older than the newest.
    let newest = tagged.iter().take(keep).filter(|at| goes(**at));
    let third = tagged.get(keep).and_then(|at| graph.image(*at).pushed());
    for at in newest {
        if graph.image(*at).pushed() > third {
            return Err(format!("{at} is among the newest and goes"));
        }
    }
    Ok(())
}

fn tags_go_one_by_one(case: &Case, plan: &Plan) -> Result<(), String> {
    let graph = &case.graph;
    if !case.criteria.by_tag && !plan.untag.is_empty() {
        return Err("tags go without --tags".to_owned());
    }
    for (at, tag) in &plan.untag {
        let image = graph.image(*at);
        let left = image.tags().filter(|one| !plan.untag.contains(&(*at, (*one).to_owned()))).count();
        if left == 0 || plan.goes(*at) {
            return Err(format!("{tag} goes as the last tag of {at}, which stays"));
        }
        if !image.ordinary_tags().any(|one| one == tag)
            || case.criteria.keep_tags.iter().any(|one| glob::matches(one, tag))
            || must_stay(case, *at)
        {
            return Err(format!("{tag} of {at} goes and has to stay"));
        }
    }
    Ok(())
}

fn in_order(graph: &Graph, going: &[usize]) -> Result<(), String> {
    let levels = levels(graph, going);
    let mut all: Vec<usize> = levels.concat();
    all.sort_unstable();
    if all != going {
        return Err(format!("{all:?} are in levels, and {going:?} go"));
    }
    let level = |at: usize| levels.iter().position(|level| level.contains(&at));
    for at in going {
        for parent in graph.parents(*at).filter(|parent| going.contains(parent)) {
            if level(parent) >= level(*at) {
                return Err(format!("{at} goes no later than {parent}, which lists it"));
            }
        }
        for subject in graph.subjects_of(*at).filter(|subject| going.contains(subject)) {
            // But where what is about an image lists it, directly or not.
            if level(subject) >= level(*at) && !below(graph, *at, true).contains(&subject) {
                return Err(format!("{at} goes no later than {subject}, which it is about"));
            }
        }
    }
    Ok(())
}

fn describe(case: &Case) -> String {
    let graph = &case.graph;
    let mut text = format!("{:?}\nprotected {:?}\n", case.criteria, case.protected);
    for at in 0..graph.len() {
        let image = graph.image(at);
        let children: Vec<usize> = graph.children(at).map(|child| child.position).collect();
        let _ = writeln!(
            text,
            "{at}: {:?} {:?} tags {:?} subjects {:?} pushed {:?} index {} lists {children:?} known {}",
            graph.kind(at),
            image.status(),
            image
                .tags()
                .map(|tag| tag.replace(|c: char| c.is_ascii_hexdigit() && tag.len() > 60, ""))
                .collect::<Vec<_>>(),
            graph.subjects_of(at).collect::<Vec<_>>(),
            image.pushed().map(|pushed| (NOW - pushed.timestamp().as_second()) / HOUR),
            graph.is_index(at),
            graph.listed(at).is_some(),
        );
    }
    text
}

#[test]
fn no_plan_removes_what_a_remaining_image_needs() {
    let variable = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seeds = match variable("RETENTION_SEED") {
        Some(seed) => seed..seed + 1,
        None => 1..variable("PROPTEST_CASES").unwrap_or(CASES),
    };
    let (mut cases, mut gone) = (0u64, 0u64);
    for seed in seeds {
        let case = Case::new(seed);
        match check(&case) {
            Ok(going) => gone += u64::from(going > 0),
            Err(reason) => panic!("RETENTION_SEED={seed}: {reason}\n{}", describe(&case)),
        }
        cases += 1;
    }
    // A generator of repositories from which nothing ever goes would prove nothing.
    assert!(cases < 100 || gone * 5 > cases, "something went from {gone} of {cases}");
}
