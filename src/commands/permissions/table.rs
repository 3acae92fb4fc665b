//! The table of permissions. tests/doctor runs each command on the embedded ECR with what this table says, and with one
//! action less.

use super::NeededWhen::{Always, Better, Option, Where};
use super::On::{Destination, Every, Repository, Source};
use super::{Grant, NeededWhen, On, Permissions};

/// Actions of `--all` and of globs.
const ALL: Grant = grant(Option("--all or a glob"), Every, &["ecr:DescribeRepositories"]);
/// Actions that list images of the public registry, whose repositories are named without its alias.
const PUBLIC: Grant = grant(
    Where("the registry is public.ecr.aws"),
    Repository,
    &["ecr-public:DescribeRegistries", "ecr-public:DescribeRepositories", "ecr-public:DescribeImages"],
);
/// Actions that read the manifests of indexes.
const TREE: &[&str] = &["ecr:BatchGetImage"];
/// Actions that read whole images.
const PULL: &[&str] = &["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"];
/// Actions that write images.
const PUSH: &[&str] = &[
    "ecr:BatchCheckLayerAvailability",
    "ecr:InitiateLayerUpload",
    "ecr:UploadLayerPart",
    "ecr:CompleteLayerUpload",
    "ecr:PutImage",
];
/// Actions with which a push is faster, or its messages better.
const PUSH_BETTER: Grant = grant(
    Better("skips images that are there, and finds immutable tags before anything is sent"),
    Destination,
    &["ecr:DescribeImages", "ecr:DescribeRepositories"],
);
const SIGNED: Grant = grant(Where("the registry signs images on push"), Destination, &["signer:SignPayload"]);
const CREATE: Grant = grant(Option("--create"), Destination, &["ecr:CreateRepository"]);
const TEMPLATE: Grant = grant(
    Better("creates repositories as the registry's template for pushes says"),
    Destination,
    &["ecr:DescribeRepositoryCreationTemplates"],
);
const CREATE_FROM_FILE: Grant = grant(
    Where("the file of --create, or a template, has tags or policies"),
    Destination,
    &["ecr:TagResource", "ecr:PutLifecyclePolicy", "ecr:SetRepositoryPolicy"],
);
/// Actions of a pull through a cache rule, for images that are not there yet.
const UPSTREAM: Grant = grant(
    Where("the repository belongs to a pull through cache rule"),
    Source,
    &["ecr:BatchImportUpstreamImage", "ecr:CreateRepository", "ecr:TagResource"],
);
const LOGIN: &[Grant] = &[
    grant(Always, Repository, &["ecr:GetAuthorizationToken"]),
    grant(
        Where("the registry is public.ecr.aws"),
        Repository,
        &["ecr-public:GetAuthorizationToken", "sts:GetServiceBearerToken"],
    ),
];
const REPLICATION: Grant = grant(
    Better("tells which deletions are replicated; without it --allow-replicated is required"),
    Repository,
    &["ecr:DescribeRegistry"],
);

const fn grant(when: NeededWhen, on: On, actions: &'static [&'static str]) -> Grant {
    Grant { when, on, actions }
}

const fn command(command: &'static str, grants: &'static [Grant]) -> Permissions {
    Permissions { command, grants }
}

