//! The examples of our own commands, below the options of `--help` and in the man pages.

use clap::Command;

/// A sentence and a command line.
type Example = (&'static str, &'static str);

/// The examples of each command, by its path.
const EXAMPLES: &[(&str, &[Example])] = &[
    (
        "push",
        &[
            ("Pushes an image from an OCI layout.", "ecr push ./layout team/app:1.0"),
            (
                "Pushes what docker saved, and makes the repository if it is not there.",
                "docker save app:1.0 | ecr push - team/app:1.0 --create",
            ),
        ],
    ),
    (
        "pull",
        &[
            ("Pulls an image into an OCI layout.", "ecr pull team/app:1.0 ./layout"),
            (
                "Pulls one platform into an archive that docker loads.",
                "ecr pull team/app:1.0 docker-archive:app.tar --platform linux/arm64",
            ),
        ],
    ),
    (
        "copy",
        &[
            ("Copies an image within the registry.", "ecr copy team/app:1.0 prod/app:1.0"),
            (
                "Copies an image from another registry.",
                "ecr copy docker://quay.io/prometheus/busybox:latest mirror/busybox:latest",
            ),
        ],
    ),
    (
        "sync",
        &[
            (
                "Mirrors repositories into another region.",
                "ecr sync 'team/*' 123456789012.dkr.ecr.us-west-2.amazonaws.com",
            ),
            (
                "Mirrors the releases of one repository below a prefix.",
                "ecr sync team/app mirror --match 'v*' --exclude '*-rc*'",
            ),
        ],
    ),
    (
        "images",
        &[
            ("Lists the ten newest images.", "ecr images team/app --limit 10"),
            (
                "Lists what has lost its tags in the last 30 days, in several repositories.",
                "ecr images 'team/*' --untagged --since 30d",
            ),
            ("Shows platforms, signatures and attestations where they belong.", "ecr images team/app --tree"),
            (
                "Writes repository, digest and size of all images, the largest first.",
                "ecr images --all --sort size --output text | cut -f1,2,5",
            ),
        ],
    ),
    (
        "repos",
        &[
            ("Lists all repositories.", "ecr repos"),
            ("Shows what repositories hold, the largest first.", "ecr repos 'team/*' --usage --sort size"),
            ("Lists what nobody has pushed to or pulled from for half a year.", "ecr repos --unused 180d"),
            ("Writes the names of empty repositories.", "ecr repos --empty --output text | cut -f1"),
        ],
    ),
    (
        "latest",
        &[
            ("Prints the tag that was pushed last.", "ecr latest team/app"),
            ("Prints the newest tag of a kind.", "ecr latest team/app --match 'release-*'"),
            (
                "Prints the highest version of a series, ready to be deployed.",
                "ecr latest team/app --semver '1.*' --uri",
            ),
        ],
    ),
    (
        "digest",
        &[
            ("Prints the digest of a tag.", "ecr digest team/app:1.0"),
            (
                "Prints one platform's image, ready to be deployed.",
                "ecr digest team/app:1.0 --uri --platform linux/arm64",
            ),
            (
                "Builds only what is not there yet.",
                "ecr digest team/app:1.0 --output off || docker build -t team/app:1.0 .",
            ),
        ],
    ),
    (
        "find",
        &[
            (
                "Finds an image by its digest, in all repositories.",
                "ecr find sha256:6c3c624b58dbbcd3c0dd82b4c53f04194d1247c6eebdaab7c610cf7d66709b3b",
            ),
            ("Finds a tag in some repositories.", "ecr find 1.4.2 'team/*'"),
            (
                "Writes the references of all release candidates of two accounts.",
                "ecr find '*-rc.*' --profiles build,production --output text",
            ),
        ],
    ),
    (
        "inspect",
        &[
            ("Shows what an image is.", "ecr inspect team/app:1.0"),
            (
                "Shows the layers of one platform's image, and the steps that made them.",
                "ecr inspect team/app:1.0 --platform linux/arm64 --layers",
            ),
            ("Prints the labels.", "ecr inspect team/app:1.0 --output json --query config.config.Labels"),
            ("Saves the manifest, byte for byte.", "ecr inspect team/app:1.0 --raw > manifest.json"),
        ],
    ),
    (
        "du",
        &[
            ("Shows how much each repository takes.", "ecr du"),
            (
                "Sums the images of a repository by what their tags begin with.",
                "ecr du team/app --by tag-prefix",
            ),
            (
                "Sums all images by the month of their push, with a price.",
                "ecr du --all --by age --price 0.10",
            ),
            (
                "Counts shared layers once, and writes a page with bars.",
                "ecr du 'team/*' --exact --report html=du.html",
            ),
        ],
    ),
    (
        "lifecycle",
        &[
            ("Checks policy files.", "ecr lifecycle lint policies/*.json"),
            (
                "Shows what a policy would do to the images that are there.",
                "ecr lifecycle simulate team/app -f policy.json --explain",
            ),
        ],
    ),
    (
        "lifecycle simulate",
        &[
            (
                "Shows what a policy would do, image by image.",
                "ecr lifecycle simulate team/app -f policy.json --explain",
            ),
            (
                "Shows what the policies in place leave week by week.",
                "ecr lifecycle simulate 'team/*' --over 90d",
            ),
            (
                "Fails where more than a tenth of a repository would go, and writes a page.",
                "ecr lifecycle simulate --all -f policy.json --max 10% --report html=policy.html",
            ),
        ],
    ),
    (
        "scan",
        &[
            ("Shows what scans found in an image.", "ecr scan team/app:1.0"),
            (
                "Fails on high and critical findings that have a fix, and writes reports.",
                "ecr scan team/app:1.0 --fail-on high --ignore-unfixed --report sarif=scan.sarif",
            ),
            (
                "Reads the images that a deployment uses, without what was accepted.",
                "ecr scan - --fail-on critical --ignore-file .trivyignore.yaml < images.txt",
            ),
        ],
    ),
    (
        "lifecycle preview",
        &[
            ("Asks the service what a policy would do.", "ecr lifecycle preview team/app -f policy.json"),
            (
                "Checks that the simulation says the same.",
                "ecr lifecycle preview team/app -f policy.json --compare",
            ),
        ],
    ),
    (
        "lifecycle apply",
        &[
            (
                "Gives a policy to repositories, after showing what it does.",
                "ecr lifecycle apply policy.json 'team/*'",
            ),
            ("Fails where a repository has another policy.", "ecr lifecycle apply policy.json --all --check"),
        ],
    ),
    ("lifecycle show", &[("Shows the policies of all repositories.", "ecr lifecycle show --all")]),
    (
        "lifecycle lint",
        &[
            ("Checks policy files.", "ecr lifecycle lint policies/*.json"),
            (
                "Checks what another program writes, and takes warnings for errors.",
                "terraform output -raw policy | ecr lifecycle lint - --strict",
            ),
            (
                "Writes the findings for GitHub's code scanning.",
                "ecr lifecycle lint policies/*.json --report sarif=lint.sarif",
            ),
        ],
    ),
    (
        "doctor",
        &[
            (
                "Finds out why an image cannot be pulled.",
                "ecr doctor 123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/app:1.0",
            ),
            (
                "Prints what is wrong and nothing else.",
                "ecr doctor team/app --push --query \"checks[?status!='ok'].[id,detail]\" --output text",
            ),
            (
                "Prints the IAM policy for a job that pushes to one repository.",
                "ecr doctor 123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/app --policy push",
            ),
            ("Prints what a command needs with its options.", "ecr doctor --policy 'images --all --tree'"),
        ],
    ),
    (
        "tag",
        &[
            ("Moves prod to what was tested.", "ecr tag team/app:1.4.2 prod"),
            (
                "Promotes an image to another repository, unless the tag is taken there.",
                "ecr tag team/app:1.4.2 prod/app:1.4.2 --if-absent",
            ),
            (
                "Moves a tag only if nobody else moved it in between.",
                "ecr tag team/app:1.4.2 prod --expect sha256:6c3c624b58dbbcd3c0dd82b4c53f04194d1247c6eebdaab7c610cf7d66709b3b",
            ),
        ],
    ),
    (
        "untag",
        &[
            ("Takes two tags from their images, which stay.", "ecr untag team/app:old team/app:test"),
            (
                "Takes away all tags of a kind without a question.",
                "ecr find 'pr-*' team/app --output text | ecr untag - --yes",
            ),
        ],
    ),
    (
        "rm",
        &[
            ("Deletes an image with its platforms and signatures.", "ecr rm team/app:1.4.2"),
            (
                "Shows what would be deleted of all release candidates.",
                "ecr find '*-rc.*' team/app --output text | ecr rm - --dry-run",
            ),
        ],
    ),
    (
        "prune",
        &[
            (
                "Shows what has had no tag for 30 days, and why the rest stays.",
                "ecr prune --all --untagged --older-than 30d --dry-run --explain",
            ),
            (
                "Deletes pull requests' images of last month but the newest ten of each repository.",
                "ecr prune 'team/*' --match 'pr-*' --older-than 30d --keep 10",
            ),
            (
                "Keeps what runs in a cluster.",
                "kubectl get pods -A -o json | ecr prune team/app --not-pulled-for 90d --protect-from - --yes",
            ),
            ("Writes a plan to be reviewed.", "ecr prune --policy prune.yaml --plan plan.json"),
            ("Carries it out.", "ecr prune --apply plan.json --max 20% --yes"),
        ],
    ),
    (
        "archive",
        &[
            ("Archives a release with its platforms and signatures.", "ecr archive team/app:1.0"),
            (
                "Shows what would be archived of all old releases.",
                "ecr find '1.*' team/app --output text | ecr archive - --dry-run",
            ),
        ],
    ),
    (
        "restore",
        &[
            ("Brings an image back, and waits until it can be pulled.", "ecr restore team/app:1.0 --wait"),
            ("Begins to bring several back.", "ecr restore team/app:1.0 team/app:1.1"),
        ],
    ),
    (
        "login",
        &[
            ("Logs docker in to your registry in the region.", "ecr login"),
            (
                "Logs helm in to another account's registry.",
                "ecr login --helm 123456789012.dkr.ecr.eu-west-1.amazonaws.com",
            ),
            ("Makes docker ask for passwords when it needs them.", "ecr login --helper"),
            ("Shows which credentials are used for which registry.", "ecr login --check"),
        ],
    ),
    (
        "logout",
        &[
            (
                "Removes the password of one registry.",
                "ecr logout 123456789012.dkr.ecr.eu-west-1.amazonaws.com",
            ),
            ("Shows what the removal of all of them would change.", "ecr logout --all --dry-run"),
        ],
    ),
    (
        "credential-helper",
        &[(
            "Answers docker, as docker calls it.",
            "echo 123456789012.dkr.ecr.eu-west-1.amazonaws.com | ecr credential-helper get",
        )],
    ),
    (
        "credential-provider",
        &[(
            "Writes the configuration for kubelet.",
            "ecr credential-provider config > /etc/kubernetes/credential-provider.yaml",
        )],
    ),
    (
        "credential-provider config",
        &[(
            "Writes the configuration for kubelet.",
            "ecr credential-provider config > /etc/kubernetes/credential-provider.yaml",
        )],
    ),
    (
        "local",
        &[
            ("Serves the embedded ECR.", "ecr local serve"),
            ("Runs tests against it.", "ecr local run -- make test"),
            ("Uses it without a server.", "ecr create-repository --repository-name team/app --local"),
        ],
    ),
    ("local serve", &[("Serves at port 4566 of this machine.", "ecr local serve --port 4566")]),
    ("local run", &[("Runs tests with a server that ends with them.", "ecr local run -- make test")]),
    ("local status", &[("Shows what the store holds.", "ecr local status")]),
    ("local reset", &[("Empties the store without a question.", "ecr local reset --yes")]),
    ("local gc", &[("Frees what no image needs.", "ecr local gc")]),
    ("local check", &[("Looks for damage.", "ecr local check")]),
    ("local export", &[("Keeps the store as a file.", "ecr local export store.tar")]),
    ("local import", &[("Fills a store from a file.", "ecr local import store.tar")]),
    ("local lifecycle", &[("Shows what the policies would expire.", "ecr local lifecycle --dry-run")]),
    (
        "local findings",
        &[(
            "Makes scans of an image find what a file says.",
            "ecr local findings team/app:1.0 findings.json",
        )],
    ),
    ("local path", &[("Shows how much room the store takes.", "du -sh \"$(ecr local path)\"")]),
    (
        "completions",
        &[("Completes commands, repositories and tags in bash.", "source <(ecr completions bash)")],
    ),
];

