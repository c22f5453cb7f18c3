#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""`make bench`: this kernel module against plain C, counted in instructions.

Boots QEMU with -icount shift=0, so that the guest's clock goes one nanosecond for
each instruction, and again without. Both sides run in one boot, by turns. Writes
Documentation/performance.rst and the picture beside it; with --print nothing but
the table is told. With --kept only the counts are taken, in one short boot, and
held against those that are kept in scripts/bench-counts. With --hw nothing is
booted: the table is made of what scripts/bench-hw.sh read on a TDX host.
"""

import argparse
import os
import re
import subprocess
import sys

import guestlog
from qemu import SCRIPTS, Boot

TOP = os.path.dirname(SCRIPTS)
SIZES = [1, 16, 512, 12800, 65536, 262144]
# QEMU counts each turn of a REP string instruction, so clearing a page by ERMS
# would count 4096.
CPU = "max,-erms"
CMDLINE = ("sysctl.vm.mem_profiling=never tdx_emu.pool_pages=300000 tdx_emu.pool_u32=1 "
           "tdx_emu.iommu_mt_pages=8 no_timer_check bench_jobs=")
KEPT = os.path.join(SCRIPTS, "bench-counts")
SIDES = ("ours", "rival")
COUNTED = [1, 16, 512, 12800]


def rounds(pages):
    return 9 if pages <= 512 else 5 if pages <= 12800 else 3


class Figures:
    """What one boot told."""

    def __init__(self, lines):
        self.cost = {}
        self.steps = {}
        self.counts = {}
        self.asked = {}
        self.threads = {}
        for line in lines:
            words = line.split()
            if not words:
                continue
            if words[0] == "calibrate":
                self.cost[words[1]] = int(words[3]) / int(words[2])
            elif words[0] == "time":
                job, side, pages, _, step = words[1:6]
                taken = tuple(map(int, words[6:]))
                self.steps.setdefault((job, side, int(pages)), {}).setdefault(step, []).append(taken)
            elif words[0] == "count":
                job, side, pages, number, step = words[1:6]
                self.counts.setdefault((job, side, int(pages)), {})[step] = list(map(int, words[6:]))
            elif words[0] == "asked":
                job, side, pages, _, *pairs = words[1:]
                self.asked[job, side, int(pages)] = dict(zip(pairs[::2], map(int, pairs[1::2])))
            elif words[0] == "threads":
                side, threads, _, lives, *rest = words[1:]
                self.threads[side, int(threads)] = (int(lives), *map(int, rest))
        for name in self.cost:
            if name != "nothing":
                self.cost[name] -= self.cost.get("nothing", 0)

    def entry(self, step, calls):
        """What the kernel's SEAMCALL entries of a step take, with the traps."""
        if step == "release" and calls:
            return self.cost.get("mem_add", 0) + (calls - 1) * self.cost.get("wbinvd", 0)
        return calls * self.cost.get("mem_add", 0)

    def each(self, job, side, pages, step, left_in=None):
        """Of a step, outside the software TDX Module: what each round took.

        What the kernel's SEAMCALL entries take is taken off, or "entries" are left
        in and the traps taken off, or "traps" are left in too.
        """
        values = []
        for whole, emu, calls in self.steps.get((job, side, pages), {}).get(step, []):
            off = {None: self.entry(step, calls), "entries": calls * self.cost.get("trap", 0),
                   "traps": 0}[left_in]
            values.append(whole - emu - off)
        return values

    def one(self, job, side, pages, step, left_in=None):
        """The best round: instructions of the same step are the same, what is more was a tick."""
        return min(self.each(job, side, pages, step, left_in), default=None)

    def job(self, job, side, pages, left_in=None):
        """Of a whole job, for one page."""
        steps = ["create", "hand_over"] if job == "pool" else list(
            self.steps.get((job, side, pages), {}))
        parts = [self.one(job, side, pages, step, left_in) for step in steps]
        if not parts or None in parts:
            return None
        return sum(parts) / pages

    def rounds_of(self, job, side, pages):
        """The same for each round, in order of what they took."""
        taken = [self.each(job, side, pages, step)
                 for step in self.steps.get((job, side, pages), {})]
        return sorted(sum(values) / pages for values in zip(*taken))

    def add(self, other):
        """Takes over what another boot told of the other side."""
        self.cost = other.cost
        self.steps.update(other.steps)
        return self


