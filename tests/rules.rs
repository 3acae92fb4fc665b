//! Policies that are enforced, and whose they are about: over both APIs of a server.

use crate::harness::Machine;
use crate::harness::registry::{Answer, Serve, digest};

const OWNER: &str = "111122223333";
const STRANGER: &str = "444455556666";
const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";

fn become_account(machine: &mut Machine, server: &Serve, account: &str) {
    machine.set("AWS_ENDPOINT_URL", format!("http://{}", server.address));
    machine.set("AWS_ACCESS_KEY_ID", account).set("AWS_SECRET_ACCESS_KEY", "secret");
    machine.set("AWS_REGION", "eu-west-1");
}

/// The header with which somebody uses the owner's registry.
fn login(machine: &mut Machine, server: &Serve, account: &str) -> String {
    become_account(machine, server, account);
    let query = "--query authorizationData[0].authorizationToken --output text";
    let token = machine.ok(&format!("get-authorization-token --registry-ids {OWNER} {query}"));
    format!("Authorization: Basic {}", token.trim())
}

fn allow(machine: &mut Machine, server: &Serve, name: &str, actions: &str) {
    become_account(machine, server, OWNER);
    let policy = format!(
        r#"{{"Version":"2012-10-17","Statement":{{"Effect":"Allow","Principal":{{"AWS":"{STRANGER}"}},"Action":{actions}}}}}"#
    );
    machine.write("policy.json", policy);
    machine.ok(&format!("set-repository-policy --repository-name {name} --policy-text file://policy.json"));
}

fn denied(answer: &Answer, action: &str, name: &str) {
    let text = format!(
        "{{\"errors\":[{{\"code\":\"DENIED\",\"message\":\"User: arn:aws:iam::{STRANGER}:root is not authorized to perform: \
         ecr:{action} on resource: arn:aws:ecr:eu-west-1:{OWNER}:repository/{name} because no resource-based policy \
         allows the ecr:{action} action\"}}]}}"
    );
    assert_eq!((answer.status, answer.text()), (403, text));
}

/// A server that enforces policies, and two accounts that use it over docker's API. The owner has the image
/// [`manifest`] in `team/app:1` and `team/base:1`.
struct TwoAccounts {
    machine: Machine,
    server: Serve,
    owner: String,
    stranger: String,
}

impl TwoAccounts {
    fn start() -> Self {
        let mut machine = Machine::new();
        let server = Serve::start(&machine, &["--enforce-policies"]);
        let owner = login(&mut machine, &server, OWNER);
        machine.ok("create-repository --repository-name team/app");
        machine.ok("create-repository --repository-name team/base");
        let stranger = login(&mut machine, &server, STRANGER);
        let accounts = Self { machine, server, owner, stranger };
        for name in ["team/app", "team/base"] {
            assert_eq!(accounts.owner(&upload(name), b"{}").status, 201);
            let put = accounts.owner(&format!("PUT /v2/{name}/manifests/1"), manifest().as_bytes());
            assert_eq!(put.status, 201);
        }
        accounts
    }

    fn owner(&self, request: &str, body: &[u8]) -> Answer {
        self.server.send(request, &[&self.owner, &format!("Content-Type: {IMAGE}")], body)
    }

    fn stranger(&self, request: &str, body: &[u8]) -> Answer {
        self.server.send(request, &[&self.stranger, &format!("Content-Type: {IMAGE}")], body)
    }

    fn allow(&mut self, name: &str, actions: &str) {
        allow(&mut self.machine, &self.server, name, actions);
    }
}

fn config() -> String {
    digest(b"{}")
}

fn blob() -> String {
    format!("/v2/team/app/blobs/{}", config())
}

fn upload(name: &str) -> String {
    format!("POST /v2/{name}/blobs/uploads/?digest={}", config())
}

