#!/usr/bin/env python3
"""Measures push, pull and copy beside boto3, crane, oras and skopeo, as ratios.

    benches/transfer.py [ROUNDS [ROW ...]]      all rows by default; 5 rounds

Every program of a row runs once a round, one after another, in an order that turns from round to round, so that what
else the machine does hits all of them; the figures are medians of seconds, processor seconds of the client, and the
highest peak memory. What is pushed and pulled are random bytes in stored gzip, except in the row `archive`.

Needs Linux, root (for chroot), `cargo build --release --bin ecr --example sink`, crane, oras and skopeo
in the folder that CONTRIBUTING.md ("Other programs") says how to make (PEERS, default /opt/peers), and for the row
`api` a Python with boto3 (BOTO3, a path to it).
Only loopback is used.
"""

import hashlib
import io
import json
import os
import pathlib
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import tarfile
import time

from compare import CREDENTIALS, ECR, ROOT, make_layout

SINK = str(ROOT / "target/release/examples/sink")
PEERS = pathlib.Path(os.environ.get("PEERS", "/opt/peers"))
BOTO3 = os.environ.get("BOTO3")
HOME = PEERS / "tmp" / f"transfer-{os.getpid()}"
SERVERS = []
CHROOT = ["/usr/sbin/chroot", str(PEERS)]

# The same path as ours: four layers at once, each in parts one after another.
PUSH_WITH_BOTO3 = """
import concurrent.futures, json, pathlib, sys, boto3
endpoint, layout = sys.argv[1], pathlib.Path(sys.argv[2])
read = lambda digest: (layout / "blobs/sha256" / digest[7:])
manifest = json.loads(read(json.loads((layout / "index.json").read_text())["manifests"][0]["digest"]).read_text())
ecr = boto3.client("ecr", endpoint_url=endpoint)
def push(layer):
    upload = ecr.initiate_layer_upload(repositoryName="null")
    at = 0
    with read(layer["digest"]).open("rb") as file:
        while part := file.read(upload["partSize"]):
            ecr.upload_layer_part(repositoryName="null", uploadId=upload["uploadId"], partFirstByte=at, partLastByte=at + len(part) - 1, layerPartBlob=part)
            at += len(part)
    ecr.complete_layer_upload(repositoryName="null", uploadId=upload["uploadId"], layerDigests=[layer["digest"]])
with concurrent.futures.ThreadPoolExecutor(4) as pool:
    list(pool.map(push, manifest["layers"] + [manifest["config"]]))
"""


def inside(path):
    """A path below the peers' folder as the peers see it."""
    return "/" + str(path.relative_to(PEERS))


def run(arguments, environment):
    """One run: wall seconds, processor seconds, and peak memory in MiB."""
    log = HOME / "log"
    actions = [(os.POSIX_SPAWN_OPEN, 1, str(log), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), (os.POSIX_SPAWN_DUP2, 1, 2)]
    begin = time.perf_counter()
    process = os.posix_spawn(arguments[0], arguments, {"PATH": "/usr/bin:/bin", "HOME": str(HOME), **environment}, file_actions=actions)
    _, status, usage = os.wait4(process, 0)
    seconds = time.perf_counter() - begin
    if status != 0:
        raise SystemExit(f"failed with status {status}: {' '.join(arguments)}\n{log.read_text()}")
    return seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def ecr(*arguments, api=None):
    environment = {**CREDENTIALS, **({"AWS_ENDPOINT_URL": api} if api else {})}
    return lambda: run([ECR, *map(str, arguments)], environment)


def peer(*arguments):
    return lambda: run([*CHROOT, *map(str, arguments)], {"HOME": "/root"})


class Sink:
    def __init__(self, layout=None):
        arguments = [SINK, "serve", *([str(layout)] if layout else [])]
        self.process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        SERVERS.append(self.process)
        self.url = self.process.stdout.readline().strip()
        self.host = self.url.removeprefix("http://")

    def stop(self):
        self.process.kill()
        self.process.wait()


