#!/usr/bin/env python3
"""Measures `ecr local serve`: beside its peers where there are some, interleaved, as ratios of medians.

    benches/server.py push [ROUNDS]     1 GiB in 4 layers: crane and `ecr push` into it, crane into docker-registry
    benches/server.py pull [ROUNDS]     the same out of both, with crane
    benches/server.py calls [ROUNDS]    10,000 control-plane calls of 200 clients at once, beside moto's server
    benches/server.py images [SIZE...]  a repository of so many images: pages, the whole of it, a lifecycle preview
    benches/server.py kill [MOMENTS]    SIGKILL at random moments of mixed load; what was acknowledged must be there

Needs a release build (`cargo build --release`) and Python 3. crane and docker-registry are taken from the folder
that CONTRIBUTING.md ("Other programs") says how to make (PEERS, default /opt/peers), moto's server from MOTO (the path
of `moto_server`, from `pip install 'moto[server]'`); what is missing is left out. Only loopback is used.
"""

import asyncio
import base64
import contextlib
import hashlib
import http.client
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
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from compare import CREDENTIALS, ECR, PEERS, make_layout  # noqa: E402

TARGET = "AmazonEC2ContainerRegistry_V20150921."
SIGNED = "AWS4-HMAC-SHA256 Credential=000000000000/20260101/us-east-1/ecr/aws4_request, SignedHeaders=host, Signature=0"
INDEX = "application/vnd.oci.image.index.v1+json"
IMAGE = "application/vnd.oci.image.manifest.v1+json"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Program:
    """A server as a process, and what the system counts of it."""

    def __init__(self, arguments, port, environment):
        self.port = port
        self.process = subprocess.Popen(arguments, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(2000):
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port)).close()
                return
            if self.process.poll() is not None:
                break
            time.sleep(0.01)
        raise SystemExit(f"did not start: {' '.join(map(str, arguments))}")

    def seconds(self):
        """Processor time so far."""
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self, name="VmHWM"):
        """Peak (or, as VmRSS, present) memory in MiB."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith(name))

    def stop(self):
        self.process.terminate()
        self.process.wait()

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


def ecr_server(folder, *options):
    port = free_port()
    environment = {"HOME": str(folder), "PATH": "/usr/bin:/bin", "ECR_LOCAL_FOLDER": f"{folder}/store"}
    return Program([ECR, "local", "serve", "--port", str(port), "--anonymous", *options], port, environment)


def docker_registry(folder):
    """Debian's docker-registry on a folder below PEERS."""
    port = free_port()
    (folder / "data").mkdir(parents=True)
    inside = "/" + str(folder.relative_to(PEERS))
    configuration = {
        "version": 0.1,
        "log": {"level": "error", "accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": f"{inside}/data"}, "delete": {"enabled": True}},
        "http": {"addr": f"127.0.0.1:{port}"},
    }
    (folder / "config.yml").write_text(json.dumps(configuration))
    command = ["/usr/sbin/chroot", str(PEERS), "docker-registry", "serve", f"{inside}/config.yml"]
    return Program(command, port, {"PATH": "/usr/bin:/bin:/usr/sbin"})


def peer(*arguments, home="/root"):
    return ["/usr/sbin/chroot", str(PEERS), *arguments], {"PATH": "/usr/bin:/bin:/usr/local/bin", "HOME": home}


def timed(command, environment):
    begin = time.perf_counter()
    done = subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
    seconds = time.perf_counter() - begin
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)} failed: {done.stderr.decode()[-500:]}")
    return seconds


def ecr_client(folder, port):
    return {"HOME": str(folder), "PATH": "/usr/bin:/bin", "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}", **CREDENTIALS}


def report(rows, against):
    """Rows of (seconds, processor seconds, MiB) by name; the first column also as a ratio."""
    base = statistics.median(row[0] for row in rows[against]) if against in rows else None
    width = max(map(len, rows))
    print(f"{'':{width}}  {'median s':>9} {'min':>7} {'max':>7} {'server CPU s':>13} {'server MiB':>11}  ratio")
    for name, values in rows.items():
        seconds = [value[0] for value in values]
        processor = statistics.median(value[1] for value in values)
        ratio = f"{statistics.median(seconds) / base:.2f}" if base else ""
        print(
            f"{name:{width}}  {statistics.median(seconds):9.3f} {min(seconds):7.3f} {max(seconds):7.3f} {processor:13.2f} "
            f"{max(value[2] for value in values):11.1f}  {ratio}"
        )


