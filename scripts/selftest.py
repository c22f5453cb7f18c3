# SPDX-License-Identifier: GPL-2.0
"""Tests of the check: what must turn it red does, and what must not does not."""

import os
import re
import subprocess
import tempfile

import balance
import bench
import coverage
import dmar
import guestlog
import hosttests
import ktap
import looktest
import messages
import reached
from qemu import SCRIPTS

PATCH = "scripts/kernel/patches/0001-x86-virt-tdx-Open-SEAMCALL-to-a-driver.patch"

SLICE = """KTAP version 1
1..1
    KTAP version 1
    # Subtest: st_suite
    # module: tdx_pages
    1..3
    ok 1 first
    ok 2 second
    ok 3 third
# st_suite: pass:3 fail:0 skip:0 total:3
# Totals: pass:3 fail:0 skip:0 total:3
ok 1 st_suite""".splitlines()

REPORT = """@@ script st
@@ plan 2
@@ scenario one
@@ allow WARNING: expected
@@ ok a
@@ section text
@@x a line of a file
@@ section-end text
@@ scenario two
@@ ok b
@@ done st
@@ bye""".splitlines()

CONSOLE = """[    0.000000] Linux version 7.3
[    1.000000] @@ script st
[    1.100000] @@ scenario one
[    1.200000] WARNING: expected here
[    1.300000] @@ scenario two
[    1.400000] tdx_pages: all is well""".splitlines()

CARGO = """running 2 tests
test abi::a ... ok
test abi::b ... ok

test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out""".splitlines()


def swap(lines, old, new):
    """The lines with a part replaced, which must be there; with None, the line goes."""
    assert any(old in line for line in lines), old
    if new is None:
        return [line for line in lines if old not in line]
    return [line.replace(old, new) for line in lines]


def red(cases):
    """Whether some case failed."""
    return any(not passed for _, passed, _ in cases)


def kunit(slices, wanted):
    path = os.path.join(os.environ["KERNEL_BUILD"], "source/tools/testing/kunit/kunit.py")
    console = [line for lines in slices.values() for line in lines]
    return ktap.verdicts(path, slices, wanted, console)


def ktap_cases():
    bad = swap(swap(SLICE, "    ok 2 second", "    # second: EXPECTATION FAILED\n    not ok 2 second"),
               "ok 1 st_suite", "not ok 1 st_suite")
    bad = "\n".join(bad).splitlines()
    three = {"st_suite": 3}
    good = kunit({"st_suite": SLICE}, three)
    failing = kunit({"st_suite": bad}, three)
    yield "a good KTAP slice is green", not red(good) and len(good) == 4
    yield "a failing KTAP slice is red", \
        [name for name, passed, _ in failing if not passed] == ["st_suite.second"]
    yield "a failing KTAP case comes with its reason", \
        any("EXPECTATION FAILED" in line for _, _, details in failing for line in details)
    yield "a KTAP slice that stops half-way is red", red(kunit({"st_suite": SLICE[:7]}, three))
    yield "a skipped KTAP case is red", red(kunit(
        {"st_suite": swap(SLICE, "ok 2 second", "ok 2 second # SKIP nobody there")}, three))
    yield "an empty KTAP slice is red", red(kunit({"st_suite": []}, three))
    yield "a missing suite is red", red(kunit({"st_suite": SLICE}, {"st_suite": 3, "other": 1}))
    yield "an unknown suite is red", red(kunit({"st_suite": SLICE, "new": SLICE}, three))
    yield "another number of cases is red", red(kunit({"st_suite": SLICE}, {"st_suite": 4}))
    yield "no suite at all is red", red(kunit({}, {}))


