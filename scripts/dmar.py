#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""DMAR tables for the guest: the good one, and broken ones.

The broken ones have a right length in the header and a right checksum, so ACPI
takes them; what is wrong is left for the reader of the table to find.
"""

import os
import shutil
import struct
import subprocess
import sys
import threading

HEADER = 36  # An ACPI table header.
BODY = 48  # With host address width, flags and 10 reserved bytes: a DMAR header.


def compile_table(source, directory):
    """The table that iasl makes of a source file."""
    if not shutil.which("iasl"):
        sys.exit("error: iasl is not there: install acpica-tools")
    stem = os.path.join(directory, "dmar-%d-%d" % (os.getpid(), threading.get_ident()))
    done = subprocess.run(["iasl", "-p", stem, source], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        with open(stem + ".aml", "rb") as table:
            data = table.read()
        os.remove(stem + ".aml")
    except FileNotFoundError:
        data = b""
    if done.returncode or not data:
        sys.exit("error: iasl cannot compile %s:\n%s" % (source, done.stdout))
    return data


def sealed(body):
    """A table with its length and checksum set to what they should be."""
    table = bytearray(body)
    struct.pack_into("<I", table, 4, len(table))
    table[9] = 0
    table[9] = -sum(table) & 0xff
    return bytes(table)


def many(good, count):
    """A table with so many units, each with a node: header and body are those of a good one."""
    body = good[:BODY]
    bases = [0xfed90000 + 0x1000 * unit for unit in range(count)]
    for base in bases:
        body += struct.pack("<HHBBHQ", 0, 16, 0, 0, 0, base)
    for unit, base in enumerate(bases):
        body += struct.pack("<HHIQI", 3, 20, 0, base, unit % 2)
    return sealed(body)


def tables(source, directory):
    """All tables, by name."""
    good = compile_table(source, directory)
    zero = bytearray(good)
    struct.pack_into("<H", zero, BODY + 2, 0)
    return {
        "good": good,
        # Not even the DMAR's own fields behind the ACPI header.
        "bare": sealed(good[:HEADER]),
        # No remapping structure.
        "empty": sealed(good[:BODY]),
        # The first DRHD says that it has no length: a naive reader never ends.
        "zero": sealed(zero),
        # As many units as a large machine has.
        "many": many(good, 64),
        # The table ends within a structure.
        "cut": sealed(good[:-7]),
    }