@contextlib.contextmanager
def workplace():
    """A folder that programs of PEERS can see too, where there are such."""
    base = PEERS / "tmp" if (PEERS / "tmp").is_dir() else None
    with tempfile.TemporaryDirectory(dir=base, prefix="server-") as name:
        os.chmod(name, 0o755)
        yield pathlib.Path(name)


def has_peers():
    return (PEERS / "usr/bin/docker-registry").exists()


def transfers(rounds, pull):
    with workplace() as folder:
        layout = folder / "image"
        # In a process of its own, so that this one stays small.
        subprocess.run([sys.executable, str(pathlib.Path(__file__).parent / "compare.py"), "layout", str(layout)], check=True)
        inside = "/" + str(folder.relative_to(PEERS)) if has_peers() else None
        names = ["crane to docker-registry", "crane to ecr local", "ecr push (API)"] if has_peers() else ["ecr push (API)"]
        if pull:
            names = ["crane from docker-registry", "crane from ecr local", "ecr pull (API)"] if has_peers() else ["ecr pull (API)"]
        rows = {name: [] for name in names}
        for number in range(rounds + 1):
            for name in names if number % 2 else reversed(names):
                home = folder / "round"
                home.mkdir()
                server = docker_registry(home) if "docker-registry" in name else ecr_server(home)
                to = f"127.0.0.1:{server.port}/big:1"
                environment = ecr_client(home, server.port)
                if "docker-registry" not in name:
                    timed([ECR, "create-repository", "--repository-name", "big"], environment)
                crane_push = peer("crane", "push", "--insecure", f"{inside}/image", to)
                ecr_push = ([ECR, "push", f"oci:{layout}", "big:1"], environment)
                push = crane_push if "crane" in name else ecr_push
                work = push
                if pull:
                    timed(*push)
                    crane_pull = peer("crane", "pull", "--insecure", "--format=oci", to, f"{inside}/round/pulled")
                    work = crane_pull if "crane" in name else ([ECR, "pull", "big:1", f"oci:{home}/pulled"], environment)
                # What earlier rounds left to be written would be charged to this one.
                os.sync()
                before = server.seconds()
                seconds = timed(*work)
                if number:
                    rows[name].append((seconds, server.seconds() - before, server.memory()))
                server.stop()
                shutil.rmtree(home)
        report(rows, names[0])


def push(rounds=5):
    transfers(rounds, pull=False)


def pull(rounds=5):
    transfers(rounds, pull=True)


# Control plane