class Registry:
    """Debian's docker-registry on a folder of its own."""

    def __init__(self):
        self.folder = HOME / f"registry-{time.monotonic_ns()}"
        self.folder.mkdir()
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.host = f"127.0.0.1:{probe.getsockname()[1]}"
        configuration = self.folder / "configuration.yml"
        configuration.write_text(
            f"version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\n"
            f"storage: {{filesystem: {{rootdirectory: {inside(self.folder)}}}, delete: {{enabled: true}}}}\nhttp: {{addr: '{self.host}'}}\n"
        )
        program = next(path for path in ("/usr/bin/docker-registry", "/usr/bin/registry") if (PEERS / path[1:]).exists())
        self.process = subprocess.Popen(
            [*CHROOT, program, "serve", inside(configuration)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        SERVERS.append(self.process)
        host, port = self.host.split(":")
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex((host, int(port))) == 0:
                    return
            time.sleep(0.02)
        raise SystemExit("docker-registry does not start")

    def stop(self):
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.folder)


def measure(title, programs, rounds, before=None, after=None):
    """A row of the table: each program once a round. `before` gives what a program works on, `after` takes it away."""
    figures = {name: [] for name in programs}
    for number in range(rounds + 1):
        names = list(programs) if number % 2 else list(reversed(programs))
        for name in names:
            given = before(name) if before else None
            figure = programs[name](given)()
            if after:
                after(given)
            if number:
                figures[name].append(figure)
    print(f"\n{title}\n{'':26} {'median':>9} {'min':>9} {'max':>9} {'CPU':>8} {'peak':>9}  ratio")
    base = statistics.median(figure[0] for figure in next(iter(figures.values())))
    for name, rows in figures.items():
        seconds = [row[0] for row in rows]
        median = statistics.median(seconds)
        processor = statistics.median(row[1] for row in rows)
        print(
            f"{name:26} {median:8.3f}s {min(seconds):8.3f}s {max(seconds):8.3f}s {processor:7.2f}s "
            f"{max(row[2] for row in rows):5.1f} MiB  {median / base:.2f}",
            flush=True,
        )


def unique(names=iter(range(1 << 30))):
    return f"null-{next(names)}"


def pushes(host, layout, tag):
    """Ways to push a layout to a registry, each into the repository that it is given."""
    place = lambda repository: f"{host}/{repository}:{tag}"
    return {
        "ecr copy": lambda to: ecr("copy", f"oci:{layout}", f"docker://{place(to)}"),
        "crane push": lambda to: peer("crane", "push", "--insecure", inside(layout), place(to)),
        "oras cp": lambda to: peer("oras", "cp", "--to-plain-http", "--from-oci-layout", f"{inside(layout)}:{tag}", place(to)),
        "skopeo copy": lambda to: peer("skopeo", "copy", "--dest-tls-verify=false", f"oci:{inside(layout)}:{tag}", f"docker://{place(to)}"),
    }


def pulls(host, repository):
    place = f"{host}/{repository}:latest"
    return {
        "ecr copy": lambda to: ecr("copy", f"docker://{place}", f"oci:{to}"),
        "crane pull": lambda to: peer("crane", "pull", "--insecure", "--format=oci", place, inside(to)),
        "oras cp": lambda to: peer("oras", "cp", "--from-plain-http", "--to-oci-layout", place, f"{inside(to)}:latest"),
        "skopeo copy": lambda to: peer("skopeo", "copy", "--src-tls-verify=false", f"docker://{place}", f"oci:{inside(to)}:latest"),
    }


def fresh(_name):
    return HOME / f"pulled-{time.monotonic_ns()}"


def remove(folder):
    shutil.rmtree(folder)


def row_api(layouts, rounds):
    layout, sink = layouts["large"], Sink()
    rates = json.loads(subprocess.run([SINK, "hash"], stdout=subprocess.PIPE, check=True).stdout)
    push = lambda *options: lambda _: ecr("push", f"oci:{layout}", "null:latest", *options, api=sink.url)
    programs = {"ecr push": push(), "ecr push --verify": push("--verify")}
    if BOTO3:
        environment = {**CREDENTIALS, "AWS_DEFAULT_REGION": CREDENTIALS["AWS_REGION"]}
        programs["boto3, 4 threads"] = lambda _: lambda: run([BOTO3, "-c", PUSH_WITH_BOTO3, sink.url, str(layout)], environment)
    measure(
        f"push 1 GiB in 4 layers through ECR's API to the sink (one core: SHA-256 {rates['sha256']:.2f} GB/s, base64 {rates['base64']:.1f})",
        programs,
        rounds,
    )
    sink.stop()


def row_sink(layouts, rounds):
    sink = Sink()
    measure("push 1 GiB over /v2/ to the sink", pushes(sink.host, layouts["large"], "latest"), rounds, lambda _: unique())
    sink.stop()


def row_registry(layouts, rounds):
    registry = Registry()
    drop = lambda repository: shutil.rmtree(registry.folder / "docker")
    measure("push 1 GiB over /v2/ to docker-registry", pushes(registry.host, layouts["large"], "latest"), rounds, lambda _: unique(), drop)
    registry.stop()


def row_pull(layouts, rounds):
    sink = Sink(layouts["large"])
    programs = pulls(sink.host, "full")
    programs = {"ecr copy": programs.pop("ecr copy"), "ecr pull (API)": lambda to: ecr("pull", "full:latest", f"oci:{to}", api=sink.url), **programs}
    measure("pull 1 GiB from the sink to a layout", programs, rounds, fresh, remove)
    sink.stop()
    registry = Registry()
    pushes(registry.host, layouts["large"], "latest")["crane push"]("full")()
    measure("pull 1 GiB from docker-registry to a layout", pulls(registry.host, "full"), rounds, fresh, remove)
    registry.stop()


def row_small(layouts, rounds):
    registry = Registry()
    push = pushes(registry.host, layouts["small"], "latest")
    drop = lambda repository: shutil.rmtree(registry.folder / "docker")
    measure("push 100 layers of 1 MiB to docker-registry", push, rounds, lambda _: unique(), drop)
    push["ecr copy"]("full")()
    measure("push them again", push, rounds * 4, lambda _: "full")
    measure("pull them to a layout", pulls(registry.host, "full"), rounds, fresh, remove)
    registry.stop()


def row_copy(layouts, rounds):
    one, other = Registry(), Registry()
    pushes(one.host, layouts["large"], "latest")["crane push"]("full")()
    source, drop = f"{one.host}/full:latest", lambda repository: shutil.rmtree(other.folder / "docker")
    programs = {
        "ecr copy": lambda to: ecr("copy", f"docker://{source}", f"docker://{other.host}/{to}:latest"),
        "crane cp": lambda to: peer("crane", "cp", "--insecure", source, f"{other.host}/{to}:latest"),
        "oras cp": lambda to: peer("oras", "cp", "--from-plain-http", "--to-plain-http", source, f"{other.host}/{to}:latest"),
        "skopeo copy": lambda to: peer("skopeo", "copy", "--src-tls-verify=false", "--dest-tls-verify=false", f"docker://{source}", f"docker://{other.host}/{to}:latest"),
    }
    measure("copy 1 GiB from one docker-registry to another", programs, rounds, lambda _: unique(), drop)
    one.stop()
    other.stop()


def row_archive(layouts, rounds):
    registry = Registry()
    path, place = layouts["archive"], lambda to: f"{registry.host}/{to}:latest"
    programs = {
        "ecr copy": lambda to: ecr("copy", f"docker-archive:{path}", f"docker://{place(to)}"),
        "ecr copy --compress gzip:1": lambda to: ecr("copy", "--compress", "gzip:1", f"docker-archive:{path}", f"docker://{place(to)}"),
        "ecr copy --compress gzip:6": lambda to: ecr("copy", "--compress", "gzip:6", f"docker-archive:{path}", f"docker://{place(to)}"),
        "crane push": lambda to: peer("crane", "push", "--insecure", inside(path), place(to)),
    }
    for level in ("", "1", "6"):
        options = ("--dest-tls-verify=false", *(("--dest-compress-level", level) if level else ()))
        programs[f"skopeo copy, level {level or 'usual'}"] = lambda to, options=options: peer("skopeo", "copy", *options, f"docker-archive:{inside(path)}", f"docker://{place(to)}")
    drop = lambda repository: shutil.rmtree(registry.folder / "docker")
    measure(f"push a docker archive of a root file system, {path.stat().st_size >> 20} MiB", programs, rounds, lambda _: unique(), drop)
    registry.stop()


def make_archive(path):
    """A docker archive of one layer: the programs and libraries of the peers' own root."""
    layer = HOME / "layer.tar"
    subprocess.run(["tar", "-C", str(PEERS), "-cf", str(layer), "usr/bin", "usr/lib", "etc"], check=True)
    digest = hashlib.file_digest(layer.open("rb"), "sha256").hexdigest()
    config = json.dumps({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]}, "config": {}}).encode()
    name = hashlib.sha256(config).hexdigest() + ".json"
    listing = json.dumps([{"Config": name, "RepoTags": ["root:latest"], "Layers": ["layer.tar"]}]).encode()
    with tarfile.open(path, "w") as archive:
        archive.add(layer, "layer.tar")
        for member, data in ((name, config), ("manifest.json", listing)):
            entry = tarfile.TarInfo(member)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    layer.unlink()