def report_cases():
    def run(report, console=tuple(CONSOLE)):
        scripts = guestlog.parse(report, ["st"])
        cases = [case for script in scripts for case in guestlog.verdicts(script)]
        return cases + [guestlog.scan("st", console, scripts)]

    yield "a good report is green", not red(run(REPORT)) and len(run(REPORT)) == 3
    yield "a file's line that looks like a mark is text", \
        guestlog.parse(REPORT, ["st"])[0].section("text") == ["@@x a line of a file"]
    yield "a failed check is red", red(run(swap(REPORT, "@@ ok b", "@@ not ok b")))
    yield "a check less than planned is red", red(run(swap(REPORT, "@@ ok b", None)))
    yield "a report without a plan is red", red(run(swap(REPORT, "@@ plan 2", None)))
    yield "a script that ended early is red", red(run(swap(REPORT, "@@ done st", None)))
    yield "a script that failed as a whole is red", red(run(swap(REPORT, "done st", "died st 2")))
    yield "a script that never began is red", red(run([]))
    for line in ("BUG: kernel NULL pointer dereference", "Oops: 0000 [#1]", "WARNING: CPU: 0",
                 "WARNING: possible recursive locking detected", "refcount_t: underflow",
                 "kmemleak: 3 new suspected memory leaks", "Out of memory: Killed process 60",
                 "UBSAN: shift-out-of-bounds", "Kernel panic - not syncing"):
        yield "\"%s\" is red" % line, red(run(REPORT, CONSOLE + ["[    2.000000] " + line]))
    yield "a line allowed elsewhere is red", red(
        run(REPORT, CONSOLE + ["[    2.000000] WARNING: expected here"]))
    yield "a console that was not recorded is red", red(run(REPORT, []))

    def owned(*lines):
        return guestlog.accounted("st", ["[    0.0] Command line: page_owner=on"] + list(lines))

    left = "x.c:9 module tdx_pages func:f has 8192 allocated at module unload"
    yield "pages that are known to be left are green", not red(owned(left, "@@ page_owner: 2"))
    yield "a page that nobody knows of is red", red(owned(left, "@@ page_owner: 3"))
    yield "a page that is known to be left and is free is red", red(owned(left, "@@ page_owner: 1"))
    yield "page_owner on and never asked is red", red(owned(left))
    yield "page_owner off says nothing", guestlog.accounted("st", [left, "@@ page_owner: 3"]) == []


def cargo_cases():
    def run(lines, status=0):
        return hosttests.cargo_cases("\n".join(lines), status)

    yield "good host tests are green", not red(run(CARGO)) and len(run(CARGO)) == 2
    yield "a failing host test is red", red(run(
        swap(swap(CARGO, "b ... ok", "b ... FAILED"), "2 passed; 0 failed", "1 passed; 1 failed")))
    yield "an ignored host test is red", red(run(
        swap(swap(CARGO, "b ... ok", "b ... ignored"), "2 passed; 0 failed; 0 ignored",
             "1 passed; 0 failed; 1 ignored")))
    yield "host tests that do not compile are red", red(run(["error: no"], 101))
    yield "no host test is red", red(run(["test result: ok. 0 passed; 0 failed; 0 ignored"]))
    yield "a host test that cargo did not count is red", red(run(swap(CARGO, "2 passed", "1 passed")))


def demo_report(change=None):
    """The report of a good demo, with one part of it changed."""
    lines = """@@ script demo
@@ section messages-unload
[    3.000000] rust/helpers/mm.c:9 module tdx_pages func:f has 52428800 allocated at module unload
@@ section-end messages-unload
@@ section allocinfo-before
     4096 1 rust/helpers/slab.c:6 func:rust_helper_krealloc_node_align
@@ section-end allocinfo-before
@@ section allocinfo-after
     4096 2 rust/helpers/slab.c:6 func:rust_helper_krealloc_node_align
@@ section-end allocinfo-after
@@ section state
handed_over 12824
released 24
pool 12800
held 0
unproved 0
host_bugs 0
@@ section-end state
@@ section seamcalls
TDH.EXT.MEM.ADD 25 25 0
TDH.EXT.INIT 1 1 0
TDH.IOMMU.SETUP 2 2 0
TDH.IOMMU.CLEAR 2 2 0
TDH.PHYMEM.PAGE.WBINVD 24 24 0
@@ section-end seamcalls""".splitlines()
    return swap(lines, *change) if change else lines


