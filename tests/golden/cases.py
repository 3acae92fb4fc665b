"""What record.py and differential.py share: the case format, the scripted server, and the two programs.

A case file holds many cases. The part above `--- recorded` is written by hand, the part below by record.py:

    === what this case shows
    env AWS_REGION=eu-west-1        one variable more, or another value for one
    unset AWS_ACCESS_KEY_ID
    file tags.json                  a file in the case folder, its lines below
    | [{"Key": "a", "Value": "b"}]
    folder empty
    $ aws ecr describe-repositories --query 'repositories[].repositoryName'
    + "an argument\\nwith escapes"   one more argument, as a JSON string
    reply 200 {"repositories": []}
    reply 400 x-amzn-query-error=Code;Sender {"__type": "..."}
    --- recorded
    > ecr us-east-1 DescribeRepositories {}
    exit 0
    stdout
    | []
    stderr

`| text` is a line with its newline, `"text"` one that needs escapes (a lone \\udcXX is the byte XX), and
`\\ no newline` says that the line above has none. Replies are given in order and the last one repeats; a body of
`\\"..."` is a JSON string's content, and `reply close` hangs up. In texts {DIR} is the case folder, which is both
home and working directory, and {SERVER} the scripted server's address.
"""

import json
import os
import pathlib
import re
import shlex
import socket
import socketserver
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

HERE = pathlib.Path(__file__).resolve().parent
RECORDED = "--- recorded"
ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "{DIR}",
    "TZ": "UTC",
    "LC_ALL": "C.UTF-8",
    "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_REGION": "us-east-1",
    "AWS_ENDPOINT_URL": "{SERVER}",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": "{DIR}/config",
    "AWS_SHARED_CREDENTIALS_FILE": "{DIR}/credentials",
}
TARGETS = {
    "AmazonEC2ContainerRegistry_V20150921": "ecr",
    "SpencerFrontendService": "ecr-public",
}
# What a diff or an editor would not show as it is.
UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\xa0\xad\u200b-\u200f\u2028-\u202f\ufeff\ud800-\udfff]| $")


class Case:
    """One question, and the answer that a program gave to it."""

    def __init__(self, title, question):
        self.title = title
        self.question = question
        self.environment = dict(ENVIRONMENT)
        self.files = {}
        self.folders = []
        self.arguments = []
        self.replies = []
        self._parse(question)
        if self.arguments[:1] != ["aws"]:
            raise SystemExit(f"golden: {title}: the command does not begin with `aws`")

    def _parse(self, lines):
        name = None
        for line in lines:
            if name is not None and line[:2] in ("| ", "|", '"', "\\ ") or name is not None and line.startswith('"'):
                self.files[name] = append_line(self.files[name], line)
                continue
            name = None
            word, _, rest = line.partition(" ")
            if not line or word == "#":
                continue
            elif word == "env":
                key, _, value = rest.partition("=")
                self.environment[key] = value
            elif word == "unset":
                del self.environment[rest]
            elif word == "file":
                name = rest
                self.files[name] = b""
            elif word == "folder":
                self.folders.append(rest)
            elif word == "$":
                self.arguments = shlex.split(rest)
            elif word == "+":
                self.arguments.append(json.loads(rest))
            elif word == "reply":
                self.replies.append(Reply(rest))
            else:
                raise SystemExit(f"golden: {self.title}: what is {line!r}?")

    def job(self, server):
        """What a program needs to know to run this case."""
        fill = lambda text: text.replace("{SERVER}", server)
        return {
            "arguments": [fill(word) for word in self.arguments],
            "environment": {key: fill(value) for key, value in self.environment.items()},
            "files": {name: fill(to_text(data)) for name, data in self.files.items()},
            "folders": self.folders,
        }


class Reply:
    """One scripted answer of the server."""

    def __init__(self, text):
        self.close = text == "close"
        if self.close:
            return
        status, _, rest = text.partition(" ")
        self.status = int(status)
        self.headers = []
        while match := re.match(r"([A-Za-z][A-Za-z0-9-]*)=(\S*)(?: |$)", rest):
            self.headers.append(match.groups())
            rest = rest[match.end() :]
        self.body = to_bytes(json.loads(rest[1:]) if rest.startswith('\\"') else rest)


