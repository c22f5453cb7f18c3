#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""`make demo`: a TDX-enabled kernel in QEMU, everything handed over and released."""

import os
import subprocess
import sys

import balance
import guestlog
from qemu import SCRIPTS, Boot


def show(title, lines):
    print("\n--- " + title)
    for line in lines or ["(nothing)"]:
        print("    " + line)


def ours(lines):
    return [line for line in lines or [] if line.startswith(("tdx_pages: ", "tdx_emu: "))
            or balance.LEFT.search(line)]


def main():
    modules = subprocess.run([os.path.join(SCRIPTS, "build.sh"), "plain"],
                             stdout=subprocess.PIPE, text=True)
    if modules.returncode:
        return 1
    boot = Boot("demo", modules.stdout.strip(), ["demo"], os.environ["KERNEL_BUILD"])
    print("==> boot two NUMA nodes of 1 GiB in QEMU, by software emulation", file=sys.stderr)
    boot.run()
    script, = guestlog.parse(boot.results(), ["demo"])
    cases = guestlog.verdicts(script)
    cases.append(guestlog.scan("demo", boot.console(), [script]))
    figures = balance.Balance(script)

    show("kernel messages at insmod tdx_emu.ko, insmod tdx_pages.ko global_keyid=32",
         ours(script.section("messages-load")))
    show("debugfs tdx_pages/summary", script.section("summary"))
    show("debugfs tdx_pages/users", script.section("users"))
    show("kernel messages at rmmod tdx_pages", ours(script.section("messages-unload")))
    show("debugfs tdx_emu/seamcalls: leaf, calls, succeeded, failed", script.section("seamcalls"))
    show("debugfs tdx_emu/state", script.section("state"))

    faults = ["%s%s" % (name, "".join("\n    " + line for line in details))
              for name, passed, details in cases if not passed]
    if boot.verdict != "ok":
        faults.insert(0, "the boot: " + boot.verdict)
    faults += figures.check()
    print()
    for fault in faults:
        print("not as it should be: " + fault)
    if faults:
        print("logs: %s %s" % (boot.console_path, boot.results_path))
    print(figures.line())
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
