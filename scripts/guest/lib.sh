# SPDX-License-Identifier: GPL-2.0
#
# What the guest scripts share.  Sourced by each, in busybox's shell, with the
# results' port open as 3.

emu=/sys/kernel/debug/tdx_emu
pages=/sys/kernel/debug/tdx_pages
field_pool=0x3100000100000000
field_iommu_mt=0x3000000100000003

report() { echo "@@ $*" >&3; }

# How many checks the whole script makes: one that is left out shows.
plan() { report "plan $1"; }

# A part of a script with a name, in the results and on the console.
scenario() {
	report "scenario $1"
	echo "@@ scenario $1" >/dev/kmsg
	mark
}

# What the console may say within this scenario though it is a complaint
# anywhere else (an extended regular expression).
allow() { report "allow $1"; }

detail() { sed 's/^/@@ | /' >&3; }

# check NAME COMMAND...: passes if the command succeeds; else tells what it said.
check() {
	local name=$1 said
	shift
	if said=$("$@" 2>&1); then
		report "ok $name"
	else
		report "not ok $name"
		{ echo "failed: $*"; [ -z "$said" ] || echo "$said"; messages | tail -n 30; } | detail
	fi
}

# same NAME WANTED GOT
same() {
	if [ "$2" = "$3" ]; then
		report "ok $1"
	else
		report "not ok $1"
		{ echo "wanted: $2"; echo "got:    $3"; messages | tail -n 30; } | detail
	fi
}

# section NAME COMMAND...: a command's output, for the host to read.
section() {
	local name=$1
	shift
	report "section $name"
	"$@" 2>&1 | sed 's/^@@/ @@/' >&3
	report "section-end $name"
}

# --- Kernel messages -----------------------------------------------------------

# Forgets them; the console has them all the same.
mark() { dmesg -c >/dev/null; }
# Those since the last mark, without times.
messages() { dmesg | sed 's/^\[ *[0-9.]*\] //'; }
# busybox's insmod tries twice, by finit_module() and by init_module(): what a
# refused load says comes twice, and the numbers in it may differ.
ours() {
	messages | grep '^tdx_pages: ' | grep -v 'taints kernel' |
		awk '{ key = $0; gsub(/[0-9]+/, "", key) } !seen[key]++'
}
said() { messages | grep -qE "$1"; }
silent_about() { ! messages | grep -E "$1"; }
# One line of ours, no more, and it matches.
said_once() {
	[ "$(ours | wc -l)" = 1 ] || { echo "$(ours | wc -l) lines:"; ours; return 1; }
	ours | grep -qE "$1"
}

# --- Kernel modules ------------------------------------------------------------

load() { insmod /tdx_pages.ko "$@"; }
unload() { rmmod tdx_pages; }
loaded() { grep -q "^$1 " /proc/modules; }
not_loaded() { ! loaded "$1"; }

# refused TEXT PARAMETER...: loading fails with this error and leaves nothing.
refused() {
	local text=$1 out
	shift
	if out=$(load "$@" 2>&1); then
		unload
		echo "it was loaded"
		return 1
	fi
	case $out in
	*"$text"*) ;;
	*) echo "another error: $out"; return 1 ;;
	esac
	not_loaded tdx_pages
}

# A software TDX Module with these parameters that knows of no page.
emu_fresh() {
	if loaded tdx_emu; then
		tell reset
		rmmod tdx_emu || return 1
	fi
	insmod /tdx_emu.ko "$@"
}
tell() { echo "$*" >$emu/control; }
state() { awk -v key="$1" '$1 == key { print $2 }' $emu/state; }
# calls LEAF, ok LEAF: SEAMCALLs made, and those that succeeded.
calls() { awk -v leaf="$1" '$1 == leaf { n = $2 } END { print n + 0 }' $emu/seamcalls; }
succeeded() { awk -v leaf="$1" '$1 == leaf { n = $3 } END { print n + 0 }' $emu/seamcalls; }

# --- What the kernel itself has booked -------------------------------------------

# Allocations through the kernel crate are booked on its helpers' lines.
helper_bytes() {
	awk '/func:rust_helper_/ && !/\[/ { n += $1 } END { print n + 0 }' /proc/allocinfo
}
# What was allocated by our own call sites and left when the module went.
left_lines() { messages | grep 'module tdx_pages func:.* allocated at module unload'; }
left_pages() {
	messages | sed -n 's/.* module tdx_pages func:.* has \([0-9]*\) allocated at module unload$/\1/p' |
		awk '{ n += $1 } END { print n / 4096 }'
}

# The balance of one life of tdx_pages.ko, after its unload: every page that was
# handed over is free again, in the pool, or left behind and known as such.
balanced() {
	local h r p q l
	h=$(state handed_over)
	r=$(state released)
	p=$(state pool)
	q=$(($(state held) + $(state unproved)))
	l=$(left_pages)
	echo "handed over $h, released $r, held for good $p, quarantined $q; left at unload: $l pages"
	[ "$h" = $((r + p + q)) ] && [ "$l" = $((p + q)) ] && [ "$(state host_bugs)" = 0 ]
}
