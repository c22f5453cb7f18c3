# SPDX-License-Identifier: GPL-2.0
#
# Loading where it cannot work, and with metadata that is missing, odd or
# absurd: one clear line, nothing lost, and no other process is killed.

. /guest/lib.sh
plan 94

scenario "no TDX Module"
check "ENODEV" refused "No such device" global_keyid=32
check "one line says why" said_once '^tdx_pages: no TDX Module: '

scenario "no KeyID"
check "a TDX Module" emu_fresh
mark
check "ENODEV" refused "No such device"
check "one line says why" said_once '^tdx_pages: no TDX KeyID: '
same "pages handed over" 0 "$(state handed_over)"

scenario "TDX Module without the features"
check "a TDX Module" emu_fresh features0=0
mark
check "EOPNOTSUPP" refused "Operation not supported" global_keyid=32
check "one line says why" said_once '^tdx_pages: the TDX Module has no TDX Connect '
same "pages handed over" 0 "$(state handed_over)"

scenario "parameters that cannot be"
check "a TDX Module" emu_fresh
for name in pool iommu clflush profile; do
	mark
	check "EINVAL for $name=2" refused "Invalid argument" $name=2 global_keyid=32
	check "one line says what to give" said_once "^tdx_pages: $name=2: give "
done
same "pages handed over" 0 "$(state handed_over)"

# --- The extension pool --------------------------------------------------------

for n in 0 1 511 512 513; do
	scenario "pool of $n pages"
	check "a TDX Module" emu_fresh pool_pages=$n
	mark
	check "tdx_pages loads" load iommu=0 global_keyid=32
	same "pages of the pool" $n "$(state pool)"
	same "SEAMCALLs for it" $(((n + 511) / 512)) "$(succeeded TDH.EXT.MEM.ADD)"
	check "tdx_pages unloads" unload
	check "every page is accounted for" balanced
	same "pages left by our own call sites" $n "$(left_pages)"
done

scenario "pool of 65535 pages"
check "a TDX Module" emu_fresh pool_pages=65535
mark
check "tdx_pages loads" load iommu=0 global_keyid=32
same "pages of the pool" 65535 "$(state pool)"
same "SEAMCALLs for it" 128 "$(succeeded TDH.EXT.MEM.ADD)"
check "tdx_pages unloads" unload
check "every page is accounted for" balanced

scenario "pool of 16 GiB"
sleep 1000 &
sleeper=$!
check "a TDX Module" emu_fresh pool_u32=1 pool_pages=4194304
mark
check "ENOMEM" refused "Cannot allocate memory" iommu=0 global_keyid=32
check "one line says why" said_once '^tdx_pages: ext_pool: the TDX Module wants 4194304 pages, more than half of '
same "pages handed over" 0 "$(state handed_over)"
check "another process lives on" kill $sleeper

scenario "pool size is not told"
check "a TDX Module" emu_fresh
check "the field goes" tell nofield $field_pool
mark
check "EIO" refused "Input/output error" iommu=0 global_keyid=32
check "one line says why" said_once '^tdx_pages: .* no readable field MEMORY_POOL_REQUIRED_PAGES '
same "pages handed over" 0 "$(state handed_over)"

# --- IOMMU_MT ------------------------------------------------------------------

for n in 1 510; do
	scenario "IOMMU_MT with $n pages"
	check "a TDX Module" emu_fresh iommu_mt_pages=$n
	mark
	check "tdx_pages loads" load pool=0 global_keyid=32
	same "pages held" $((2 * (4 + n))) "$(state held)"
	check "tdx_pages unloads" unload
	check "every page is accounted for" balanced
done

for n in 0 511; do
	scenario "IOMMU_MT with $n pages"
	check "a TDX Module" emu_fresh iommu_mt_pages=$n
	mark
	check "EIO" refused "Input/output error" pool=0 global_keyid=32
	check "one line says why" said_once "^tdx_pages: the TDX Module wants $n pages for IOMMU_MT_PAGE_COUNT "
	same "pages handed over" 0 "$(state handed_over)"
done

scenario "IOMMU_MT size is not told"
check "a TDX Module" emu_fresh
check "the field goes" tell nofield $field_iommu_mt
mark
check "EIO" refused "Input/output error" pool=0 global_keyid=32
check "one line says why" said_once '^tdx_pages: .* no readable field IOMMU_MT_PAGE_COUNT '
same "pages handed over" 0 "$(state handed_over)"
