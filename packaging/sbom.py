"""What is in a binary, as a CycloneDX 1.5 bill of materials:  sbom.py TARGET OUTPUT

Crates that are linked for the target, with the checksums of Cargo.lock; what only builds or tests is left out.
"""

import json
import pathlib
import subprocess
import sys
import tomllib

target, output = sys.argv[1:]
metadata = json.loads(
    subprocess.check_output(
        ["cargo", "metadata", "--locked", "--format-version=1", "--filter-platform", target]
    )
)
lock = tomllib.loads(pathlib.Path("Cargo.lock").read_text())["package"]
checksums = {(package["name"], package["version"]): package.get("checksum") for package in lock}
packages = {package["id"]: package for package in metadata["packages"]}
nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}


def linked(node):
    """The crates that a crate links."""
    return [dep["pkg"] for dep in node["deps"] if any(kind["kind"] is None for kind in dep["dep_kinds"])]


def purl(package):
    return f"pkg:cargo/{package['name']}@{package['version']}"


def component(package, kind):
    entry = {
        "type": kind,
        "bom-ref": purl(package),
        "name": package["name"],
        "version": package["version"],
        "purl": purl(package),
    }
    if package["license"]:
        # Before SPDX, crates wrote a slash for OR.
        entry["licenses"] = [{"expression": package["license"].replace("/", " OR ")}]
    if checksum := checksums.get((package["name"], package["version"])):
        entry["hashes"] = [{"alg": "SHA-256", "content": checksum}]
    return entry


root = metadata["resolve"]["root"]
found, waiting = set(), [root]
while waiting:
    identity = waiting.pop()
    if identity not in found:
        found.add(identity)
        waiting.extend(linked(nodes[identity]))
ordered = sorted(found, key=lambda identity: purl(packages[identity]))
bill = {
    "bomFormat": "CycloneDX",
    "specVersion": "1.5",
    "version": 1,
    "metadata": {
        "component": component(packages[root], "application"),
        "properties": [{"name": "cdx:rustc:target", "value": target}],
    },
    "components": [component(packages[identity], "library") for identity in ordered if identity != root],
    "dependencies": [
        {"ref": purl(packages[identity]), "dependsOn": sorted({purl(packages[dep]) for dep in linked(nodes[identity])})}
        for identity in ordered
    ],
}
pathlib.Path(output).write_text(json.dumps(bill, indent=1) + "\n")
