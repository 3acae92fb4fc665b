#!/usr/bin/env python3
"""Compares `ecr` with its peers in one run, interleaved, as ratios of medians.

    benches/compare.py start [ROUNDS]       describe-repositories beside AWS CLI v2 and curl; --version beside true
    benches/compare.py transfer [ROUNDS]    push and pull of a 4 x 256 MiB layout: seconds and peak memory

Needs a release build (`cargo build --release`), Python 3 and curl; the AWS CLI is taken from the folder that
CONTRIBUTING.md ("Other programs") says how to make (PEERS, default /opt/peers), and left out where there is none.
Only loopback is used.
"""

import gzip
import hashlib
import json
import os
import pathlib
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
ECR = os.environ.get("ECR", str(ROOT / "target/release/ecr"))
PEERS = pathlib.Path(os.environ.get("PEERS", "/opt/peers"))
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "000000000000", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_REGION": "us-east-1"}
REPOSITORIES = 3


def run(arguments, environment):
    """One run of a program: wall seconds, peak memory in MiB (at least Python's own, some 20). It must succeed."""
    null = [(os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0), (os.POSIX_SPAWN_OPEN, 2, "/dev/null", os.O_WRONLY, 0)]
    begin = time.perf_counter()
    process = os.posix_spawn(arguments[0], arguments, environment, file_actions=null)
    _, status, usage = os.wait4(process, 0)
    seconds = time.perf_counter() - begin
    if status != 0:
        raise SystemExit(f"failed with status {status}: {' '.join(arguments)}")
    return seconds, usage.ru_maxrss / 1024


def interleaved(programs, rounds):
    """Runs each program once a round, in turning order, after one round that does not count."""
    times = {name: [] for name in programs}
    memory = {name: 0 for name in programs}
    for number in range(rounds + 1):
        order = list(programs) if number % 2 else list(reversed(programs))
        for name in order:
            seconds, peak = run(*programs[name])
            if number:
                times[name].append(seconds)
                memory[name] = max(memory[name], peak)
    return {name: (statistics.median(values), min(values), max(values), memory[name]) for name, values in times.items()}


def table(results, against):
    width = max(map(len, results))
    base = results[against][0]
    print(f"{'':{width}}  {'median':>10} {'min':>10} {'max':>10} {'MiB':>7}  times {against}")
    for name, (median, least, most, peak) in results.items():
        print(f"{name:{width}}  {median * 1e3:8.2f}ms {least * 1e3:8.2f}ms {most * 1e3:8.2f}ms {peak:7.1f}  {median / base:.2f}")