ROWS = {"api": row_api, "sink": row_sink, "registry": row_registry, "pull": row_pull, "small": row_small, "copy": row_copy, "archive": row_archive}


def tagged_layout(folder, layers, size):
    make_layout(folder, layers, size)
    index = json.loads((folder / "index.json").read_text())
    index["manifests"][0]["annotations"] = {"org.opencontainers.image.ref.name": "latest"}
    (folder / "index.json").write_text(json.dumps(index))


def main():
    if sys.argv[1:2] == ["layout"]:
        return tagged_layout(pathlib.Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    rows = sys.argv[2:] or list(ROWS)
    HOME.mkdir()
    layouts = {"large": HOME / "large", "small": HOME / "small", "archive": HOME / "archive.tar"}
    try:
        # In processes of their own: what this one has ever held would count as the peak of every program it starts.
        for name, layers, size in (("large", 4, 256 << 20), ("small", 100, 1 << 20)):
            subprocess.run([sys.executable, __file__, "layout", str(layouts[name]), str(layers), str(size)], check=True)
        if "archive" in rows:
            make_archive(layouts["archive"])
        for row in rows:
            ROWS[row](layouts, rounds)
    finally:
        for server in SERVERS:
            server.kill()
        shutil.rmtree(HOME, ignore_errors=True)


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    main()