class Client:
    """One client with one connection, which it opens again when the server closes it."""

    def __init__(self, port):
        self.port = port
        self.reader = self.writer = None

    async def call(self, operation, members):
        body = json.dumps(members).encode()
        head = (
            f"POST / HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\nX-Amz-Target: {TARGET}{operation}\r\n"
            f"Content-Type: application/x-amz-json-1.1\r\nAuthorization: {SIGNED}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        for attempt in range(2):
            fresh = self.writer is None
            if fresh:
                self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
            try:
                self.writer.write(head.encode() + body)
                return await self.answer()
            except (asyncio.IncompleteReadError, ConnectionError):
                self.close()
                if fresh or attempt:
                    raise

    async def answer(self):
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        headers = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
        if "content-length" in headers:
            body = await self.reader.readexactly(int(headers["content-length"]))
        else:
            body = await self.reader.read()
        if headers.get("connection") == "close" or head.startswith("HTTP/1.0"):
            self.close()
        return int(head.split(" ")[1]), body

    def close(self):
        if self.writer:
            self.writer.close()
        self.reader = self.writer = None


def index(number):
    return json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": [], "annotations": {"number": str(number)}})


LIFECYCLE = json.dumps(
    {"rules": [{"rulePriority": 1, "selection": {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 10}, "action": {"type": "expire"}}]}
)
POLICY = json.dumps({"Version": "2012-10-17", "Statement": [{"Sid": "all", "Effect": "Allow", "Principal": "*", "Action": "ecr:*"}]})


def mix(client):
    """Fifty calls of one client: half of them write. Each has repositories of its own and reads everybody's."""
    name = f"team-{client}/app"
    yield "CreateRepository", {"repositoryName": name}
    for number in range(9):
        yield "PutImage", {"repositoryName": name, "imageManifest": index(f"{client}-{number}"), "imageTag": f"v{number}", "imageManifestMediaType": INDEX}
        yield "DescribeImages", {"repositoryName": name}
        yield "ListImages", {"repositoryName": name}
    arn = f"arn:aws:ecr:us-east-1:{{account}}:repository/{name}"
    yield "DescribeRepositories", {}
    yield "DescribeRepositories", {"repositoryNames": [name]}
    yield "GetAuthorizationToken", {}
    yield "PutLifecyclePolicy", {"repositoryName": name, "lifecyclePolicyText": LIFECYCLE}
    yield "GetLifecyclePolicy", {"repositoryName": name}
    yield "SetRepositoryPolicy", {"repositoryName": name, "policyText": POLICY}
    yield "GetRepositoryPolicy", {"repositoryName": name}
    yield "TagResource", {"resourceArn": arn, "tags": [{"Key": "team", "Value": "one"}]}
    yield "ListTagsForResource", {"resourceArn": arn}
    yield "PutImageTagMutability", {"repositoryName": name, "imageTagMutability": "IMMUTABLE"}
    yield "BatchGetImage", {"repositoryName": name, "imageIds": [{"imageTag": "v1"}, {"imageTag": "v2"}]}
    yield "BatchDeleteImage", {"repositoryName": name, "imageIds": [{"imageTag": f"v{number}"} for number in range(4)]}
    yield "PutImageScanningConfiguration", {"repositoryName": name, "imageScanningConfiguration": {"scanOnPush": False}}
    for number in range(4):
        yield "DescribeImages", {"repositoryName": name, "imageIds": [{"imageTag": f"v{number + 4}"}]}
    yield "UntagResource", {"resourceArn": arn, "tagKeys": ["team"]}
    yield "DeleteLifecyclePolicy", {"repositoryName": name}
    yield "DeleteRepositoryPolicy", {"repositoryName": name}
    yield "ListImages", {"repositoryName": name}
    yield "DeleteRepository", {"repositoryName": name, "force": True}


async def crowd(port, clients, account):
    times, errors = [], {}

    async def one(number):
        client = Client(port)
        for operation, members in mix(number):
            members = json.loads(json.dumps(members).replace("{account}", account))
            begin = time.perf_counter()
            try:
                status, body = await client.call(operation, members)
            except (OSError, asyncio.IncompleteReadError) as error:
                status, body = 0, repr(error).encode()
            times.append(time.perf_counter() - begin)
            if status != 200:
                errors.setdefault(f"{operation} {status} {body[:160].decode(errors='replace')}", []).append(number)
        client.close()

    begin = time.perf_counter()
    await asyncio.gather(*(one(number) for number in range(clients)))
    return time.perf_counter() - begin, sorted(times), errors


def calls(rounds=3):
    moto = os.environ.get("MOTO", shutil.which("moto_server") or "")
    names = ["ecr local", *(["moto"] if moto else [])]
    rows = {name: [] for name in names}
    for number in range(rounds):
        for name in names if number % 2 else reversed(names):
            with workplace() as folder:
                if name == "moto":
                    port = free_port()
                    server = Program([moto, "-H", "127.0.0.1", "-p", str(port)], port, {"PATH": "/usr/bin:/bin"})
                else:
                    server = ecr_server(folder)
                before = server.seconds()
                account = "123456789012" if name == "moto" else "000000000000"
                seconds, times, errors = asyncio.run(crowd(server.port, 200, account))
                at = lambda share: times[min(len(times) - 1, int(len(times) * share))] * 1e3  # noqa: E731
                failed = sum(map(len, errors.values()))
                rows[name].append((seconds, len(times) / seconds, at(0.5), at(0.99), failed, server.seconds() - before, server.memory()))
                for text, who in list(errors.items())[:5]:
                    print(f"  {name}: {len(who)} x {text}")
                server.stop()
    print(f"{'':10} {'calls/s':>9} {'p50 ms':>8} {'p99 ms':>9} {'errors':>7} {'CPU s':>7} {'MiB':>7}   (medians; errors of all rounds)")
    for name, values in rows.items():
        median = lambda place: statistics.median(value[place] for value in values)  # noqa: E731, B023
        failed = sum(value[4] for value in values)
        print(f"{name:10} {median(1):9.0f} {median(2):8.1f} {median(3):9.1f} {failed:7} {median(5):7.2f} {max(value[6] for value in values):7.1f}")


# Large repositories


class Caller:
    """The API from one thread."""

    def __init__(self, port):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)

    def request(self, method, path, body=None, headers=None):
        self.connection.request(method, path, body, headers or {})
        answer = self.connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()

    def call(self, operation, **members):
        headers = {"X-Amz-Target": TARGET + operation, "Content-Type": "application/x-amz-json-1.1", "Authorization": SIGNED}
        status, _, body = self.request("POST", "/", json.dumps(members), headers)
        return status, json.loads(body)

    def expect(self, operation, **members):
        status, answer = self.call(operation, **members)
        if status != 200:
            raise SystemExit(f"{operation} answered {status}: {answer}")
        return answer

    def whole(self, operation, name, **members):
        count, pages, token = 0, 0, {}
        while True:
            answer = self.expect(operation, **members, **token)
            count, pages = count + len(answer[name]), pages + 1
            if "nextToken" not in answer:
                return count, pages
            token = {"nextToken": answer["nextToken"]}


