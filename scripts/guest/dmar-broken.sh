# SPDX-License-Identifier: GPL-2.0
#
# A DMAR table that ACPI takes and that is broken inside: it is refused as a
# whole before anything is handed over; without the IOMMUs the module loads.

. /guest/lib.sh
plan 8

scenario "broken DMAR table"
check "tdx_emu loads" insmod /tdx_emu.ko pool_pages=600
mark
check "EINVAL" refused "Invalid argument" global_keyid=32
check "one line says what is broken" said_once '^tdx_pages: iommu: the DMAR table is broken: '
same "pages handed over" 0 "$(state handed_over)"
mark
check "tdx_pages loads without the IOMMUs" load iommu=0 global_keyid=32
same "pages of the pool" 600 "$(state pool)"
check "tdx_pages unloads" unload
check "every page is accounted for" balanced
