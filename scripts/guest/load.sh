# SPDX-License-Identifier: GPL-2.0
#
# A whole life of tdx_pages.ko, again and again.

. /guest/lib.sh
plan 37

pool=12800
mt=24 # 2 units, each with 2 queues of 2 pages and 8 single pages

scenario "first load"
check "tdx_emu loads" insmod /tdx_emu.ko pool_pages=$pool
mark
check "tdx_pages loads" load global_keyid=32
same "pages of the pool" $pool "$(state pool)"
same "pages held besides" $mt "$(state held)"
same "SEAMCALLs for the pool" $((pool / 512)) "$(calls TDH.EXT.MEM.ADD)"
same "initialisations of the extensions" 1 "$(calls TDH.EXT.INIT)"
same "units set up" 2 "$(succeeded TDH.IOMMU.SETUP)"
check "a line says ready" said '^tdx_pages: ready'
check "the first unit's memory is on its node" said '^tdx_pages: iommu 0xfed90000: .* node 0$'
check "the second unit's memory is on its node" said '^tdx_pages: iommu 0xfed91000: .* node 1$'

scenario look
check "the summary counts what is held for good" grep -qx "held_for_good $pool" $pages/summary
check "the summary counts what is held" grep -qx "held $mt" $pages/summary
check "the users' list has the pool" grep -qE "^ext_pool +$pool +0 +0 +$pool +0" $pages/users
check "the users' list has the IOMMUs" grep -qE "^iommu +$mt +0 +$mt +0 +0" $pages/users

scenario "open file"
busy() {
	! out=$(unload 2>&1) || { echo "it was unloaded"; return 1; }
	case $out in
	*"temporarily unavailable"* | *busy*) loaded tdx_pages ;;
	*) echo "another error: $out"; return 1 ;;
	esac
}
exec 4<$pages/summary
check "rmmod says busy while the summary is open" busy
exec 4<$pages/users
check "rmmod says busy while the users' list is open" busy
exec 4<&-
same "pages held besides" $mt "$(state held)"

scenario "first unload"
check "tdx_pages unloads" unload
check "every page is accounted for" balanced
same "pages released" $mt "$(state released)"
same "pages still held besides the pool" 0 "$(state held)"
same "proofs" $mt "$(succeeded TDH.PHYMEM.PAGE.WBINVD)"
same "units cleared" 2 "$(succeeded TDH.IOMMU.CLEAR)"
same "pages left by our own call sites" $pool "$(left_pages)"
bytes=$(helper_bytes)

scenario "second load"
check "tdx_pages loads" load global_keyid=32
check "it finds the pool in place" said '^tdx_pages: ext_pool: the extensions already work'
same "pages of the pool" $pool "$(state pool)"
same "pages held besides" $mt "$(state held)"
check "tdx_pages unloads" unload
check "nothing is left by our own call sites" silent_about 'allocated at module unload'

scenario "100 loads"
many() {
	local n=0
	while [ $n -lt 100 ]; do
		load global_keyid=32 && unload || { echo "in round $n"; return 1; }
		n=$((n + 1))
	done
}
check "tdx_pages loads and unloads 100 times" many
check "nothing is left by our own call sites" silent_about 'allocated at module unload'
same "bytes in the kernel crate's allocations" "$bytes" "$(helper_bytes)"
same "pages released" $((102 * mt)) "$(state released)"
same "pages of the pool" $pool "$(state pool)"
same "bugs of the host" 0 "$(state host_bugs)"
check "tdx_emu holds itself while it has pages" eval '! rmmod tdx_emu'