fn manifest() -> String {
    let config = config();
    format!(
        r#"{{"schemaVersion":2,"config":{{"mediaType":"a/b","digest":"{config}","size":2}},"layers":[]}}"#
    )
}

#[test]
fn without_a_policy_only_the_owner_may_use_dockers_api() {
    let (accounts, blob) = (TwoAccounts::start(), blob());
    for (request, action) in [
        ("GET /v2/team/app/manifests/1".to_owned(), "BatchGetImage"),
        (format!("GET {blob}"), "GetDownloadUrlForLayer"),
        (format!("GET /v2/team/app/referrers/{}", config()), "BatchGetImage"),
        ("GET /v2/team/app/tags/list".to_owned(), "ListImages"),
        (upload("team/app"), "InitiateLayerUpload"),
        ("PUT /v2/team/app/manifests/2".to_owned(), "PutImage"),
        ("DELETE /v2/team/app/manifests/1".to_owned(), "BatchDeleteImage"),
        (format!("DELETE {blob}"), "BatchDeleteImage"),
    ] {
        denied(&accounts.stranger(&request, b"{}"), action, "team/app");
    }
    denied(&accounts.stranger("GET /v2/_catalog", b""), "DescribeRepositories", "*");
    assert_eq!(accounts.stranger(&format!("HEAD {blob}"), b"").status, 403);
    assert_eq!(accounts.stranger("HEAD /v2/team/app/manifests/1", b"").status, 403);
    assert_eq!(accounts.stranger("GET /v2/", b"").status, 200);
    // The owner is asked nothing.
    assert_eq!(accounts.owner("GET /v2/_catalog", b"").status, 200);
    assert_eq!(accounts.owner("DELETE /v2/team/base/manifests/1", b"").status, 202);
}

