# SPDX-License-Identifier: GPL-2.0
"""What scripts/bench.py writes down: Documentation/performance.rst."""

import bench

HEAD = """.. SPDX-License-Identifier: GPL-2.0

===========
Performance
===========

Made by ``make bench``; what it finds is written here anew.

What is measured
================

This kernel module against plain C that does the same: ``bench/rival.c``, an array of page pointers
from the bulk allocator, a root page that is filled for each 512, ``__free_page()`` for each. Both
are in one kernel module, call the same SEAMCALL wrappers, are answered by the same ``tdx_emu.ko``,
and run by turns in one boot. The jobs:

``create``
	allocate the pages and free them
``life``
	allocate, hand over by TDH.EXT.MEM.ADD, release, prove each page, free. No leaf of the interface
	releases more than 512 pages, so here the software TDX Module forgets all it has; what comes
	before and after are the product's own steps
``iommu``
	the tables of an IOMMU: two queues and 8 pages, TDH.IOMMU.SETUP and CLEAR, proof, free
``pool``
	allocate, and hand over for good

QEMU runs with ``-icount shift=0``: the guest's TSC goes one further with each instruction, so times are
counts. ``tdx_emu.ko`` takes the time from the entry of its trap handler to its end on the same clock, and
it is taken off. What the trap and the kernel's SEAMCALL entry take is measured in the same boot by
calls in a loop (best of 20 times 50) and taken off for each call; so is what the clock itself and
the choice of the step take. Counts of a round repeat to the instruction, but for timer ticks, of which
there are 250 in a second: one falls into a round now and then, brings the kernel's own work of ten
thousand instructions or more with it, and likes the release, before which the software TDX Module spends
long on forgetting. The best of the rounds is told for each step. Steps with SEAMCALLs are longer than a
tick from 12,800 pages on, and have ticks in them on both sides; creating and freeing so many pages is
only in C, from 65,536 on.

``-cpu max,-erms``: QEMU counts each turn of a REP string instruction. Allocation profiling is off
(``sysctl.vm.mem_profiling=never``), as on distributions; the watch of ``tdx_emu`` on frees and flushes is
not built in.
"""

LOOPS = """
The two loops
=============

As ``llvm-objdump -d`` shows them in ``tdx_pages.ko``. Each has a loop for pages in a row and another for
single ones. Filling a root page, in ``custody::feed``, two pages in a row at a time; C takes 7 or 8 for
one, with its pointers loaded and made addresses::

	movq  %rdx, %r15	the entry's number, for both
	cmpq  $0x1ff, %rdx	within the root page?
	ja
	movq  %rbp, %rdx	a copy, for the mask alone
	andq  %r10, %rdx	an Hpa has no bits but those of an address: its invariant, made by a
				mask; what would prove that it is so already is not known here
	movq  %rdx, (%rax,%r15,8)	the entry
	leaq  0x1(%r15), %rdx
	cmpq  $0x1ff, %rdx
	ja
	leaq  0x1000(%rbp), %r9	the next page
	andq  %r10, %r9
	movq  %r9, 0x8(%rax,%r15,8)
	jmp
	addq  $0x2000, %rbp
	incq  %rdx
	addq  $-0x2, %r8	the end of the block?
	je

The masks and the bounds could go, were an address taken unchecked and an entry stored so: seven of 17, and
the promises of two types. A single page takes 16: its block is read, and looked at for whether it is one.

Proving a page in a row, in ``custody::lent``; C takes 14::

	movq  %r12, %rsi
	shrq  $0xc, %rsi
	movabsq $0xffffffffff, %rax
	andq  %rax, %rsi	as above: the mask of an Hpa
	movq  0x40(%rsp), %rdi	the KeyID
	callq tdh_phymem_page_wbinvd_hkid
	testq %rax, %rax	each status is looked at
	jne
	orq   %rbp, %r14	this page is proved
	addq  %rbp, %rbp	the bit of the next one
	addq  $0x1000, %r12
	movq  %r14, %r13
	decq  %r15	the end of the block, or of the run
	jne

The mask, and a move for the way of a failed proof, which is behind the loop, could go: three of 14, beside
a WBINVD. A single page takes 23. For each 16 pages, in however many blocks, there are some 190 more:
whether the system goes down, the RCU read section in which that is good, two looks at the time and the
counter of proofs, the bits of the pages, and the point where others may run. The two trace points are a
``nopl`` each.

One page
========

What the page allocator itself takes for a page by the lists of each CPU, 511 instructions to allocate
and 249 to free it, is two thirds of what C takes in all: 0.6 of it, which is the goal, is below the
allocator's own floor in this kernel, however little is done beside it. What is done beside it is some
210 here and 360 in C, which has an array to allocate. A slab of pages would be below the goal, but a page
in quarantine would keep its seven neighbours.

Handing over and releasing one page takes what C does not do at all: a record that is allocated and
freed (300), the user's account (220), a root page borrowed and returned (95), the counters and times of
SEAMCALLs (130), what is around a run of proofs (190), and the locks, references and moves between
them (some 900). In C a root page is allocated and freed for it (some 750). But for the proofs none of it
grows with the pages. So the whole life of one page is dearer than in C, and that of 16 pages is at half
of C's, not at a third, which is the goal: a third is some 2,600 instructions, and creating and freeing
alone take 1,570 of them, nearly all in the allocator. From there on it falls; and with cold lists, which
C fills page by page, it is below a third from 16 pages on.

Scattered memory
================

With single pages only, both sides do the same: pages in bulk, one free for each. What ours takes more
is to turn each pointer to a page into its address, once, five instructions; and some 570 for each array,
for the look at what there is and for an array by the kernel's Rust allocator; in a life the record, the
account and the proof bits besides. What is in larger pieces even here, a few pages that were freed since,
is taken as such where it is worth it, and decides whether 16 pages cost a quarter of C's or a tenth more.

Large blocks are not asked for where the allocator would have to take them from what is for others: one
such try costs as much as some hundred single pages, and makes it shrink the lists of the CPUs. The array
itself, of C as of ours, is such a try from 1,024 pages on. It wakes kswapd, and whether that is at work
decides how many pages a CPU's list may hold: freeing a page costs 250 or 450 instructions by it, on either
side, and taking one 130 or 240. So compare the rows within one boot, and the median with the best.
"""

