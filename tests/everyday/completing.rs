//! Completion of the names of repositories and tags, asked of the embedded ECR.

use crate::harness::Machine;

#[test]
fn repositories_and_tags_are_completed_wherever_they_may_stand() {
    let mut machine = Machine::new();
    machine.set("ECR_LOCAL", "1");
    for name in ["team/app", "team/tool"] {
        machine.ok(&format!("create-repository --repository-name {name}"));
    }
    let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/sample-image");
    machine.ok(&format!("push {sample} team/app:1.0 --tag latest"));
    let completed = |line: &str| {
        let mut arguments = vec!["complete"];
        arguments.extend(line.split(' '));
        let outcome = machine.ecr(&arguments);
        let words = outcome.stdout.lines().map(|line| line.split('\t').next().unwrap().to_owned());
        words.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(completed("images te"), "team/app team/tool");
    // The second repository as well as the first.
    assert_eq!(completed("images team/app te"), "team/app team/tool");
    assert_eq!(completed("du team/app te"), "team/app team/tool");
    assert_eq!(completed("digest team/app:"), "team/app:1.0 team/app:latest");
    assert_eq!(completed("inspect team/app:1"), "team/app:1.0");
    assert_eq!(completed("latest team/t"), "team/tool");
    assert_eq!(completed("tag team/app:"), "team/app:1.0 team/app:latest");
    assert_eq!(completed("tag team/t"), "team/tool");
    assert_eq!(completed("pull team/app:l"), "team/app:latest");
    assert_eq!(completed("push ./build te"), "team/app team/tool");
    assert_eq!(completed("prune team/t"), "team/tool");
    assert_eq!(completed("lifecycle preview team/t"), "team/tool");
    assert_eq!(completed("local lifecycle team/t"), "team/tool");
    assert_eq!(completed("public images te"), "");
    // Files as well as images: the shell offers files.
    assert_eq!(completed("copy te"), "");
    assert_eq!(completed("tag team/app:1.0 te"), "");
    assert_eq!(completed("describe-images --repository-name team/a"), "team/app");
}