def images(*sizes):
    print(f"{'images':>8} {'what':32} {'seconds':>9} {'CPU s':>7} {'MiB':>7}")
    for size in sizes or (10_000, 30_000, 100_000):
        with workplace() as folder:
            server = ecr_server(folder)
            caller = Caller(server.port)
            caller.expect("CreateRepository", repositoryName="big")

            def measure(what, work, again=3):
                seconds = []
                before = server.seconds()
                for _ in range(again):
                    begin = time.perf_counter()
                    work()
                    seconds.append(time.perf_counter() - begin)
                used = (server.seconds() - before) / again
                print(f"{size:8} {what:32} {statistics.median(seconds):9.4f} {used:7.2f} {server.memory():7.1f}", flush=True)

            def fill():
                for number in range(size):
                    tag = {"imageTag": f"v{number}"} if number % 4 else {}
                    caller.expect("PutImage", repositoryName="big", imageManifest=index(number), imageManifestMediaType=INDEX, **tag)

            measure("push all, one by one", fill, 1)
            # From here on the peak is that of the questions.
            server.stop()
            server = ecr_server(folder)
            caller = Caller(server.port)
            last = caller.expect("DescribeImages", repositoryName="big", maxResults=1000)
            measure("describe-images, first page of 100", lambda: caller.expect("DescribeImages", repositoryName="big"))
            measure(
                "describe-images, page at a token",
                lambda: caller.expect("DescribeImages", repositoryName="big", maxResults=100, nextToken=last["nextToken"]),
            )
            measure("describe-images, whole", lambda: check(caller.whole("DescribeImages", "imageDetails", repositoryName="big", maxResults=1000)[0], size))
            measure("list-images, whole", lambda: check(caller.whole("ListImages", "imageIds", repositoryName="big", maxResults=1000)[0], size))
            measure("describe-images, one by tag", lambda: caller.expect("DescribeImages", repositoryName="big", imageIds=[{"imageTag": f"v{size - 1}"}]))
            measure("lifecycle preview, start", lambda: caller.expect("StartLifecyclePolicyPreview", repositoryName="big", lifecyclePolicyText=LIFECYCLE), 1)
            # It is in progress for a second.
            time.sleep(1.1)
            measure("lifecycle preview, first page", lambda: caller.expect("GetLifecyclePolicyPreview", repositoryName="big"))
            measure(
                "lifecycle preview, 100 by digest",
                lambda: caller.expect("GetLifecyclePolicyPreview", repositoryName="big", imageIds=[{"imageDigest": image["imageDigest"]} for image in last["imageDetails"][:100]]),
            )
            server.stop()


def check(found, wanted):
    if found != wanted:
        raise SystemExit(f"{found} entries instead of {wanted}")