def demo_cases():
    def faults(change=None):
        script, = guestlog.parse(demo_report(change), ["demo"])
        return balance.Balance(script).check()

    yield "a good demo is green", not faults()
    for what, change in (
            ("a page that was not released", ("released 24", "released 23")),
            ("a page still held", ("held 0", "held 1")),
            ("a page released and not proved", ("unproved 0", "unproved 1")),
            ("a page lost by our own call site", ("52428800", "52432896")),
            ("less left than is held for good", ("52428800", "52424704")),
            ("a record lost through the kernel crate", ("     4096 2", "     8192 2")),
            ("a bug of the host", ("host_bugs 0", "host_bugs 1")),
            ("a call too many", ("MEM.ADD 25 25", "MEM.ADD 26 26")),
            ("a call that failed", ("CLEAR 2 2 0", "CLEAR 2 1 1")),
            ("a state without a line", ("pool 12800", None))):
        yield "%s makes the demo red" % what, bool(faults(change))


def table_cases():
    tables = dmar.tables()
    for name, table in tables.items():
        yield "ACPI takes the DMAR table \"%s\"" % name, \
            sum(table) & 0xff == 0 and int.from_bytes(table[4:8], "little") == len(table)
    yield "no two DMAR tables are alike", len(set(tables.values())) == len(tables)


SAID = [("rust/tdx_pages/a.rs", '''
    pr_err!("{}: lost {} pages, \\"for good\\"\\n", owner, pages);
    pr_warn!(
        "{}: a long line, which goes on \\
         here\\n",
        owner
    );
#[cfg(test)]
mod tests {
    pr_err!("not ours\\n");
'''), ("rust/helpers/emu_x.c", '''	pr_info("page %#llx" " is back\\n", hpa);''')]
TOLD = """Ten failures::

    tdx_pages: iommu 0x1: lost 3 pages,
        "for good"

``{}: lost {} pages, "for good"``
    *err.* Pages are lost.

``{}: a long line, which goes on here``
    *warn.* Nothing is lost.

``page %#llx is back``
    *info.* As it should be.
"""


def message_cases():
    """The table of messages against sources, of which one thing each is wrong."""
    def wrong(page, files=SAID):
        return messages.faults(messages.of_sources(files), page)

    def one(page, wanted, files=SAID):
        found = wrong(page, files)
        return len(found) == 1 and bool(re.search(wanted, found[0]))

    yield "a table of all messages is green", wrong(TOLD) == []
    yield "a message that is not in the table is red", one(
        TOLD.replace("``page %#llx is back``", "page"), "emu_x.c:1: page .* is not in the table")
    yield "a message with another level is red", one(
        TOLD.replace("*warn.*", "*err.*"), "a.rs:3: .* is in the table as err, not as warn")
    yield "a message of no source is red", one(
        TOLD + "\n``gone``\n    *err.* Gone.\n", "in no source: gone")
    yield "a message that is there twice is red", one(
        TOLD + "\n``page %#llx is back``\n    *info.* Again.\n", "2 times in the table: page")
    yield "a quoted line that nobody says is red", one(
        TOLD.replace("lost 3 pages,\n", "lost 3 books,\n"), "said by no source: .*lost 3 books")
    yield "a line of another kernel module is red", one(
        TOLD.replace("    tdx_pages: iommu", "    tdx_emu: iommu"), "said by no source: tdx_emu")
    yield "an empty table is red", "the table is empty" in wrong("")
    yield "the sources have messages of both kernel modules", \
        {message.module for message in messages.of_sources(messages.sources())} \
        == {"tdx_pages", "tdx_emu"}
    yield "what the suites say is no message", \
        not any("/suite" in path for path, _ in messages.sources())


FAKE_CONFIG = """CONFIG_RUST=y
CONFIG_INTEL_TDX_HOST=y
CONFIG_CC_IS_CLANG=y
CONFIG_CLANG_VERSION=190107
CONFIG_RUSTC_VERSION_TEXT="%s"
"""


