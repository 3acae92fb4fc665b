#!/usr/bin/env python3
"""Writes the questions of the generated case files (2*.txt): every operation that the AWS CLI in PEERS knows, once
with a realistic response, once refused or misused, and both of its skeletons. record.py then fills the answers in.

The same seed gives the same questions. differential.py draws from the samplers here too.
"""

import base64
import json
import os
import random
import re
import shlex

import cases

SERVICES = {"ecr": "2015-09-21", "ecr-public": "2020-10-30"}
OUTPUTS = ["json", "text", "table", "yaml", "yaml-stream"]

LIFECYCLE = json.dumps(
    {
        "rules": [
            {
                "rulePriority": 1,
                "description": "Keep the newest fourteen",
                "selection": {"tagStatus": "untagged", "countType": "imageCountMoreThan", "countNumber": 14},
                "action": {"type": "expire"},
            }
        ]
    }
)
POLICY = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "pull",
                "Effect": "Allow",
                "Principal": {"AWS": "arn:aws:iam::210987654321:root"},
                "Action": ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
            }
        ],
    },
    indent=2,
)
MANIFEST = json.dumps(
    {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "size": 233, "digest": "sha256:" + "c" * 64},
        "layers": [],
    },
    indent=3,
)
REPOSITORIES = ["web", "backend/api", "team-a/worker", "library/nginx", "it", "data.science/notebook_gpu"]
TAGS = ["latest", "v1.2.3", "1.10", "2024-05-06", "main-4f41f60", "0x1F", "no", "1e3", "sha-0abc"]
WORDS = [
    "a",
    "plain words",
    "Café on the corner",
    "日本語のイメージ",
    "tabs\tand\nlines",
    'quotes "double" and \'single\'',
    "trailing space ",
    "# not a comment",
    "key: value",
    "emoji 🚀 inside",
    "a rather long sentence that goes well past the eightieth column so that every format has to decide about folding",
    "null",
    "-1",
    "back\\slash",
]


def load(peers, service):
    path = f"{peers}/usr/lib/python3/dist-packages/awscli/botocore/data/{service}/{SERVICES[service]}"
    with open(f"{path}/service-2.json") as file:
        model = json.load(file)
    with open(f"{path}/paginators-1.json") as file:
        model["paginators"] = json.load(file)["pagination"]
    return model


def kebab(name):
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"-\1", name).lower()


def digest(rng):
    return "sha256:" + "".join(rng.choice("0123456789abcdef") for _ in range(64))


def timestamp(rng):
    seconds = rng.randrange(1_500_000_000, 1_800_000_000)
    return rng.choice([seconds, float(f"{seconds}.{rng.randrange(1, 999)}"), seconds + rng.randrange(1, 10**6) / 10**6])


def text(rng, member, shape, facts):
    """A string as such a member would hold it."""
    lower = member.lower()
    if "enum" in facts:
        return rng.choice(facts["enum"])
    if "digest" in lower or "digest" in shape.lower():
        return digest(rng)
    if lower in ("registryid", "ownerid"):
        return rng.choice(["123456789012", "012345678901"])
    if lower.startswith("repositoryname"):
        return rng.choice(REPOSITORIES)
    if "prefix" in lower:
        return rng.choice(["ecr-public", "quay", "docker-hub", "team-a", "ROOT"])
    if "credentialarn" in lower:
        return f"arn:aws:secretsmanager:us-east-1:123456789012:secret:ecr-pullthroughcache/hub-{rng.randrange(10**6)}"
    if "rolearn" in lower or lower == "principalarn":
        return f"arn:aws:iam::123456789012:role/builder-{rng.randrange(100)}"
    if "signingprofilearn" in lower:
        return f"arn:aws:signer:us-east-1:123456789012:/signing-profiles/profile{rng.randrange(100)}"
    if "arn" in lower:
        return f"arn:aws:ecr:us-east-1:123456789012:repository/{rng.choice(REPOSITORIES)}"
    if lower == "repositoryuri":
        return f"123456789012.dkr.ecr.us-east-1.amazonaws.com/{rng.choice(REPOSITORIES)}"
    if "uploadid" in lower:
        return "".join(rng.choice("0123456789abcdef") for _ in range(8)) + "-41f6-0984-79b0-5e1c33d8a2c4"
    if "lifecyclepolicy" in lower:
        return LIFECYCLE
    if "policytext" in lower:
        return POLICY
    if lower == "imagemanifest":
        return MANIFEST
    if "mediatype" in lower or "mediatype" in shape.lower() or "artifacttype" in lower:
        return rng.choice(
            ["application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json"]
        )
    if "tag" in lower and "status" not in lower:
        return rng.choice(TAGS)
    if "token" in lower:
        if "authorization" in lower:
            return base64.b64encode(f"AWS:token-{rng.randrange(10**9)}".encode()).decode()
        return f"next{rng.randrange(10**6)}=="
    if "url" in lower or lower == "proxyendpoint" or lower == "uri":
        return f"https://example.com/{rng.randrange(10**4)}?a=b&c={rng.randrange(9)}"
    if "version" in lower:
        return rng.choice(["1.2.3", "1.10", "2:4.5-6ubuntu1", "3"])
    if lower == "name" and facts.get("min", 0) > 0:
        return rng.choice(["BASIC_SCAN_TYPE_VERSION", "REGISTRY_POLICY_SCOPE"])
    value = rng.choice(WORDS)
    return value if len(value) >= facts.get("min", 0) else value + "x" * facts["min"]


