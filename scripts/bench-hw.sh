#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# `make bench HW=1`: the jobs of `make bench` on this machine with its real TDX
# Module, in cycles of the TSC, and how long each leaf took.  As root, on a kernel
# with the patches of scripts/kernel/patches/.  KDIR= is its build directory, if it
# is not the usual.
#
# What cannot be undone is left out unless it is asked for: POOL=1 hands the
# extension pool over, which stays with the TDX Module until the next boot; IOMMU=1
# sets the IOMMUs up.  Documentation/hardware.rst has what to know before.

. "$(dirname "$0")/lib.sh"

kdir=${KDIR:-/lib/modules/$(uname -r)/build}
bench=/sys/kernel/debug/tdx_pages_bench

[ "$(id -u)" = 0 ] || die "this loads a kernel module: run it as root"
grep -qw tdx_host_platform /proc/cpuinfo || die \
	"the kernel found no TDX platform here, so no SEAMCALL would be answered" \
	"TDX is on in the BIOS, and the kernel runs with kvm_intel.tdx=1, when dmesg says \"virt/tdx: TDX-Module initialized\""
command -v python3 >/dev/null || die "python3 is not there" "install it: it makes the table"
[ -d "$kdir" ] || die "there is no $kdir" "name the running kernel's build directory with KDIR="
! grep -q '^tdx_pages ' /proc/modules || die "tdx_pages is loaded" "unload it first: rmmod tdx_pages"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp -r "$top/Kbuild" "$top/bench" "$top/include" "$top/rust" "$work/"
KDIR=$kdir KMAKE_DIR=$work TDX_PAGES_BENCH=1 "$top/scripts/kmake.sh" modules >"$work/log" 2>&1 || {
	tail -n 20 "$work/log" >&2
	die "the modules cannot be built for $kdir"
}
[ -d /sys/kernel/debug/tracing ] || mount -t debugfs debugfs /sys/kernel/debug 2>/dev/null || true
insmod "$work/tdx_pages.ko" pool="${POOL:-0}" iommu="${IOMMU:-0}" || die "tdx_pages.ko cannot be loaded; dmesg says why"
trap 'rmmod tdx_pages; rm -rf "$work"' EXIT
[ -w "$bench/run" ] || die "there is no $bench/run" "mount debugfs"

say "==> the machine"
uname -r
grep -m 1 '^model name' /proc/cpuinfo
grep -m 1 '^microcode' /proc/cpuinfo
dmesg | grep -E 'virt/tdx: .*(version|module)' || true
dmesg | grep -E 'tdx_pages: ' | tail -n 20 || true
for job in calibrate "create 1 9" "create 16 9" "create 512 9" "create 12800 5" "create 65536 3" \
	"create 262144 3"; do
	say "==> $job"
	# A job that does not fit into memory leaves the others.
	echo "$job" >"$bench/run" || say "    $job: failed; dmesg says why"
done
cat "$bench/run" >"$work/lines"
python3 "$top/scripts/bench.py" --hw <"$work/lines"
say "==> what the TDX Module answered, and how soon"
cat /sys/kernel/debug/tdx_pages/seamcalls
say "==> as it was read: calibrate WORD CALLS CYCLES; time JOB SIDE PAGES ROUND STEP CYCLES 0 0"
cat "$work/lines"