def tree_cases():
    """check-tree.sh on kernel build directories of which one thing each is wrong."""
    rustc = subprocess.run([os.environ["RUSTC"], "--version"], stdout=subprocess.PIPE,
                           text=True, check=True).stdout.strip()
    patch = os.path.join(os.path.dirname(SCRIPTS), PATCH)
    with open(patch) as file:
        symbols = re.findall(r"^\+EXPORT_SYMBOL_FOR_\w+\((\w+)", file.read(), re.M)
    release = "include/config/kernel.release"
    good = {"Makefile": "", ".config": FAKE_CONFIG % rustc, "rust/libkernel.rmeta": "",
            release: "7.3.4-local\n",
            "Module.symvers": "".join("0x0\t%s\tvmlinux\tEXPORT_SYMBOL_GPL\tmodule:kvm,tdx_pages\n"
                                      % symbol for symbol in symbols if symbol != "symbol")}

    def told(change, *options):
        """What check-tree.sh says of the good tree with some files changed, as lines."""
        with tempfile.TemporaryDirectory() as tree:
            for name, content in {**good, **change}.items():
                path = os.path.join(tree, name)
                os.makedirs(os.path.dirname(path), exist_ok=True)
                if content is not None:
                    with open(path, "w") as file:
                        file.write(content)
            done = subprocess.run([os.path.join(SCRIPTS, "check-tree.sh"), *options, tree],
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, text=True)
            lines = done.stdout.splitlines()
            return lines if (done.returncode == 0) == (not lines) else lines + ["wrong status"]

    def without(name, text, new=""):
        assert text in good[name], text
        return {name: good[name].replace(text, new)}

    yield "a good kernel tree is taken", told({}) == []
    for what, change, wanted in (
            ("no kernel build dir", {"Makefile": None}, "not a kernel build dir.*KDIR="),
            ("no configuration", {".config": None}, "not a kernel build dir.*KDIR="),
            ("an older kernel", {release: "6.1.0-56-amd64\n", ".config": "CONFIG_X=y\n"},
             "is Linux 6.1.0-56-amd64, and 7.2 is the oldest that will do: give"),
            ("no CONFIG_RUST", without(".config", "CONFIG_RUST=y\n"),
             "no CONFIG_RUST: .*rustavailable"),
            ("no Rust artefacts", {"rust/libkernel.rmeta": None}, "rust/libkernel.rmeta.*: build"),
            ("another rustc", without(".config", rustc, "rustc 1.0.0 (old)"),
             r"'rustc 1\.0\.0 \(old\)', than '%s'.*RUSTC=" % re.escape(rustc)),
            ("no TDX host", without(".config", "CONFIG_INTEL_TDX_HOST=y\n"),
             "no CONFIG_INTEL_TDX_HOST: .*scripts/kernel/config"),
            ("no Module.symvers", {"Module.symvers": None}, "no Module.symvers: apply.*patch"),
            ("a symbol that is not there", without("Module.symvers", "\ttdx_seamcall\t", "\tx\t"),
             "does not export to tdx_pages: tdx_seamcall: apply.*patch"),
            ("symbols for others only", without("Module.symvers", ",tdx_pages"),
             "does not export to tdx_pages: .*tdx_get_global_keyid.*: apply.*patch")):
        lines = told(change)
        yield "a kernel tree with %s: one line tells the cure" % what, \
            len(lines) == 1 and bool(re.search(wanted, lines[0]))
    lines = told({".config": "CONFIG_CC_IS_CLANG=y\nCONFIG_CLANG_VERSION=190107\n"})
    yield "a kernel tree with two things wrong: a line for each", len(lines) == 2
    yield "a kernel tree of 7.2, and one that does not tell its release, is taken", \
        told({release: "7.2.12\n"}) == [] and told({release: None}) == []
    yield "a newer kernel tree is taken, with a line that says so", \
        [line.partition(":")[0] for line in told({release: "7.10.0\n"})[:-1]] == [
            "Linux 7.10 is not one of those that are known to work"]
    yield "a good kernel tree is taken in brief, too", told({}, "--brief") == [] \
        and told({release: "7.10.0\n"}, "--brief") == []
    yield "an older kernel tree: one line for dkms", \
        told({release: "6.1.0\n"}, "--brief") == ["it is older than Linux 7.2"]
    yield "a kernel tree with two things wrong: one line for dkms", \
        told({".config": "CONFIG_CC_IS_CLANG=y\nCONFIG_CLANG_VERSION=190107\n"}, "--brief") == \
        ["no CONFIG_RUST, no CONFIG_INTEL_TDX_HOST"]
    done = subprocess.run(["bash", "-c", '. "%s/lib.sh"; tool_env; echo on' % SCRIPTS],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                          env={"PATH": os.environ["PATH"], "RUSTC": "/nonexistent", "KDIR": "x"})
    yield "a rustc that is not there ends no script in silence", done.stdout == "on\n"
    for name in ("a b", "a:b"):
        done = subprocess.run([os.path.join(SCRIPTS, "kmake.sh"), "modules"], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              env=dict(os.environ, KMAKE_DIR="/nonexistent/" + name, KDIR="/nonexistent"))
        yield "sources in \"%s\": the cure" % name, done.returncode == 1 and \
            "no blank or colon" in done.stdout and "move /nonexistent/" + name in done.stdout