/// Adds the examples of a command, and those of the commands below it.
pub(super) fn with_examples(command: Command) -> Command {
    let path = command.get_name().to_owned();
    added(command, &path)
}

fn added(command: Command, path: &str) -> Command {
    let command = command.mut_subcommands(|below| {
        let path = format!("{path} {}", below.get_name());
        added(below, &path)
    });
    match EXAMPLES.iter().find(|(of, _)| *of == path) {
        Some((_, examples)) => command.after_help(text(examples)),
        None => command,
    }
}

fn text(examples: &[Example]) -> String {
    let each = examples.iter().map(|(title, line)| format!("  {title}\n\n    $ {line}"));
    format!("Examples:\n{}", each.collect::<Vec<_>>().join("\n\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every command has examples that parse, and every example has a command.
    #[test]
    fn each_command_has_examples_of_itself() {
        let mut unknown: Vec<&str> = EXAMPLES.iter().map(|(path, _)| *path).collect();
        for command in crate::commands::COMMANDS {
            let command = with_examples((command.define)().name(command.name));
            check(&command, command.get_name(), &mut unknown);
        }
        assert_eq!(unknown, ["completions"]);
    }

    fn check(command: &Command, path: &str, unknown: &mut Vec<&str>) {
        let text = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        assert!(text.starts_with("Examples:\n"), "{path}");
        unknown.retain(|known| *known != path);
        for below in command.get_subcommands() {
            check(below, &format!("{path} {}", below.get_name()), unknown);
        }
    }

    #[test]
    fn the_command_lines_are_understood() {
        for (path, examples) in EXAMPLES {
            for (_, line) in *examples {
                let line = line.split(['|', '>']).find(|part| part.trim_start().starts_with("ecr "));
                let line = line.map(|line| line.split("||").next().unwrap_or(line));
                let Some(words) = line.and_then(|line| shell_words::split(line).ok()) else { continue };
                let parsed = crate::cli::clap_tree::command().try_get_matches_from(words);
                assert!(parsed.is_ok(), "{path}: {:?}", parsed.err().map(|error| error.to_string()));
            }
        }
    }
}