def to_text(data):
    return data.decode("utf-8", "surrogateescape")


def to_bytes(text):
    return text.encode("utf-8", "surrogateescape")


def append_line(data, line):
    if line.startswith("\\ "):
        return data[:-1]
    return data + to_bytes(json.loads(line) if line.startswith('"') else line[2:]) + b"\n"


def lines_of(data):
    """Bytes as lines of a case file."""
    text = to_text(data)
    if not text:
        return []
    lines = text.split("\n")
    complete = lines[-1] == ""
    if complete:
        lines.pop()
    out = []
    for line in lines:
        if UNPRINTABLE.search(line):
            escaped = json.dumps(line, ensure_ascii=False)
            escaped = UNPRINTABLE.sub(lambda m: m[0] if m[0] == " " else f"\\u{ord(m[0]):04x}", escaped)
            out.append(escaped)
        else:
            out.append(f"| {line}" if line else "|")
    return out if complete else [*out, "\\ no newline"]


def answer_lines(answer):
    """An answer as lines of a case file."""
    return [
        *(f"> {request}" for request in answer["requests"]),
        f"exit {answer['exit']}",
        "stdout",
        *lines_of(to_bytes(answer["stdout"])),
        "stderr",
        *lines_of(to_bytes(answer["stderr"])),
    ]


def parse_file(text, path):
    """The comment at the top of a case file, and its cases as [title, question, recorded]."""
    head, cases = [], []
    for line in text.split("\n"):
        if line.startswith("=== "):
            cases.append([line[4:], [], None])
        elif not cases:
            head.append(line)
        elif line == RECORDED and cases[-1][2] is None:
            cases[-1][2] = []
        elif cases[-1][2] is not None:
            cases[-1][2].append(line)
        else:
            cases[-1][1].append(line)
    for case in cases:
        for part in case[1:]:
            while part and part[-1] == "":
                part.pop()
    titles = [case[0] for case in cases]
    for title in titles:
        if titles.count(title) > 1:
            raise SystemExit(f"golden: {path}: two cases are called {title!r}")
    return head, cases


def render_file(head, cases):
    lines = list(head)
    for title, question, recorded in cases:
        lines += [f"=== {title}", *question, *([RECORDED, *recorded] if recorded is not None else []), ""]
    return "\n".join(lines)


class Server(socketserver.ThreadingMixIn, HTTPServer):
    """Gives the scripted replies in order and remembers what it was asked."""

    daemon_threads = True
    request_queue_size = 32

    def __init__(self, replies):
        self.replies = replies
        self.requests = []
        self.lock = threading.Lock()
        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    def server_bind(self):  # HTTPServer would look its own name up
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address

    def handle_error(self, request, client_address):
        pass

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *words):
        pass

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        server = self.server
        with server.lock:
            server.requests.append(seen(self.command, self.path, self.headers, body))
            index = min(len(server.requests), len(server.replies)) - 1
        self.close_connection = True
        if index < 0 or server.replies[index].close:
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        reply = server.replies[index]
        self.send_response_only(reply.status)
        for name, value in [("content-type", "application/x-amz-json-1.1"), *reply.headers]:
            self.send_header(name, value)
        self.send_header("content-length", str(len(reply.body)))
        self.send_header("connection", "close")
        self.end_headers()
        self.wfile.write(reply.body)

    do_GET = do_PUT = do_POST


def seen(method, path, headers, body):
    """A request as the one line that a case holds."""
    target = headers.get("x-amz-target", "")
    prefix, _, operation = target.partition(".")
    credential = re.search(r"Credential=([^/]*)/\d+/([^/]*)/([^/]*)/", headers.get("authorization", ""))
    key, region, service = credential.groups() if credential else ("", "unsigned", TARGETS.get(prefix, prefix))
    words = [service, region]
    if credential and key != ENVIRONMENT["AWS_ACCESS_KEY_ID"]:
        words.append(f"key={key}")
    if token := headers.get("x-amz-security-token"):
        words.append(f"token={token}")
    if not target:  # a provider of credentials asks: its body holds times and names of sessions
        action = re.search(rb"(?:^|&)Action=(\w+)", body)
        return " ".join([*words, method, path, *([action[1].decode()] if action else [])])
    if path != "/":
        words.append(f"path={path}")
    words.append(operation if TARGETS.get(prefix) == service else target)
    text = to_text(body)
    words.append(json.dumps(text) if UNPRINTABLE.search(text) else text)
    return " ".join(words)


