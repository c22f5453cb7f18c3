# SPDX-License-Identifier: GPL-2.0
#
# Loads the modules with the KUnit suites built in: they run at insmod.  The
# verdict is the host's, from the result files.  What is left in the end is not
# looked at: some cases lose pages on purpose.

. /guest/lib.sh
plan 3

scenario suites
# A test helper fails one allocation after the other (fail_nth); allocations
# that may sleep must be among them, single pages too, and quietly.
for fault in failslab fail_page_alloc; do
	echo N >/sys/kernel/debug/$fault/ignore-gfp-wait
	echo 0 >/sys/kernel/debug/$fault/verbose
done
echo 0 >/sys/kernel/debug/fail_page_alloc/min-order
echo N >/sys/kernel/debug/fail_page_alloc/ignore-gfp-highmem

# The kernel crate has suites of its own, which ran at boot.
suites() { ls /sys/kernel/debug/kunit; }
suites >/tmp/suites
check "tdx_emu loads" insmod /tdx_emu.ko
check "tdx_pages loads" load pool=0 iommu=0 global_keyid=32
for suite in $(suites | grep -vxFf /tmp/suites); do
	section "kunit $suite" cat "/sys/kernel/debug/kunit/$suite/results"
done
check "tdx_pages unloads" unload