/// The permissions of all commands, in the order in which help lists them.
pub const PERMISSIONS: &[Permissions] = &[
    command(
        "push",
        &[grant(Always, Destination, PUSH), PUSH_BETTER, CREATE, TEMPLATE, CREATE_FROM_FILE, SIGNED],
    ),
    command(
        "pull",
        &[
            grant(Always, Source, PULL),
            grant(Option("--all-tags or --match"), Source, &["ecr:ListImages"]),
            UPSTREAM,
        ],
    ),
    command(
        "copy",
        &[
            grant(Always, Source, PULL),
            grant(Always, Destination, PUSH),
            grant(Option("--all-tags or --match"), Source, &["ecr:ListImages"]),
            PUSH_BETTER,
            CREATE,
            TEMPLATE,
            CREATE_FROM_FILE,
            UPSTREAM,
            SIGNED,
        ],
    ),
    command(
        "sync",
        &[
            grant(Always, Source, &["ecr:ListImages"]),
            grant(Option("--all or a glob"), Source, &["ecr:DescribeRepositories"]),
            grant(Always, Source, PULL),
            grant(Always, Destination, PUSH),
            grant(Option("--delete"), Destination, &["ecr:ListImages", "ecr:BatchDeleteImage"]),
            PUSH_BETTER,
            CREATE,
            TEMPLATE,
            CREATE_FROM_FILE,
            SIGNED,
        ],
    ),
    command(
        "images",
        &[
            grant(Always, Repository, &["ecr:DescribeImages"]),
            ALL,
            grant(Option("--tree"), Repository, TREE),
            grant(Option("--scan"), Repository, &["ecr:DescribeImageScanFindings"]),
            INSPECTOR,
            PUBLIC,
        ],
    ),
    command(
        "repos",
        &[
            grant(Always, Every, &["ecr:DescribeRepositories"]),
            grant(Option("--usage, --empty, --unused"), Repository, &["ecr:DescribeImages"]),
            grant(Option("--policies"), Repository, &["ecr:GetLifecyclePolicy", "ecr:GetRepositoryPolicy"]),
            grant(Option("--resource-tag"), Repository, &["ecr:ListTagsForResource"]),
            grant(
                Better("shows how the registry scans"),
                Repository,
                &["ecr:GetRegistryScanningConfiguration"],
            ),
        ],
    ),
    command(
        "latest",
        &[grant(Always, Repository, &["ecr:DescribeImages"]), grant(Option("--platform"), Repository, PULL)],
    ),
    command(
        "digest",
        &[grant(Always, Repository, &["ecr:DescribeImages"]), grant(Option("--platform"), Repository, PULL)],
    ),
    command(
        "find",
        &[
            grant(Always, Every, &["ecr:DescribeRepositories"]),
            grant(Always, Repository, &["ecr:DescribeImages"]),
            PUBLIC,
        ],
    ),
    command(
        "inspect",
        &[grant(Always, Repository, &["ecr:DescribeImages"]), grant(Always, Repository, PULL)],
    ),
    command(
        "du",
        &[
            grant(Always, Repository, &["ecr:DescribeImages"]),
            ALL,
            grant(Option("--exact"), Repository, TREE),
        ],
    ),
    command(
        "tag",
        &[
            grant(Always, Source, &["ecr:DescribeImages", "ecr:BatchGetImage"]),
            grant(Always, Destination, &["ecr:DescribeImages", "ecr:PutImage"]),
            grant(
                Better("finds immutable tags before anything is sent"),
                Destination,
                &["ecr:DescribeRepositories"],
            ),
            grant(Where("NEW is in another repository"), Source, &["ecr:GetDownloadUrlForLayer"]),
            grant(Where("NEW is in another repository"), Destination, PUSH),
            SIGNED,
        ],
    ),
    command(
        "untag",
        &[grant(Always, Repository, &["ecr:DescribeImages", "ecr:BatchDeleteImage"]), REPLICATION],
    ),
    command(
        "rm",
        &[
            grant(Always, Repository, &["ecr:DescribeImages", "ecr:BatchGetImage", "ecr:BatchDeleteImage"]),
            REPLICATION,
        ],
    ),
    command(
        "prune",
        &[
            grant(Always, Repository, &["ecr:DescribeImages", "ecr:BatchGetImage", "ecr:BatchDeleteImage"]),
            ALL,
            grant(Option("--archive"), Repository, &["ecr:UpdateImageStorageClass"]),
            grant(
                Option("--protect-in-use"),
                Repository,
                &["ecr:DescribeImageScanFindings", "inspector2:ListFindings"],
            ),
            REPLICATION,
        ],
    ),
    command("archive", ARCHIVE),
    command("restore", ARCHIVE),
    command("lifecycle lint", &[]),
    command(
        "lifecycle simulate",
        &[
            grant(Always, Repository, &["ecr:DescribeImages", "ecr:BatchGetImage"]),
            grant(Where("no FILE is given"), Repository, &["ecr:GetLifecyclePolicy"]),
            ALL,
        ],
    ),
    command(
        "lifecycle preview",
        &[
            grant(Always, Repository, &["ecr:StartLifecyclePolicyPreview", "ecr:GetLifecyclePolicyPreview"]),
            grant(
                Option("--compare"),
                Repository,
                &["ecr:GetLifecyclePolicy", "ecr:DescribeImages", "ecr:BatchGetImage"],
            ),
        ],
    ),
    command(
        "lifecycle apply",
        &[
            grant(
                Always,
                Repository,
                &[
                    "ecr:GetLifecyclePolicy",
                    "ecr:DescribeImages",
                    "ecr:BatchGetImage",
                    "ecr:PutLifecyclePolicy",
                ],
            ),
            grant(Option("--remove"), Repository, &["ecr:DeleteLifecyclePolicy"]),
            ALL,
        ],
    ),
    command("lifecycle show", &[grant(Always, Repository, &["ecr:GetLifecyclePolicy"])]),
    command(
        "scan",
        &[
            grant(
                Always,
                Repository,
                &[
                    "ecr:GetRegistryScanningConfiguration",
                    "ecr:DescribeImages",
                    "ecr:BatchGetImage",
                    "ecr:DescribeImageScanFindings",
                    "ecr:StartImageScan",
                ],
            ),
            grant(Option("--platform"), Repository, &["ecr:GetDownloadUrlForLayer"]),
            INSPECTOR,
        ],
    ),
    command("login", LOGIN),
    command("logout", &[]),
    command("credential-helper", LOGIN),
    command("credential-provider", LOGIN),
    command(
        "doctor",
        &[
            grant(Always, Repository, &["ecr:GetAuthorizationToken"]),
            grant(Always, Repository, PULL),
            grant(
                Option("--push"),
                Repository,
                &["ecr:BatchCheckLayerAvailability", "ecr:InitiateLayerUpload"],
            ),
            grant(
                Better("tells more of the repository, the image, its scans and its pull times"),
                Repository,
                &[
                    "ecr:DescribeRepositories",
                    "ecr:DescribeImages",
                    "ecr:GetRegistryScanningConfiguration",
                    "ecr:DescribeImageScanFindings",
                    "ecr:ListPullTimeUpdateExclusions",
                ],
            ),
        ],
    ),
    command("local", &[]),
];

const INSPECTOR: Grant =
    grant(Where("the registry scans with Amazon Inspector"), Repository, &["inspector2:ListFindings"]);
const ARCHIVE: &[Grant] =
    &[grant(Always, Repository, &["ecr:DescribeImages", "ecr:BatchGetImage", "ecr:UpdateImageStorageClass"])];
