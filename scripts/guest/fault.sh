# SPDX-License-Identifier: GPL-2.0
#
# SEAMCALLs that fail: every page is accounted for each time, and what can go
# on does.  A unit's IOMMU_MT is 12 pages here.

. /guest/lib.sh
plan 186

# Statuses that are final: not to be tried again.
failed=0xc000030000000002 # TDX_PAGE_METADATA_INCORRECT on RDX
failed_rcx=0xc000030000000001

# fresh PARAMETER...: each scenario begins with a TDX Module that knows nothing.
fresh() {
	check "tdx_emu loads" emu_fresh "$@"
	mark
}
# The end of each: whatever went wrong, the sum is right.
finish() {
	check "tdx_pages unloads" unload
	check "every page is accounted for" balanced
}

# --- IOMMU_MT ------------------------------------------------------------------

scenario "a unit is refused"
fresh
check "refuse the first unit" tell refuse 0xfed90000
check "tdx_pages loads" load pool=0 global_keyid=32
check "a line says which unit is skipped" said \
	'^tdx_pages: iommu 0xfed90000: .* not capable, skipped'
same "units set up" 1 "$(succeeded TDH.IOMMU.SETUP)"
same "pages held" 12 "$(state held)"
finish
same "pages released" 12 "$(state released)"

scenario "SETUP fails for one of two units"
fresh
check "the first call is to fail" tell fail TDH.IOMMU.SETUP 1 1 $failed
check "tdx_pages loads" load pool=0 global_keyid=32
check "a line says which unit failed" said \
	'^tdx_pages: iommu 0xfed90000: TDH.IOMMU.SETUP answered .*its memory is back'
same "units set up" 1 "$(succeeded TDH.IOMMU.SETUP)"
same "pages held" 12 "$(state held)"
finish
same "pages quarantined" 0 "$(state held)"

scenario "SETUP fails for one of two units after it took the pages"
fresh
check "the first call is to fail" tell fail TDH.IOMMU.SETUP 1 1 $failed after
check "tdx_pages loads" load pool=0 global_keyid=32
check "a line says which unit failed" said \
	'^tdx_pages: iommu 0xfed90000: 12 of 12 pages quarantined'
check "the users' list has them" grep -qE '^iommu +24 +0 +12 +0 +12' $pages/users
same "pages held" 24 "$(state held)"
finish
same "pages quarantined" 12 "$(state held)"
check "a line reports them" said '^tdx_pages: iommu 0xfed90000: 12 pages stay with the TDX Module'

scenario "SETUP and CLEAR are interrupted"
fresh
check "interrupt SETUP" tell interrupt TDH.IOMMU.SETUP 3
check "interrupt CLEAR" tell interrupt TDH.IOMMU.CLEAR 3
check "tdx_pages loads" load pool=0 global_keyid=32
same "units set up" "8 2" "$(calls TDH.IOMMU.SETUP) $(succeeded TDH.IOMMU.SETUP)"
finish
same "units cleared" "8 2" "$(calls TDH.IOMMU.CLEAR) $(succeeded TDH.IOMMU.CLEAR)"
same "pages released" 24 "$(state released)"

scenario "CLEAR fails for both units"
fresh
check "tdx_pages loads" load pool=0 global_keyid=32
check "every call is to fail" tell fail TDH.IOMMU.CLEAR 1 1000 $failed_rcx
finish
check "a line says which unit failed" said \
	'^tdx_pages: iommu 0xfed90000: 12 of 12 pages quarantined, release failed: TDH.IOMMU.CLEAR answered '
check "a line reports all pages" said '^tdx_pages: detached; 24 pages stay with the TDX Module'
same "pages quarantined" 24 "$(state held)"
same "pages released" 0 "$(state released)"

scenario "CLEAR fails for one unit"
fresh
check "tdx_pages loads" load pool=0 global_keyid=32
check "the first call is to fail" tell fail TDH.IOMMU.CLEAR 1 1 $failed_rcx
finish
check "a line reports its pages" said '^tdx_pages: detached; 12 pages stay with the TDX Module'
same "pages quarantined" 12 "$(state held)"
same "pages released" 12 "$(state released)"

scenario "CLEAR succeeds and keeps the pages"
fresh
check "tdx_pages loads" load pool=0 global_keyid=32
check "all pages are to be kept" tell keep all
finish
check "a line says so" said '^tdx_pages: iommu 0xfed90000: 12 of 12 pages quarantined, not proved'
# TDH.PHYMEM.PAGE.RECLAIM gets them back at the last try.
check "a line says that they came back" said \
	'^tdx_pages: iommu 0xfed90000: 12 pages proved at the last try'
same "pages released" 24 "$(state released)"
same "pages quarantined" 0 "$(state held)"

scenario "CLEAR succeeds and keeps the pages, and RECLAIM fails"
fresh
check "tdx_pages loads" load pool=0 global_keyid=32
check "all pages are to be kept" tell keep all
check "RECLAIM is to fail" tell fail TDH.PHYMEM.PAGE.RECLAIM 1 1000 $failed_rcx
finish
check "a line reports all pages" said '^tdx_pages: detached; 24 pages stay with the TDX Module'
same "pages quarantined" 24 "$(state held)"

scenario "the proof fails from the third page on"
fresh
check "tdx_pages loads" load pool=0 global_keyid=32
check "the calls are to fail" tell fail TDH.PHYMEM.PAGE.WBINVD 3 1000 $failed_rcx
finish
check "a line reports the pages" said '^tdx_pages: detached; 22 pages stay with the TDX Module'
same "pages quarantined" 22 "$(state unproved)"
same "pages released" 2 "$(state released)"

