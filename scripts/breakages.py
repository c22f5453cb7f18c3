#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Breaks the code on purpose, one patch after the other, and shows that tests turn red.

Each file in scripts/breakages/ is a patch with a header:

    What: what is broken by it
    Red: the tests of rust/host that must turn red
    Boot: the boot of `make check` in which tests must turn red; Red names its cases then
    Kernel: debug, if it is that boot of `make check-debug`

It is applied to a copy of the tree, never to the tree itself.  With names or
numbers of breakages only these are tried; with --all every host test is run,
and those that turn red are told.  Run by hand: it takes a while.
"""

import argparse
import glob
import os
import re
import shutil
import subprocess
import sys
import time

SCRIPTS = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(SCRIPTS)
CACHE = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"),
                     "tdx-pages", "breakages")
TREE = os.path.join(CACHE, "tree")
# A breakage may make a loop endless; that is a red test, too.
PATIENCE = 180
VERDICT = re.compile(r"^test (\S+) \.\.\. (ok|FAILED)$")


class Breakage:
    """One patch, and what its header says."""

    def __init__(self, path):
        self.path = path
        self.name = os.path.basename(path).removesuffix(".patch")
        self.number = int(self.name.partition("-")[0])
        self.fields = {}
        with open(path, encoding="utf-8") as patch:
            for line in patch:
                field = re.match(r"(What|Red|Boot|Kernel): (.+)", line)
                if not field:
                    break
                self.fields[field.group(1)] = field.group(2).strip()
        for field in ("What", "Red"):
            if field not in self.fields:
                sys.exit("error: %s has no line \"%s:\"" % (path, field))
        self.boot = self.fields.get("Boot")
        self.debug = self.fields.get("Kernel") == "debug"
        # Names of cases of a boot have blanks in them.
        self.red = self.fields["Red"].split("; " if self.boot else None)

    def wanted(self, names):
        return not names or self.name in names or any(
            name.isdigit() and int(name) == self.number for name in names)


def run(*command, **options):
    """The exit status of a command, and what it said."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace", **options)
    return done.returncode, done.stdout


def copy_tree():
    """A copy of all files that git knows or would add."""
    shutil.rmtree(TREE, ignore_errors=True)
    status, names = run("git", "-C", TOP, "ls-files", "-z", "--cached", "--others",
                        "--exclude-standard")
    if status:
        sys.exit("error: git ls-files in %s: %s" % (TOP, names))
    for name in filter(None, names.split("\0")):
        source, copy = os.path.join(TOP, name), os.path.join(TREE, name)
        if os.path.isfile(source):
            os.makedirs(os.path.dirname(copy), exist_ok=True)
            # With a new time: cargo would take a file that is older than what it built last for
            # the one that it built, and that may have been a broken one.
            shutil.copy(source, copy)


def patch(breakage, *options):
    """Applies a patch, or takes it back; what patch(1) says if it does not apply."""
    status, said = run("patch", "-p1", "--fuzz=0", "--batch", "--no-backup-if-mismatch",
                       "-i", breakage.path, *options, cwd=TREE)
    return said if status else None


def cargo(*arguments):
    """Exit status and output of `cargo test`; None for the status if it did not end."""
    rustc = os.environ.get("RUSTC") or "/usr/bin/rustc"
    if not os.path.exists(rustc):
        rustc = shutil.which("rustc") or sys.exit("error: there is no rustc; name it with RUSTC=")
    tools = os.path.dirname(rustc)
    environment = dict(os.environ, CARGO_TERM_COLOR="never", RUSTC=rustc, RUST_BACKTRACE="0",
                       CARGO_TARGET_DIR=os.path.join(CACHE, "target"))
    command = [os.path.join(tools, "cargo"), "test", "--locked", "--lib", "--manifest-path",
               os.path.join(TREE, "rust/host/Cargo.toml")]
    # In a group of its own, so that what hangs is ended with all its children.
    child = subprocess.Popen(command + list(arguments), env=environment, text=True,
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, start_new_session=True)
    try:
        return child.communicate(timeout=PATIENCE)[0], child.returncode
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, 9)
        return child.communicate()[0], None


