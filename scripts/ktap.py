# SPDX-License-Identifier: GPL-2.0
"""KUnit results, read by the kernel tree's own kunit.py.

kunit.py takes the first KTAP block of what it is given for the whole, and the
kernel prints one at boot even if it has no suite; a whole boot log is therefore
green while our suites fail.  So each suite's own result file, cut out by the
guest, is given to it alone, and the set of suites and the number of cases are
demanded.
"""

import concurrent.futures
import json
import os
import re
import subprocess
import sys
import tempfile

EXPECTED = os.path.join(os.path.dirname(os.path.abspath(__file__)), "expected-suites")


def expected_suites(path=EXPECTED):
    """Case count by suite; a line is "suite count", "#" begins a comment."""
    wanted = {}
    with open(path) as file:
        for number, line in enumerate(file, 1):
            words = line.partition("#")[0].split()
            if not words:
                continue
            if len(words) != 2 or not words[1].isdigit() or words[0] in wanted:
                sys.exit("error: %s:%d: not a new suite and its number of cases: %s"
                         % (path, number, line.strip()))
            wanted[words[0]] = int(words[1])
    return wanted


def leaves(group, prefix):
    """(name, status) of every test case in kunit.py's JSON."""
    for case in group.get("test_cases", []):
        yield prefix + case["name"], case["status"]
    for sub in group.get("sub_groups", []):
        yield from leaves(sub, prefix + sub["name"] + ".")


def parse_slice(kunit, suite, lines, console):
    """The cases of one suite, as (name, passed, details)."""
    with tempfile.TemporaryDirectory() as directory:
        slice_path = os.path.join(directory, "slice")
        with open(slice_path, "w") as file:
            file.write("\n".join(lines) + "\n")
        json_path = os.path.join(directory, "json")
        done = subprocess.run([sys.executable, kunit, "parse", "--json=" + json_path, slice_path],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True)
        try:
            with open(json_path) as file:
                result = json.load(file)
        except (OSError, ValueError):
            return [(suite + ": kunit.py reads it", False, done.stdout.splitlines()[-15:])]
    cases = []
    for name, status in leaves(result, ""):
        details = [] if status == "PASS" else ["status: " + status] + failure(console, name)
        cases.append((name if name.startswith(suite) else suite + "." + name,
                      status == "PASS", details))
    # kunit.py counts crashes and malformed blocks as errors that are no case.
    if done.returncode and all(passed for _, passed, _ in cases):
        cases.append((suite + ": kunit.py finds no error", False, done.stdout.splitlines()[-15:]))
    return cases


def failure(console, name):
    """What the console says of a failed case: the lines between the case before and its verdict.

    Rust tests report a failed assert there and not in the result file.
    """
    case = name.rpartition(".")[2]
    verdict = re.compile(r"(not )?ok \d+ (\S+)")
    start = 0
    for at, line in enumerate(console):
        found = verdict.search(line)
        if found and found.group(1) and found.group(2) == case:
            return console[max(start, at - 15):at + 1]
        if found:
            start = at + 1
    return []


def verdicts(kunit, slices, wanted, console):
    """All cases of all suites, and one case that these are the suites wanted."""
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        suites = pool.map(lambda item: parse_slice(kunit, *item, console),
                          slices.items())
        got = dict(zip(slices, suites))
    cases = [case for suite in got.values() for case in suite]
    wrong = []
    for suite in sorted(wanted.keys() | got.keys()):
        have = len(got.get(suite, []))
        if suite not in got:
            wrong.append("missing suite: %s, %d cases expected" % (suite, wanted[suite]))
        elif suite not in wanted:
            wrong.append("unknown suite; the line for scripts/expected-suites: %s %d"
                         % (suite, have))
        elif have != wanted[suite]:
            wrong.append("%d cases, not %d; the line for scripts/expected-suites: %s %d"
                         % (have, wanted[suite], suite, have))
    if not wanted:
        wrong.append("scripts/expected-suites names no suite")
    cases.append(("the KUnit suites are those of scripts/expected-suites", not wrong, wrong))
    return cases
