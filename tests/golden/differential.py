#!/usr/bin/env python3
"""Runs generated invocations with the real AWS CLI and with ours, and says how often they agree to the byte.

    tests/golden/differential.py --program target/debug/ecr [--count 2000] [--seed 1] [--kind NAME] [--show 20]

The same seed generates the same invocations. What differs is written to --out in the case format, with the real
answer below, so that it can be copied into a case file. Needs what record.py needs.
"""

import argparse
import collections
import json
import os
import random
import shlex
import sys
import tempfile

import cases
import sample

QUERIES = [
    "@", "*", "[]", "[0]", "keys(@)", "values(@)[0]", "length(@)", "to_string(@)", "type(@)", "*[0]", "*[].*", "not_null(a, @)",
    "repositories[].repositoryName", "imageDetails[*].imageTags[]", "sort_by(imageDetails, &imagePushedAt)[-1]", "registryId",
    "imageIds[?imageTag=='latest']", "imageIds[].[imageTag,imageDigest]", "repositories[?contains(repositoryName, 'a')] | [0]",
    "repositories[].{name:repositoryName,uri:repositoryUri,at:createdAt}", "failures[].failureCode", "{a: registryId, b: nextToken}",
    "length(repositories)", "max_by(imageDetails, &imageSizeInBytes)", "NextToken", "repositories[::-1]", "imageScanFindings.findings[].name",
]
NASTY = [
    "", " ", "-", "--", "-1", "-x", "{}", "[]", "[", "{", "null", "true", "0", "file://missing", "fileb://missing", "a=b", "a=b,c", "=",
    "'", '"', "é", "🚀", "\t", "x" * 200, "Key=a,Value=b", '{"a": 1}', '["a"]', "a,b", "--output", "help ", "\\", "1e5", "٣",
]
FRAGMENTS = [
    "Key", "Value", "Key=", "Value=", "=", ",", "[", "]", "{", "}", "'", '"', "a", "b c", "\\,", "\\", "@=", " ", "é", "🚀", "\t", "x=y", "'a,b'",
    '"q"', "1", "true", "null", "-", "~", "#", "a=b=c", "[a,b]", "{a=b}",
]