SOURCE = '''pr_err!("{}: {} pages lost\\n", owner, lost);
pr_info!(
    "{}: {} pages lost, {} \\"came\\" back\\n",
    owner,
);
pr_warn!("never said\\n");
pr_err!("nobody \\
         says that {{}} {:#x}\\n", 1);
#[cfg(test)]
mod tests { pr_err!("of a test\\n"); }
'''
REACHED = """[    1.0] tdx_pages: a: 3 pages lost
[    1.1] tdx_pages: a: 3 pages lost, 4 "came" back
[    1.2] tdx_pages: reached: transition Host -> Held: 2
[    1.3] tdx_pages: reached: transition Held -> Host: 0
[    1.4] tdx_pages: reached: status TDX_SUCCESS: 9
[    1.5] tdx_pages: reached: leaf TDH.EXT.INIT succeeds: 1
[    1.6] tdx_emu: never said
[    1.7] tdx_pages: nobody says that {} 0x7""".splitlines()
WHY = {"message tdx_pages: never said": "as you see", "transition Held -> Host": "it stays"}


def reached_cases():
    def run(said=tuple(REACHED), why=WHY):
        seen = reached.Reached([("rust/tdx_pages/a.rs", SOURCE)], [list(said)])
        return seen, seen.cases(why)

    def bad(*args, **named):
        return [passed for _, passed, _ in run(*args, **named)[1]]

    seen, good = run()
    yield "what is not reached and has a reason is green", not red(good)
    yield "messages, transitions, statuses and leaves are counted", seen.line() == \
        "exercised: messages 3 of 4, transitions 1 of 2, statuses 1 of 1, answers of leaves 1 of 1"
    yield "what is not reached is listed", sorted(seen.missed()) == sorted(WHY)
    yield "a message that is not reached is red", \
        bad(why={"transition Held -> Host": "it stays"}) == [False, True, True]
    yield "a message that begins like another one is not taken for it", \
        bad(swap(REACHED, "3 pages lost,", "3 pages,")) == [False, True, True]
    yield "a transition that is not reached is red", \
        bad(why={"message tdx_pages: never said": "as you see"}) == [False, True, True]
    yield "a reason without words is red", \
        bad(why=dict(WHY, **{"transition Held -> Host": ""})) == [False, True, True]
    yield "a reason for what is reached is red", \
        bad(why=dict(WHY, **{"status TDX_SUCCESS": "no"})) == [True, False, True]
    yield "a reason that speaks of luck may be reached", \
        not red(run(why=dict(WHY, **{"status TDX_SUCCESS": reached.LUCK + " rare"}))[1])
    yield "a reason for what there is not is red", \
        bad(why=dict(WHY, **{"status TDX_NONE": "no"})) == [True, False, True]
    yield "a status that was not counted is red", \
        bad(swap(REACHED, "TDX_SUCCESS: 9", None)) == [False, True, True]
    yield "a transition that there is not is red", bad(
        REACHED + ["[ 2.0] tdx_pages: reached: no such transition: Held -> Lost"]) == [True, True, False]
    yield "each reason in scripts/not-reached has words", all(reached.reasons().values())