def apart(name, mode, sizes, modules):
    """The same jobs by each side in a boot of its own."""
    both = Figures([])
    for side in ("", "-rival"):
        jobs = ["%s:%d:%d:%s%s" % (job, pages, rounds(pages), mode, side)
                for job in ("create", "life") for pages in sizes]
        both.add(boot(name + side, jobs, modules))
    return both


def boot(name, jobs, modules, **options):
    """Runs jobs in one boot; its figures."""
    options = {"nodes": 1, "memory": 3072, "cpus": 1, "icount": True, "cpu": CPU,
               "timeout": 1500, **options}
    machine = Boot(name, modules, ["bench"], os.environ["KERNEL_BUILD"],
                   cmdline=CMDLINE + ",".join(jobs), **options)
    machine.run()
    script, = guestlog.parse(machine.results(), ["bench"], name)
    bad = [case for case in guestlog.verdicts(script) if not case[1]]
    if machine.verdict != "ok" or bad:
        for case, _, details in bad:
            print("not ok %s\n  %s" % (case, "\n  ".join(details)), file=sys.stderr)
        sys.exit("error: boot %s: %s; logs: %s %s" % (name, machine.verdict, machine.console_path,
                                                      machine.results_path))
    return Figures(script.section("bench"))


def timed(sizes):
    jobs = []
    for job in ("create", "life"):
        jobs += ["%s:%d:%d:time" % (job, pages, rounds(pages)) for pages in sizes]
    jobs += ["iommu:8:9:time", "pool:12800:3:time"]
    return jobs


def counted():
    return ["%s:%d:3:count" % (job, pages) for job in ("create", "life") for pages in COUNTED
            ] + ["iommu:8:3:count", "pool:12800:2:count"]


def kept_lines(figures):
    """The counts that must not get worse, of ours, one a line."""
    lines = []
    for job, side, pages in sorted(figures.counts):
        if side != "ours":
            continue
        steps = figures.counts[job, side, pages]
        last = steps["free"]
        held = steps.get("hand_over", steps["create"])
        lines.append("%s %d: page_allocs %d slab_allocs %d bytes_at_rest %d bytes_peak %d %s" % (
            job, pages, last[0], last[4], held[6], last[7],
            " ".join("%s %d" % pair for pair in figures.asked[job, side, pages].items())))
    return lines


def loading(modules):
    """Remapping units, those set up, pages of pool, milliseconds; guest time counts instructions."""
    found = []
    for units, table in ((2, "good"), (64, "many")):
        machine = Boot("bench-load-%d" % units, modules, ["bench-load"], os.environ["KERNEL_BUILD"],
                       cmdline="no_timer_check sysctl.vm.mem_profiling=never", cpus=1, memory=3072,
                       icount=True, cpu=CPU, table=table, timeout=1500)
        machine.run()
        script, = guestlog.parse(machine.results(), ["bench-load"], machine.name)
        bad = [case for case in guestlog.verdicts(script) if not case[1]]
        if machine.verdict != "ok" or bad:
            sys.exit("error: boot %s: %s %s" % (machine.name, machine.verdict, bad))
        for pages in (12800, 25600, 64000):
            said = "\n".join(script.section("load %d" % pages))
            ready = re.search(r"ready in (\d+) ms: .*?, (\d+) IOMMUs", said)
            if not ready:
                sys.exit("error: boot %s does not say how it loaded: %s" % (machine.name, said))
            found.append((units, int(ready.group(2)), pages, int(ready.group(1))))
    return found