# SIGKILL


class Worker(threading.Thread):
    """One client with a repository of its own. What it knows was acknowledged must be there afterwards, what it knows
    was deleted must not; what was under way when the server died may be either."""

    def __init__(self, port, number, seed, state):
        super().__init__(daemon=True)
        self.caller, self.random, self.state = Caller(port), random.Random(seed), state
        self.name_ = f"worker-{number}"
        state.setdefault("blobs", {})
        state.setdefault("tags", {})
        state.setdefault("images", {})
        state.setdefault("doubtful", set())
        self.failure = None

    def run(self):
        try:
            while True:
                self.random.choice([self.blob_of_api, self.blob_of_docker, self.image, self.image, self.tag, self.delete])()
        except (OSError, http.client.HTTPException):
            return  # The server is dead, as it should be.
        except Exception as error:  # noqa: BLE001
            self.failure = repr(error)

    def bytes(self):
        return self.random.randbytes(self.random.choice([10, 1000, 100_000, 3_000_000]))

    def blob_of_api(self):
        data = self.random.randbytes(5 << 20) + self.bytes() if self.random.random() < 0.2 else self.bytes()
        digest = "sha256:" + hashlib.sha256(data).hexdigest()
        upload = self.caller.expect("InitiateLayerUpload", repositoryName=self.name_)["uploadId"]
        for start in range(0, len(data), 5 << 20):
            part = data[start : start + (5 << 20)]
            self.caller.expect(
                "UploadLayerPart", repositoryName=self.name_, uploadId=upload, partFirstByte=start,
                partLastByte=start + len(part) - 1, layerPartBlob=base64.b64encode(part).decode(),
            )  # fmt: skip
        self.caller.expect("CompleteLayerUpload", repositoryName=self.name_, uploadId=upload, layerDigests=[digest])
        self.state["blobs"][digest] = len(data)

    def blob_of_docker(self):
        data = self.bytes()
        digest = "sha256:" + hashlib.sha256(data).hexdigest()
        status, headers, body = self.caller.request("POST", f"/v2/{self.name_}/blobs/uploads/")
        self.require(status == 202, body)
        location = headers["location"]
        if self.random.random() < 0.5:
            status, headers, body = self.caller.request("PATCH", location, data, {"Content-Type": "application/octet-stream"})
            self.require(status == 202, body)
            location, data_left = headers["location"], b""
        else:
            data_left = data
        status, _, body = self.caller.request("PUT", f"{location}?digest={digest}", data_left)
        self.require(status == 201, body)
        self.state["blobs"][digest] = len(data)

    def image(self):
        if not self.state["blobs"]:
            return self.blob_of_docker()
        digest = self.random.choice(list(self.state["blobs"]))
        described = {"mediaType": "application/octet-stream", "digest": digest, "size": self.state["blobs"][digest]}
        text = json.dumps({"schemaVersion": 2, "mediaType": IMAGE, "config": described, "layers": [], "annotations": {"n": str(self.random.random())}})
        image = "sha256:" + hashlib.sha256(text.encode()).hexdigest()
        tag = f"t{self.random.randrange(20)}"
        self.state["doubtful"] = {tag}
        if self.random.random() < 0.5:
            self.caller.expect("PutImage", repositoryName=self.name_, imageManifest=text, imageTag=tag)
        else:
            status, _, body = self.caller.request("PUT", f"/v2/{self.name_}/manifests/{tag}", text, {"Content-Type": IMAGE})
            self.require(status == 201, body)
        self.state["images"][image] = text
        self.state["tags"][tag] = image
        self.state["doubtful"] = set()

    def tag(self):
        if not self.state["images"]:
            return self.image()
        image, text = self.random.choice(list(self.state["images"].items()))
        tag = f"t{self.random.randrange(20)}"
        if self.state["tags"].get(tag) == image:
            return None
        self.state["doubtful"] = {tag}
        self.caller.expect("PutImage", repositoryName=self.name_, imageManifest=text, imageTag=tag)
        self.state["tags"][tag] = image
        self.state["doubtful"] = set()
        return None

    def delete(self):
        """Deletes an image with all its tags."""
        if self.random.random() < 0.7 or not self.state["images"]:
            return
        image = self.random.choice(list(self.state["images"]))
        tags = {tag for tag, holder in self.state["tags"].items() if holder == image}
        self.state["doubtful"] = tags | {image}
        answer = self.caller.expect("BatchDeleteImage", repositoryName=self.name_, imageIds=[{"imageDigest": image}])
        self.require(not answer["failures"], answer)
        del self.state["images"][image]
        for tag in tags:
            del self.state["tags"][tag]
        self.state["doubtful"] = set()

    def require(self, condition, what):
        if not condition:
            raise RuntimeError(str(what)[:300])

    def lost(self, caller):
        """What was acknowledged and is not there, or not as it was."""
        lost = []
        for digest in self.state["blobs"]:
            status, _, body = caller.request("GET", f"/v2/{self.name_}/blobs/{digest}")
            if status != 200 or "sha256:" + hashlib.sha256(body).hexdigest() != digest:
                lost.append(f"blob {digest} {status}")
        doubtful = self.state["doubtful"]
        for image, text in self.state["images"].items():
            status, _, body = caller.request("GET", f"/v2/{self.name_}/manifests/{image}")
            if image not in doubtful and (status != 200 or body.decode() != text):
                lost.append(f"image {image} {status}")
        listed = {}
        token = {}
        while True:
            answer = caller.expect("ListImages", repositoryName=self.name_, maxResults=1000, **token)
            listed |= {entry["imageTag"]: entry["imageDigest"] for entry in answer["imageIds"] if "imageTag" in entry}
            if "nextToken" not in answer:
                break
            token = {"nextToken": answer["nextToken"]}
        for tag in (set(listed) | set(self.state["tags"])) - doubtful:
            if listed.get(tag) != self.state["tags"].get(tag):
                lost.append(f"tag {tag} is {listed.get(tag)} instead of {self.state['tags'].get(tag)}")
        # What was in doubt is known now.
        for name in doubtful:
            self.state["tags"].pop(name, None)
            self.state["images"].pop(name, None)
            if name in listed:
                self.state["tags"][name] = listed[name]
        self.state["doubtful"] = set()
        return lost


