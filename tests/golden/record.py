#!/usr/bin/env python3
"""Asks the real AWS CLI every question in the case files and writes its answers below them, in place.

    tests/golden/record.py                      every file
    tests/golden/record.py 03-shorthand.txt …   these files
    tests/golden/record.py --only TEXT          the cases whose title contains TEXT
    tests/golden/record.py --missing            the cases that have no answer yet
    tests/golden/record.py --check              writes nothing; says which answers are no longer true
    tests/golden/record.py --fresh              a real `aws` process for every case instead of a fork (slow)

The AWS CLI is the one in the folder that CONTRIBUTING.md ("Other programs") says how to make (PEERS, by default
/opt/peers); this needs root for chroot. VERSION is the only version whose answers belong into this folder.
"""

import argparse
import os
import pathlib
import subprocess
import sys

import cases

VERSION = "aws-cli/2.38.1 "


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("files", nargs="*")
    parser.add_argument("--only", default="")
    parser.add_argument("--missing", action="store_true")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--fresh", action="store_true")
    parser.add_argument("--every", type=int, default=1, help="only every Nth of the chosen cases")
    options = parser.parse_args()
    peers = os.environ.get("PEERS", "/opt/peers")
    said = subprocess.run(["chroot", peers, "aws", "--version"], capture_output=True, text=True).stdout
    if not said.startswith(VERSION):
        raise SystemExit(f"record: wanted {VERSION}in {peers}, found {said!r}")

    paths = [cases.HERE / name for name in options.files] or sorted(cases.HERE.glob("[0-9]*.txt"))
    files = {path: cases.parse_file(path.read_text(), path.name) for path in paths}
    chosen = [
        (path, case)
        for path, (_, many) in files.items()
        for case in many
        if options.only in case[0] and not (options.missing and case[2] is not None)
    ][:: options.every]

    def answer(program, item):
        path, case = item
        question = cases.Case(f"{path.name}: {case[0]}", case[1])
        if options.fresh:
            question_job = question.job
            question.job = lambda server: {**question_job(server), "fresh": True}
        return cases.answer_lines(cases.ask(program, question))

    answers = cases.in_parallel(chosen, answer, lambda: cases.RealCli(peers))
    changed = 0
    for (path, case), lines in zip(chosen, answers):
        if case[2] != lines:
            changed += 1
            if case[2] is not None:
                print(f"{path.name}: {case[0]}")
                if options.check:
                    print("\n".join([*(f"  - {line}" for line in case[2]), *(f"  + {line}" for line in lines)]))
        if not options.check:
            case[2] = lines
    if not options.check:
        for path, (head, many) in files.items():
            pathlib.Path(path).write_text(cases.render_file(head, many))
    print(f"{len(chosen)} cases asked, {changed} answers {'differ' if options.check else 'new or changed'}")
    return 1 if options.check and changed else 0


if __name__ == "__main__":
    sys.exit(main())