def check_kept(modules, update):
    """Cases for `make check`: the counts of ours are no larger than those kept."""
    now = kept_lines(boot("bench-counts", counted(), modules, memory=1024, timeout=180))
    if update:
        with open(KEPT, "w", encoding="ascii") as file:
            file.write("# What each job asks for.  Made by `make bench`; `make check` holds it against"
                       " what it finds.\n" + "\n".join(now) + "\n")
    with open(KEPT, encoding="ascii") as file:
        kept = [line for line in file.read().splitlines() if not line.startswith("#")]
    return compare(kept, now)


def compare(kept, now):
    """A case for each line that is kept: name, verdict, details."""
    found = dict(line.split(": ") for line in now)
    cases = []
    for line in kept:
        job, figures = line.split(": ")
        details = ["kept: " + figures, "now:  " + found.get(job, "not measured")]
        words, there = figures.split(), found.get(job, "").split()
        good = words[::2] == there[::2] and all(
            int(new) <= int(old) for old, new in zip(words[1::2], there[1::2]))
        cases.append(("bench-counts: %s asks for no more than is kept" % job, good,
                      [] if good else details))
    for job in sorted(set(found) - {line.split(": ")[0] for line in kept}):
        cases.append(("bench-counts: %s is kept" % job, False, ["now: " + found[job]]))
    return cases


def modules():
    done = subprocess.run([os.path.join(SCRIPTS, "build.sh"), "bench"], stdout=subprocess.PIPE,
                          text=True)
    if done.returncode:
        sys.exit(1)
    return done.stdout.strip()


def number(value):
    if value is None:
        return "–"
    return "%.0f" % value if abs(value) >= 100 else "%.1f" % value


def rst_table(head, rows):
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    rule = " ".join("=" * width for width in widths)
    line = lambda row: " ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip()
    return "\n".join([rule, line(head), rule, *map(line, rows), rule, ""])


def compared(figures, jobs, left_in=None):
    rows = []
    for job, pages in jobs:
        ours, rival = (figures.job(job, side, pages, left_in) for side in SIDES)
        if ours is None or rival is None:
            continue
        rows.append([job, str(pages), number(ours), number(rival), "%.2f" % (ours / rival)])
    return rst_table(["job", "pages", "ours", "C", "ratio"], rows)


def hardware_tables(figures):
    """What a TDX host took, in cycles of the TSC: for a page by job, and for a SEAMCALL."""
    jobs = sorted({(job, pages) for job, _, pages in figures.steps})
    lines = ["Cycles of the TSC for a page, best of the rounds", "", compared(figures, jobs)]
    rows = [["TDH.PHYMEM.PAGE.WBINVD of a page that is the host's", number(figures.cost["wbinvd"])]
            ] if "wbinvd" in figures.cost else []
    if rows:
        lines += ["", "Cycles of the TSC for a SEAMCALL, the kernel's entry in it", "",
                  rst_table(["leaf", "cycles"], rows)]
    return "\n".join(lines)


def told(command):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                          cwd=TOP).stdout.strip().split("\n")[0]


def machine():
    cpu = "?"
    with open("/proc/cpuinfo", encoding="ascii") as file:
        found = re.search(r"^model name\s*: (.*)$", file.read(), re.MULTILINE)
        cpu = found.group(1) if found else cpu
    build = os.environ["KERNEL_BUILD"]
    kernel = os.path.basename(build).split("-")[0]
    with open(os.path.join(build, ".config"), encoding="ascii") as file:
        config = file.read().split("\n")
    small = "CONFIG_CC_OPTIMIZE_FOR_SIZE=y" in config
    changed = "" if not told(["git", "status", "--porcelain", "rust", "bench"]) else ", changed"
    return [("commit", told(["git", "rev-parse", "--short", "HEAD"]) + changed),
            ("kernel", "Linux %s of make kernel, optimised for %s" % (
                kernel, "size" if small else "performance")),
            ("compilers", "%s; %s" % (told([os.environ.get("RUSTC", "rustc"), "--version"]),
                                      told(["clang" + os.environ.get("LLVM", ""), "--version"]))),
            ("machine", "%s, %d CPUs; %s, %s" % (cpu, os.cpu_count(),
                                                 told(["qemu-system-x86_64", "--version"]),
                                                 "software emulation"))]


