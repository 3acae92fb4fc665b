#!/usr/bin/env python3
"""Pushes a docker archive whose layers nobody compressed to Debian's docker-registry, with `ecr`, skopeo and crane.

    benches/archive.py ARCHIVE [ROUNDS]

ARCHIVE is a docker archive of one image, best of a real root file system: `skopeo copy docker://debian
docker-archive:debian.tar`. Each round starts every program on an empty registry, in turning order. skopeo compresses at
level 6 or at the one it is told, crane always at level 1, so each is compared with `ecr` at that level. Needs a release
build, and docker-registry, skopeo and crane in a folder that CONTRIBUTING.md ("Other programs") says how to make
(PEERS, default /opt/peers). Only loopback is used.
"""

import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
ECR = os.environ.get("ECR", str(ROOT / "target/release/ecr"))
PEERS = pathlib.Path(os.environ.get("PEERS", "/opt/peers"))
HOST = "127.0.0.1:5977"
CONFIGURATION = f"version: 0.1\nstorage: {{filesystem: {{rootdirectory: /tmp/bench-archive/registry}}}}\nhttp: {{addr: {HOST}}}\n"


def peer(*arguments):
    return ["/usr/sbin/chroot", str(PEERS), *arguments]


def programs(own, inside):
    target = f"docker://{HOST}/app"
    skopeo = peer("skopeo", "copy", "--quiet", "--insecure-policy", "--dest-tls-verify=false", "--dest-compress-format", "gzip")
    return {
        "ecr, usual level": [ECR, "copy", "--quiet", f"docker-archive:{own}", f"{target}:ecr4"],
        "ecr, level 6": [ECR, "copy", "--quiet", "--compress", "gzip:6", f"docker-archive:{own}", f"{target}:ecr"],
        "skopeo, level 6": [*skopeo, "--dest-compress-level", "6", f"docker-archive:{inside}", f"{target}:skopeo"],
        "ecr, level 1": [ECR, "copy", "--quiet", "--compress", "gzip:1", f"docker-archive:{own}", f"{target}:ecr1"],
        "skopeo, level 1": [*skopeo, "--dest-compress-level", "1", f"docker-archive:{inside}", f"{target}:skopeo1"],
        "crane, level 1": peer("crane", "push", "--insecure", inside, f"{HOST}/app:crane"),
    }


def started(folder):
    """A registry with nothing in it."""
    shutil.rmtree(folder / "registry", ignore_errors=True)
    registry = subprocess.Popen(peer("docker-registry", "serve", "/tmp/bench-archive/registry.yml"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while True:
        try:
            urllib.request.urlopen(f"http://{HOST}/v2/").read()
            return registry
        except OSError:
            time.sleep(0.05)


def run(arguments):
    """Wall seconds, processor seconds and peak memory in MiB."""
    null = [(os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0), (os.POSIX_SPAWN_OPEN, 2, "/dev/null", os.O_WRONLY, 0)]
    begin = time.perf_counter()
    process = os.posix_spawn(arguments[0], arguments, os.environ, file_actions=null)
    _, status, usage = os.wait4(process, 0)
    seconds = time.perf_counter() - begin
    if status != 0:
        raise SystemExit(f"failed with status {status}: {' '.join(arguments)}")
    return seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def main(archive, rounds):
    folder = PEERS / "tmp/bench-archive"
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(archive, folder / "image.tar")
    (folder / "registry.yml").write_text(CONFIGURATION)
    work = programs(folder / "image.tar", "/tmp/bench-archive/image.tar")
    results, sizes = {name: [] for name in work}, {}
    for number in range(rounds):
        for name in list(work) if number % 2 else list(reversed(work)):
            registry = started(folder)
            try:
                results[name].append(run(work[name]))
            finally:
                registry.terminate()
                registry.wait()
            sizes[name] = sum(file.stat().st_size for file in (folder / "registry").rglob("data")) / (1 << 20)
    shutil.rmtree(folder)
    print(f"{'':16}  {'median s':>8} {'min':>7} {'max':>7} {'processor':>9} {'peak MiB':>8} {'sent MiB':>8}")
    for name, values in results.items():
        wall = [value[0] for value in values]
        processor, peak = statistics.median(value[1] for value in values), max(value[2] for value in values)
        print(f"{name:16}  {statistics.median(wall):8.2f} {min(wall):7.2f} {max(wall):7.2f} {processor:9.2f} {peak:8.1f} {sizes[name]:8.1f}")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        raise SystemExit(__doc__)
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 5)
