// SPDX-License-Identifier: GPL-2.0
//
// The DMAR table of the guest: two remapping units of PCI segment 0, one on
// each NUMA node.  QEMU has no table of its own as long as it has no
// intel-iommu device, and no hardware answers at these addresses: nothing in
// the guest touches the units but the software TDX Module, which knows them by
// register base only.  The compiler fills in length and checksum.

[0004]                          Signature : "DMAR"
[0004]                       Table Length : 00000000
[0001]                           Revision : 01
[0001]                           Checksum : 00
[0006]                             Oem ID : "TDXPG "
[0008]                       Oem Table ID : "TDXPAGES"
[0004]                       Oem Revision : 00000001
[0004]                    Asl Compiler ID : "INTL"
[0004]              Asl Compiler Revision : 00000001

[0001]                 Host Address Width : 2D
[0001]                              Flags : 00
[0010]                           Reserved : 00 00 00 00 00 00 00 00 00 00

// The first unit serves one device only, so it names it.
[0002]                      Subtable Type : 0000
[0002]                             Length : 0018
[0001]                              Flags : 00
[0001]                           Reserved : 00
[0002]                 PCI Segment Number : 0000
[0008]              Register Base Address : 00000000FED90000

[0001]                  Device Scope Type : 01
[0001]                       Entry Length : 08
[0002]                           Reserved : 0000
[0001]                     Enumeration ID : 00
[0001]                     PCI Bus Number : 00
[0002]                           PCI Path : 02,00

// The second one serves the rest of the segment (flag INCLUDE_PCI_ALL).
[0002]                      Subtable Type : 0000
[0002]                             Length : 0010
[0001]                              Flags : 01
[0001]                           Reserved : 00
[0002]                 PCI Segment Number : 0000
[0008]              Register Base Address : 00000000FED91000

// RHSA: which NUMA node a unit is on.
[0002]                      Subtable Type : 0003
[0002]                             Length : 0014
[0004]                           Reserved : 00000000
[0008]                       Base Address : 00000000FED90000
[0004]                   Proximity Domain : 00000000

[0002]                      Subtable Type : 0003
[0002]                             Length : 0014
[0004]                           Reserved : 00000000
[0008]                       Base Address : 00000000FED91000
[0004]                   Proximity Domain : 00000001
