//! One binary, several names: in front of the real `aws`, everything but ECR goes on to it.

use std::os::unix::fs::{PermissionsExt, symlink};

use crate::harness::{Machine, outcome};

/// A machine with this program as the first `aws` on PATH, and another one behind it that tells how it was called.
fn machine() -> Machine {
    let mut machine = Machine::new();
    let next = machine.write("behind/aws", "#!/bin/sh\nfor word; do echo \"<$word>\"; done\nexit 7\n");
    std::fs::set_permissions(&next, std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::create_dir(machine.path().join("front")).unwrap();
    symlink(env!("CARGO_BIN_EXE_ecr"), machine.path().join("front/aws")).unwrap();
    let path = format!("{0}/front:{0}/behind:/usr/bin:/bin", machine.path().display());
    machine.set("PATH", path);
    machine
}

#[test]
fn any_other_command_is_handed_to_the_next_aws_with_the_same_words() {
    let machine = machine();
    let aws = machine.path().join("front/aws");
    let got = outcome(&mut machine.command(&aws, &["--profile", "p", "s3", "cp", "a b", ""]));
    assert_eq!((got.code, got.stdout.as_str()), (7, "<--profile>\n<p>\n<s3>\n<cp>\n<a b>\n<>\n"));
    let got = outcome(&mut machine.command(&aws, &["--version"]));
    assert_eq!((got.code, got.stdout.as_str()), (7, "<--version>\n"));
}

#[test]
fn ecr_itself_is_answered_here() {
    let machine = machine();
    let aws = machine.path().join("front/aws");
    let got = outcome(&mut machine.command(&aws, &["ecr", "describe-images"]));
    assert_eq!(got.code, 252);
    assert!(
        got.stderr
            .starts_with("\naws: [ERROR]: An error occurred (ParamValidation): the following arguments")
    );
}

#[test]
fn two_links_to_this_program_do_not_hand_a_command_to_each_other() {
    let mut machine = machine();
    let path = format!("{0}/front:{0}/front-too", machine.path().display());
    std::fs::create_dir(machine.path().join("front-too")).unwrap();
    symlink(env!("CARGO_BIN_EXE_ecr"), machine.path().join("front-too/aws")).unwrap();
    machine.set("PATH", path);
    let got = outcome(&mut machine.command(machine.path().join("front/aws"), &["s3", "ls"]));
    assert_eq!(got.code, 252);
    assert_eq!(
        got.stderr,
        "\naws: [ERROR]: An error occurred (ParamValidation): this aws is ecr, which knows `aws ecr` and `aws ecr-public` \
         only, and there is no other aws on PATH that `aws s3` could be handed to\n"
    );
}

/// Credentials for a job of GitHub Actions are no part of the AWS CLI.
#[test]
fn by_the_name_aws_a_job_of_github_actions_has_no_identity() {
    let mut machine = Machine::new();
    machine.set("AWS_REGION", "eu-west-1").set("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/r");
    machine.set("GITHUB_ACTIONS", "true").set("AWS_MAX_ATTEMPTS", "1");
    let aws = machine.path().join("aws");
    symlink(env!("CARGO_BIN_EXE_ecr"), &aws).unwrap();
    let nobody = "\naws: [ERROR]: An error occurred (NoCredentials): Unable to locate credentials. You can configure \
                  credentials by running \"aws login\".\n";
    let by_aws =
        |machine: &Machine| outcome(&mut machine.command(&aws, &["ecr", "describe-repositories"])).stderr;
    assert_eq!(by_aws(&machine), nobody);
    let said = machine.fails(253, "describe-repositories");
    assert!(said.contains("give the job the permission id-token: write"), "{said}");
    machine.set("ACTIONS_ID_TOKEN_REQUEST_URL", "http://127.0.0.1:1/token?x=y");
    machine.set("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "secret");
    assert_eq!(by_aws(&machine), nobody);
    let said = machine.fails(255, "describe-repositories");
    assert!(said.contains("http://127.0.0.1:1/token"), "{said}");
    assert!(!said.contains("secret"), "{said}");
}