def plot(figures, sizes, path):
    """Instructions for one page over the size, by gnuplot."""
    lines = []
    for job in ("create", "life"):
        for side in SIDES:
            for pages in sizes:
                value = figures.job(job, side, pages)
                if value is not None:
                    lines.append("%d %g" % (pages, value))
            lines += ["", ""]
    titles = ["create and free, this module", "create and free, C",
              "whole life, this module", "whole life, C"]
    plots = ", ".join("'-' using 1:2 with linespoints lw 2 title '%s'" % title for title in titles)
    data = "\n".join(lines).split("\n\n\n")
    script = """set terminal svg size 800,480 font 'sans,13' background 'white'
set output '%s'
set logscale xy
set grid
set key outside bottom horizontal
set xlabel 'pages of 4 KiB'
set ylabel 'instructions for a page'
set xtics (1, 16, 512, 12800, 65536, 262144)
plot %s
%s
""" % (path, plots, "".join(part.strip() + "\ne\n" for part in data if part.strip()))
    try:
        subprocess.run(["gnuplot"], input=script, text=True, check=True)
    except FileNotFoundError:
        sys.exit("error: gnuplot is not there: install gnuplot-nox")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--print", action="store_true", help="tell the table, write nothing")
    parser.add_argument("--kept", action="store_true", help="hold the counts against those kept")
    parser.add_argument("--hw", action="store_true", help="make the table of lines on stdin")
    parser.add_argument("--largest", type=int, default=SIZES[-1], help="pages of the largest array")
    args = parser.parse_args()
    if args.hw:
        print(hardware_tables(Figures(sys.stdin)))
        return 0
    built = modules()
    if args.kept:
        cases = check_kept(built, False)
        for name, good, details in cases:
            print("%s %s" % ("ok" if good else "not ok", name), *details, sep="\n  ")
        return 0 if all(case[1] for case in cases) else 1
    sizes = [pages for pages in SIZES if pages <= args.largest]
    from benchdoc import document
    say = lambda text: print("==> " + text, file=sys.stderr, flush=True)
    say("count instructions, first boot")
    first = boot("bench-1", timed(sizes), built)
    say("count instructions, second boot")
    second = boot("bench-2", timed(sizes), built)
    say("each side by itself")
    alone = apart("bench-alone", "alone", [pages for pages in sizes if pages >= 512], built)
    few = [pages for pages in sizes if pages <= 12800]
    say("cold")
    cold = apart("bench-cold", "cold", few, built)
    say("fragmented memory")
    scattered = boot("bench-fragmented", ["fragment"] + [
        "%s:%d:9:time" % (job, pages) for job in ("create", "life") for pages in few], built,
                     memory=1024)
    say("the same without counting")
    clock = boot("bench-clock", timed(few), built, icount=False)
    say("several threads")
    crowd = boot("bench-threads", ["crowd:8:100:%d" % n for n in (1, 2, 4, 8)], built,
                 icount=False, cpus=2, memory=2048)
    say("loading")
    loads = loading(built)
    say("calls, bytes and locks")
    counts = boot("bench-counts", counted(), built, memory=1024)
    check_kept(built, not args.print)
    text = document(sizes, first, second, alone, cold, scattered, clock, crowd, counts, loads)
    print(text)
    if not args.print:
        path = os.path.join(TOP, "Documentation/performance.svg")
        plot(first, sizes, path)
        with open(os.path.join(TOP, "Documentation/performance.rst"), "w", encoding="utf-8") as file:
            file.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
