# SPDX-License-Identifier: GPL-2.0
"""The demo's figures: what was handed over, and where every page of it is now.

None of them is counted by the kernel module under test.  Which page is whose
comes from the software TDX Module's page states; what is lost comes from the
kernel's record of allocations by call site (CONFIG_MEM_ALLOC_PROFILING).
"""

import re

PAGE = 4096
POOL_PAGES = 12800
UNITS = 2
QUEUES = 2
QUEUE_PAGES = 2
IOMMU_MT_PAGES = 8
LIST_PAGES = 512

LEFT = re.compile(r"module tdx_pages func:(\S+) has (\d+) allocated at module unload")


def numbers(lines):
    """The "key value" lines of the software TDX Module's state file."""
    found = {}
    for line in lines:
        key, _, value = line.strip().rpartition(" ")
        if key and value.isdigit():
            found[key] = int(value)
    return found


def seamcalls(lines):
    """(calls, succeeded, failed) by leaf."""
    found = {}
    for line in lines:
        words = line.split()
        if len(words) == 4 and all(word.isdigit() for word in words[1:]):
            found[words[0]] = tuple(int(word) for word in words[1:])
    return found


def allocinfo(lines):
    """Bytes by call site, of the lines of the kernel's Rust helpers."""
    found = {}
    for line in lines:
        words = line.split()
        if len(words) >= 3 and words[0].lstrip("-").isdigit():
            site = " ".join(words[2:])
            found[site] = found.get(site, 0) + int(words[0])
    return found


class Balance:
    """Where the pages are after the unload, and whether all is as it should be."""

    def __init__(self, script):
        self.faults = []
        state = numbers(self._section(script, "state"))
        for key in ("handed_over", "released", "pool", "held", "unproved", "host_bugs"):
            if key not in state:
                self.faults.append("tdx_emu's state has no line \"%s\"" % key)
        self.handed_over = state.get("handed_over", 0)
        self.released = state.get("released", 0)
        self.pool = state.get("pool", 0)
        self.quarantined = state.get("held", 0) + state.get("unproved", 0)
        self.host_bugs = state.get("host_bugs", 0)
        self.lost = self._lost(script)
        self.calls = seamcalls(self._section(script, "seamcalls"))

    def _section(self, script, name):
        lines = script.section(name)
        if lines is None:
            self.faults.append("the guest did not report \"%s\"" % name)
            return []
        return lines

    def _lost(self, script):
        """Pages that the kernel has booked on us after our end, beyond pool and quarantine."""
        left = sum(int(match.group(2)) for line in self._section(script, "messages-unload")
                   for match in [LEFT.search(line)] if match)
        before = allocinfo(self._section(script, "allocinfo-before"))
        after = allocinfo(self._section(script, "allocinfo-after"))
        if not before:
            self.faults.append("/proc/allocinfo has no line of the kernel's Rust helpers")
        for site in sorted(after):
            grown = after[site] - before.get(site, 0)
            if grown > 0:
                self.faults.append("%d bytes more than before at %s" % (grown, site))
                left += grown
        # A part of a page is a page.
        return -(-left // PAGE) - self.pool - self.quarantined

    def expect(self, what, wanted, got):
        if wanted != got:
            self.faults.append("%s: %s, not %s" % (what, got, wanted))

    def check(self):
        """All that is wrong, as lines; none if all is well."""
        mt_pages = UNITS * (QUEUES * QUEUE_PAGES + IOMMU_MT_PAGES)
        self.expect("pages handed over", POOL_PAGES + mt_pages, self.handed_over)
        self.expect("pages released", mt_pages, self.released)
        self.expect("pages held for good", POOL_PAGES, self.pool)
        self.expect("pages quarantined", 0, self.quarantined)
        self.expect("pages lost", 0, self.lost)
        self.expect("sum of the above", self.handed_over,
                    self.released + self.pool + self.quarantined + self.lost)
        self.expect("bugs of the host that tdx_emu saw", 0, self.host_bugs)
        for leaf, wanted in (("TDH.EXT.MEM.ADD", -(-POOL_PAGES // LIST_PAGES)),
                             ("TDH.EXT.INIT", 1),
                             ("TDH.IOMMU.SETUP", UNITS),
                             ("TDH.IOMMU.CLEAR", UNITS),
                             ("TDH.PHYMEM.PAGE.WBINVD", mt_pages)):
            self.expect("calls of %s (made, succeeded, failed)" % leaf, (wanted, wanted, 0),
                        self.calls.get(leaf, (0, 0, 0)))
        return self.faults

    def line(self):
        return ("demo: handed over %d, released %d, held for good %d, quarantined %d, lost %d"
                % (self.handed_over, self.released, self.pool, self.quarantined, self.lost))
