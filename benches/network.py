#!/usr/bin/env python3
"""Measures push and pull behind a network with latency and bandwidth, beside crane, oras and skopeo.

    benches/network.py [ROUNDS [ROW ...]] [--tls]     all rows by default; 5 rounds

Between each program and an embedded ECR (`ecr local serve`) is a proxy (benches/shaper.py) that gives connections
latency and bandwidth. Every program of a row runs once a round, in an order that turns from round to round; figures
are medians of seconds, processor seconds of the client, its highest peak memory, and the connections and bytes of its
last run. The bound is what the line allows whoever wastes nothing: the round trips that have to wait for one another,
and the time of the bytes.

Needs Python 3.11, `cargo build --release`, and the other programs in the folder that CONTRIBUTING.md ("Other
programs") says how to make (PEERS, default /opt/peers; needs root for chroot); what is not there is left out. ECR names
another build to measure, BEFORE one to compare it with, and WITHOUT programs to leave out (`skopeo,oras`). Only loopback is used. With --tls everything goes through
TLS with a certificate that is made for it (needs openssl).
"""

import json
import os
import pathlib
import shutil
import signal
import statistics
import subprocess
import sys
import time

from compare import CREDENTIALS, ECR, ROOT

PEERS = pathlib.Path(os.environ.get("PEERS", "/opt/peers"))
BEFORE = os.environ.get("BEFORE")
WITHOUT = os.environ.get("WITHOUT", "").split(",")
HOME = (PEERS / "tmp" if PEERS.exists() else pathlib.Path("/tmp")) / f"network-{os.getpid()}"
CHROOT = ["/usr/sbin/chroot", str(PEERS)]
MEBIBYTE = 1 << 20
# Round trips that have to wait for one another, the connection's own first. With TLS 1.3 a connection takes one more.
TRIPS = {
    ("push", "api"): 6,  # connect, DescribeImages, Initiate, UploadLayerPart, Complete, PutImage
    ("push", "v2"): 5,  # connect, HEAD, POST, PUT, PUT of the manifest
    ("pull", "api"): 4,  # connect, BatchGetImage, GetDownloadUrlForLayer, GET
    ("pull", "v2"): 3,  # connect, GET of the manifest, GET
    ("again", "api"): 2,  # connect, DescribeImages
    ("again", "v2"): 2,  # connect, HEAD
}
# Layers, bytes of each, round trip in ms, Mbit/s of the line, of a connection (0: all of it).
ROWS = {
    "push-60": ("push", 60, MEBIBYTE // 2, 50, 400, 0),
    "push-100": ("push", 100, MEBIBYTE // 5, 100, 1000, 0),
    "push-large": ("push", 4, 32 * MEBIBYTE, 50, 400, 0),
    "pull-60": ("pull", 60, MEBIBYTE // 2, 50, 400, 0),
    "pull-100": ("pull", 100, MEBIBYTE // 5, 100, 1000, 0),
    "pull-limited": ("pull", 2, 128 * MEBIBYTE, 30, 1000, 100),
    "pull-one": ("pull", 1, 128 * MEBIBYTE, 30, 1000, 0),
    "again": ("again", 60, MEBIBYTE // 2, 50, 400, 0),
}


def inside(path):
    """A path below the peers' folder as the peers see it."""
    return "/" + str(pathlib.Path(path).relative_to(PEERS))


def run(arguments, environment):
    """One run: wall seconds, processor seconds, and peak memory in MiB."""
    log = HOME / "log"
    actions = [(os.POSIX_SPAWN_OPEN, 1, str(log), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), (os.POSIX_SPAWN_DUP2, 1, 2)]
    begin = time.perf_counter()
    process = os.posix_spawn(arguments[0], arguments, {"PATH": "/usr/bin:/bin", "HOME": str(HOME), **environment}, file_actions=actions)
    _, status, usage = os.wait4(process, 0)
    seconds = time.perf_counter() - begin
    if status != 0:
        raise SystemExit(f"failed with status {status}: {' '.join(arguments)}\n{log.read_text()[-2000:]}")
    return seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


class Certificate:
    """An authority of its own, and a server's certificate for 127.0.0.1."""

    def __init__(self, folder):
        folder.mkdir()
        make = lambda *arguments: subprocess.run(["openssl", *arguments], cwd=folder, check=True, stderr=subprocess.DEVNULL)
        new = ["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        make(*new, "-x509", "-days", "2", "-subj", "/CN=benchmark", "-keyout", "ca.key", "-out", "ca.crt")
        make(*new, "-subj", "/CN=server", "-keyout", "server.key", "-out", "server.csr")
        (folder / "names").write_text("subjectAltName=IP:127.0.0.1\n")
        make("x509", "-req", "-in", "server.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-days", "2", "-extfile", "names", "-out", "server.crt")
        (folder / "certs").mkdir()
        shutil.copy(folder / "ca.crt", folder / "certs/ca.crt")
        self.folder, self.authority = folder, folder / "ca.crt"

    def server(self):
        return ["--tls-certificate", str(self.folder / "server.crt"), "--tls-key", str(self.folder / "server.key")]


class Server:
    """An embedded ECR, without a network before it."""

    def __init__(self, certificate):
        arguments = [ECR, "local", "serve", "--port", "0", "--ephemeral", "--anonymous", "--log-level", "off"]
        self.scheme = "https" if certificate else "http"
        self.process = subprocess.Popen(
            arguments + (certificate.server() if certificate else []),
            env={"HOME": str(HOME), "PATH": "/usr/bin:/bin", "TMPDIR": str(HOME)}, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.port = int(self.process.stdout.readline().strip().rsplit(":", 1)[1].strip("/"))


class Line:
    """The network before a server."""

    def __init__(self, server, rtt, mbit, each):
        options = ["--rtt", str(rtt), "--mbit", str(mbit), "--each-mbit", str(each)]
        shaper = [sys.executable, str(ROOT / "benches/shaper.py"), str(server.port), *options]
        self.process = subprocess.Popen(shaper, stdout=subprocess.PIPE, text=True)
        self.host = f"127.0.0.1:{int(self.process.stdout.readline())}"

    def report(self):
        self.process.send_signal(signal.SIGUSR1)
        words = self.process.stdout.readline().split()
        return int(words[0]), int(words[2]) / MEBIBYTE, int(words[5]) / MEBIBYTE

    def stop(self):
        self.process.terminate()
        self.process.wait()


class Programs:
    """What runs in a row: each pushes a layout into a repository, or pulls one into a new layout."""

    def __init__(self, server, line, layout, certificate):
        self.line, self.layout, self.certificate = line, layout, certificate
        self.api = f"{server.scheme}://{line.host}"
        trust = {"AWS_CA_BUNDLE": str(certificate.authority)} if certificate else {}
        self.environment = {**CREDENTIALS, "AWS_ENDPOINT_URL": self.api, **trust}

    def ecr(self, program, *arguments):
        # Without an endpoint: what goes over /v2/ names its host.
        return lambda: run([program, *arguments], self.environment)

    def peer(self, program, *arguments):
        trust = {"SSL_CERT_FILE": inside(self.certificate.authority)} if self.certificate else {}
        return lambda: run([*CHROOT, program, *arguments], {"HOME": "/root", **trust})

    def pushes(self, to):
        layout, place = self.layout, f"{self.line.host}/{to}:latest"
        oras = [] if self.certificate else ["--to-plain-http"]
        found = {}
        for name, program in builds():
            found[f"{name} push"] = self.ecr(program, "push", f"oci:{layout}", f"{to}:latest")
            found[f"{name} copy"] = self.ecr(program, "copy", f"oci:{layout}", f"docker://{place}")
        if PEERS.exists():
            found["crane"] = self.peer("crane", "push", "--insecure", inside(layout), place)
            found["oras"] = self.peer("oras", "cp", *oras, "--from-oci-layout", f"{inside(layout)}:latest", place)
            found["skopeo"] = self.peer("skopeo", "copy", "--dest-tls-verify=false", f"oci:{inside(layout)}:latest", f"docker://{place}")
        return found

    def pulls(self, to):
        place = f"{self.line.host}/full:latest"
        oras = [] if self.certificate else ["--from-plain-http"]
        found = {}
        for name, program in builds():
            found[f"{name} pull"] = self.ecr(program, "pull", "full:latest", f"oci:{to}")
            found[f"{name} copy"] = self.ecr(program, "copy", f"docker://{place}", f"oci:{to}")
        if PEERS.exists():
            found["crane"] = self.peer("crane", "pull", "--insecure", "--format=oci", place, inside(to))
            found["oras"] = self.peer("oras", "cp", *oras, "--to-oci-layout", place, f"{inside(to)}:latest")
            found["skopeo"] = self.peer("skopeo", "copy", "--src-tls-verify=false", f"docker://{place}", f"oci:{inside(to)}:latest")
        return found


def builds():
    return [("ecr", ECR), *([("before", BEFORE)] if BEFORE else [])]


def bound(kind, route, layers, size, rtt, mbit, tls):
    """Seconds that the line takes at the least."""
    sent = 0 if kind == "again" else layers * size * (4 / 3 if (kind, route) == ("push", "api") else 1)
    return (TRIPS[kind, route] + tls) * rtt / 1000 + sent / (mbit * 125_000)


def measure(row, server, rounds, certificate):
    kind, layers, size, rtt, mbit, each = ROWS[row]
    layout = HOME / row
    subprocess.run([sys.executable, str(ROOT / "benches/transfer.py"), "layout", str(layout), str(layers), str(size)], check=True)
    direct, line = Line(server, 0, 100_000, 0), Line(server, rtt, mbit, each)
    inner, outer = (Programs(server, way, layout, certificate) for way in (direct, line))
    create = lambda name: inner.ecr(ECR, "create-repository", "--repository-name", name)()
    figures, number = {}, 0
    if kind != "push":
        create("full")
        inner.ecr(ECR, "push", f"oci:{layout}", "full:latest")()
    try:
        for turn in range(rounds + 1):
            names = outer.pulls(HOME / "x") if kind == "pull" else outer.pushes("x")
            names = [name for name in names if name not in WITHOUT]
            for name in names if turn % 2 else reversed(names):
                number += 1
                to = HOME / f"pulled-{number}" if kind == "pull" else "full" if kind == "again" else f"to-{row}-{number}"
                if kind == "push":
                    create(to)
                line.report()
                figure = (outer.pulls(to) if kind == "pull" else outer.pushes(to))[name]()
                if turn:
                    figures.setdefault(name, []).append((*figure, line.report()))
                if kind == "pull":
                    shutil.rmtree(to)
                elif kind == "push":
                    inner.ecr(ECR, "delete-repository", "--repository-name", to, "--force")()
    finally:
        direct.stop()
        line.stop()
    if kind != "push":
        inner_delete(server, certificate)
    shutil.rmtree(layout)
    show(row, figures, certificate)


def inner_delete(server, certificate):
    direct = Line(server, 0, 100_000, 0)
    Programs(server, direct, None, certificate).ecr(ECR, "delete-repository", "--repository-name", "full", "--force")()
    direct.stop()


def show(row, figures, certificate):
    kind, layers, size, rtt, mbit, each = ROWS[row]
    limit = f", {each} a connection" if each else ""
    print(f"\n{row}: {kind} {layers} x {size / MEBIBYTE:.1f} MiB, {rtt} ms, {mbit} Mbit/s{limit}{', TLS' if certificate else ''}")
    bounds = {route: bound(kind, route, layers, size, rtt, mbit, bool(certificate)) for route in ("api", "v2")}
    print(f"{'bound':14} {bounds['api']:7.2f}s through the API, {bounds['v2']:.2f}s over /v2/; load {os.getloadavg()[0]:.1f}")
    print(f"{'':14} {'median':>8} {'min':>8} {'max':>8} {'/ bound':>8} {'CPU':>7} {'peak':>10} {'connections':>12} {'up':>9} {'down':>9}")
    for name in sorted(figures):
        runs = figures[name]
        route = "api" if name.endswith((" push", " pull")) else "v2"
        seconds = [figure[0] for figure in runs]
        median = statistics.median(seconds)
        connections, up, down = runs[-1][3]
        print(
            f"{name:14} {median:7.2f}s {min(seconds):7.2f}s {max(seconds):7.2f}s {median / bounds[route]:8.2f} "
            f"{statistics.median(figure[1] for figure in runs):6.2f}s {max(figure[2] for figure in runs):6.1f} MiB "
            f"{connections:12} {up:5.1f} MiB {down:5.1f} MiB",
            flush=True,
        )


def main():
    words = [word for word in sys.argv[1:] if word != "--tls"]
    rounds = int(words[0]) if words else 5
    HOME.mkdir(parents=True)
    server = None
    try:
        certificate = Certificate(HOME / "tls") if "--tls" in sys.argv else None
        server = Server(certificate)
        for row in words[1:] or ROWS:
            measure(row, server, rounds, certificate)
    finally:
        if server:
            server.process.terminate()
            server.process.wait()
        shutil.rmtree(HOME, ignore_errors=True)


if __name__ == "__main__":
    main()
