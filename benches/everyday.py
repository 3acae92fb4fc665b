#!/usr/bin/env python3
"""Measures the everyday commands on large registries: seconds, calls, peak memory, and ratios to the AWS CLI.

    benches/everyday.py list [ROUNDS] [SIZE]   `latest`, `images --limit 20` and `images` of a tenth and of all of SIZE
                                               images (100,000), beside what people do with `aws ecr describe-images`
    benches/everyday.py usage [ROUNDS]         `repos --usage` of 200 repositories with 100,000 images, 50 ms away
    benches/everyday.py gates [ROUNDS] [SIZE]  `lifecycle simulate` of SIZE images (100,000) and 50 rules, `lifecycle lint`
                                               of 1,000 files, `scan` of 5,000 findings in every format

Needs a release build (`cargo build --release`) and Python 3 with sqlite3; the AWS CLI is taken from the folder that
CONTRIBUTING.md ("Other programs") says how to make (PEERS, default /opt/peers), and left out where there is none. The
images are written into the embedded ECR's database, which pushing them would take minutes for. `list` measures twice: at
the embedded ECR, whose time for making its answers both programs wait for, and at a server that has these answers
ready, which leaves the programs' own time. Only loopback is used.
"""

import base64
import contextlib
import hashlib
import json
import os
import pathlib
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from compare import ECR, PEERS, ROOT, Server, client, run  # noqa: E402

IMAGE = "application/vnd.oci.image.manifest.v1+json"
NEWEST = "sort_by(imageDetails,&imagePushedAt)[-1].imageTags"