def value(rng, model, member, shape, output, depth=0):
    """A value for a shape: as the service would answer (output) or as a person would ask."""
    facts = model["shapes"][shape]
    kind = facts["type"]
    if kind == "structure":
        required = facts.get("required", [])
        return {
            name: value(rng, model, name, reference["shape"], output, depth + 1)
            for name, reference in facts["members"].items()
            if name in required or rng.random() < (0.85 if output else 0.6)
        }
    if kind == "list":
        low = facts.get("min", 0)
        size = max(low, rng.choice([0, 1, 2, 2, 3]) if output else rng.choice([1, 1, 2, 3]))
        if depth > 3:
            size = max(low, min(size, 1))
        return [value(rng, model, member, facts["member"]["shape"], output, depth + 1) for _ in range(size)]
    if kind == "map":
        return {rng.choice(["HIGH", "MEDIUM", "LOW", "CRITICAL", "a-key"]): value(
            rng, model, member, facts["value"]["shape"], output, depth + 1
        ) for _ in range(rng.randrange(3))}
    if kind == "string":
        return text(rng, member, shape, facts)
    if kind == "timestamp":
        return timestamp(rng)
    if kind in ("integer", "long"):
        return max(facts.get("min", 0), rng.choice([1, 5, 42, 1000, 73_400_320, 5_368_709_120][: 3 if not output else 6]))
    if kind in ("double", "float"):
        return rng.choice([0.0, 7.5, 9.8, 4.0, 1e-7, 12345678.9])
    if kind == "boolean":
        return rng.random() < 0.5
    if kind == "blob":
        return base64.b64encode(rng.randbytes(rng.randrange(1, 24))).decode()
    raise SystemExit(f"sample: a {kind}?")


SAFE = re.compile(r"[A-Za-z0-9_.:/@*-]+")


def shorthand(item):
    """A flat structure in shorthand, or None where it needs JSON."""
    parts = []
    for key, inner in item.items():
        if isinstance(inner, bool):
            inner = str(inner).lower()
        if isinstance(inner, list) and inner and all(isinstance(one, str) and SAFE.fullmatch(one) for one in inner):
            parts.append(f"{key}={','.join(inner)}" if len(inner) > 1 else f"{key}=[{inner[0]}]")
        elif isinstance(inner, (str, int)) and SAFE.fullmatch(str(inner)):
            parts.append(f"{key}={inner}")
        elif isinstance(inner, str) and inner and "'" not in inner and "\\" not in inner:
            parts.append(f"{key}='{inner}'")
        else:
            return None
    return ",".join(parts)


def words(rng, model, operation, given):
    """An input as the words of a command line."""
    members = model["shapes"].get(operation.get("input", {}).get("shape"), {"members": {}})["members"]
    out = []
    for name, inner in given.items():
        option = "--" + kebab(name)
        kind = model["shapes"][members[name]["shape"]]["type"]
        if kind == "boolean":
            out.append(option if inner else option.replace("--", "--no-", 1))
        elif kind == "structure":
            short = shorthand(inner) if rng.random() < 0.7 else None
            out += [option, short or json.dumps(inner)]
        elif kind == "list":
            if inner and isinstance(inner[0], dict):
                short = [shorthand(one) for one in inner]
                out += [option, *(short if all(short) and rng.random() < 0.7 else [json.dumps(inner)])]
            else:
                out += [option, *map(str, inner)]
        else:
            out += [option, str(inner)]
    return out


def asked(rng, model, operation, every=False):
    """An input for an operation; all members, or the required ones and some more."""
    shape = operation.get("input", {}).get("shape")
    if not shape:
        return {}
    facts = model["shapes"][shape]
    required = facts.get("required", [])
    return {
        name: value(rng, model, name, reference["shape"], False)
        for name, reference in facts["members"].items()
        if name not in ("nextToken", "maxResults")
        and (name in required or every or rng.random() < 0.4)
    }


def answered(rng, model, operation):
    shape = operation.get("output", {}).get("shape")
    return value(rng, model, "", shape, True) if shape else {}