def host_tests(names):
    """What each test of the host said: "ok", "FAILED", or that it did not end; or why none ran."""
    output, status = cargo("--no-run")
    if status != 0:
        return {}, "it does not compile:\n" + "\n".join(output.splitlines()[-30:])
    output, status = cargo("--", "--exact", *names) if names else cargo()
    verdicts = {}
    for line in output.splitlines():
        verdict = VERDICT.match(line)
        if verdict:
            verdicts[verdict.group(1)] = verdict.group(2)
    # A loop without end, or an abort, which takes all the others with it.
    lost = "did not end" if status is None else "aborted" if "signal: " in output else None
    for name in names if lost else []:
        verdicts.setdefault(name, lost)
    return verdicts, None


def boot_cases(boot, debug):
    """What the cases of a boot said, as above."""
    command = [os.path.join(TREE, "scripts/with-kernel.sh"), "check.py", boot]
    environment = dict(os.environ, FLAVOUR="debug" if debug else "plain")
    status, output = run(*command, *["--debug"] * debug, env=environment)
    failed = re.findall(r"^  not ok (.+)$", output, re.MULTILINE)
    if any(name.startswith("build the modules") for name in failed):
        return {}, "it does not build:\n" + "\n".join(output.splitlines()[-30:])
    if not re.search(r"^\d+ passed, \d+ failed$", output, re.MULTILINE):
        return {}, "the boot came to no verdict:\n" + "\n".join(output.splitlines()[-30:])
    if status == 0:
        return {}, None
    return {name: "FAILED" for name in failed}, None


def try_one(breakage, everything):
    """Whether all tests that must turn red do; says so."""
    start = time.monotonic()
    said = patch(breakage)
    if said:
        print("%-28s NO LONGER APPLIES\n%s" % (breakage.name, said), flush=True)
        copy_tree()
        return False
    if breakage.boot:
        verdicts, problem = boot_cases(breakage.boot, breakage.debug)
    else:
        verdicts, problem = host_tests([] if everything else breakage.red)
    said = patch(breakage, "--reverse")
    if said:
        sys.exit("error: %s cannot be taken back: %s" % (breakage.name, said))
    if problem:
        print("%-28s NOT TRIED: %s" % (breakage.name, problem), flush=True)
        return False
    seconds = time.monotonic() - start
    red = [name for name, verdict in verdicts.items() if verdict != "ok"]
    green = [name for name in breakage.red if not any(
        name == other or breakage.boot and name in other for other in red)]
    missing = [name for name in green if not breakage.boot and name not in verdicts]
    state = "red" if not green else "STAYS GREEN"
    print("%-28s %-11s %5.1f s  %s" % (breakage.name, state, seconds,
                                      " ".join(red if everything else breakage.red)), flush=True)
    if green and red:
        print("    red: " + " ".join(red))
    for name in green:
        print("    green: %s%s" % (name, " (there is no such test)" if name in missing else ""))
    return not green


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--all", action="store_true", help="run all host tests for each")
    parser.add_argument("--no-boot", action="store_true", help="leave out those that need a boot")
    parser.add_argument("names", nargs="*", help="breakages to try; all without")
    arguments = parser.parse_args()
    paths = glob.glob(os.path.join(SCRIPTS, "breakages", "*.patch"))
    every = sorted(map(Breakage, paths), key=lambda breakage: breakage.number)
    wanted = [breakage for breakage in every if breakage.wanted(arguments.names)
              and not (arguments.no_boot and breakage.boot)]
    if not wanted:
        sys.exit("error: no such breakage; there are: " + " ".join(b.name for b in every))
    copy_tree()
    names = sorted({name for breakage in wanted if not breakage.boot for name in breakage.red})
    if names:
        verdicts, problem = host_tests(names)
        bad = [name for name in names if verdicts.get(name) != "ok"]
        if problem or bad:
            sys.exit("error: without any breakage: " + (problem or "not green: " + " ".join(bad)))
    for boot in sorted({(breakage.boot, breakage.debug) for breakage in wanted if breakage.boot}):
        verdicts, problem = boot_cases(*boot)
        if problem or verdicts:
            sys.exit("error: without any breakage: " + (problem or "not green: "
                                                        + "; ".join(verdicts)))
    good = [try_one(breakage, arguments.all) for breakage in wanted]
    print("%d of %d breakages are seen" % (sum(good), len(good)))
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
