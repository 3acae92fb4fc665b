//! The embedded ECR on a disk without space: it is read from and emptied. Each test has a disk of its own, a tmpfs in a
//! mount namespace; where the system gives none, there is nothing to test.

use crate::harness::Machine;
use crate::harness::registry::digest;

const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";

/// A script with the folder `disk` for a disk of 40 MiB, on which `$ECR_LOCAL_FOLDER` lies. `fill` leaves no space.
fn on_a_small_disk(machine: &mut Machine, script: &str) -> Option<String> {
    let probe = machine.command("unshare", &["-rm", "true"]).status();
    if !probe.is_ok_and(|status| status.success()) {
        return None;
    }
    machine.set("ECR_LOCAL_FOLDER", machine.path().join("disk/ecr"));
    machine.set("ECR_LOCAL", "1");
    let script = format!(
        "set -e; ECR={0}; mkdir disk; mount -t tmpfs -o size=40m tmpfs disk
         fill() {{ dd if=/dev/zero of=disk/full bs=4096 2>/dev/null || :; }}
         ecr() {{ $ECR \"$@\"; }}
         {script}",
        env!("CARGO_BIN_EXE_ecr")
    );
    let ran = machine.command("unshare", &["-rm", "sh", "-c", &script]).output().unwrap();
    let told = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{}{told}", String::from_utf8_lossy(&ran.stdout));
    Some(String::from_utf8(ran.stdout).unwrap() + &told)
}

/// Pushes an image of one layer of 4 MiB as `app:1`.
fn with_an_image(machine: &Machine) -> String {
    let blob = |bytes: &[u8]| {
        let digest = digest(bytes);
        machine.write(&format!("layout/blobs/{}", digest.replace(':', "/")), bytes);
        format!(r#""digest":"{digest}","size":{}"#, bytes.len())
    };
    let (config, layer) = (blob(b"{}"), blob(&vec![7; 4 << 20]));
    let manifest = blob(
        format!(
            r#"{{"schemaVersion":2,"config":{{"mediaType":"a/b",{config}}},"layers":[{{"mediaType":"a/b",{layer}}}]}}"#
        )
        .as_bytes(),
    );
    let index = format!(r#"{{"schemaVersion":2,"manifests":[{{"mediaType":"{IMAGE}",{manifest}}}]}}"#);
    machine.write("layout/index.json", index);
    machine.write("layout/oci-layout", r#"{"imageLayoutVersion":"1.0.0"}"#);
    "ecr push ./layout app:1 --create >pushed 2>&1\n".to_owned()
}

#[test]
fn a_store_on_a_full_disk_is_read_from_and_emptied() {
    let mut machine = Machine::new();
    let script = with_an_image(&machine)
        + "fill
           ecr describe-repositories --query 'repositories[].repositoryName' --output text
           ecr batch-get-image --repository-name app --image-ids imageTag=1 --query 'images[].imageId.imageTag' --output text
           ecr pull app:1 pulled >pulled.txt 2>&1 && echo pulled
           ecr push ./layout other:1 --create >refused 2>&1 || grep -o 'the disk .*' refused
           stat -c %s disk/ecr/reserve
           ecr batch-delete-image --repository-name app --image-ids imageTag=1 --query 'imageIds[].imageTag' --output text
           ecr local gc --grace 0 | sed 's/ [1-9] unfinished/ some unfinished/'
           ecr delete-repository --repository-name app --query repository.repositoryName --output text
           rm disk/full
           ecr push ./layout other:1 --create 2>/dev/null
           stat -c %s disk/ecr/reserve";
    let Some(told) = on_a_small_disk(&mut machine, &script) else { return };
    let full = "the disk that holds the embedded ECR is full; nothing was changed";
    let freed = "freed 2 blobs and some unfinished uploads, 4.0 MiB";
    let digest = std::fs::read_to_string(machine.path().join("pushed")).unwrap();
    let digest = digest.lines().find(|line| line.starts_with("sha256:")).unwrap();
    assert_eq!(told, format!("app\n1\npulled\n{full}\n8323072\n1\n{freed}\napp\n{digest}\n8388608\n"));
}

#[test]
fn a_server_on_a_full_disk_remembers_pulls() {
    let mut machine = Machine::new();
    let script = with_an_image(&machine)
        + "fill
           ECR_LOCAL= ecr local run -- sh -c '
             set -e
             get() { $0 batch-get-image --repository-name app --image-ids imageTag=1 --query \"images[].imageId.imageTag\" --output text; }
             pulled() { $0 describe-images --repository-name app --query \"length(imageDetails[].lastRecordedPullTime)\"; }
             dd if=/dev/zero of=disk/rest bs=512 2>/dev/null || :
             get; pulled
             rm disk/full disk/rest
             get; pulled' $ECR";
    let Some(told) = on_a_small_disk(&mut machine, &script) else { return };
    assert_eq!(told, "1\n0\n1\n1\n");
}
