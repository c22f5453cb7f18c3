#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""DMAR tables for the guest: the good one, and broken ones.

The broken ones have a right length in the header and a right checksum, so ACPI
takes them; what is wrong is left for the reader of the table to find.
"""

import struct

HEADER = 36  # An ACPI table header.
BODY = 48  # With host address width, flags and 10 reserved bytes: a DMAR header.


def sealed(body):
    """A table with its length and checksum set to what they should be."""
    table = bytearray(body)
    struct.pack_into("<I", table, 4, len(table))
    table[9] = 0
    table[9] = -sum(table) & 0xff
    return bytes(table)


def drhd(flags, base, scopes=b""):
    """A remapping unit of PCI segment 0."""
    return struct.pack("<HHBBHQ", 0, 16 + len(scopes), flags, 0, 0, base) + scopes


def rhsa(base, node):
    """Which NUMA node a unit is on."""
    return struct.pack("<HHIQI", 3, 20, 0, base, node)


def table(structures):
    """A table with these remapping structures."""
    header = struct.pack("<4sIBB6s8sI4sI", b"DMAR", 0, 1, 0, b"TDXPG ", b"TDXPAGES", 1, b"TDXP", 1)
    # A host address width of 46 bits, which is told less one.
    return sealed(header + struct.pack("<BB10x", 45, 0) + structures)


def good():
    """Two units, one on each NUMA node.

    QEMU has no table of its own as long as it has no intel-iommu device, and no hardware answers at
    these addresses: nothing in the guest touches the units but the software TDX Module, which knows
    them by register base only.
    """
    # The first serves one device only, and names it: an endpoint, bus 0, device 2, function 0.
    scope = struct.pack("<BBHBBBB", 1, 8, 0, 0, 0, 2, 0)
    first, second = 0xfed90000, 0xfed91000
    # The second serves the rest of the segment (INCLUDE_PCI_ALL).
    return table(drhd(0, first, scope) + drhd(1, second) + rhsa(first, 0) + rhsa(second, 1))


def many(count):
    """A table with so many units, each with a node."""
    bases = [0xfed90000 + 0x1000 * unit for unit in range(count)]
    return table(b"".join(drhd(0, base) for base in bases) +
                 b"".join(rhsa(base, unit % 2) for unit, base in enumerate(bases)))


def tables():
    """All tables, by name."""
    whole = good()
    zero = bytearray(whole)
    struct.pack_into("<H", zero, BODY + 2, 0)
    return {
        "good": whole,
        # Not even the DMAR's own fields behind the ACPI header.
        "bare": sealed(whole[:HEADER]),
        # No remapping structure.
        "empty": sealed(whole[:BODY]),
        # The first DRHD says that it has no length: a naive reader never ends.
        "zero": sealed(zero),
        # As many units as a large machine has.
        "many": many(64),
        # The table ends within a structure.
        "cut": sealed(whole[:-7]),
    }