# Runs inside the interpreter that has the AWS CLI: imports it once, and forks for every case.
WORKER = r'''
import json, os, shutil, sys, tempfile, time
jobs, answers = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w")
null = os.open(os.devnull, os.O_RDWR)
for descriptor in (0, 1, 2):
    os.dup2(null, descriptor)
root = tempfile.mkdtemp(prefix="golden-")
folder = f"{root}/case"  # of every case in turn, since some paths below home are made while importing
os.environ["HOME"] = folder
import awscli.clidriver
data_path = os.environ["AWS_DATA_PATH"]  # set by importing awscli
to_bytes = lambda text: text.encode("utf-8", "surrogateescape")
to_text = lambda data: data.decode("utf-8", "surrogateescape")

def prepare(job):
    os.mkdir(folder)
    fill = lambda text: text.replace("{DIR}", folder)
    for name in job["folders"]:
        os.makedirs(f"{folder}/{name}")
    for name, data in job["files"].items():
        path = f"{folder}/{name}"
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(to_bytes(fill(data)))
        os.chmod(path, 0o755 if data.startswith("#!") else 0o644)
    environment = {key: fill(value) for key, value in job["environment"].items()}
    return [fill(word) for word in job["arguments"]], environment

def run(job):
    """Answers in the parent; in the child returns the arguments for the entry point."""
    arguments, environment = prepare(job)
    out, err = f"{root}/stdout", f"{root}/stderr"
    child = os.fork()
    if child == 0:
        os.chdir(folder)
        os.dup2(os.open(out, os.O_CREAT | os.O_TRUNC | os.O_WRONLY), 1)
        os.dup2(os.open(err, os.O_CREAT | os.O_TRUNC | os.O_WRONLY), 2)
        os.environ.clear()
        os.environ.update(environment)
        os.environ["AWS_DATA_PATH"] = data_path
        time.tzset()
        if job.get("fresh"):  # a locale or Python's own variables count only from the start
            os.execve("/usr/bin/aws", arguments, environment)
        sys.argv = ["/usr/bin/aws", *arguments[1:]]
        return True
    limit = time.time() + job.get("limit", 60)
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            break
        if time.time() > limit:
            os.kill(child, 9)
        time.sleep(0.004)
    answer = {"exit": os.waitstatus_to_exitcode(status)}
    for name, path in (("stdout", out), ("stderr", err)):
        with open(path, "rb") as file:
            answer[name] = to_text(file.read()).replace(folder, "{DIR}")
    shutil.rmtree(folder)
    print(json.dumps(answer), file=answers, flush=True)
    return False

for line in jobs:
    job = json.loads(line)
    if "import" in job:
        for name in job["import"]:
            __import__(name)
        continue
    if run(job):
        break
else:
    shutil.rmtree(root)
    os._exit(0)
sys.exit(awscli.clidriver.main())
'''

# What `aws ecr describe-repositories` has imported by its end; imported before forking, it costs once.
USED = """
awscli.argprocess awscli.paramfile awscli.shorthand awscli.formatter awscli.table awscli.text awscli.clidocs
awscli.utils awscli.help awscli.customizations.cliinput awscli.customizations.generatecliskeleton
awscli.customizations.paginate awscli.customizations.waiters awscli.customizations.ecr
awscli.customizations.ecr_public awscli.customizations.binaryformat awscli.customizations.timestampformat
awscli.customizations.globalargs awscli.customizations.sessionmanager awscli.handlers awscli.structured_error
botocore.client botocore.endpoint botocore.auth botocore.credentials botocore.loaders botocore.model
botocore.paginate botocore.parsers botocore.serialize botocore.validate botocore.waiter botocore.httpsession
botocore.regions botocore.retries.standard botocore.retries.adaptive botocore.retries.special botocore.args
botocore.endpoint_provider botocore.configloader botocore.stub jmespath jmespath.visitor dateutil.tz
dateutil.parser colorama urllib3 urllib3.connectionpool awscrt.auth ruamel.yaml awscli.customizations.dynamodb
""".split()


