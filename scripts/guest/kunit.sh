# SPDX-License-Identifier: GPL-2.0
#
# Loads the modules with the KUnit suites built in: they run at insmod.  The
# verdict is the host's, from the result files.  What is left in the end is not
# looked at: some cases lose pages on purpose.

. /guest/lib.sh
plan 20

# The kernel crate may have suites of its own, which ran at boot. The first line is for the grep
# below: busybox takes a file without any pattern for one that matches everything.
suites() { ls /sys/kernel/debug/kunit; }
{ echo "suites of the kernel:"; suites; } >/tmp/suites

# One of its suites is a host that makes every mistake there is, on purpose.
scenario "planted host bugs"
allow "^(\\[.*\\] )?tdx_emu: (host bug: |  called by )"
check "tdx_emu loads" insmod /tdx_emu.ko
# told TEXT LEAF: a line tells of such a bug, in this leaf, and who made it.
told() {
	said "^tdx_emu: host bug: $1, in $2, by tdx_emu_test_seamcall\+0x.* \[tdx_emu\]$"
}
page='page 0x[0-9a-f]+'
check "a write to a held page" said "^tdx_emu: host bug: $page was written to at byte 0x18 \
while the TDX Module owned it, by tdx_emu_test_seamcall"
check "another KeyID" told "$page was flushed with KeyID 33, which is not the global one" \
	TDH.PHYMEM.PAGE.WBINVD
check "a list page" told "list or message $page is owned .* \(operand register 1\)" TDH.EXT.MEM.ADD
check "a root page" told "list or message $page is owned .* \(operand register 2\)" TDH.IOMMU.SETUP
check "a message page" told "list or message $page is owned .* \(operand register 9\)" TDH.SPDM.CONNECT
check "a list that lists itself" told "list $page lists itself at entry 0" TDH.EXT.MEM.ADD
check "a complete list" told "list word 0x[0-9a-f]+ was fed again .*" TDH.EXT.MEM.ADD
check "other operands" told "leaf 128 was interrupted and called again .*" TDH.IOMMU.SETUP
check "a list that is changed" told "list $page was changed while .*" TDH.EXT.MEM.ADD
check "a page that was not proved" told "$page was let go and handed over again.*" TDH.EXT.MEM.ADD
check "a page that was not written back" told "$page was not written back .*" TDH.EXT.MEM.ADD
check "half a block" told "$page of a block of 2 was not written back .*" TDH.IOMMU.SETUP
check "a write-back too early" told "$page was written to after .*" TDH.EXT.MEM.ADD
check "a held page that is freed" said "^tdx_emu: host bug: $page was freed while"
check "a page that is freed unproved" said "^tdx_emu: host bug: $page was let go and freed"
check "the stack of a free" said "^tdx_emu:   called by .*a_held_page_is_freed"
check "the callers of the instruction" said "^tdx_emu:   called by .*planted.* \[tdx_emu\]$"

scenario suites
# A test helper fails one allocation after the other (fail_nth); allocations
# that may sleep must be among them, single pages too, and quietly.
for fault in failslab fail_page_alloc; do
	echo N >/sys/kernel/debug/$fault/ignore-gfp-wait
	echo 0 >/sys/kernel/debug/$fault/verbose
done
echo 0 >/sys/kernel/debug/fail_page_alloc/min-order
echo N >/sys/kernel/debug/fail_page_alloc/ignore-gfp-highmem

# Some cases forget handles on purpose, and what is left interrupted is forgotten with them.
[ ! -e /sys/kernel/debug/kmemleak ] || echo scan=off >/sys/kernel/debug/kmemleak

# What the kernel's command line has for this kernel module, as if it were built in.
parameters=$(tr ' ' '\n' </proc/cmdline | sed -n 's/^tdx_pages\.//p')
check "tdx_pages loads" load pool=0 iommu=0 global_keyid=32 $parameters
for suite in $(suites | grep -vxFf /tmp/suites); do
	section "kunit $suite" cat "/sys/kernel/debug/kunit/$suite/results"
done
check "tdx_pages unloads" unload