#[test]
fn a_policy_allows_to_pull_and_no_more() {
    let mut accounts = TwoAccounts::start();
    accounts.allow("team/app", r#"["ecr:BatchGetImage","ecr:GetDownloadUrlForLayer"]"#);
    assert_eq!(accounts.stranger("GET /v2/team/app/manifests/1", b"").text(), manifest());
    assert_eq!(accounts.stranger(&format!("GET {}", blob()), b"").text(), "{}");
    denied(&accounts.stranger("GET /v2/team/base/manifests/1", b""), "BatchGetImage", "team/base");
    denied(&accounts.stranger(&upload("team/app"), b"{}"), "InitiateLayerUpload", "team/app");
}

/// One permission after the other is missed.
#[test]
fn a_push_needs_four_permissions_and_a_mount_one_more() {
    let mut accounts = TwoAccounts::start();
    let push = ["InitiateLayerUpload", "UploadLayerPart", "CompleteLayerUpload", "PutImage"];
    for count in 1..=push.len() {
        let listed: Vec<String> = push[..count].iter().map(|action| format!("\"ecr:{action}\"")).collect();
        accounts.allow("team/app", &format!("[{}]", listed.join(",")));
        let uploaded = accounts.stranger(&upload("team/app"), b"{}");
        match push.get(count).filter(|_| count < 3) {
            Some(missed) => denied(&uploaded, missed, "team/app"),
            None => assert_eq!(uploaded.status, 201, "{}", uploaded.text()),
        }
        let put = accounts.stranger("PUT /v2/team/app/manifests/2", manifest().as_bytes());
        if count < push.len() {
            denied(&put, "PutImage", "team/app");
        } else {
            assert_eq!(put.status, 201, "{}", put.text());
        }
    }
    // A mount from where it may not read is no mount; with permission it is one.
    let mount = format!("POST /v2/team/app/blobs/uploads/?mount={}&from=team/base", config());
    assert_eq!(accounts.stranger(&mount, b"").status, 202);
    assert_eq!(accounts.stranger(&mount.replace("&from=team/base", ""), b"").status, 202);
    accounts.allow("team/base", r#""ecr:GetDownloadUrlForLayer""#);
    assert_eq!(accounts.stranger(&mount, b"").status, 201);
}

#[test]
fn a_repository_comes_to_be_only_for_who_may_make_it() {
    let mut machine = Machine::new();
    let server = Serve::start(&machine, &["--enforce-policies"]);
    let stranger = login(&mut machine, &server, STRANGER);
    become_account(&mut machine, &server, OWNER);
    machine.ok("create-repository-creation-template --prefix team --applied-for CREATE_ON_PUSH");
    let begin = || server.send("POST /v2/team/new/blobs/uploads/", &[&stranger], b"");
    let policy = |actions: &str| {
        let policy = format!(
            r#"{{"Version":"2012-10-17","Statement":{{"Effect":"Allow","Principal":{{"AWS":"{STRANGER}"}},"Action":{actions},"Resource":"arn:aws:ecr:eu-west-1:{OWNER}:repository/team/*"}}}}"#
        );
        machine.write("policy.json", policy);
        machine.ok("put-registry-policy --policy-text file://policy.json");
    };
    denied(&begin(), "InitiateLayerUpload", "team/new");
    policy(r#""ecr:InitiateLayerUpload""#);
    denied(&begin(), "CreateRepository", "team/new");
    policy(r#"["ecr:InitiateLayerUpload","ecr:CreateRepository"]"#);
    assert_eq!(begin().status, 202);
}

#[test]
fn a_key_can_be_a_role_and_its_token_too() {
    let mut machine = Machine::new();
    let keys = format!(
        "[owner]\naws_access_key_id = {OWNER}\naws_secret_access_key = secret\n\
         [build]\naws_access_key_id = BUILD\naws_secret_access_key = secret\n\
         principal_arn = arn:aws:sts::{OWNER}:assumed-role/build/job\n"
    );
    machine.write("keys", keys);
    let server = Serve::start(&machine, &["--enforce-policies", "--credentials", "keys"]);
    let owner = login(&mut machine, &server, OWNER);
    machine.ok("create-repository --repository-name team/app");
    let policy = format!(
        r#"{{"Version":"2012-10-17","Statement":{{"Effect":"Deny","Principal":{{"AWS":"arn:aws:iam::{OWNER}:role/build"}},"Action":"ecr:ListImages"}}}}"#
    );
    machine.write("policy.json", policy);
    machine.ok("set-repository-policy --repository-name team/app --policy-text file://policy.json");
    let build = login(&mut machine, &server, "BUILD");
    let said = machine.fails(254, "list-images --repository-name team/app");
    let words = format!(
        "An error occurred (AccessDeniedException) when calling the ListImages operation: User: \
         arn:aws:sts::{OWNER}:assumed-role/build/job is not authorized to perform: ecr:ListImages on resource: \
         arn:aws:ecr:eu-west-1:{OWNER}:repository/team/app with an explicit deny in a resource-based policy"
    );
    assert!(said.contains(&words), "{said}");
    machine.ok("describe-repositories");
    let tags = |who: &str| server.send("GET /v2/team/app/tags/list", &[who], b"").status;
    assert_eq!((tags(&owner), tags(&build)), (200, 403));
    // Tokens of another store are refused, and no secret is printed.
    assert_eq!(tags("Authorization: Basic QVdTOmFub255bW91cw=="), 401);
    machine.write("wrong", "[a]\naws_access_key_id = A\naws_secret_access_key = hush\nprincipal_arn = ann\n");
    let said = machine.fails(252, "local serve --credentials wrong");
    assert!(said.contains("wrong") && !said.contains("hush"), "{said}");
}

#[test]
fn without_enforcement_policies_are_only_kept() {
    let mut machine = Machine::new();
    let server = Serve::start(&machine, &[]);
    login(&mut machine, &server, OWNER);
    machine.ok("create-repository --repository-name team/app");
    become_account(&mut machine, &server, STRANGER);
    machine.ok(&format!("list-images --repository-name team/app --registry-id {OWNER}"));
}
