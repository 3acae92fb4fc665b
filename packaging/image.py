"""The container image as an OCI layout in a tar, for every architecture that was built:

    image.py VERSION OUTPUT TARGET=BINARY…

One layer: the static binary as /ecr, links to it by the names of its helpers, and Mozilla's CA bundle. No shell. Without
a command it serves the embedded ECR to the network that it is in: services of CI jobs cannot be given a command.
Wants SOURCE_DATE_EPOCH in the environment, and certifi.
"""

import gzip
import hashlib
import io
import json
import os
import pathlib
import sys
import tarfile
import time

import certifi

EPOCH = int(os.environ["SOURCE_DATE_EPOCH"])
CREATED = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(EPOCH))
ARCHITECTURES = {"x86_64-unknown-linux-musl": "amd64", "aarch64-unknown-linux-musl": "arm64"}
OCI = "application/vnd.oci.image."


def member(name, mode, kind=tarfile.REGTYPE, size=0, link=""):
    info = tarfile.TarInfo(name)
    info.mode, info.type, info.size, info.linkname, info.mtime = mode, kind, size, link, EPOCH
    return info


def tar(entries):
    """A tar of (member, bytes or None)."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for info, data in entries:
            archive.addfile(info, io.BytesIO(data) if data is not None else None)
    return buffer.getvalue()


class Layout:
    """Blobs of a layout, by digest."""

    def __init__(self):
        self.blobs = {}

    def add(self, media_type, data, **more):
        """Keeps a blob and returns its descriptor."""
        digest = hashlib.sha256(data).hexdigest()
        self.blobs[digest] = data
        return {"mediaType": OCI + media_type, "digest": "sha256:" + digest, "size": len(data), **more}

    def add_json(self, media_type, value, **more):
        return self.add(media_type, json.dumps(value, separators=(",", ":")).encode(), **more)


def image(layout, binary, architecture, labels):
    """Adds the image of one architecture and returns its manifest's descriptor."""
    roots = pathlib.Path(certifi.where()).read_bytes()
    files = [(member(name, 0o755, tarfile.DIRTYPE), None) for name in ("etc", "etc/ssl", "etc/ssl/certs")]
    files.append((member("etc/ssl/certs/ca-certificates.crt", 0o644, size=len(roots)), roots))
    files.append((member("ecr", 0o755, size=len(binary)), binary))
    for name in ("aws", "docker-credential-ecr-login", "ecr-credential-provider"):
        files.append((member(name, 0o777, tarfile.SYMTYPE, link="ecr"), None))
    files.append((member("tmp", 0o1777, tarfile.DIRTYPE), None))
    files.append((member("data", 0o777, tarfile.DIRTYPE), None))
    plain = tar(files)
    layer = layout.add("layer.v1.tar+gzip", gzip.compress(plain, 9, mtime=0))
    config = {
        "created": CREATED,
        "architecture": architecture,
        "os": "linux",
        "config": {
            "Entrypoint": ["/ecr"],
            "Cmd": ["local", "serve", "--address", "0.0.0.0", "--trust-network"],
            "ExposedPorts": {"5700/tcp": {}},
            # Docker's own addition to the configuration; it has no shell, so that a health check of a job could not run.
            "Healthcheck": {
                "Test": ["CMD", "/ecr", "local", "status", "--serving"],
                "Interval": 2_000_000_000,
                "Timeout": 2_000_000_000,
                "Retries": 10,
            },
            "Env": ["PATH=/", "HOME=/tmp", "ECR_LOCAL_FOLDER=/data"],
            "Labels": labels,
        },
        "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(plain).hexdigest()]},
        "history": [{"created": CREATED, "created_by": "packaging/image.py"}],
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": OCI + "manifest.v1+json",
        "config": layout.add_json("config.v1+json", config),
        "layers": [layer],
    }
    platform = {"architecture": architecture, "os": "linux"}
    return layout.add_json("manifest.v1+json", manifest, platform=platform)


def main(version, output, binaries):
    labels = {
        "org.opencontainers.image.title": "ecr",
        "org.opencontainers.image.version": version,
        "org.opencontainers.image.licenses": "Apache-2.0",
        "org.opencontainers.image.source": "https://github.com/ecr-cli/ecr",
    }
    layout = Layout()
    manifests = [
        image(layout, pathlib.Path(binary).read_bytes(), architecture, labels)
        for architecture, binary in sorted((ARCHITECTURES[target], binary) for target, binary in binaries.items())
    ]
    index = {"schemaVersion": 2, "mediaType": OCI + "index.v1+json", "manifests": manifests}
    name = {"org.opencontainers.image.ref.name": version}
    top = {"schemaVersion": 2, "manifests": [layout.add_json("index.v1+json", index, annotations=name)]}
    files = {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}', "index.json": json.dumps(top).encode()}
    files |= {"blobs/sha256/" + digest: data for digest, data in sorted(layout.blobs.items())}
    archive = tar((member(path, 0o644, size=len(data)), data) for path, data in files.items())
    pathlib.Path(output).write_bytes(archive)


main(sys.argv[1], sys.argv[2], dict(pair.split("=", 1) for pair in sys.argv[3:]))
