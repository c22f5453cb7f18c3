#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""`make check`: host tests, KUnit suites and scenarios in QEMU, one verdict.

The last line is "N passed, N failed".  With --self-test only the check itself
is tested; with names of boots, only these are run.  With --long the suites try
everything, instead of a share of it.  With --debug the boots are made on the debug
kernel, which is the one in KERNEL_BUILD then.
"""

import argparse
import concurrent.futures
import os
import subprocess
import sys
import time

import bench
import boots
import guestlog
import hosttests
import ktap
import looktest
import messages
import reached
import selftest
from qemu import SCRIPTS


class Tally:
    """All cases so far."""

    def __init__(self):
        self.passed = 0
        self.failed = []

    def add(self, what, cases, seconds):
        """Takes over a group's cases and says how it went."""
        bad = [case for case in cases if not case[1]]
        self.passed += len(cases) - len(bad)
        self.failed += bad
        print("%-26s %4d passed %3d failed  %5.1f s" % (what, len(cases) - len(bad), len(bad),
                                                      seconds), flush=True)
        for name, _, details in bad:
            print("  not ok " + name)
            for line in details:
                print("    | " + line)

    def close(self, *lines):
        """The verdict; `lines` come before it."""
        for line in lines:
            print(line)
        if self.failed:
            print("\nfailed:")
            for name, _, _ in self.failed:
                print("  " + name)
        print("%d passed, %d failed" % (self.passed, len(self.failed)))
        return 1 if self.failed else 0


def judge(boot):
    """The cases of one boot that has been run."""
    scripts = guestlog.parse(boot.results(), boot.scripts, boot.name)
    cases = [case for script in scripts for case in guestlog.verdicts(script)]
    cases.append(guestlog.scan(boot.name, boot.console(), scripts))
    cases += guestlog.accounted(boot.name, boot.console())
    cases.append(("%s: the guest switched off in time" % boot.name, boot.verdict == "ok",
                  [boot.verdict, "console: " + boot.console_path] + boot.console()[-12:]))
    if "kunit" in boot.scripts:
        slices = {name.partition(" ")[2]: lines for script in scripts
                  for name, lines in script.sections if name.startswith("kunit ")}
        kunit = os.path.join(boot.kernel, "source/tools/testing/kunit/kunit.py")
        cases += ktap.verdicts(kunit, slices, ktap.expected_suites(), boot.console())
    cases += [case for script in scripts if script.name == "look" for case in looktest.live(script)]
    return [(name, passed, [] if passed else details) for name, passed, details in cases]


def timed(function, *args):
    start = time.monotonic()
    result = function(*args)
    return result, time.monotonic() - start


def run_boot(boot):
    boot.run()
    return judge(boot)


def bench_cases(directory):
    """Whether the jobs of `make bench` ask for no more than is kept; nothing is timed."""
    try:
        return bench.check_kept(directory, False)
    except SystemExit as end:
        return [("bench-counts: the boot", False, [str(end)])]


def build(variant):
    """The directory with the modules of a variant, or None."""
    done = subprocess.run([os.path.join(SCRIPTS, "build.sh"), variant],
                          stdout=subprocess.PIPE, text=True)
    return done.stdout.strip() if done.returncode == 0 else None


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--self-test", action="store_true", help="test the check, nothing else")
    parser.add_argument("--long", action="store_true", help="long boots, nothing else")
    parser.add_argument("--debug", action="store_true",
                        help="boots on the debug kernel, nothing else")
    parser.add_argument("boots", nargs="*", help="boots to run; all without")
    args = parser.parse_args()
    tally = Tally()
    if args.self_test:
        tally.add("the check itself", *timed(selftest.cases))
        return tally.close()
    there = boots.LONG if args.long else boots.BOOTS
    if args.debug:
        there = [boot for boot in there if boot["name"] not in boots.NOT_ON_DEBUG]
    wanted = [boot for boot in there if not args.boots or boot["name"] in args.boots]
    unknown = set(args.boots) - {boot["name"] for boot in there}
    if unknown:
        sys.exit("error: no such boot: %s; there are: %s" % (
            " ".join(sorted(unknown)), " ".join(boot["name"] for boot in there)))
    boots_only = args.boots or args.long or args.debug
    if args.debug:
        wanted = [boots.on_debug(boot) for boot in wanted]
    variants = sorted({boot["variant"] for boot in wanted} | (set() if boots_only else {"bench"}))
    workers = os.cpu_count() or 1
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        built = [pool.submit(build, variant) for variant in variants]
        if not boots_only:
            tally.add("the check itself", *pool.submit(timed, selftest.cases).result())
            tally.add("messages", *pool.submit(timed, messages.cases).result())
            tally.add("host tests", *pool.submit(timed, hosttests.cases).result())
        modules = {variant: future.result() for variant, future in zip(variants, built)}
    for variant in variants:
        if modules[variant] is None:
            tally.add("build", [("build the modules (%s)" % variant, False,
                                 ["see above; no boot with them was run"])], 0)
    ready = [boots.make(boot, modules[boot["variant"]]) for boot in wanted
             if modules[boot["variant"]]]
    if modules.get("plain") and not args.debug:
        tally.add("module files", *timed(hosttests.module_cases, modules["plain"]))
    # QEMU's emulation keeps a core busy; as many guests as there are cores.
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        counts = None
        if modules.get("bench") and not boots_only:
            counts = pool.submit(timed, bench_cases, modules["bench"])
        running = {pool.submit(timed, run_boot, boot): boot for boot in ready}
        for future in concurrent.futures.as_completed(running):
            boot = running[future]
            tally.add("boot \"%s\"" % boot.name, *future.result())
        if counts:
            tally.add("what is asked for", *counts.result())
    if boots_only or len(ready) != len(wanted):
        return tally.close()
    seen, seconds = timed(reached.Reached, messages.sources(), [boot.console() for boot in ready])
    why = reached.reasons()
    tally.add("exercised", seen.cases(why), seconds)
    return tally.close(seen.line(), *("  not reached: %s: %s" % (item, why.get(item, "?"))
                                      for item in seen.missed()))


if __name__ == "__main__":
    sys.exit(main())
