#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# checkpatch.sh: the kernel tree's checkpatch.pl, strict, on all C files and on
# the kernel patches.  Silent but for its last line when there is nothing to say.

. "$(dirname "$0")/lib.sh"

kdir=${KDIR:-${KERNEL_BUILD:-$("$top/scripts/kernel.sh")}}
# A build dir of its own has the script in the source tree it names.
checkpatch=$kdir/scripts/checkpatch.pl
[ -e "$checkpatch" ] || checkpatch=$kdir/source/scripts/checkpatch.pl
[ -e "$checkpatch" ] || die "no scripts/checkpatch.pl in $kdir or its source" \
	"kernel headers do not have it; give the build dir of a kernel tree as KDIR="

# What it complains of and what stays, each with the reason:
# - a name that is the kernel's own;
# - the layout of trace events, which is that of the kernel's own;
# - the version of the kernel, which code outside of the tree has to ask for
#   where nothing else tells; and the same line, misread as a constant on the left.
known='include/trace/events/[a-z_]*.h:[0-9]*: CHECK:(PARENTHESIS_ALIGNMENT|OPEN_ENDED_LINE):
CAMELCASE: Avoid CamelCase: <MSR_MTRRcap>$
rust/helpers/kernel.c:[0-9]*: WARNING:(LINUX_VERSION_CODE|CONSTANT_COMPARISON): '

said=0
run() {
	local name=$1 output
	shift
	# Its status is that of the last file; its words are what counts.
	output=$(perl "$checkpatch" --no-tree --strict --show-types --terse "$@" 2>&1 |
		grep -Ev "$known" | grep -vE '^total: |ready for submission\.$|^$' || true)
	[ -n "$output" ] || return 0
	printf '%s\n' "$output" | sed "s|^-:|$name:|"
	said=1
}

cd "$top"
mapfile -t files < <(find include rust samples -name target -prune -o \
	-type f \( -name '*.c' -o -name '*.h' \) ! -name '*.mod.c' -print | sort)
[ ${#files[@]} != 0 ] || die "there are no C files in $top"
run "" -f "${files[@]}"
patches=(scripts/kernel/patches/*.patch)
for patch in "${patches[@]}"; do
	# From standard input: a file that git knows would not be taken for a patch.
	run "$patch" - <"$patch"
done
# It leaves a file of its own.
rm -f .checkpatch-camelcase.*
[ "$said" = 0 ] || die "checkpatch.pl has complaints"
say "${#files[@]} C files and ${#patches[@]} patches: checkpatch.pl has no complaints"
