# SPDX-License-Identifier: GPL-2.0
#
# The quarantine as a person meets it: what it shows, trying again on request
# and by itself, and what happens when the kernel module, a CPU or the system
# goes away meanwhile.  A unit's IOMMU_MT is 12 pages here.

. /guest/lib.sh
plan 34

failed=0xc000030000000002 # TDX_PAGE_METADATA_INCORRECT on RDX
quarantined() { awk '$1 == "quarantined" { print $2 }' $pages/summary; }

# One unit's pages are taken by a SETUP that says it failed.
one_unit() {
	check "tdx_emu loads" emu_fresh
	check "the first call is to fail" tell fail TDH.IOMMU.SETUP 1 1 $failed after
	mark
	check "tdx_pages loads" load pool=0 global_keyid=32
	same "pages quarantined" 12 "$(quarantined)"
}

scenario "on request"
one_unit
check "the quarantine tells object, cause and status" grep -qE \
	'^iommu 0xfed90000: 12 pages for .*: hand-over failed: TDH.IOMMU.SETUP answered TDX_PAGE_METADATA_INCORRECT on RDX .*; the proof of page 0 answered ' \
	$pages/quarantine
check "ask for a try" eval 'echo 1 >$pages/retry'
same "pages quarantined" 12 "$(quarantined)"
check "the try is counted" grep -qE 'tried again [1-9]' $pages/quarantine
# It lets go: of the other unit as well, which will show when that is cleared.
check "the TDX Module forgets" tell reset
check "ask for a try" eval 'echo 1 >$pages/retry'
same "pages quarantined" 0 "$(quarantined)"
same "the quarantine is empty" "" "$(cat $pages/quarantine)"
check "a line says so" said '^tdx_pages: iommu 0xfed90000: 12 pages proved and freed, 0 still in quarantine'
check "tdx_pages unloads" unload

scenario "by itself"
one_unit
check "the TDX Module forgets" tell reset
gone() {
	local n=0
	while [ $n -lt 100 ] && [ "$(quarantined)" != 0 ]; do usleep 100000; n=$((n + 1)); done
	[ "$(quarantined)" = 0 ]
}
check "after a while the quarantine is empty" gone
check "tdx_pages unloads" unload

scenario "pending work"
one_unit
# The next round is due within a second.
check "tdx_pages unloads" unload
check "a line tells what is lost" said '^tdx_pages: detached; 12 pages stay with the TDX Module'
sleep 2

scenario "CPUs come and go"
cpus() {
	local n=0
	while [ $n -lt 8 ]; do
		echo 0 >/sys/devices/system/cpu/cpu1/online
		load pool=0 global_keyid=32 || return 1
		echo 1 >/sys/devices/system/cpu/cpu1/online
		unload || return 1
		n=$((n + 1))
	done
}
check "tdx_emu loads" emu_fresh
mark
check "loads and unloads while a CPU goes off and on" cpus
same "pages held" "0 0" "$(state held) $(state unproved)"

# Loaded, with a round due, when the system goes down: see the end of the log.
scenario "going down"
one_unit
