# SPDX-License-Identifier: GPL-2.0
#
# The trace points: the objects of a driver from hand-over to their end, one of
# which goes into quarantine.

. /guest/lib.sh
plan 26

trace=/sys/kernel/tracing
mount -t tracefs tracefs $trace
failed=0xc000030000000002 # TDX_PAGE_METADATA_INCORRECT on RDX
sample=/tdx_pages_sample.ko

# Events without task, CPU and time.
events() { sed -n 's/^.*: \(tdx_pages_[a-z_]*: .*\)$/\1/p' $trace/trace; }
many() { events | grep -cE "^$1"; }

scenario "a session from hand-over to quarantine, and back"
check "tdx_emu loads" insmod /tdx_emu.ko pool_pages=600
# From the first event on, before there is such a module.
check "ask for its events" eval 'echo ":mod:tdx_pages" >$trace/set_event'
check "tdx_pages loads" load iommu=0 global_keyid=32
check "DELETE is to fail" tell fail TDH.SPDM.DELETE 1 1 $failed
# It forgets a session with a stream, an IOMMU and an array: they are ended with it.
check "a driver that leaks" insmod $sample scenario=leak
check "ask for a try" eval 'echo 1 >$pages/retry'
check "the TDX Module forgets" tell reset
check "ask for another try" eval 'echo 1 >$pages/retry'
section "trace" events

session="session 0000:01:00.0: 3 pages"
same "held for good" "tdx_pages_held_for_good: ext_pool: 600 pages" "$(events | grep ' ext_pool: ' | tail -n 1)"
same "handed over" 1 "$(many "tdx_pages_hand_over: sample $session\$")"
same "release begun" 1 "$(many "tdx_pages_release: sample $session\$" | sed 's/^[1-9][0-9]*$/1/')"
same "into quarantine, with the cause" 1 \
	"$(many "tdx_pages_quarantined: sample $session, release failed: TDH.SPDM.DELETE answered TDX_PAGE_METADATA_INCORRECT on RDX ")"
# On a slow machine it has been tried by itself, too.
same "tried in vain" 1 "$(many 'tdx_pages_retried: sample session 0000:01:00.0: 0 pages proved, 3 left$' |
	sed 's/^[1-9][0-9]*$/1/')"
same "proved" 1 "$(many 'tdx_pages_retried: sample session 0000:01:00.0: 3 pages proved, 0 left$')"
same "the stream is back" 1 "$(many 'tdx_pages_back: sample stream 0 of 0000:01:00.0: 1 pages$')"
same "SEAMCALLs of CONNECT, decoded" "3 1" \
	"$(many 'tdx_pages_seamcall: TDH.SPDM.CONNECT answered TDX_SPDM_REQUEST ') $(many 'tdx_pages_seamcall: TDH.SPDM.CONNECT answered TDX_SUCCESS .success, 0x0000000000000000. after [0-9]+ ns$')"
same "the SEAMCALL of DELETE" 1 \
	"$(many 'tdx_pages_seamcall: TDH.SPDM.DELETE answered TDX_PAGE_METADATA_INCORRECT on RDX ')"
same "proofs" 1 "$(many 'tdx_pages_proof: 0x[0-9a-f]+000: TDX_SUCCESS ' | sed 's/^[1-9][0-9]*$/1/')"
same "bugs of the host" 0 "$(state host_bugs)"

scenario "a filter"
check "the driver goes" rmmod tdx_pages_sample
echo 'raw != 0 && leaf != "TDH.SYS.RD"' >$trace/events/tdx_pages/tdx_pages_seamcall/filter
echo >$trace/trace
check "a driver that leaks" insmod $sample scenario=leak
# Since the reset the TDX Module has no extensions, and refuses the session.  That,
# successes, and other events than SEAMCALLs:
same "answers other than success are traced" "1 0 1" \
	"$(many 'tdx_pages_seamcall: TDH.SPDM.CREATE answered TDX_CONNECT_INVALID_STATE ') \
$(many 'tdx_pages_seamcall: .* answered TDX_SUCCESS ') $(many 'tdx_pages_held: ' | sed 's/^[1-9][0-9]*$/1/')"

scenario "nobody listens"
check "the driver goes" rmmod tdx_pages_sample
check "no more events" eval 'echo >$trace/set_event; echo >$trace/trace'
check "a driver that leaks" insmod $sample scenario=leak
check "nothing is traced" test -z "$(events)"
