# SPDX-License-Identifier: GPL-2.0
"""The boots of `make check`: which guest scripts run on which machine.

The longest go first, so that the others fill the gaps.
"""

import os

from qemu import Boot

BOOTS = [
    # Half a minute where nothing else runs, and several where much does.
    {"name": "kunit", "scripts": ["kunit"], "variant": "kunit", "memory": 3072, "timeout": 600},
    # Memory above 4 GiB on the second node, to catch a truncated address.
    {"name": "load", "scripts": ["load"], "memory": 1536},
    {"name": "fault", "scripts": ["fault"]},
    {"name": "samples", "scripts": ["samples"]},
    {"name": "refuse", "scripts": ["refuse"]},
    {"name": "quarantine", "scripts": ["quarantine"]},
    {"name": "trace", "scripts": ["trace"]},
    {"name": "words", "scripts": ["words"]},
    {"name": "look", "scripts": ["look"]},
    # Less memory than the largest pool that a u16 can ask for.
    {"name": "small", "scripts": ["small"], "nodes": 1, "memory": 208, "cpus": 1},
    {"name": "dmar-none", "scripts": ["dmar-none"], "table": None},
    {"name": "dmar-empty", "scripts": ["dmar-none"], "table": "empty"},
    {"name": "dmar-bare", "scripts": ["dmar-broken"], "table": "bare"},
    {"name": "dmar-zero", "scripts": ["dmar-broken"], "table": "zero"},
    {"name": "dmar-cut", "scripts": ["dmar-broken"], "table": "cut"},
]
# Those of `make check-long`: the suites try everything, instead of a share of it.
LONG = [
    {"name": "kunit-long", "scripts": ["kunit"], "variant": "kunit", "memory": 3072,
     "cmdline": "tdx_pages.long_suites=1 kunit.timeout=7200", "timeout": 7200},
]
for boot in BOOTS + LONG:
    boot.setdefault("variant", "plain")

# What the debug kernel can look for, and does only when told to.
# Four levels of page tables: while the kernel of 7.3 identifies its CPU it does not know for a moment
# that there are five, and KASAN takes the stack of an interrupt that comes then for wild.
DEBUG = ("page_owner=on page_poison=1 debug_pagealloc=on panic_on_warn=1 no5lvl"
         " kunit.timeout=7200")
# Boots that say nothing there: with an eighth of the memory as KASAN's shadow, and a state for each
# page, "little memory" is another number.
NOT_ON_DEBUG = ["small"]


def on_debug(boot):
    """The same boot on the debug kernel, which wants more memory and much more time."""
    words = [boot.get("cmdline", ""), DEBUG]
    return dict(boot, name=boot["name"] + "-debug", memory=max(2048, boot.get("memory", 0)),
                cmdline=" ".join(words).strip(), timeout=10 * boot.get("timeout", 180))


def make(boot, modules):
    """The boot of one line above, with the modules it needs."""
    options = {key: value for key, value in boot.items()
               if key not in ("name", "scripts", "variant")}
    return Boot(boot["name"], modules, boot["scripts"], os.environ["KERNEL_BUILD"], **options)
