#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# check-tree.sh [--brief] TREE: tells whether the kernel modules can be built
# against a kernel build directory, in one line for each thing that is in the
# way and its cure; or in a few words on one line for all of them.

. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/tree.sh"

patch=scripts/kernel/patches/0001-x86-virt-tdx-Open-SEAMCALL-to-a-driver.patch
fragment=scripts/kernel/config

brief=
if [ "${1:-}" = --brief ]; then
	brief=1
	shift
fi
[ $# = 1 ] || die "usage: check-tree.sh [--brief] <kernel build dir>"
tree=$1
faults=
# fault WORDS LINE
fault() {
	[ -n "$brief" ] || printf 'error: %s\n' "$2" >&2
	faults=$faults${faults:+, }$1
}
finish() {
	[ -n "$faults" ] || exit 0
	[ -z "$brief" ] || printf '%s\n' "$faults" >&2
	exit 1
}

if [ ! -e "$tree/Makefile" ] || [ ! -e "$tree/.config" ]; then
	fault "no kernel build dir" \
		"$tree is not a kernel build dir (it has no Makefile or no .config): give the directory that the kernel was built in (its O=), or that of an installed kernel's headers, as KDIR="
	finish
fi

# An older kernel lacks what no configuration gives it.  A newer one is let go on,
# since nothing in the modules asks for the version.
release=$(cat "$tree/include/config/kernel.release" 2>/dev/null || true)
if [[ $release =~ ^[0-9]+\.[0-9]+ ]]; then
	series=${BASH_REMATCH[0]}
	known=$("$top/scripts/series.sh" --known)
	oldest=${known##* }
	if [[ " $known " = *" $series "* ]]; then
		:
	elif [ "$(printf '%s\n' "$series" "$oldest" | sort -V | head -n 1)" = "$series" ]; then
		fault "it is older than Linux $oldest" \
			"the kernel in $tree is Linux $release, and $oldest is the oldest that will do: give a tree of one of these, patched and built (Documentation/kernel-tree.rst): $known"
		finish
	elif [ -z "$brief" ]; then
		say "Linux $series is not one of those that are known to work: $known"
	fi
fi

has_rust=$(tree_option "$tree" CONFIG_RUST)
if [ "$has_rust" != y ]; then
	fault "no CONFIG_RUST" \
		"the kernel in $tree has no CONFIG_RUST: install rustc, its sources and bindgen, let 'make rustavailable' there tell what is missing, enable CONFIG_RUST and build the kernel again"
else
	if [ ! -e "$tree/rust/libkernel.rmeta" ]; then
		fault "no Rust artefacts" \
			"$tree has no Rust artefacts (rust/libkernel.rmeta): build the kernel there, or install the headers package that has them; headers without rust/ do not do"
	fi
	tree_env "$tree"
	kernel_rustc=$(tree_option "$tree" CONFIG_RUSTC_VERSION_TEXT)
	our_rustc=$(first_line "$RUSTC" --version)
	if [ "$our_rustc" != "$kernel_rustc" ]; then
		fault "built with another rustc" \
			"the kernel in $tree was built with another rustc, '$kernel_rustc', than '${our_rustc:-none}' ($RUSTC): name the kernel's one with RUSTC=, or build the kernel again with this one"
	fi
	if ! command -v "$BINDGEN" >/dev/null; then
		fault "no bindgen here" \
			"bindgen is not there ($BINDGEN): install it, or name it with BINDGEN="
	fi
fi

# The software TDX Module alone runs on any kernel with Rust.
[ "${TDX_EMU_ONLY:-}" != 1 ] || finish

if [ "$(tree_option "$tree" CONFIG_INTEL_TDX_HOST)" != y ]; then
	fault "no CONFIG_INTEL_TDX_HOST" \
		"the kernel in $tree has no CONFIG_INTEL_TDX_HOST: enable it and what it depends on ($fragment lists that) and build the kernel again"
fi

# What the modules need of the kernel is what the patch exports.
exported() {
	awk -F'\t' -v symbol="$1" '
		$2 == symbol && ($5 == "" || $5 ~ /^module:(.*,)?tdx_pages(,|$)/) { found = 1 }
		END { exit !found }' "$tree/Module.symvers"
}
if [ ! -e "$tree/Module.symvers" ]; then
	fault "no Module.symvers" \
		"$tree has no Module.symvers: apply $patch there and build the kernel with its modules"
else
	lack=
	while read -r symbol; do
		exported "$symbol" || lack="$lack $symbol"
	done < <(sed -n 's/^+EXPORT_SYMBOL_FOR_[A-Z_]*(\([a-z0-9_]*\).*/\1/p' "$top/$patch")
	if [ -n "$lack" ]; then
		fault "no exports to tdx_pages (it is not patched)" \
			"the kernel in $tree does not export to tdx_pages:$lack: apply $patch there and build the kernel again"
	fi
fi
finish