def kill(moments=50, seed=1):
    chance = random.Random(seed)
    lost, damaged, acknowledged = 0, 0, 0
    with workplace() as folder:
        states = [{} for _ in range(6)]
        for moment in range(moments + 1):
            server = ecr_server(folder)
            caller = Caller(server.port)
            if moment == 0:
                for number in range(len(states)):
                    caller.expect("CreateRepository", repositoryName=f"worker-{number}")
            workers = [Worker(server.port, number, f"{seed}-{moment}-{number}", state) for number, state in enumerate(states)]
            if moment:
                found = [text for worker in workers for text in worker.lost(caller)]
                lost += len(found)
                print("\n".join(found), end="\n" if found else "")
            acknowledged = sum(len(state["blobs"]) + len(state["images"]) + len(state["tags"]) for state in states)
            if moment == moments:
                server.stop()
                break
            for worker in workers:
                worker.start()
            time.sleep(chance.uniform(0.02, 1.0))
            server.kill()
            for worker in workers:
                worker.join()
                if worker.failure:
                    raise SystemExit(f"a worker failed before the server died: {worker.failure}")
            environment = {"HOME": str(folder), "PATH": "/usr/bin:/bin", "ECR_LOCAL_FOLDER": f"{folder}/store"}
            checked = subprocess.run([ECR, "local", "check"], env=environment, capture_output=True, text=True, check=False)
            if checked.returncode != 0:
                damaged += 1
                print(checked.stdout, checked.stderr)
            if moment % 10 == 9:
                print(f"after {moment + 1} moments: {acknowledged} acknowledged, {lost} lost, {damaged} checks failed", flush=True)
    print(f"{moments} x SIGKILL: {acknowledged} acknowledged writes at the end, {lost} lost, {damaged} checks found damage")
    if lost or damaged:
        raise SystemExit(1)


if __name__ == "__main__":
    work = {"push": push, "pull": pull, "calls": calls, "images": images, "kill": kill}
    if len(sys.argv) < 2 or sys.argv[1] not in work:
        raise SystemExit(__doc__)
    work[sys.argv[1]](*map(int, sys.argv[2:]))