def coverage_cases():
    def region(line, to_line, count, path="abi/hpa.rs", kind=0):
        return {"filenames": [os.path.join(coverage.RUST, path)],
                "regions": [[line, 1, to_line, 9, count, 0, 0, kind]]}

    def counts(*functions):
        files = coverage.measure({"data": [{"functions": functions}]})
        return {name: file.counts() for name, file in files.items()}

    yield "lines and regions that are covered are counted", \
        counts(region(1, 4, 1), region(3, 3, 0)) == {"abi/hpa.rs": (3, 4, 1, 2)}
    yield "what one of a function's types covers is covered", \
        counts(region(1, 1, 0), region(1, 1, 5)) == {"abi/hpa.rs": (1, 1, 1, 1)}
    yield "tests and gaps do not count", counts(
        region(1, 1, 0, "host/world.rs"), region(1, 1, 0, "tdx_emu/model/tests/host.rs"),
        region(1000, 1000, 0), region(1, 1, 0, kind=3)).get("abi/hpa.rs", (0,) * 4) == (0,) * 4
    least = {"lines": 90.0, "regions": 80.0}
    yield "coverage at the floor is green", not coverage.verdict([9, 10, 8, 10], least)
    yield "lines below the floor are red", len(coverage.verdict([8, 10, 9, 10], least)) == 1
    yield "regions below the floor are red", len(coverage.verdict([9, 10, 7, 10], least)) == 1
    yield "scripts/coverage-floor has both", set(coverage.floors()) == set(least)
    yield "line numbers are told as ranges", coverage.ranges([9, 3, 7, 8]) == "3, 7-9"


def bench_cases():
    def good(kept, now):
        return all(case[1] for case in bench.compare(kept, now))

    kept = ["life 16: proofs 16 kmallocs 2", "create 1: proofs 0 kmallocs 1"]
    yield "counts as kept are taken", good(kept, kept)
    yield "fewer of something are taken", good(kept, [kept[0].replace("kmallocs 2", "kmallocs 1"),
                                                      kept[1]])
    yield "one more of something is not", not good(kept, [kept[0].replace("proofs 16", "proofs 17"),
                                                          kept[1]])
    yield "a job that is left out is told", not good(kept, kept[:1])
    yield "a job that is not kept is told", not good(kept[:1], kept)
    yield "another figure under a job is told", not good(kept[:1], ["life 16: proofs 16"])
    many = dmar.many(64)
    yield "a DMAR table of 64 units has the length it tells", \
        len(many) == dmar.BODY + 64 * 36 and sum(many) & 0xff == 0


def series_cases():
    """series.sh on what there may be one day: which series is taken, or what the one line tells."""
    def run(wanted, offered):
        done = subprocess.run([os.path.join(SCRIPTS, "series.sh"), wanted] + offered.split(),
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True)
        return done.returncode == 0, done.stdout.strip(), done.stderr.splitlines()

    for wanted, offered, taken in (("", "7.2 7.3", "7.3"), ("", "7.4 7.2 7.3 7.10 6.12", "7.3"),
                                   ("7.2", "7.2 7.3", "7.2")):
        yield "of Linux %s, KERNEL=%s takes %s without a word" % (offered, wanted, taken), \
            run(wanted, offered) == (True, taken, [])
    for wanted, offered, taken, told in (
            ("", "7.2 7.4", "7.2", r"no source package of Linux 7\.3 any more: 7\.2"),
            ("7.4", "7.3 7.4", "7.4", r"7\.4 is not .* known to work: 7\.3 7\.2"),
            ("", "7.10 7.5", "", r"newer kernels only \(7\.10 7\.5\); known to work: 7\.3 7\.2\b"),
            ("", "6.12", "", r"no source package .*known to work \(7\.3 7\.2\); there are: 6\.12"),
            ("", "", "", "no source package .*there are: none"),
            ("7.2", "7.3 7.4", "", r"no source package of Linux 7\.2; there are: 7\.4 7\.3")):
        found, series, lines = run(wanted, offered)
        yield "of Linux %s, KERNEL=%s takes %s and says so" % (offered, wanted, taken or "none"), \
            found == bool(taken) and series == taken and bool(re.search(told, lines[0])) and \
            (bool(taken) or "KDIR=" in lines[-1])
    text = run("", "7.10 7.5")[2]
    yield "of newer kernels the next one is named to try", "KERNEL=7.5" in "".join(text)


def cases():
    """All of it, as (name, passed, details)."""
    return [("self-test: " + name, passed, []) for group in
            (ktap_cases, report_cases, cargo_cases, demo_cases, table_cases, tree_cases,
             reached_cases, coverage_cases, message_cases, looktest.cases, bench_cases, series_cases)
            for name, passed in group()]
