#!/usr/bin/env python3
"""Compares the credential helper with Amazon's, in one run, interleaved, as medians and ratios.

    benches/login.py [ROUNDS]

Needs a release build (`cargo build --release`), Python 3 and openssl. Amazon's helpers are taken from PEERS (default
/opt/peers, which CONTRIBUTING.md ("Other programs") says how to make; 0.12.0) and from OLD (a folder into which Debian
bookworm's package amazon-ecr-credential-helper was unpacked; 0.6.0), and left out where there is none. Only loopback
is used.

Version 0.6.0 knows no AWS_ENDPOINT_URL, so the common comparison goes through a proxy to a TLS server of our own.
"""

import base64
import contextlib
import json
import os
import pathlib
import shutil
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
ECR = os.environ.get("ECR", str(ROOT / "target/release/ecr"))
PEERS = pathlib.Path(os.environ.get("PEERS", "/opt/peers"))
OLD = pathlib.Path(os.environ.get("OLD", "/tmp/at/deb"))
HOST = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"
TOKEN = base64.b64encode(b"AWS:" + base64.b64encode(os.urandom(1300))).decode()
DEAD = 300


def helpers(folder):
    """Name and command of each helper that is there."""
    link = folder / "docker-credential-ecr-login"
    link.symlink_to(ECR)
    found = {"ecr": [str(link)]}
    new = PEERS / "usr/bin/docker-credential-ecr-login"
    if new.exists():
        # Through the folder's own loader instead of chroot, which would add a millisecond.
        loader, library = PEERS / "lib64/ld-linux-x86-64.so.2", PEERS / "usr/lib/x86_64-linux-gnu"
        found["Go 0.12.0"] = [str(loader), "--library-path", str(library), str(new)]
    old = OLD / "usr/bin/docker-credential-ecr-login"
    if old.exists():
        found["Go 0.6.0"] = [str(old)]
    return found


WATCH = r"""
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
int main(int argc, char **argv) {
    int status; struct rusage usage; pid_t child = fork();
    (void)argc;
    if (child == 0) { execv(argv[1], argv + 1); _exit(127); }
    wait4(child, &status, 0, &usage);
    dprintf(9, "%ld", usage.ru_maxrss);
    return 0;
}
"""


def peak(folder, command, environment, stdin):
    """Peak memory in MiB. A child of this script would count what the script had; one of a tiny program does not."""
    watch = folder / "watch"
    if not watch.exists():
        subprocess.run(["cc", "-x", "c", "-O", "-o", str(watch), "-"], input=WATCH, text=True, check=True)
    read, write = os.pipe()
    actions = [(os.POSIX_SPAWN_DUP2, write, 9), (os.POSIX_SPAWN_OPEN, 0, stdin, os.O_RDONLY, 0), (os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0)]
    process = os.posix_spawn(str(watch), [str(watch), *command], environment, file_actions=actions)
    os.close(write)
    os.waitpid(process, 0)
    with os.fdopen(read) as answer:
        return int(answer.read()) / 1024


def spawn(command, environment, stdin):
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, stdin, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0),
        (os.POSIX_SPAWN_OPEN, 2, "/dev/null", os.O_WRONLY, 0),
    ]
    return os.posix_spawn(command[0], command, environment, file_actions=actions)


def run(command, environment, stdin, status_wanted=0):
    """Wall seconds of one run."""
    begin = time.perf_counter()
    process = spawn(command, environment, stdin)
    _, status = os.waitpid(process, 0)
    seconds = time.perf_counter() - begin
    if os.waitstatus_to_exitcode(status) != status_wanted:
        raise SystemExit(f"exit code {os.waitstatus_to_exitcode(status)}: {' '.join(command)}")
    return seconds


def interleaved(folder, programs, rounds):
    times = {name: [] for name in programs}
    for number in range(rounds + 1):
        order = list(programs) if number % 2 else list(reversed(programs))
        for name in order:
            before, arguments = programs[name]
            before()
            seconds = run(*arguments)
            if number:
                times[name].append(seconds)
    memory = {}
    for name, (before, arguments) in programs.items():
        before()
        memory[name] = max(peak(folder, *arguments[:3]) for _ in range(3))
    return {name: (statistics.median(values), min(values), memory[name]) for name, values in times.items()}