class Server:
    """`ecr local serve` on a folder of its own."""

    def __init__(self, folder):
        self.environment = {"HOME": folder, "PATH": "/usr/bin:/bin", "ECR_LOCAL_FOLDER": f"{folder}/store"}
        self.process = subprocess.Popen(
            [ECR, "local", "serve", "--port", "0"], env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self.address = self.process.stdout.readline().strip().split()[-1]
        if not self.address.startswith("http"):
            self.address = "http://" + self.address

    def memory(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM"))

    def processor_seconds(self):
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self):
        self.process.terminate()
        self.process.wait()


def client(folder, server):
    return {"HOME": folder, "PATH": "/usr/bin:/bin", "AWS_ENDPOINT_URL": server.address, "AWS_PAGER": "", **CREDENTIALS}


def compare_start(rounds):
    with tempfile.TemporaryDirectory() as folder:
        server = Server(folder)
        try:
            environment = client(folder, server)
            for number in range(REPOSITORIES):
                run([ECR, "create-repository", "--repository-name", f"team/service-{number}"], environment)
            curl = [
                "/usr/bin/curl", "--silent", "--fail", "--aws-sigv4", "aws:amz:us-east-1:ecr", "--user",
                f"{CREDENTIALS['AWS_ACCESS_KEY_ID']}:{CREDENTIALS['AWS_SECRET_ACCESS_KEY']}",
                "-H", "Content-Type: application/x-amz-json-1.1",
                "-H", "X-Amz-Target: AmazonEC2ContainerRegistry_V20150921.DescribeRepositories",
                "--data", "{}", server.address + "/",
            ]  # fmt: skip
            fast = {
                "ecr describe-repositories": ([ECR, "describe-repositories"], environment),
                "curl --aws-sigv4": (curl, environment),
                "ecr --version": ([ECR, "--version"], environment),
                "/bin/true": (["/bin/true"], environment),
            }
            table(interleaved(fast, rounds), "curl --aws-sigv4")
            if (PEERS / "usr/bin/aws").exists():
                slow = {
                    "ecr describe-repositories": ([ECR, "describe-repositories"], environment),
                    "aws ecr describe-repositories": (
                        ["/usr/sbin/chroot", str(PEERS), "/usr/bin/aws", "ecr", "describe-repositories"],
                        {**environment, "HOME": "/root"},
                    ),
                }
                print()
                table(interleaved(slow, max(5, rounds // 10)), "ecr describe-repositories")
        finally:
            server.stop()


def blob(folder, data):
    digest = hashlib.sha256(data).hexdigest()
    (folder / "blobs/sha256" / digest).write_bytes(data)
    return {"digest": f"sha256:{digest}", "size": len(data)}


def make_layout(folder, layers, size):
    """An OCI layout whose layers are random bytes in stored gzip, so that no compression helps anybody."""
    (folder / "blobs/sha256").mkdir(parents=True)
    (folder / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    described = []
    for _ in range(layers):
        data = gzip.compress(os.urandom(size - 4096), 0, mtime=0)
        described.append({"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", **blob(folder, data)})
    config = {"mediaType": "application/vnd.oci.image.config.v1+json", **blob(folder, b'{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}')}
    kind = "application/vnd.oci.image.manifest.v1+json"
    manifest = {"schemaVersion": 2, "mediaType": kind, "config": config, "layers": described}
    index = {"schemaVersion": 2, "manifests": [{"mediaType": kind, **blob(folder, json.dumps(manifest).encode())}]}
    (folder / "index.json").write_text(json.dumps(index))


def compare_transfer(rounds):
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        source = folder / "image"
        # In a process of its own: what this one has ever held would count as the peak of every program it starts.
        subprocess.run([sys.executable, __file__, "layout", str(source)], check=True)
        rows = {"push": [], "push again": [], "pull": []}
        peaks = dict.fromkeys(rows, 0)
        for number in range(rounds):
            home = folder / f"round-{number}"
            home.mkdir()
            server = Server(str(home))
            environment = client(str(home), server)
            run([ECR, "create-repository", "--repository-name", "big"], environment)
            destination = home / "pulled"
            for what, arguments in {
                "push": ["push", f"oci:{source}", "big:1"],
                "push again": ["push", f"oci:{source}", "big:1"],
                "pull": ["pull", "big:1", f"oci:{destination}"],
            }.items():
                seconds, peak = run([ECR, *arguments], environment)
                rows[what].append(seconds)
                peaks[what] = max(peaks[what], peak)
            for path in (source / "blobs/sha256").iterdir():
                if hashlib.file_digest(path.open("rb"), "sha256").digest() != hashlib.file_digest((destination / "blobs/sha256" / path.name).open("rb"), "sha256").digest():
                    raise SystemExit(f"{path.name} came back changed")
            print(f"round {number + 1}: server {server.memory():.0f} MiB peak, {server.processor_seconds():.2f} s of processor")
            server.stop()
            shutil.rmtree(home)
        for what, seconds in rows.items():
            print(f"{what:10}  median {statistics.median(seconds):6.3f} s  min {min(seconds):6.3f}  max {max(seconds):6.3f}  peak {peaks[what]:6.1f} MiB")


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.argv[1:2] == ["layout"]:
        make_layout(pathlib.Path(sys.argv[2]), 4, 256 << 20)
        raise SystemExit
    work = {"start": compare_start, "transfer": compare_transfer}
    if len(sys.argv) < 2 or sys.argv[1] not in work:
        raise SystemExit(__doc__)
    work[sys.argv[1]](int(sys.argv[2]) if len(sys.argv) > 2 else {"start": 100, "transfer": 5}[sys.argv[1]])