class Generator:
    """Makes plausible invocations: most right, many slightly wrong."""

    def __init__(self, peers, seed):
        self.rng = random.Random(seed)
        self.models = {service: sample.load(peers, service) for service in sample.SERVICES}
        self.kinds = {
            "answer": (6, self.answer),
            "slip": (4, self.slip),
            "shorthand": (2, self.shorthand),
            "query": (2, self.query),
            "output": (3, self.output),
            "error": (2, self.error),
            "input": (2, self.input),
        }

    def case(self, number, only):
        names = [only] if only else list(self.kinds)
        kind = self.rng.choices(names, [self.kinds[name][0] for name in names])[0]
        line, *question = self.kinds[kind][1]()
        lines = [*(one for one in question if not one.startswith("reply")), *sample.quoted(["aws", *line])]
        lines += [one for one in question if one.startswith("reply")]
        return kind, f"{kind} {number}", lines

    def operation(self):
        service = self.rng.choice(["ecr", "ecr", "ecr", "ecr-public"])
        model = self.models[service]
        name = self.rng.choice(sorted(model["operations"]))
        return service, model, name, model["operations"][name]

    def zone(self):
        return [f"env TZ={self.rng.choice(['Asia/Tokyo', 'America/New_York', 'Europe/London'])}"] if self.rng.random() < 0.1 else []

    def answer(self):
        service, model, name, operation = self.operation()
        rng = self.rng
        line = [service, sample.kebab(name), *sample.words(rng, model, operation, sample.asked(rng, model, operation))]
        if rng.random() < 0.8:
            line += ["--output", rng.choice(sample.OUTPUTS)]
        if rng.random() < 0.35:
            line += ["--query", rng.choice(QUERIES)]
        if name in model["paginators"] and rng.random() < 0.4:
            line += rng.choice([["--max-items", str(rng.randrange(1, 5))], ["--page-size", "2"], ["--no-paginate"]])
        return line, *self.zone(), *(f"reply 200 {sample.body(page, rng)}" for page in sample.pages(rng, model, name, operation))

    def slip(self):
        line, *question = self.answer()
        rng = self.rng
        for _ in range(rng.choice([1, 1, 2])):
            spot = rng.randrange(len(line))
            options = [index for index, word in enumerate(line) if word.startswith("--")]
            turn = rng.randrange(9)
            if turn == 0:
                del line[spot]
            elif turn == 1:
                line[spot] = rng.choice(NASTY)
            elif turn == 2:
                line.insert(spot + 1, rng.choice(NASTY))
            elif turn == 3 and options:
                spot = rng.choice(options)
                line[spot] = line[spot][: rng.randrange(3, len(line[spot]) + 1)]
            elif turn == 4 and options and options[-1] + 1 < len(line):
                spot = rng.choice([one for one in options if one + 1 < len(line)])
                line[spot : spot + 2] = [f"{line[spot]}={line[spot + 1]}"]
            elif turn == 5 and len(line[spot]) > 3:
                cut = rng.randrange(1, len(line[spot]) - 1)
                line[spot] = line[spot][:cut] + line[spot][cut + 1 :]
            elif turn == 6:
                other = rng.randrange(len(line))
                line[spot], line[other] = line[other], line[spot]
            elif turn == 7 and options:
                spot = rng.choice(options)
                line += line[spot : spot + 2]
            else:
                line.insert(spot, rng.choice(["--foo", "--no-paginate", "--max-items", "--debugger", "--region", "--cli-", "--re", "--", "bar"]))
            if not line:
                line = ["ecr"]
        if any(word == "help" or "--debug".startswith(word) and word.startswith("--d") or word == "--version" or "--cli-auto" in word or word.startswith("--v") for word in line):
            return self.slip()
        return line, *question

    def shorthand(self):
        rng = self.rng
        text = lambda: "".join(rng.choice(FRAGMENTS) for _ in range(rng.randrange(1, 9)))
        if rng.random() < 0.5:
            text = lambda: ",".join(f"{rng.choice(['Key', 'Value', 'key'])}={''.join(rng.choice(FRAGMENTS) for _ in range(rng.randrange(0, 3)))}" for _ in range(rng.randrange(1, 4)))
        line = rng.choice(
            [
                ["ecr", "tag-resource", "--resource-arn", "a", "--tags"],
                ["ecr", "put-replication-configuration", "--replication-configuration"],
                ["ecr", "list-images", "--repository-name", "xx", "--filter"],
                ["ecr-public", "put-repository-catalog-data", "--repository-name", "xx", "--catalog-data"],
            ]
        )
        return [*line, *(text() for _ in range(1 if "--tags" not in line else rng.randrange(1, 3)))], "reply 200 {}"

    def expression(self, depth=0):
        rng = self.rng
        deeper = lambda: self.expression(depth + 1)
        if depth > 2 or rng.random() < 0.25:
            return rng.choice(["a", "b", "c", "@", "`1`", "`[1, 2]`", "'x'", "`null`", '"a"', "n.o", "`true`", "`{\"k\": \"v\"}`", "l", "s", "o"])
        return rng.choice(
            [
                lambda: f"{deeper()}.{rng.choice(['a', 'b', 'k', '*', '[a, b]', '{x: a, y: b}', 'length(@)'])}",
                lambda: f"{deeper()}[{rng.choice(['0', '-1', '*', '', '1:', '::-1', ':1', '?a', '?@', '?a==`1`', '?b>`1`'])}]",
                lambda: f"{deeper()} | {deeper()}",
                lambda: f"{deeper()} {rng.choice(['==', '!=', '<', '>=', '&&', '||'])} {deeper()}",
                lambda: f"!{deeper()}",
                lambda: f"({deeper()})",
                lambda: f"[{deeper()}, {deeper()}]",
                lambda: f"{{p: {deeper()}, \"q r\": {deeper()}}}",
                lambda: f"{rng.choice(['length', 'keys', 'values', 'type', 'to_string', 'to_number', 'to_array', 'reverse', 'sort', 'max', 'min', 'sum', 'avg', 'abs', 'ceil', 'floor', 'not_null', 'merge'])}({deeper()})",
                lambda: f"{rng.choice(['contains', 'starts_with', 'join', 'ends_with', 'not_null', 'merge'])}({deeper()}, {deeper()})",
                lambda: f"{rng.choice(['sort_by', 'max_by', 'min_by'])}({deeper()}, &{rng.choice(['a', 'b', '@', 'length(@)'])})",
                lambda: f"map(&{deeper()}, {deeper()})",
            ]
        )()

    def query(self):
        rng = self.rng
        text = self.expression()
        if rng.random() < 0.2:
            cut = rng.randrange(len(text))
            text = text[:cut] + rng.choice(["", ".", "[", "]", "`", "'", "&", "$", " ", "|", ",", '"', "é"]) + text[cut + 1 :]
        data = '{"a": [{"a": 1, "b": 3}, {"a": 2, "b": null}, {"a": "x"}], "b": "text", "c": 2.50, "n": {"o": [3, 1, 2]}, "l": ["b", "a"], "s": "é🚀", "o": {"k": 1, "a": 2}}'
        text = f"`{data}` | {text}" if rng.random() < 0.9 else text
        return ["ecr", "describe-registry", "--query", text, "--output", rng.choice(["json", "json", "text"])], "reply 200 {}"

    def data(self, depth=0):
        rng = self.rng
        turn = rng.random()
        if depth > 3 or turn < 0.5:
            return rng.choice([*sample.WORDS, *sample.TAGS, 0, 1, 2.5, 1e22, -1, True, False, None, "", "x", "a b", "12345678901234567890", "~", "yes"])
        names = ["name", "b", "A", "id", "Value", "éa", "a b", "1", "nested", "rows"]
        if turn < 0.75:
            return {rng.choice(names): self.data(depth + 1) for _ in range(rng.randrange(4))}
        if turn < 0.9:
            shape = rng.sample(names, 2)
            return [{key: self.data(depth + 2) for key in shape if rng.random() < 0.85} for _ in range(rng.randrange(4))]
        return [self.data(depth + 1) for _ in range(rng.randrange(4))]

    def output(self):
        literal = json.dumps(self.data(), ensure_ascii=False).replace("`", "\\`")
        line = ["ecr", "get-registry-policy", "--query", f"`{literal}`", "--output", self.rng.choice(sample.OUTPUTS)]
        return line, "reply 200 {}"

    def error(self):
        rng = self.rng
        service, model, name, operation = self.operation()
        given = {
            key: inner
            for key, inner in sample.asked(rng, model, operation).items()
            if key in model["shapes"].get(operation.get("input", {}).get("shape"), {}).get("required", [])
        }
        code = rng.choice([*(one["shape"] for one in operation.get("errors", [])), "AccessDeniedException", "ns#Code", "Code:x", "KmsException"])
        document = {"__type": code, rng.choice(["message", "Message", "msg"]): rng.choice(sample.WORDS), "registryId": "1", "uploadId": "u", "kmsError": "k"}
        text = rng.choice([json.dumps(document)] * 6 + ["", "text", "{}", "<html>x</html>", "null", '{"message": null}'])
        line = [service, sample.kebab(name), *sample.words(rng, model, operation, given)]
        if rng.random() < 0.7:
            line += ["--cli-error-format", rng.choice(["json", "yaml", "text", "table", "legacy", "enhanced"])]
        return line, "env AWS_MAX_ATTEMPTS=1", f"reply {rng.choice([400, 400, 400, 403, 404, 500, 503])} {text}".rstrip()

    def input(self):
        rng = self.rng
        service, model, name, operation = self.operation()
        given = sample.asked(rng, model, operation)
        for _ in range(rng.randrange(3)):
            key = rng.choice([*given, "surprise", "nextToken", "maxResults"])
            given[key] = rng.choice([None, 5, 5.5, "", "x", [], {}, [None], {"a": 1}, True, "5", ["a", "b"], [{"Key": "a"}]])
        text = json.dumps(given, ensure_ascii=False)
        if rng.random() < 0.05:
            text = text[:-1]
        option = rng.choice(["--cli-input-json", "--cli-input-json", "--cli-input-yaml"])
        return [service, sample.kebab(name), option, text], "reply 200 {}"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", required=True)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--kind")
    parser.add_argument("--show", type=int, default=20)
    parser.add_argument("--out", default=os.path.join(tempfile.gettempdir(), "differential.txt"))
    options = parser.parse_args()
    peers = os.environ.get("PEERS", "/opt/peers")
    generator = Generator(peers, options.seed)
    made = [generator.case(number, options.kind) for number in range(options.count)]

    class Both:
        def __init__(self):
            self.folder = tempfile.TemporaryDirectory()
            self.real, self.ours = cases.RealCli(peers), cases.OurProgram(options.program, self.folder.name)

        def close(self):
            self.real.close()
            self.folder.cleanup()

    def compare(both, item):
        kind, title, question = item
        case = cases.Case(title, question)
        return cases.ask(both.real, case), cases.ask(both.ours, case)

    answers = cases.in_parallel(made, compare, Both)
    parts = ["stdout", "exit", "requests", "stderr"]
    same = collections.Counter()
    by_kind = collections.defaultdict(collections.Counter)
    different = []
    for (kind, title, question), (real, ours) in zip(made, answers):
        wrong = [part for part in parts if real[part] != ours[part]]
        for part in parts:
            same[part] += part not in wrong
        same["all"] += not wrong
        by_kind[kind]["asked"] += 1
        by_kind[kind]["same"] += not wrong
        if wrong:
            different.append((title, question, real, ours, wrong))
    with open(options.out, "w") as file:
        for title, question, real, ours, wrong in different:
            file.write("\n".join([f"=== {title}", *question, cases.RECORDED, *cases.answer_lines(real), "--- ours", *cases.answer_lines(ours), "", ""]))
    for title, question, real, ours, wrong in different[: options.show]:
        print("\n".join([f"=== {title}: {', '.join(wrong)}", *(line[:400] for line in question)]))
        theirs, mine = cases.answer_lines(real), cases.answer_lines(ours)
        start = next((index for index, (one, other) in enumerate(zip(theirs, mine)) if one != other), min(len(theirs), len(mine)))
        print("\n".join([*(f"    - {line[:300]}" for line in theirs[start : start + 6]), *(f"    + {line[:300]}" for line in mine[start : start + 6]), ""]))
    print(f"{options.count} invocations, seed {options.seed}; equal to the byte:")
    for part in [*parts, "all"]:
        print(f"  {part:9} {same[part]:6} {100 * same[part] / options.count:7.2f} %")
    for kind, counts in sorted(by_kind.items()):
        print(f"  {kind:9} {counts['same']:6} of {counts['asked']}")
    print(f"what differs is in {options.out}")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
