#!/usr/bin/env python3
"""Rewrites the facts of the service models from the newest botocore on PyPI.

    python3 src/model/data/refresh.py            # newest
    python3 src/model/data/refresh.py 1.44.5     # a given version

Needs Python 3.9 and pip, nothing else. It takes facts only (names, types, bounds, paginators, waiters) and
never AWS's prose: the help texts in *.help.json are written for this project, by hand. Where an operation or a
member is new, `cargo test model` names it until it has a help text.
"""

import gzip
import json
import pathlib
import subprocess
import sys
import tempfile
import zipfile

HERE = pathlib.Path(__file__).resolve().parent
SERVICES = {"ecr": "2015-09-21", "ecr-public": "2020-10-30"}
SHAPE_FACTS = ("type", "member", "key", "value", "members", "required", "enum", "min", "max", "pattern", "exception")


def wheel(version, folder):
    wanted = "botocore" + (f"=={version}" if version else "")
    subprocess.run(
        [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-cache-dir", "-d", folder, wanted],
        check=True,
    )
    (path,) = pathlib.Path(folder).glob("botocore-*.whl")
    return path.name.split("-")[1], zipfile.ZipFile(path)


def document(archive, name, default=None):
    names = set(archive.namelist())
    if name + ".gz" in names:
        return json.loads(gzip.decompress(archive.read(name + ".gz")))
    if name in names:
        return json.loads(archive.read(name))
    if default is None:
        raise SystemExit(f"refresh: botocore has no {name}")
    return default


def shape_name(reference):
    return reference["shape"]


def facts(shape):
    result = {}
    for name in SHAPE_FACTS:
        if name not in shape:
            continue
        value = shape[name]
        if name == "members":
            value = {member: shape_name(reference) for member, reference in value.items()}
        elif name in ("member", "key", "value"):
            value = shape_name(value)
        result[name] = value
    return result


def operation_facts(operation):
    result = {}
    for side in ("input", "output"):
        if side in operation:
            result[side] = shape_name(operation[side])
    result["errors"] = [shape_name(error) for error in operation.get("errors", [])]
    return result


def one_a_line(name, rows):
    """A table as JSON with one row a line, so that a refresh reads as a diff of operations and shapes."""
    lines = [f"    {json.dumps(key)}: {json.dumps(value)}" for key, value in rows.items()]
    body = ",\n".join(lines)
    return f'  {json.dumps(name)}: {{\n{body}\n  }}' if lines else f"  {json.dumps(name)}: {{}}"


def write(service, version, archive):
    folder = f"botocore/data/{service}/{SERVICES[service]}"
    model = document(archive, f"{folder}/service-2.json")
    metadata = model["metadata"]
    paginators = document(archive, f"{folder}/paginators-1.json", {"pagination": {}})["pagination"]
    waiters = document(archive, f"{folder}/waiters-2.json", {"waiters": {}})["waiters"]
    for waiter in waiters.values():
        waiter.pop("description", None)
    head = {
        "source": f"botocore {version}",
        "name": service,
        "full_name": metadata["serviceFullName"],
        "service_id": metadata["serviceId"],
        "target_prefix": metadata["targetPrefix"],
        "signing_name": metadata["signingName"],
        "endpoint_prefix": metadata["endpointPrefix"],
    }
    parts = [f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in head.items()]
    parts.append(one_a_line("operations", {name: operation_facts(o) for name, o in model["operations"].items()}))
    parts.append(one_a_line("shapes", {name: facts(shape) for name, shape in model["shapes"].items()}))
    parts.append(one_a_line("paginators", paginators))
    parts.append(one_a_line("waiters", waiters))
    (HERE / f"{service}.json").write_text("{\n" + ",\n".join(parts) + "\n}\n")
    print(f"{service}: {len(model['operations'])} operations, {len(model['shapes'])} shapes, botocore {version}")


def main():
    with tempfile.TemporaryDirectory() as folder:
        version, archive = wheel(sys.argv[1] if len(sys.argv) > 1 else None, folder)
        for service in SERVICES:
            write(service, version, archive)


if __name__ == "__main__":
    main()
