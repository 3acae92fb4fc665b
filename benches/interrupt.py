#!/usr/bin/env python3
"""Ends pushes and pulls at random moments, runs them again, and counts what travelled twice.

    benches/interrupt.py [MOMENTS] [SEED]     by default 100 moments of each, half SIGINT and half SIGKILL, seed 1

The image has four layers of random bytes, 40 MiB; the registry is `ecr local serve`. A proxy between the two counts
bytes and ends the client once a random number of them has gone through. Then the same command runs to its end: the
image must be the same, byte for byte. What its second run moved, less what was missing, is what travelled twice.
Needs a build (ECR, default target/release/ecr, else target/debug/ecr) and Python 3. Only loopback is used.
"""

import hashlib
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILDS = [ROOT / "target/release/ecr", ROOT / "target/debug/ecr"]
MEBIBYTE = 1024 * 1024
LAYERS = [5 * MEBIBYTE, 8 * MEBIBYTE, 12 * MEBIBYTE, 15 * MEBIBYTE]
TOTAL = sum(LAYERS)


class Proxy:
    """Counts what goes up and down, and ends a process after so many bytes."""

    def __init__(self, port):
        self.server, self.lock, self.open = port, threading.Condition(), 0
        self.up = self.down = 0
        self.end = None
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            client, _ = self.listener.accept()
            server = socket.create_connection(("127.0.0.1", self.server))
            with self.lock:
                self.open += 2
            threading.Thread(target=self.carry, args=(client, server, "up"), daemon=True).start()
            threading.Thread(target=self.carry, args=(server, client, "down"), daemon=True).start()

    def carry(self, source, target, way):
        try:
            while piece := source.recv(65536):
                with self.lock:
                    setattr(self, way, getattr(self, way) + len(piece))
                    if self.end and self.up + self.down >= self.end[0]:
                        self.end[1].send_signal(self.end[2])
                        self.end = None
                target.sendall(piece)
        except OSError:
            pass
        finally:
            for end in (source, target):
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
            with self.lock:
                self.open -= 1
                self.lock.notify_all()

    def counted(self):
        """Both counts once nothing is on its way, from nought again."""
        with self.lock:
            self.lock.wait_for(lambda: self.open == 0)
            counts = self.up, self.down
            self.up = self.down = 0
            self.end = None
            return counts


def size(folder):
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def make_layout(folder, generator):
    blobs = folder / "blobs/sha256"
    blobs.mkdir(parents=True)

    def add(content, media_type):
        digest = hashlib.sha256(content).hexdigest()
        (blobs / digest).write_bytes(content)
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(content)}

    front = "application/vnd.oci.image"
    config = add(b'{"architecture":"amd64","os":"linux"}', f"{front}.config.v1+json")
    layers = [add(generator.randbytes(length), f"{front}.layer.v1.tar+gzip") for length in LAYERS]
    manifest = {"schemaVersion": 2, "mediaType": f"{front}.manifest.v1+json", "config": config, "layers": layers}
    entry = add(json.dumps(manifest).encode(), f"{front}.manifest.v1+json")
    entry["annotations"] = {"org.opencontainers.image.ref.name": "1"}
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
    (folder / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    return entry["digest"]


def contents(layout):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (layout / "blobs/sha256").iterdir()}


class Machine:
    """A client and a server with folders of their own."""

    def __init__(self, program, folder):
        self.program, self.folder, self.store = program, folder, folder / "store"
        environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "AWS_EC2_METADATA_DISABLED": "true"}
        environment |= {"AWS_ACCESS_KEY_ID": "123456789012", "AWS_SECRET_ACCESS_KEY": "secret"}
        environment |= {"AWS_REGION": "eu-west-1", "ECR_LOCAL_FOLDER": str(self.store)}
        self.environment = environment
        arguments = [program, "local", "serve", "--port", "0"]
        self.server = subprocess.Popen(
            arguments, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self.proxy = Proxy(int(self.server.stdout.readline().strip().rsplit(":", 1)[1]))
        environment["AWS_ENDPOINT_URL"] = f"http://127.0.0.1:{self.proxy.port}"

    def run(self, *arguments):
        done = subprocess.run([self.program, *arguments], env=self.environment, capture_output=True, text=True)
        if done.returncode != 0:
            raise SystemExit(f"{arguments}: exit {done.returncode}\n{done.stderr}")
        return done.stdout.strip(), *self.proxy.counted()

    def cut(self, at, number, *arguments):
        """Runs a command that gets a signal after so many bytes; whether it was ended by that."""
        with self.proxy.lock:
            process = subprocess.Popen(
                [self.program, *arguments],
                env=self.environment,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            self.proxy.end = (at, process, number)
        code = process.wait()
        self.proxy.counted()
        if code not in (0, 130, -signal.SIGKILL):
            raise SystemExit(f"{arguments}: exit {code} after {number.name} at {at}")
        return code != 0


def moment(program, layout, digest, folder, generator, number):
    """One push and one pull that are ended once each; what travelled twice in either, and whether both were ended."""
    machine = Machine(program, folder)
    try:
        machine.run("create-repository", "--repository-name", "app")
        push = ("push", str(layout), "app:1", "--quiet")
        # Parts go up in base64.
        ended = machine.cut(generator.randrange(TOTAL * 4 // 3), number, *push)
        kept = min(TOTAL, size(machine.store / "uploads") + size(machine.store / "blobs"))
        found, up, _ = machine.run(*push)
        again_up = max(0, up * 3 // 4 - (TOTAL - kept))
        assert found == digest, (found, digest)
        back = folder / "back"
        pull = ("pull", "app:1", str(back), "--quiet")
        ended = machine.cut(generator.randrange(TOTAL), number, *pull) and ended
        kept = min(TOTAL, size(back)) if back.exists() else 0
        found, _, down = machine.run(*pull)
        again_down = max(0, down - (TOTAL - kept))
        assert found == digest, (found, digest)
        assert contents(back) == contents(layout)
        return again_up, again_down, ended
    finally:
        machine.server.kill()
        machine.server.wait()


def main():
    moments = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    generator = random.Random(int(sys.argv[2]) if len(sys.argv) > 2 else 1)
    program = os.environ.get("ECR") or next((str(path) for path in BUILDS if path.exists()), None)
    if program is None:
        raise SystemExit("there is no build: cargo build --release")
    results = []
    with tempfile.TemporaryDirectory() as top:
        top = pathlib.Path(top)
        digest = make_layout(top / "image", generator)
        for number in range(moments):
            folder = top / "moment"
            folder.mkdir()
            kind = signal.SIGINT if number % 2 == 0 else signal.SIGKILL
            results.append((kind, *moment(program, top / "image", digest, folder, generator, kind)))
            shutil.rmtree(folder)
    print(f"{moments} moments of push and of pull, {TOTAL / MEBIBYTE:.0f} MiB; every second run ended well, same bytes")
    print(f"ended by the signal: {sum(ended for *_, ended in results)}")
    for kind in (signal.SIGINT, signal.SIGKILL):
        for name, which in (("push", 1), ("pull", 2)):
            again = [result[which] / MEBIBYTE for result in results if result[0] == kind]
            if again:
                middle, most = statistics.median(again), max(again)
                print(f"{kind.name:7} {name}: travelled twice, MiB: median {middle:.2f}, most {most:.2f}")


main()