scenario "the proof fails once for one page"
fresh
check "tdx_pages loads" load pool=0 global_keyid=32
check "a call is to fail" tell fail TDH.PHYMEM.PAGE.WBINVD 7 1 $failed_rcx
finish
check "a line says that it came back" said '^tdx_pages: iommu 0x.*: 1 pages proved at the last try'
same "pages released" 24 "$(state released)"

# --- Cache lines -----------------------------------------------------------------

# FEATURES0 with bit 23: pages must be written back before they are handed over.
wants_flush=features0=0x8000800040

scenario "the TDX Module wants pages written back"
fresh $wants_flush pool_pages=600
check "tdx_pages loads" load global_keyid=32
same "pages handed over that were not" "0 0 0" \
	"$(state flush_missing) $(state flush_half) $(state flush_too_early)"
finish

scenario "pages are not written back though the TDX Module wants it"
allow "tdx_emu: host bug: page 0x[0-9a-f]+ was not written back before its hand-over, in TDH"
fresh $wants_flush
check "tdx_pages loads" load pool=0 clflush=0 global_keyid=32
same "pages handed over that were not" 24 "$(state flush_missing)"
check "a line says who did it" said \
	'^tdx_emu: host bug: .* was not written back .*, in TDH.IOMMU.SETUP, by __seamcall'
check "and who called" said '^tdx_emu:   called by .* \[tdx_pages\]$'
check "tdx_pages unloads" unload

# --- The extension pool --------------------------------------------------------

for k in 1 7 511; do
	scenario "the pool, interrupted after every $k entries"
	fresh pool_pages=1300
	check "interrupt" tell interrupt TDH.EXT.MEM.ADD $k
	check "tdx_pages loads" load iommu=0 global_keyid=32
	same "pages of the pool" 1300 "$(state pool)"
	# A window of n entries takes ceil(n / k) calls: two of 512 and one of 276.
	same "calls" $((2 * ((512 + k - 1) / k) + (276 + k - 1) / k)) "$(calls TDH.EXT.MEM.ADD)"
	finish
done

scenario "the pool is interrupted once, and before the last entry of each list"
fresh pool_pages=600
check "at entry 100" tell interrupt TDH.EXT.MEM.ADD at 100
check "tdx_pages loads" load iommu=0 global_keyid=32
same "calls" 3 "$(calls TDH.EXT.MEM.ADD)"
finish
fresh pool_pages=600
check "at the last" tell interrupt TDH.EXT.MEM.ADD last
check "tdx_pages loads" load iommu=0 global_keyid=32
same "calls, and pages of the pool" "4 600" "$(calls TDH.EXT.MEM.ADD) $(state pool)"
finish

scenario "the pool's progress stalls"
fresh pool_pages=600
check "at entry 100" tell interrupt TDH.EXT.MEM.ADD at 100
check "no progress is told" tell progress stalled
check "tdx_pages loads" load iommu=0 global_keyid=32
check "a line says so" said \
	'^tdx_pages: ext_pool: TDH.EXT.MEM.ADD was interrupted and does not move on'
check "a line says what stays: what was taken, no more" said \
	'^tdx_pages: ext_pool: 100 of 600 pages stay with the TDX Module for good, 500 were freed'
same "pages of the pool" 100 "$(state pool)"
finish

scenario "anything goes wrong by chance"
fresh
check "a quarter of all calls of CLEAR" tell mix 42 250 TDH.IOMMU.CLEAR
check "the seed is told" said '^tdx_emu: mix: seed 42, 250 of 1000 calls of TDH.IOMMU.CLEAR$'
check "tdx_pages loads" load pool=0 global_keyid=32
finish
check "chance ends" tell mix off

scenario "the pool fails at batch 1"
fresh pool_pages=1300
# Twice, since insmod tries twice.
check "the call is to fail" tell fail TDH.EXT.MEM.ADD 1 2 $failed_rcx
check "EIO" refused "Input/output error" iommu=0 global_keyid=32
check "a line says why" said '^tdx_pages: ext_pool: TDH.EXT.MEM.ADD answered '
same "pages of the pool" 0 "$(state pool)"
check "every page is accounted for" balanced

for k in 2 3; do
	scenario "the pool fails at batch $k"
	fresh pool_pages=1300
	check "the call is to fail" tell fail TDH.EXT.MEM.ADD $k 1 $failed_rcx
	check "tdx_pages loads" load iommu=0 global_keyid=32
	check "a line says why" said '^tdx_pages: ext_pool: TDH.EXT.MEM.ADD answered '
	check "a line says what stays" said \
		"^tdx_pages: ext_pool: $(((k - 1) * 512)) of 1300 pages stay "
	same "pages of the pool" $(((k - 1) * 512)) "$(state pool)"
	finish
	mark
	check "the next load goes on" load iommu=0 global_keyid=32
	same "pages of the pool" 1300 "$(state pool)"
	check "tdx_pages unloads" unload
	same "pages left by our own call sites" $((1300 - (k - 1) * 512)) "$(left_pages)"
done

scenario "the extensions cannot be initialised"
fresh pool_pages=600
check "the call is to fail" tell fail TDH.EXT.INIT 1 1 $failed
check "tdx_pages loads" load iommu=0 global_keyid=32
check "a line says why" said '^tdx_pages: ext_pool: TDH.EXT.INIT answered '
finish
mark
check "the next load initialises them" load iommu=0 global_keyid=32
check "a line says so" said \
	'^tdx_pages: ext_pool: extensions initialised, no pages were asked for'
same "pages of the pool" 600 "$(state pool)"
check "tdx_pages unloads" unload