def quoted(line):
    """`$` and `+` lines for these words."""
    plain = [word for word in line if not re.search("[\x00-\x1f\x7f]", word)]
    out, shell = [], True
    for index, word in enumerate(line):
        if shell and all(one in plain for one in line[: index + 1]):
            out.append(shlex.quote(word))
        else:
            shell = False
    rest = [f"+ {json.dumps(word, ensure_ascii=False)}" for word in line[len(out) :]]
    return ["$ " + " ".join(out), *rest]


def body(document, rng=None):
    return json.dumps(document, ensure_ascii=bool(rng and rng.random() < 0.5))


def pages(rng, model, name, operation):
    """The replies of a realistic exchange: two pages where the operation has pages."""
    first = answered(rng, model, operation)
    if name not in model["paginators"]:
        return [first]
    second = answered(rng, model, operation)
    first["nextToken"] = "page-two"
    second.pop("nextToken", None)
    return [first, second]


def operation_cases(peers, service):
    model = load(peers, service)
    out = []
    for index, name in enumerate(sorted(model["operations"])):
        operation = model["operations"][name]
        rng = random.Random(f"golden {service} {name}")
        command = ["aws", service, kebab(name)]
        given = asked(rng, model, operation, every=index % 3 == 0)
        output = OUTPUTS[index % len(OUTPUTS)]
        replies = pages(rng, model, name, operation)
        question = quoted([*command, *words(rng, model, operation, given), "--output", output])
        for reply in replies:
            question.append(f"reply 200 {body(reply, rng)}")
        out.append([f"{service} {kebab(name)} answers in {output}", question, None])

        given = asked(rng, model, operation)
        errors = [reference["shape"] for reference in operation.get("errors", [])] or ["ServerException"]
        required = model["shapes"].get(operation.get("input", {}).get("shape"), {}).get("required", [])
        turn = index % 4
        if turn == 1 and required:
            missing = rng.choice(required)
            kept = {key: inner for key, inner in given.items() if key != missing}
            out.append([f"{service} {kebab(name)} lacks an argument", quoted([*command, *words(rng, model, operation, kept)]), None])
        elif turn == 2 and required:
            broken = dict(given)
            broken[rng.choice(required)] = rng.choice([None, 7, [1, {"a": None}], {"k": "v"}, True, ""])
            broken["surprise"] = 1
            question = quoted([*command, "--cli-input-json", json.dumps(broken)])
            out.append([f"{service} {kebab(name)} finds its input invalid", question, None])
        else:
            error = rng.choice(errors)
            document = {"__type": error}
            for member, reference in model["shapes"].get(error, {"members": {}})["members"].items():
                if member != "message":
                    document[member] = value(rng, model, member, reference["shape"], True)
            document["message"] = f"The thing in registry 123456789012 is refused, {rng.choice(REPOSITORIES)}"
            layout = ["enhanced", "json", "yaml", "text", "table", "legacy"][index % 6]
            question = ["env AWS_MAX_ATTEMPTS=2"] if error in ("ServerException", "LimitExceededException") else []
            line = [*command, *words(rng, model, operation, given), "--cli-error-format", layout]
            question += [*quoted(line), f"reply 400 {body(document)}"]
            out.append([f"{service} {kebab(name)} is refused, told as {layout}", question, None])
    return out


def skeleton_cases(peers, service, direction):
    model = load(peers, service)
    out = []
    for index, name in enumerate(sorted(model["operations"])):
        rng = random.Random(f"skeleton {service} {name}")
        operation = model["operations"][name]
        line = ["aws", service, kebab(name)]
        if direction == "output":
            facts = model["shapes"].get(operation.get("input", {}).get("shape"), {"members": {}})
            given = asked(rng, model, operation)
            kept = {key: given[key] for key in given if key in facts.get("required", [])}
            line += [*words(rng, model, operation, kept), "--output", OUTPUTS[index % len(OUTPUTS)]]
        line += ["--generate-cli-skeleton", direction]
        out.append([f"{service} {kebab(name)} shows its {direction}", quoted(line), None])
    return out


def main():
    peers = os.environ.get("PEERS", "/opt/peers")
    head = ["The questions here are made by sample.py, the answers recorded by record.py.", ""]
    files = {
        "20-operations-ecr.txt": operation_cases(peers, "ecr"),
        "21-operations-ecr-public.txt": operation_cases(peers, "ecr-public"),
        "22-skeletons-input.txt": skeleton_cases(peers, "ecr", "input") + skeleton_cases(peers, "ecr-public", "input"),
        "23-skeletons-output.txt": skeleton_cases(peers, "ecr", "output") + skeleton_cases(peers, "ecr-public", "output"),
    }
    for name, questions in files.items():
        path = cases.HERE / name
        old = {}
        if path.exists():
            old = {title: (question, recorded) for title, question, recorded in cases.parse_file(path.read_text(), name)[1]}
        for case in questions:
            question, recorded = old.get(case[0], (None, None))
            if question == case[1]:
                case[2] = recorded
        path.write_text(cases.render_file(head, questions))


if __name__ == "__main__":
    main()
