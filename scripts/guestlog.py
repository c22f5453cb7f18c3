# SPDX-License-Identifier: GPL-2.0
"""Reads what a guest reported, and what its kernel said meanwhile."""

import re

# What no kernel may say during a test.
COMPLAINTS = [
    r"\bBUG\b", r"\bWARNING:", r"\bOops\b", r"Call Trace", r"Kernel panic",
    r"general protection", r"possible recursive locking", r"possible circular locking",
    r"lockdep", r"inconsistent lock state", r"suspicious RCU usage", r"kmemleak",
    r"refcount_t", r"UBSAN", r"KASAN", r"KCSAN", r"KFENCE", r"DEBUG_LOCKS",
    r"sleeping function called", r"scheduling while atomic", r"stalls? on CPU", r"soft lockup",
    r"blocked for more than", r"list_(add|del) corruption", r"Bad page", r"page allocation failure",
    r"Out of memory", r"oom-kill", r"rust_kernel: panicked", r"tdx_(pages|emu): panicked",
    r"tdx_emu: host bug", r"ODEBUG", r"workqueue: .*hogged", r"unchecked MSR", r"unexpectedly freed",
]
COMPLAINT = re.compile("|".join(COMPLAINTS))
# What a debug kernel says of itself while it boots, and when the suites let its own allocations fail.
HARMLESS = re.compile(r"RCU lockdep checking is enabled|kmemleak: (Kernel memory leak detector "
                      r"initialized|Automatic memory scanning thread (started|ended)|"
                      r"Cannot allocate a scan area, scanning the full object)")


class Script:
    """What one guest script reported."""

    def __init__(self, name, title=None):
        self.name = name
        self.title = title or name
        self.plan = None
        self.cases = []  # (name, passed, details)
        self.sections = []  # (name, lines)
        self.allowed = {}  # scenario: patterns
        self.end = None

    def section(self, name):
        """The lines of the one section of this name; None if there is none."""
        found = [lines for have, lines in self.sections if have == name]
        return found[-1] if found else None


def parse(lines, expected, boot=None):
    """The scripts of a guest's report.  Those expected and not run are there too.

    A script that is its boot's only one goes by the boot's name: it may run in several.
    """
    scripts = {name: Script(name, boot if len(expected) == 1 else None) for name in expected}
    script = scenario = section = None
    for line in lines:
        if section is not None and not line.startswith("@@ "):
            section.append(line)
            continue
        word, _, rest = line[3:].partition(" ") if line.startswith("@@ ") else ("", "", "")
        if word == "script":
            script = scripts.setdefault(rest, Script(rest))
            scenario = section = None
        elif script is None or not word:
            continue
        elif word == "plan":
            script.plan = int(rest) if rest.isdigit() else rest
        elif word == "scenario":
            scenario = rest
        elif word == "allow":
            script.allowed.setdefault(scenario, []).append(rest)
        elif word == "ok":
            script.cases.append((full_name(script, scenario, rest), True, []))
        elif word == "not":
            name = full_name(script, scenario, rest.partition(" ")[2])
            script.cases.append((name, False, []))
        elif word == "|" and script.cases:
            script.cases[-1][2].append(rest)
        elif word == "section":
            section = []
            script.sections.append((rest, section))
        elif word == "section-end":
            section = None
        elif word in ("done", "died"):
            script.end = (word + " " + rest.partition(" ")[2]).strip()
    return list(scripts.values())


def full_name(script, scenario, name):
    return ": ".join(part for part in (script.title, scenario, name) if part)


def verdicts(script):
    """The script's cases, and a failed one for each way it fell short as a whole."""
    cases = list(script.cases)
    if script.end != "done":
        cases.append((script.title + ": came to its end", False,
                      [script.end or "it did not", "last case: %s"
                       % (script.cases[-1][0] if script.cases else "none")]))
    if script.plan is None:
        cases.append((script.title + ": has a plan", False, ["no plan line was seen"]))
    elif script.plan != len(script.cases):
        cases.append((script.title + ": ran as many checks as planned", False,
                      ["plan %s, but %d were made" % (script.plan, len(script.cases))]))
    return cases


def complaints(console, scripts):
    """The console's lines that no scenario allows, each with where it fell."""
    allowed = {(script.name, scenario): re.compile("|".join(patterns))
               for script in scripts for scenario, patterns in script.allowed.items()}
    found = []
    script = scenario = None
    for line in console:
        place = re.search(r"@@ (script|scenario) (.*)", line)
        if place and place.group(1) == "script":
            script, scenario = place.group(2), None
        elif place:
            scenario = place.group(2)
        elif COMPLAINT.search(line) and not HARMLESS.search(line):
            pattern = allowed.get((script, scenario))
            if not (pattern and pattern.search(line)):
                found.append("%s: %s" % (full_name(Script(script or "boot"), scenario, ""), line))
    return found


# What was left when a kernel module went, by the kernel's count of each call site's bytes, and by the
# owner of each page.
LEFT = re.compile(r"module tdx_pages func:.* has (\d+) allocated at module unload")
OWNED = re.compile(r"@@ page_owner: (.+)")


def accounted(name, console):
    """A case where the kernel knows the owner of each page: those left behind are known to be."""
    if not any("Command line:" in line and "page_owner=on" in line for line in console):
        return []
    left, wrong, seen = 0, [], False
    for line in console:
        if match := LEFT.search(line):
            left += int(match.group(1)) // 4096
        elif match := OWNED.search(line):
            seen = True
            if match.group(1).isdigit() and int(match.group(1)) != left:
                wrong.append("%s pages are not free by page_owner, %d were left at unload"
                             % (match.group(1), left))
    if not seen:
        wrong.append("the guest did not ask page_owner")
    return [(name + ": page_owner knows of no page but those left", not wrong, wrong)]


def scan(name, console, scripts):
    """One case: the kernel had nothing to complain of, and said anything at all."""
    found = complaints(console, scripts)
    if not any("Linux version" in line for line in console):
        found.insert(0, "the kernel's first line is missing: the console was not recorded")
    return (name + ": nothing in the kernel log to complain of", not found, found[:30])
