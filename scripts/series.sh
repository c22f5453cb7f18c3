#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# series.sh WANTED [SERIES...]: which kernel series is taken out of those that
# are to be had, as in "series.sh 7.3 7.2 7.3"; with an empty WANTED the newest
# that is known to work.  Prints it, or one line that says what to do.
#
# series.sh --known: those that are known to work, newest first.

. "$(dirname "$0")/lib.sh"

known="7.3 7.2"

[ "${1:-}" != --known ] || { echo "$known"; exit 0; }
wanted=${1:-}
shift || true
# In any order, and with doubles, when they come from apt.
offered=$(printf '%s\n' "$@" | { grep -xE '[0-9]+\.[0-9]+' || true; } | sort -Vru)
is_offered() { grep -qxF "$1" <<<"$offered"; }

own="or build a patched tree of your own and name it with KDIR= (Documentation/kernel-tree.rst)"
here=$(echo ${offered:-none})
if [ -n "$wanted" ]; then
	is_offered "$wanted" || die "there is no source package of Linux $wanted; there are: $here" \
		"name one of these with KERNEL=, $own"
	[[ " $known " = *" $wanted "* ]] ||
		say "Linux $wanted is not one of those that are known to work: $known"
	echo "$wanted"
	exit 0
fi
for series in $known; do
	if is_offered "$series"; then
		[ "$series" = "${known%% *}" ] ||
			say "there is no source package of Linux ${known%% *} any more: $series is taken"
		echo "$series"
		exit 0
	fi
done
# Of those that are newer the one that is next.
next=
for series in $offered; do
	[ "$(printf '%s\n' "$series" "${known%% *}" | sort -V | tail -n 1)" != "$series" ] || next=$series
done
[ -z "$next" ] ||
	die "there are source packages of newer kernels only ($here); known to work: $known" \
		"put a linux-source-${known%% *}_*.deb of Debian's archive of old packages into $cache/source," \
		"or see how far KERNEL=$next gets, $own"
die "there is no source package of a kernel that is known to work ($known); there are: $here" \
	"put a linux-source-${known%% *}_*.deb into $cache/source, $own"