COMPARABLE = """
What is comparable
==================

Instructions are no time: a WBINVD of a page takes some thousand cycles on hardware and hides most of
what is counted here. Ratios between the two sides say who does less beside that. The kernel is
optimised as those of distributions are, but has fault injection built in, and no memory control groups.
Figures of the boot without counting are nanoseconds of an emulated CPU on a shared machine, where an
instruction that is seldom run costs much more than one in a loop. Lives of few pages take microseconds
that differ from boot to boot by as much as the sides do; what they take on hardware is not known.

On a TDX host
=============

``make bench HW=1`` runs on the machine itself, as root, with the kernel that is running: it builds,
loads and measures with the real TDX Module, in cycles of the TSC, and makes the same table. The job
``create`` and TDH.PHYMEM.PAGE.WBINVD of a free page change nothing. Jobs that need the software TDX
Module's forgetting are left out. What cannot be undone is done where it is asked for: with ``POOL=1``
loading hands the pool over, with ``IOMMU=1`` it sets the IOMMUs up. How long each leaf took, as debugfs
``tdx_pages/seamcalls`` tells it, ends the output. Where there is no TDX it says so and does nothing,
which is as far as it has come here; the table was tried with what a boot in QEMU wrote. Nobody has
published such figures yet. Please send the whole output, with the memory population, as an issue of
this project.
"""


def counts_table(figures):
    rows = []
    for job, side, pages in sorted(figures.counts, key=lambda key: (key[0], key[2], key[1])):
        steps = figures.counts[job, side, pages]
        last, held = steps["free"], steps.get("hand_over", steps["create"])
        asked = dict(figures.asked[job, side, pages])
        handle, passes = asked.pop("handle"), asked.pop("passes")
        proofs = asked.pop("PHYMEM.PAGE.WBINVD", 0)
        others = ", ".join("%s %d" % pair for pair in asked.items())
        rows.append([job, "C" if side == "rival" else side, str(pages), str(proofs), others or "0",
                     str(passes), str(last[0]), str(last[1]), str(last[4]), str(held[6]),
                     str(last[7]), str(handle), str(last[8]), str(longest(steps))])
    return bench.rst_table(["job", "side", "pages", "WBINVDs", "other SEAMCALLs", "passes",
                            "page allocs", "page frees", "kmallocs", "bytes at rest", "peak",
                            "handle", "mutexes", "longest stretch"], rows)


def longest(steps):
    """Between two points where others may run; the counters of leaves are read in it, too."""
    return max(steps[step][9] for step in steps if step != "release")


def threads_table(figures):
    rows = []
    for side, threads in sorted(figures.threads, key=lambda key: (key[1], key[0])):
        lives, locks, shared, waits, spins = figures.threads[side, threads]
        per = lambda value: "%.2f" % (value / (lives * threads))
        rows.append([str(threads), "C" if side == "rival" else side, per(locks), per(shared),
                     per(waits), per(spins)])
    return bench.rst_table(["threads", "side", "mutexes", "shared ones", "waits", "spin waits"],
                           rows)


def load_table(loads):
    rows = [[str(units), str(up), "%d" % (pages * 4096 >> 20), str(pages), str(ms)]
            for units, up, pages, ms in loads]
    return bench.rst_table(["remapping units", "set up", "MiB of pool", "pages", "ms"], rows)


