#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""`make coverage`: how much of the pure Rust the host tests go through.

Prints a table of lines and regions by file; with --lines the lines too that no test went
through. Fails if less is covered than scripts/coverage-floor says. Tests and the world that
they live in do not count, nor is any number here about the rest, which runs in the kernel:
what is reached of that is told by `make check`.
"""

import argparse
import glob
import json
import os
import re
import shutil
import subprocess
import sys

import hosttests
from qemu import SCRIPTS, die

TOP = os.path.dirname(SCRIPTS)
RUST = os.path.join(TOP, "rust")
FLOOR = os.path.join(SCRIPTS, "coverage-floor")
NOT_COUNTED = re.compile(r"^host/|/tests/|/tests\.rs$|/sim\.rs$")
TESTS = re.compile(r"^#\[cfg\(test\)\]\nmod ", re.M)


def tool(name, llvm):
    """The path of an LLVM tool of rustc's own LLVM, as the format of profiles wants it."""
    path = shutil.which("%s-%s" % (name, llvm)) or "/usr/lib/llvm-%s/bin/%s" % (llvm, name)
    if not os.path.exists(path):
        die("%s of LLVM %s, which is rustc's, is not there" % (name, llvm), "install llvm-" + llvm)
    return path


def run(command, **options):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                          **options)
    if done.returncode:
        sys.stdout.write(done.stdout)
        die("failed with status %d: %s" % (done.returncode, " ".join(command[:3])))
    return done.stdout


def build(environment, cargo):
    """The host tests with counters in our own crate; those of others need none."""
    output = run([cargo, "rustc", "--quiet", "--locked", "--lib", "--profile", "test",
                  "--manifest-path", os.path.join(RUST, "host/Cargo.toml"),
                  "--message-format=json", "--", "-C", "instrument-coverage"], env=environment)
    made = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    return [line["executable"] for line in made if line.get("executable")][-1]


def first_test(path):
    """The line at which the tests of a file begin."""
    with open(path) as file:
        text = file.read()
    tests = TESTS.search(text)
    return text.count("\n", 0, tests.start()) + 1 if tests else sys.maxsize


class File:
    """Lines and regions of one file, without its tests."""

    def __init__(self, lines, regions):
        self.lines = lines  # covered, by number
        self.regions = regions

    def counts(self):
        return (sum(self.lines.values()), len(self.lines),
                sum(self.regions.values()), len(self.regions))


def measure(export):
    """The files of llvm-cov's export, by path below rust/.

    A function may be there several times, once for each of its types: a region is covered if it
    is in any.
    """
    files = {}
    for function in export["data"][0]["functions"]:
        for line, column, to_line, to_column, count, file_id, _, kind in function["regions"]:
            path = os.path.realpath(function["filenames"][file_id])
            name = os.path.relpath(path, RUST)
            if kind != 0 or name.startswith("..") or NOT_COUNTED.search(name):
                continue
            if name not in files:
                files[name] = File({}, {}), first_test(path)
            file, end = files[name]
            if line < end:
                place = (line, column, to_line, to_column)
                file.regions[place] = file.regions.get(place, False) or count > 0
    for file, _ in files.values():
        # A line is as the smallest region that has a part of it.
        size = {}
        for (line, column, to_line, to_column), covered in file.regions.items():
            for number in range(line, to_line + 1):
                extent = (to_line - line, to_column - column)
                if number not in size or extent < size[number][0]:
                    size[number] = (extent, covered)
        file.lines = {number: covered for number, (_, covered) in size.items()}
    return {name: file for name, (file, _) in files.items()}


def ranges(numbers):
    """Line numbers as "3, 7-9"."""
    runs = []
    for number in sorted(numbers):
        if runs and runs[-1][1] == number - 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ", ".join(str(a) if a == b else "%d-%d" % (a, b) for a, b in runs)


def share(part, whole):
    return 100.0 * part / whole if whole else 100.0


def floors(path=FLOOR):
    """The least shares, in per cent, by "lines" and "regions"."""
    with open(path) as file:
        words = [line.partition("#")[0].split() for line in file]
    return {name: float(value) for name, value in (pair for pair in words if pair)}


def verdict(total, least):
    """What falls short of the floor, as lines."""
    got = {"lines": share(*total[:2]), "regions": share(*total[2:])}
    return ["%s: %.1f %% covered, %.1f %% wanted (scripts/coverage-floor)"
            % (name, got[name], least[name]) for name in ("lines", "regions")
            if got[name] < least[name]]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", action="store_true", help="name the lines that are not covered")
    args = parser.parse_args()
    environment, cargo = hosttests.environment()
    version = run([environment["RUSTC"], "-vV"])
    llvm = re.search(r"^LLVM version: (\d+)", version, re.M).group(1)
    profdata, cov = tool("llvm-profdata", llvm), tool("llvm-cov", llvm)
    environment["CARGO_TARGET_DIR"] = hosttests.target() + "-coverage"
    executable = build(environment, cargo)
    raw = os.path.join(environment["CARGO_TARGET_DIR"], "raw")
    shutil.rmtree(raw, ignore_errors=True)
    environment["LLVM_PROFILE_FILE"] = os.path.join(raw, "%m.profraw")
    # What cannot be written is tried with rustc alone, and runs nothing of ours.
    run([executable, "--quiet", "--skip", "cannot::"], env=environment,
        cwd=os.path.join(RUST, "host"))
    merged = os.path.join(raw, "profdata")
    run([profdata, "merge", "-sparse", "-o", merged] + glob.glob(os.path.join(raw, "*.profraw")))
    files = measure(json.loads(run([cov, "export", executable, "-instr-profile=" + merged],
                                   stderr=subprocess.DEVNULL)))
    total = [0] * 4
    print("%-36s %16s  %18s" % ("file in rust/", "lines", "regions"))
    for name, file in sorted(files.items()):
        counts = file.counts()
        total = [have + more for have, more in zip(total, counts)]
        print("%-36s %4d of %4d %3.0f %%   %4d of %4d %3.0f %%" % (
            name, *counts[:2], share(*counts[:2]), *counts[2:], share(*counts[2:])))
        left = [number for number, covered in file.lines.items() if not covered]
        if args.lines and left:
            print("    not covered: " + ranges(left))
    short = verdict(total, floors())
    print("coverage of the pure Rust by host tests: lines %d of %d (%.1f %%), regions %d of %d (%.1f %%)"
          % (*total[:2], share(*total[:2]), *total[2:], share(*total[2:])))
    for line in short:
        print("error: " + line, file=sys.stderr)
    return 1 if short else 0


if __name__ == "__main__":
    sys.exit(main())