def seed(store, name, size, every=4):
    """Gives a repository so many images, pushed a minute apart: one of `every` without a tag."""
    # Here alone: what this program has in memory is the least that the peak of another can be.
    import sqlite3  # noqa: PLC0415

    database = sqlite3.connect(f"{store}/ecr.db")
    (repository,) = database.execute("SELECT id FROM repository WHERE name = ?", [name]).fetchone()
    (first,) = database.execute("SELECT coalesce(max(id), 0) + 1 FROM image").fetchone()
    begin = int(time.time() * 1000) - size * 60_000
    images, manifests, tags = [], [], []
    config = {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": "sha256:" + "0" * 64, "size": 2}
    for number in range(size):
        manifest = json.dumps({"schemaVersion": 2, "mediaType": IMAGE, "config": config, "layers": [], "annotations": {"n": f"{name} {number}"}})
        digest = "sha256:" + hashlib.sha256(manifest.encode()).hexdigest()
        pushed = begin + number * 60_000
        images.append((first + number, repository, digest, IMAGE, 50_000_000 + number, pushed))
        manifests.append((first + number, manifest.encode()))
        if number % every:
            tags.append((repository, f"v1.{number // 1000}.{number % 1000}", first + number, pushed))
    database.executemany("INSERT INTO image (id, repository, digest, media_type, size, pushed_at) VALUES (?, ?, ?, ?, ?, ?)", images)
    database.executemany("INSERT INTO manifest VALUES (?, ?)", manifests)
    database.executemany("INSERT INTO image_tag VALUES (?, ?, ?, ?)", tags)
    database.commit()
    database.close()


class Counter:
    """A proxy that counts the requests for an API call."""

    def __init__(self, target):
        self.target, self.calls = target, 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            near, _ = self.listener.accept()
            far = socket.create_connection(("127.0.0.1", self.target))
            threading.Thread(target=self.copy, args=(near, far, True), daemon=True).start()
            threading.Thread(target=self.copy, args=(far, near, False), daemon=True).start()

    def copy(self, source, to, counts):
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                if counts:
                    self.calls += data.lower().count(b"x-amz-target:")
                to.sendall(data)
            to.shutdown(socket.SHUT_WR)


def http_message(stream):
    """A request or an answer with a length, whole; empty at the end of the stream."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        line = stream.readline()
        if not line:
            return b"", b""
        head += line
    fields = dict(line.lower().split(b":", 1) for line in head.split(b"\r\n")[1:] if b":" in line)
    return head, stream.read(int(fields.get(b"content-length", 0)))


def serve_recorded(target):
    """Answers each call as the server at this port answered it the first time."""
    answers = {}

    def ask(head, body):
        with socket.create_connection(("127.0.0.1", target)) as far, far.makefile("rb") as stream:
            far.sendall(head + body)
            return b"".join(http_message(stream))

    def serve(near):
        with near, near.makefile("rb") as stream, contextlib.suppress(OSError):
            while True:
                head, body = http_message(stream)
                if not head:
                    return
                operation = next((line for line in head.lower().split(b"\r\n") if line.startswith(b"x-amz-target")), b"")
                if (operation, body) not in answers:
                    answers[operation, body] = ask(head, body)
                near.sendall(answers[operation, body])

    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    while True:
        near, _ = listener.accept()
        near.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=serve, args=(near,), daemon=True).start()


class Workplace:
    """A server on a folder of its own, and a client that knows it."""

    def __init__(self, folder):
        self.folder, self.server = folder, Server(folder)
        self.environment = client(folder, self.server)
        self.port = int(self.server.address.rsplit(":", 1)[1])

    def repository(self, name, size, every=4):
        run([ECR, "create-repository", "--repository-name", name], self.environment)
        # In a process of its own: what this one has ever held would count as the peak of every program it starts.
        subprocess.run([sys.executable, __file__, "seed", f"{self.folder}/store", name, str(size), str(every)], check=True)

    def calls(self, arguments):
        counter = Counter(self.port)
        run(arguments, {**self.environment, "AWS_ENDPOINT_URL": counter.address})
        return counter.calls

    def ecr(self, *arguments):
        return [ECR, *arguments], self.environment

    def aws(self, *arguments):
        return ["/usr/sbin/chroot", str(PEERS), "/usr/bin/aws", "ecr", *arguments], {**self.environment, "HOME": "/root"}

    def peers(self, script, **variables):
        """A script of shell where the other programs are."""
        return ["/usr/sbin/chroot", str(PEERS), "/bin/sh", "-ec", script], {**self.environment, "HOME": "/root", **variables}

    def record(self):
        """From now on the programs ask a server that has its answers ready once they were asked for; answers its process."""
        recorded = subprocess.Popen([sys.executable, __file__, "recorded", str(self.port)], stdout=subprocess.PIPE, text=True)
        self.port = int(recorded.stdout.readline())
        self.environment["AWS_ENDPOINT_URL"] = f"http://127.0.0.1:{self.port}"
        return recorded

    def away(self):
        """The environment behind 50 ms of network, and the process that makes them."""
        shaper = [sys.executable, str(ROOT / "benches/shaper.py"), str(self.port), "--rtt", "50", "--mbit", "1000"]
        line = subprocess.Popen(shaper, stdout=subprocess.PIPE, text=True)
        return {**self.environment, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{line.stdout.readline().strip()}"}, line


def head():
    print(f"{'':44} {'seconds':>8} {'calls':>6} {'MiB':>7}  ratios to the AWS CLI", flush=True)


def row(workplace, name, program, rounds, peer=None):
    """Measures a program, and its peer in turn with it; answers the peak in MiB."""
    runs, others = [], []
    for _ in range(rounds):
        runs.append(run(*program))
        if peer:
            others.append(run(*peer))
    seconds, peak = statistics.median(run[0] for run in runs), max(run[1] for run in runs)
    calls = workplace.calls(program[0])
    print(f"{name:44} {seconds:8.3f} {calls:6} {peak:7.1f}", end="" if others else "\n", flush=True)
    if others:
        theirs, most = statistics.median(run[0] for run in others), max(run[1] for run in others)
        print(f"  time 1/{theirs / seconds:.0f} (of {theirs:.2f} s), memory 1/{most / peak:.1f} (of {most:.0f} MiB)", flush=True)
    return peak


def measure_list(rounds, size):
    with tempfile.TemporaryDirectory() as folder:
        workplace = Workplace(folder)
        recorded = None
        try:
            workplace.repository("tenth", size // 10)
            workplace.repository("all", size)
            print("At the embedded ECR:")
            measure_lists(workplace, rounds, size)
            recorded = workplace.record()
            print("At a server that has its answers ready:")
            measure_lists(workplace, rounds, size)
        finally:
            if recorded:
                recorded.terminate()
                recorded.wait()
            workplace.server.stop()


def measure_lists(workplace, rounds, size):
    tenth = size // 10
    has_peer = (PEERS / "usr/bin/aws").exists()

    def measure(name, own, *theirs):
        peer = workplace.aws("describe-images", "--repository-name", *theirs) if has_peer and theirs else None
        # The first turn of each does not count: it is what a server records.
        for program in filter(None, [workplace.ecr(*own), peer]):
            run(*program)
        return row(workplace, name, workplace.ecr(*own), rounds, peer)

    head()
    measure(f"latest of {tenth}", ["latest", "tenth"], "tenth", "--query", NEWEST)
    measure(f"latest of {size}", ["latest", "all"], "all", "--query", NEWEST)
    measure(f"images --limit 20 of {size}", ["images", "all", "--limit", "20"], "all", "--query", NEWEST)
    less = measure(f"images of {tenth}", ["images", "tenth"], "tenth")
    more = measure(f"images of {size}", ["images", "all"], "all")
    print(f"{'bytes an image':44} {(more - less) * (1 << 20) / (size - tenth):8.0f}")
    for form in ["json", "text", "markdown"]:
        measure(f"images --output {form} of {size}", ["images", "all", "--output", form])


def measure_usage(rounds, _):
    with tempfile.TemporaryDirectory() as folder:
        workplace = Workplace(folder)
        far, line = workplace.away()
        try:
            for number in range(200):
                workplace.repository(f"team/service-{number}", 500)
            head()
            row(workplace, "repos --usage, near", workplace.ecr("repos", "--usage"), rounds)
            for jobs in ["1", "8", "32"]:
                arguments = [ECR, "repos", "--usage", "--jobs", jobs]
                row(workplace, f"repos --usage --jobs {jobs}, 50 ms away", (arguments, far), rounds)
        finally:
            line.terminate()
            line.wait()
            workplace.server.stop()


PRUNE = """aws ecr list-images --repository-name $1 --filter tagStatus=UNTAGGED --query 'imageIds[].imageDigest' --output text |
tr '\\t' '\\n' | sed s/^/imageDigest=/ | xargs -n 100 aws ecr batch-delete-image --repository-name $1 --image-ids"""
RETAG = """while read -r tag; do
manifest=$(aws ecr batch-get-image --repository-name retag --image-ids imageTag=$tag --query 'images[0].imageManifest' --output text)
aws ecr put-image --repository-name retag --image-tag aws-$tag --image-manifest "$manifest"; done < $LIST"""


def measure_change(rounds, size):
    with tempfile.TemporaryDirectory() as folder:
        workplace = Workplace(folder)
        far, line = workplace.away()
        names = [f"prune-{number}" for number in range(2 * rounds)]
        lists = PEERS / "tmp" / f"tags-{os.getpid()}"
        try:
            for name in [*names, "prune-aws"]:
                workplace.repository(name, size, 20)
            tags = [f"v1.{number}" for number in range(100)]
            run([ECR, "create-repository", "--repository-name", "retag"], workplace.environment)
            more = [word for tag in tags for word in ("--tag", tag)]
            run([ECR, "push", str(ROOT / "examples/sample-image"), "retag", *more], workplace.environment)
            options = ["--untagged", "--grace", "0s"]
            head()
            row(workplace, f"prune --dry-run of {size // 20} of {size}", workplace.ecr("prune", names[0], *options, "--dry-run"), rounds)
            for place, environment, mine in [("near", workplace.environment, names[::2]), ("50 ms away", far, names[1::2])]:
                runs = [run([ECR, "prune", name, *options, "--yes"], environment) for name in mine]
                seconds = statistics.median(run[0] for run in runs)
                print(f"{f'prune --yes, {place}':44} {seconds:8.3f} {'':6} {max(run[1] for run in runs):7.1f}", flush=True)
            if not lists.parent.exists():
                return
            seconds, peak = run(*workplace.peers(PRUNE.replace("$1", "prune-aws")))
            print(f"{'aws ecr list-images, batch-delete-image':44} {seconds:8.3f} {'':6} {peak:7.1f}", flush=True)
            lists.write_text("".join(f"{tag}\n" for tag in tags))
            mine = f"while read -r tag; do {ECR} tag retag:$tag ecr-$tag; done < {lists}"
            crane = f"while read -r tag; do crane tag --insecure {workplace.server.address[7:]}/retag:$tag crane-$tag; done < $LIST"
            inside = f"/tmp/{lists.name}"
            docker = PEERS / "tmp" / f"docker-{os.getpid()}"
            docker.mkdir()
            password = subprocess.run([ECR, "get-login-password"], env=workplace.environment, capture_output=True, text=True, check=True)
            login = base64.b64encode(f"AWS:{password.stdout.strip()}".encode()).decode()
            (docker / "config.json").write_text(json.dumps({"auths": {workplace.server.address[7:]: {"auth": login}}}))
            for name, program in [
                ("ecr tag of 100 images", (["/bin/sh", "-ec", mine], workplace.environment)),
                ("crane tag of 100 images", workplace.peers(crane, LIST=inside, DOCKER_CONFIG=f"/tmp/{docker.name}")),
                ("aws ecr batch-get-image, put-image of 100", workplace.peers(RETAG, LIST=inside)),
            ]:
                seconds, peak = run(*program)
                print(f"{name:44} {seconds:8.3f} {'':6} {peak:7.1f}", flush=True)
        finally:
            line.terminate()
            workplace.server.stop()
            lists.unlink(missing_ok=True)
            shutil.rmtree(PEERS / "tmp" / f"docker-{os.getpid()}", ignore_errors=True)


def rules(count):
    """Rules of every kind, of which the first ones match some of the tags that [`seed`] gives."""
    def rule(number):
        selection = {"tagStatus": "tagged", "tagPatternList": [f"v1.{number}.*"], "countType": "imageCountMoreThan", "countNumber": 500}
        if number % 2:
            selection |= {"countType": "sinceImagePushed", "countUnit": "days", "countNumber": 30}
        return {"rulePriority": number, "selection": selection, "action": {"type": "expire"}}

    untagged = {"tagStatus": "untagged", "countType": "imageCountMoreThan", "countNumber": 1000}
    last = {"rulePriority": count, "selection": untagged, "action": {"type": "expire"}}
    return json.dumps({"rules": [*map(rule, range(1, count)), last]})


def finding(number):
    severity = ["CRITICAL", "HIGH", "MEDIUM", "LOW", "INFORMATIONAL"][number % 5]
    attributes = [{"key": "package_name", "value": f"library-{number % 700}"}, {"key": "package_version", "value": f"1.{number}"}]
    words = f"A fault of number {number} in a library that parses what somebody else wrote, with a text of the usual length."
    return {"name": f"CVE-2026-{number:05}", "severity": severity, "uri": f"https://example.com/{number}", "description": words, "attributes": attributes}


def measure_gates(rounds, size):
    with tempfile.TemporaryDirectory() as folder:
        workplace = Workplace(folder)
        try:
            tenth = size // 10
            workplace.repository("tenth", tenth)
            workplace.repository("all", size)
            place = pathlib.Path(folder)
            (place / "policy.json").write_text(rules(50))
            files = [place / f"policy-{number}.json" for number in range(1000)]
            for number, file in enumerate(files):
                file.write_text(rules(1 + number % 50))
            head()
            for name, images in [("tenth", tenth), ("all", size)]:
                simulate = workplace.ecr("lifecycle", "simulate", name, "-f", f"{folder}/policy.json")
                row(workplace, f"simulate {images} images, 50 rules", simulate, rounds)
            explain = [*simulate[0], "--explain", "--report", f"html={folder}/simulate.html"]
            row(workplace, "    with --explain and an HTML report", (explain, workplace.environment), rounds)
            row(workplace, "lint 1000 files", workplace.ecr("lifecycle", "lint", *map(str, files)), rounds)
            run([ECR, "create-repository", "--repository-name", "app"], workplace.environment)
            run([ECR, "push", str(ROOT / "examples/sample-image"), "app:1", "--platform", "linux/amd64"], workplace.environment)
            (place / "findings.json").write_text(json.dumps([finding(number) for number in range(5000)]))
            store = {**workplace.environment, "ECR_LOCAL_FOLDER": f"{folder}/store"}
            run([ECR, "local", "findings", "app:1", f"{folder}/findings.json"], store)
            scan = ["scan", "app:1", "--settle", "0s"]
            run(*workplace.ecr(*scan))
            for form in ["table", "json", "text", "markdown", "sarif", "junit", "html"]:
                row(workplace, f"scan 5000 findings --output {form}", workplace.ecr(*scan, "--output", form), rounds)
            reports = [f"--report={form}={folder}/scan.{form}" for form in ["json", "sarif", "junit", "html", "markdown"]]
            row(workplace, "    with five reports", workplace.ecr(*scan, *reports), rounds)
            sizes = {file.suffix[1:]: file.stat().st_size >> 10 for file in sorted(place.glob("scan.*"))}
            print("    KiB: " + ", ".join(f"{form} {kib}" for form, kib in sizes.items()))
        finally:
            workplace.server.stop()


if __name__ == "__main__":
    if sys.argv[1:2] == ["seed"]:
        seed(sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))
        raise SystemExit
    if sys.argv[1:2] == ["recorded"]:
        serve_recorded(int(sys.argv[2]))
    work = {"list": measure_list, "usage": measure_usage, "gates": measure_gates, "change": measure_change}
    if len(sys.argv) < 2 or sys.argv[1] not in work:
        raise SystemExit(__doc__)
    given = [int(number) for number in sys.argv[2:]]
    work[sys.argv[1]](*given, *[3, 100_000][len(given):])