class RealCli:
    """The real AWS CLI, imported once; every case is a fork of it. One per thread."""

    def __init__(self, peers):
        self.process = subprocess.Popen(
            ["chroot", str(peers), "/usr/bin/python3", "-c", WORKER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={"LC_ALL": "C.UTF-8", "PATH": ENVIRONMENT["PATH"], "TZ": "UTC"},
        )
        packages = pathlib.Path(f"{peers}/usr/lib/python3/dist-packages")
        present = [
            name
            for name in USED
            if (packages / (name.replace(".", "/") + ".py")).exists()
            or (packages / name.replace(".", "/") / "__init__.py").exists()
        ]
        self._send({"import": present})

    def _send(self, job):
        self.process.stdin.write(json.dumps(job) + "\n")
        self.process.stdin.flush()

    def run(self, job):
        changed = {key for key in job["environment"] if job["environment"][key] != ENVIRONMENT.get(key)}
        gone = set(ENVIRONMENT) - set(job["environment"])
        fresh = any(re.match(r"LC_|LANG|PYTHON|AWS_NEW_|AWS_DATA_", key) for key in changed | gone)
        self._send({**job, "fresh": job.get("fresh", fresh)})
        return json.loads(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class OurProgram:
    """Our own program under the name `aws`."""

    def __init__(self, program, scratch):
        self.scratch = pathlib.Path(scratch)
        self.program = self.scratch / "aws"
        self.program.symlink_to(pathlib.Path(program).resolve())
        self.count = 0

    def run(self, job):
        self.count += 1
        folder = self.scratch / f"{self.count:06}"
        folder.mkdir()
        fill = lambda text: text.replace("{DIR}", str(folder))
        for name in job["folders"]:
            (folder / name).mkdir(parents=True)
        for name, data in job["files"].items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(to_bytes(fill(data)))
            path.chmod(0o755 if data.startswith("#!") else 0o644)
        try:
            done = subprocess.run(
                [self.program, *(fill(word) for word in job["arguments"][1:])],
                env={key: fill(value) for key, value in job["environment"].items()},
                cwd=folder,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=60,
            )
            code, out, err = done.returncode, done.stdout, done.stderr
        except subprocess.TimeoutExpired as error:
            code, out, err = -9, error.stdout or b"", error.stderr or b""
        subprocess.run(["rm", "-r", folder], check=True)
        clean = lambda data: to_text(data).replace(str(folder), "{DIR}")
        return {"exit": code, "stdout": clean(out), "stderr": clean(err)}

    def close(self):
        pass


def ask(program, case):
    """Runs one case with one program against a server of its own."""
    server = Server(case.replies)
    try:
        answer = program.run(case.job(server.url))
    finally:
        server.shutdown()
        server.server_close()
    for name in ("stdout", "stderr"):
        answer[name] = answer[name].replace(server.url, "{SERVER}")
    answer["requests"] = [request.replace(server.url, "{SERVER}") for request in server.requests]
    return answer


def in_parallel(items, work, make, workers=None):
    """`work(tool, item)` for every item, on some threads with a tool of their own each; the results in order."""
    results = [None] * len(items)
    queue = iter(range(len(items)))
    trouble = []
    lock = threading.Lock()

    def loop():
        tool = make()
        while True:
            with lock:
                index = next(queue, None)
            if index is None:
                break
            try:
                results[index] = work(tool, items[index])
            except BaseException as error:
                trouble.append(error)
                break
        tool.close()

    threads = [threading.Thread(target=loop) for _ in range(workers or os.cpu_count() or 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if trouble:
        raise trouble[0]
    return results
