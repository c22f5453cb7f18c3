# SPDX-License-Identifier: GPL-2.0
#
# The trace points: an IOMMU's pages on their way out, into quarantine, and back.

. /guest/lib.sh
plan 18

trace=/sys/kernel/debug/tracing
failed=0xc000030000000002 # TDX_PAGE_METADATA_INCORRECT on RDX

# Events without task, CPU and time.  When a kernel module goes that was traced, so
# does the buffer: it is read as it fills.
events() { sed -n 's/^.*: \(tdx_pages_[a-z_]*: .*\)$/\1/p' /tmp/trace; }
many() { events | grep -cE "^$1"; }

scenario "from hand-over to quarantine and back"
check "tdx_emu loads" insmod /tdx_emu.ko pool_pages=600
check "CLEAR is to fail" tell fail TDH.IOMMU.CLEAR 1 1 $failed
# From the first event on, before there is such a module.
check "ask for its events" eval 'echo ":mod:tdx_pages" >$trace/set_event'
cat $trace/trace_pipe >/tmp/trace &
pipe=$!
check "tdx_pages loads" load global_keyid=32
# What the reader has not got yet goes with the module: stop before its very end.
rmmod tdx_pages &
wait $!
check "tdx_pages is gone" not_loaded tdx_pages
kill $pipe
section "trace" events

same "objects on record" 3 "$(many 'tdx_pages_hand_over: ')"
same "held for good" "tdx_pages_held_for_good: ext_pool: 600 pages" "$(events | grep ' ext_pool: ' | tail -n 1)"
# Twice, and once more after the release that failed; and so the releases.
same "held" 3 "$(many 'tdx_pages_held: iommu 0xfed9[01]000: 12 pages$')"
same "releases begun" 3 "$(many 'tdx_pages_release: iommu 0xfed9[01]000: 12 pages$')"
same "back at once" 1 "$(many 'tdx_pages_back: iommu 0xfed9[01]000: 12 pages$')"
same "into quarantine, with the cause" 1 \
	"$(many 'tdx_pages_quarantined: iommu 0xfed9[01]000: 12 pages, release failed: TDH.IOMMU.CLEAR answered TDX_PAGE_METADATA_INCORRECT on RDX ')"
same "SEAMCALLs of SETUP, decoded" 2 \
	"$(many 'tdx_pages_seamcall: TDH.IOMMU.SETUP answered TDX_SUCCESS .success, 0x0000000000000000. .0x?0. after [0-9]+ ns$')"
same "SEAMCALLs of CLEAR that failed" 1 \
	"$(many 'tdx_pages_seamcall: TDH.IOMMU.CLEAR answered TDX_PAGE_METADATA_INCORRECT on RDX ')"
same "proofs" 12 "$(many 'tdx_pages_proof: 0x[0-9a-f]+000: TDX_SUCCESS ')"
same "as many as the TDX Module counted" "$(succeeded TDH.PHYMEM.PAGE.WBINVD)" \
	"$(many 'tdx_pages_seamcall: TDH.PHYMEM.PAGE.WBINVD answered TDX_SUCCESS ')"

scenario "nobody listens"
check "no more events" eval 'echo >$trace/set_event; echo >$trace/trace'
check "tdx_pages loads" load global_keyid=32 pool=0
check "nothing is traced" eval '! grep -q tdx_pages_ $trace/trace'
unload