def table(title, results):
    print(f"\n{title}")
    base = next(iter(results.values()))[0]
    for name, (median, least, peak) in results.items():
        print(f"  {name:32} median {median * 1e3:8.2f} ms  min {least * 1e3:8.2f} ms  {peak:5.1f} MiB  ecr is {base / median:.2f} of it")


class Stub:
    """ECR behind a proxy with TLS, and plainly; counts its calls."""

    def __init__(self, folder):
        self.delay, self.calls, self.lock = 0.0, 0, threading.Lock()
        self.authority = str(folder / "ca.pem")
        key, request, certificate, extension = (str(folder / name) for name in ("key.pem", "csr.pem", "cert.pem", "ext"))
        quiet = {"check": True, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        root_key = str(folder / "ca.key")
        subprocess.run(["openssl", "req", "-x509", *curve, "-keyout", root_key, "-out", self.authority, "-days", "2", "-subj", "/CN=bench"], **quiet)
        subprocess.run(["openssl", "req", *curve, "-keyout", key, "-out", request, "-subj", "/CN=ecr"], **quiet)
        pathlib.Path(extension).write_text("subjectAltName=DNS:*.ecr.eu-west-1.amazonaws.com,DNS:api.ecr.eu-west-1.amazonaws.com\n")
        subprocess.run(["openssl", "x509", "-req", "-in", request, "-CA", self.authority, "-CAkey", root_key, "-CAcreateserial", "-out", certificate, "-days", "2", "-extfile", extension], **quiet)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificate, key)
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            connection, _ = self.socket.accept()
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with contextlib.suppress(OSError, ValueError):
            while head := self.head(connection):
                if head.startswith(b"CONNECT"):
                    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                    connection = self.context.wrap_socket(connection, server_side=True)
                    continue
                with self.lock:
                    self.calls += 1
                time.sleep(self.delay)
                data = {"authorizationToken": TOKEN, "expiresAt": time.time() + 43200, "proxyEndpoint": f"https://{HOST}"}
                body = json.dumps({"authorizationData": [data]}).encode()
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.1\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        connection.close()

    @staticmethod
    def head(connection):
        data = b""
        while b"\r\n\r\n" not in data:
            more = connection.recv(65536)
            if not more:
                return b""
            data += more
        head, _, body = data.partition(b"\r\n\r\n")
        lengths = [int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
        while lengths and len(body) < lengths[0]:
            body += connection.recv(65536)
        return head


class Machine:
    """A home of its own for each helper."""

    def __init__(self, folder, name, stub, plain=False, **more):
        self.home = folder / f"home-{name.replace(' ', '-')}-{time.monotonic_ns()}"
        self.home.mkdir()
        self.environment = {"HOME": str(self.home), "PATH": "/usr/bin:/bin", "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_EC2_METADATA_DISABLED": "true", **more}
        if plain:
            self.environment["AWS_ENDPOINT_URL"] = stub.url
        elif stub:
            self.environment |= {"HTTPS_PROXY": stub.url, "AWS_CA_BUNDLE": stub.authority}

    def forget(self):
        for name in (".ecr", ".cache"):
            shutil.rmtree(self.home / name, ignore_errors=True)


def nothing():
    pass


def measure_single(folder, found, stub, rounds, stdin, stranger):
    warm, cold, plain, strangers = {}, {}, {}, {}
    for name, command in found.items():
        command = [*command, "get"]
        machine = Machine(folder, name, stub)
        run(command, machine.environment, stdin)
        warm[name] = (nothing, (command, machine.environment, stdin))
        other = Machine(folder, name, stub, AWS_ECR_DISABLE_CACHE="1")
        cold[name] = (nothing, (command, other.environment, stdin))
        if name != "Go 0.6.0":
            third = Machine(folder, name, stub, plain=True, AWS_ECR_DISABLE_CACHE="1")
            plain[name] = (nothing, (command, third.environment, stdin))
        strangers[name] = (nothing, (command, machine.environment, stranger, 1))
    strangers["ecr --version"] = (nothing, ([ECR, "--version"], {"HOME": str(folder)}, stdin))
    strangers["/bin/true"] = (nothing, (["/bin/true"], {}, stdin))
    table("warm get", interleaved(folder, warm, rounds))
    table("cold get, TLS through a proxy, no cache", interleaved(folder, cold, rounds))
    table("cold get, plain HTTP, no cache", interleaved(folder, plain, rounds))
    written = {}
    for name, command in found.items():
        machine = Machine(folder, name, stub)
        written[name] = (machine.forget, ([*command, "get"], machine.environment, stdin))
    table("cold get, TLS through a proxy, into an empty cache", interleaved(folder, written, rounds))
    table("a stranger's host", interleaved(folder, strangers, rounds))


def measure_parallel(folder, found, stub):
    print("\n50 at once, 150 ms per call")
    stub.delay = 0.15
    for name, command in found.items():
        for what, host in {"one registry": lambda _: HOST, "50 accounts": lambda n: f"{100_000_000_000 + n}.dkr.ecr.eu-west-1.amazonaws.com"}.items():
            machine = Machine(folder, name, stub)
            files = []
            for number in range(50):
                path = folder / f"host-{number}"
                path.write_text(host(number))
                files.append(str(path))
            before, begin = stub.calls, time.perf_counter()
            processes = [spawn([*command, "get"], machine.environment, file) for file in files]
            failed = sum(os.waitpid(process, 0)[1] != 0 for process in processes)
            seconds, calls = time.perf_counter() - begin, stub.calls - before
            before = stub.calls
            for file in files:
                run([*command, "get"], machine.environment, file)
            hits = 50 - (stub.calls - before)
            print(f"  {name:12} {what:13} {calls:3} calls, {seconds * 1e3:5.0f} ms, {failed} failed; afterwards {hits} of 50 hits")
    stub.delay = 0.0


def measure_metadata(folder, found, stdin):
    print("\nno credentials, a metadata service that hangs")
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    held = []
    threading.Thread(target=lambda: [held.append(listener.accept()) for _ in iter(int, 1)], daemon=True).start()
    for name, command in found.items():
        machine = Machine(folder, name, None, AWS_EC2_METADATA_SERVICE_ENDPOINT=f"http://127.0.0.1:{listener.getsockname()[1]}")
        for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_EC2_METADATA_DISABLED"):
            del machine.environment[variable]
        first = run([*command, "get"], machine.environment, stdin, 1)
        again = run([*command, "get"], machine.environment, stdin, 1) if first < 3 else first
        print(f"  {name:12} {first:6.2f} s, again {again * 1e3:.1f} ms")


def measure_dead(folder, found, stub, rounds, stdin):
    command = [*found["ecr"], "get"]
    empty, full = Machine(folder, "empty", stub), Machine(folder, "full", stub)
    for machine in (empty, full):
        run(command, machine.environment, stdin)
    tokens = full.home / ".cache/ecr/tokens"
    living = next(tokens.glob("*.json")).name
    entry = (tokens / living).read_text()
    long_ago = time.time() - 30 * 86400

    def bury(machine):
        folder = machine.home / ".cache/ecr/tokens"
        folder.mkdir(parents=True, mode=0o700, exist_ok=True)
        for number in range(DEAD):
            for ending in ("json", "lock"):
                path = folder / f"{number:032x}.{ending}"
                if path.exists():
                    continue
                path.write_text(entry)
                path.chmod(0o600)
                os.utime(path, (long_ago, long_ago))

    bury(full)
    warm = {"empty folder": (nothing, (command, empty.environment, stdin)), f"{DEAD} dead entries": (nothing, (command, full.environment, stdin))}
    table(f"warm get in a folder with {DEAD} dead entries", interleaved(folder, warm, rounds))

    def again(machine, is_full):
        # Only what the last round changed: a folder that was just written costs the next program more than its size.
        (machine.home / ".cache/ecr/tokens" / living).unlink(missing_ok=True)
        if is_full:
            bury(machine)

    cold = {"empty folder": (lambda: again(empty, False), (command, empty.environment, stdin)), f"{DEAD} dead entries": (lambda: again(full, True), (command, full.environment, stdin))}
    table(f"cold get in a folder with {DEAD} dead entries (one write in 16 clears some away)", interleaved(folder, cold, max(20, rounds // 2)))


def main(rounds):
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        stub, found = Stub(folder), helpers(folder)
        stdin, stranger = folder / "host", folder / "stranger"
        stdin.write_text(HOST)
        stranger.write_text("registry.example.com")
        measure_single(folder, found, stub, rounds, str(stdin), str(stranger))
        measure_dead(folder, found, stub, rounds, str(stdin))
        measure_parallel(folder, found, stub)
        measure_metadata(folder, found, str(stdin))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
