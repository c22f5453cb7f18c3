# SPDX-License-Identifier: GPL-2.0
#
# A machine without a remapping unit: no DMAR table, or one that names none.

. /guest/lib.sh
plan 8

scenario "no remapping unit"
check "tdx_emu loads" insmod /tdx_emu.ko pool_pages=600
mark
check "tdx_pages loads" load global_keyid=32
check "a line says so" said \
	'^tdx_pages: iommu: (there is no ACPI DMAR table|0 of 0 remapping units)'
same "calls of TDH.IOMMU.SETUP" 0 "$(calls TDH.IOMMU.SETUP)"
same "pages of the pool" 600 "$(state pool)"
check "the users' list can be read" cat $pages/users
check "tdx_pages unloads" unload
check "every page is accounted for" balanced
