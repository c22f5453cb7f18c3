#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# fmt.sh [--check]: formats the Rust sources by the kernel's rules.

. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/tree.sh"

if [ -n "${KDIR:-}" ]; then
	tree_env "$KDIR"
	kdir=$KDIR
else
	kdir=${KERNEL_BUILD:-$("$top/scripts/kernel.sh")}
	tool_env
fi
# A build dir of its own has the rules in the source tree it names.
rules=$kdir/.rustfmt.toml
[ -e "$rules" ] || rules=$kdir/source/.rustfmt.toml
[ -e "$rules" ] || die "no .rustfmt.toml in $kdir or its source" \
	"kernel headers do not have it; give the build dir of a kernel tree as KDIR="
# The rustfmt of the same release as rustc, where there is one beside it.
rustfmt=$(dirname "$(command -v "$RUSTC")")/rustfmt
[ -x "$rustfmt" ] || rustfmt=rustfmt
command -v "$rustfmt" >/dev/null || die "rustfmt is not there" "install it beside $RUSTC"

mapfile -t files < <(find "$top/rust" "$top/samples" -name target -prune -o \
	-name '*.rs' ! -name '*_bindings.rs' -print | sort)
[ ${#files[@]} != 0 ] || die "there is no Rust source in $top/rust"
bad=()
for file in "${files[@]}"; do
	# One file at a time, from standard input: rustfmt then follows no "mod",
	# and needs none of the files that a build generates.
	"$rustfmt" --edition 2021 --config-path "$rules" <"$file" >"$file.fmt" ||
		{ rm -f "$file.fmt"; die "rustfmt does not understand ${file#"$top"/}"; }
	if ! cmp -s "$file" "$file.fmt"; then
		bad+=("${file#"$top"/}")
		if [ "${1:-}" = --check ]; then
			diff -u --label "${file#"$top"/}" --label formatted "$file" "$file.fmt" | head -n 30 || true
		else
			cat "$file.fmt" >"$file"
		fi
	fi
	rm -f "$file.fmt"
done
if [ "${1:-}" = --check ]; then
	[ ${#bad[@]} = 0 ] || die "not formatted: ${bad[*]}" "make fmt formats them"
	say "${#files[@]} files are formatted"
else
	say "${#files[@]} files, ${#bad[@]} formatted anew"
fi