def furthest(first, second, jobs):
    """How far two boots differ, at most, in percent."""
    most = 0.0
    for job, pages in jobs:
        for side in bench.SIDES:
            one, two = first.job(job, side, pages), second.job(job, side, pages)
            if one and two:
                most = max(most, abs(one / two - 1) * 100)
    return most


def steps_table(figures, sizes):
    rows = []
    for pages in sizes:
        for side in bench.SIDES:
            values = [figures.one("life", side, pages, step)
                      for step in ("create", "hand_over", "release", "free")]
            if None not in values:
                rows.append([str(pages), "C" if side == "rival" else side]
                            + [bench.number(value / pages) for value in values])
    return bench.rst_table(["pages", "side", "create", "hand over", "release", "free"], rows)


def spread_table(figures, jobs):
    """The best round, and the one in the middle."""
    rows = []
    for job, pages in jobs:
        ours, rival = (figures.rounds_of(job, side, pages) for side in bench.SIDES)
        if not ours or not rival:
            continue
        row = [job, str(pages)]
        for at in (lambda values: values[0], lambda values: values[len(values) // 2]):
            row += [bench.number(at(ours)), bench.number(at(rival)), "%.2f" % (at(ours) / at(rival))]
        rows.append(row)
    head = ["job", "pages", "ours", "C", "ratio", "ours, median", "C, median", "ratio, median"]
    return bench.rst_table(head, rows)


def section(title, *parts):
    return "\n%s\n%s\n\n%s" % (title, "-" * len(title), "\n".join(parts))


def document(sizes, first, second, alone, cold, scattered, clock, crowd, counts, loads):
    """The whole page."""
    jobs = [(job, pages) for job in ("create", "life") for pages in sizes] + [
        ("iommu", 8), ("pool", 12800)]
    few = [job for job in jobs if job[1] <= 12800]
    out = [HEAD, "\nWhere\n=====\n\n",
           bench.rst_table(["what", "which"], [list(row) for row in bench.machine()]),
           "\nInstructions for a page\n=======================\n",
           "\n.. image:: performance.svg\n",
           section("Warm, without what SEAMCALLs cost", bench.compared(first, jobs)),
           section("The same in a second boot", bench.compared(second, jobs),
                   "The two boots differ by %.2f %% at most.\n" % furthest(first, second, jobs)),
           section("Each side by itself", "By turns, a side pays for what the other leaves behind: a"
                   " round of the other may find the free pages\nthat C gave back one by one on the"
                   " lists of the CPU, or the kernel busy taking them from there.\n",
                   bench.compared(alone, [job for job in jobs if job[1] >= 512 and job[0] != "pool"])),
           section("Warm, with the kernel's SEAMCALL entries",
                   bench.compared(first, jobs, left_in="entries")),
           section("Step by step", steps_table(first, sizes)),
           section("Cold", "Before each round the lists of the CPUs are drained, so all pages come from"
                   " the zone's free lists;\neach side in a boot of its own.\n",
                   bench.compared(cold, few)),
           section("Fragmented", "Single pages only: every second page of the machine is kept by"
                   " somebody else. By turns, nine rounds;\nthe last columns are their median.\n",
                   spread_table(scattered, few)),
           section("Without counting", "Nanoseconds for a page, the software TDX Module taken off,"
                   " the traps and the kernel's\nSEAMCALL entries not: they are two microseconds each.\n",
                   bench.compared(clock, few, left_in="traps")),
           "\nCalls, bytes and locks\n======================\n\n",
           "Counted in rounds that are not timed, by trace points, probes and the software TDX"
           " Module. Bytes at\nrest are those while the pages are held; a handle is part of who uses"
           " it. A pass goes through all\npages of the list, or through all its blocks to free them:"
           " to fill root pages, to check a list that\ncame back, to prove, to free. The longest stretch"
           " without a point where another task may run is in\ninstructions, with probes and the"
           " software TDX Module in it, and without the release, in which that\nforgets: in a life it is"
           " one EXT.MEM.ADD of 512 pages, or, in C, the allocation of many.\n\n",
           counts_table(counts),
           section("Several threads", "Each creates, sets up, clears and frees IOMMU tables, 100"
                   " times, on 2 emulated CPUs; mutexes for\neach life. A shared one was taken by"
                   " another thread as well. Four of the nine are the same for all:\nthat of the leaves"
                   " that the TDX Module resumes internally, of which IOMMU.SETUP and IOMMU.CLEAR\nare"
                   " two, lets one be under way at a time, and with it in hand the list of ids is"
                   " looked at. What is\nmore than four is an address that another thread has used"
                   " before: that of a record that is freed by now,\nand of the ledger's book that"
                   " goes with it.\n",
                   threads_table(crowd)),
           section("Loading", "From ``insmod`` to \"ready\", in milliseconds of guest time with"
                   " an instruction a nanosecond, the\nsoftware TDX Module and its traps in it.\n",
                   load_table(loads)), LOOPS, COMPARABLE]
    return "".join(out)
