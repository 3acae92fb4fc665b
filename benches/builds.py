#!/usr/bin/env python3
"""Compares builds of `ecr` with each other in one run, interleaved, as ratios of medians to the first one's.

    benches/builds.py [--rounds N] NAME=BINARY NAME=BINARY…

Start (`--version`, one call), the credential helper with its password in the cache (Amazon's beside it, where
CONTRIBUTING.md ("Other programs") has it: PEERS), push and pull of 512 MiB with one and the same server, and that as
the server of one and the same client. Folders are in /dev/shm where there is one, so that no disk is measured. Only
loopback is used; needs openssl.
"""

import argparse
import pathlib
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import compare  # noqa: E402
import login  # noqa: E402

LAYERS, LAYER = 4, 128 * 1024 * 1024


def serve(binary, folder):
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    compare.ECR = binary
    return compare.Server(str(folder))


def starts(builds, folder, rounds):
    server = serve(next(iter(builds.values())), folder / "start")
    environment = compare.client(str(folder), server)
    compare.run([next(iter(builds.values())), "create-repository", "--repository-name", "team/app"], environment)
    for arguments in ["--version"], ["describe-repositories"]:
        programs = {name: ([binary, *arguments], environment) for name, binary in builds.items()}
        print(f"\n{' '.join(arguments)}")
        compare.table(compare.interleaved(programs, rounds * 40), next(iter(builds)))
    server.stop()


def helper(builds, folder, rounds):
    stdin = folder / "host"
    stdin.write_text(login.HOST)
    commands = {}
    for name, binary in builds.items():
        (folder / name).mkdir()
        login.ECR = str(binary)
        found = login.helpers(folder / name)
        commands[name] = found["ecr"]
        commands |= {other: command for other, command in found.items() if other != "ecr"}
    stub, warm = login.Stub(folder), {}
    for name, command in commands.items():
        machine = login.Machine(folder, name, stub)
        login.run([*command, "get"], machine.environment, str(stdin))
        warm[name] = (login.nothing, ([*command, "get"], machine.environment, str(stdin)))
    login.table("credential helper, password in the cache", login.interleaved(folder, warm, rounds * 40))


class Transfers:
    """Seconds of each build, by what was done."""

    def __init__(self, builds, folder, rounds):
        self.builds, self.folder, self.rounds = builds, folder, rounds
        self.base = next(iter(builds.values()))

    def once(self, client, server):
        """Pushes and pulls once: seconds of both, peak memory of both, processor seconds of the server."""
        served = serve(server, self.folder / "served")
        environment = compare.client(str(self.folder / "served"), served)
        compare.run([client, "create-repository", "--repository-name", "team/app"], environment)
        pushed = compare.run([client, "push", "--quiet", str(self.folder / "image"), "team/app:1"], environment)
        pulled = compare.run([client, "pull", "--quiet", "team/app:1", str(self.folder / "pulled")], environment)
        busy = served.processor_seconds(), served.memory()
        served.stop()
        shutil.rmtree(self.folder / "pulled")
        return {"push": pushed, "pull": pulled, "server's processor time": busy}

    def measure(self, title, pair):
        rows = {}
        for number in range(self.rounds + 1):
            order = list(self.builds) if number % 2 else list(reversed(self.builds))
            for name in order:
                for what, values in self.once(*pair(self.builds[name])).items():
                    if number:
                        rows.setdefault(what, {}).setdefault(name, []).append(values)
        for what, by_name in rows.items():
            print(f"\n{title}: {what}")
            results = {}
            for name in self.builds:
                seconds = sorted(value[0] for value in by_name[name])
                peak = max(value[1] for value in by_name[name])
                results[name] = (seconds[len(seconds) // 2], seconds[0], seconds[-1], peak)
            compare.table(results, next(iter(self.builds)))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("builds", nargs="+", metavar="NAME=BINARY")
    arguments = parser.parse_args()
    builds = dict(build.split("=", 1) for build in arguments.builds)
    memory = "/dev/shm" if pathlib.Path("/dev/shm").is_dir() else None
    with tempfile.TemporaryDirectory(dir=memory) as name:
        folder = pathlib.Path(name)
        layout = f"import sys; sys.path.insert(0, {str(pathlib.Path(__file__).parent)!r}); import compare, pathlib; "
        layout += f"compare.make_layout(pathlib.Path({str(folder / 'image')!r}), {LAYERS}, {LAYER})"
        subprocess.run([sys.executable, "-c", layout], check=True)
        starts(builds, folder, arguments.rounds)
        helper(builds, folder, arguments.rounds)
        transfers = Transfers(builds, folder, arguments.rounds)
        transfers.measure("client", lambda binary: (binary, transfers.base))
        transfers.measure("server", lambda binary: (transfers.base, binary))


main()
