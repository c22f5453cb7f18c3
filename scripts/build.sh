#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# build.sh VARIANT: builds the kernel modules for demo and check in the cache,
# against the kernel of `make kernel`, and prints the directory.  What is built
# in the source tree itself stays untouched.
#
#   plain    the modules as they are
#   kunit    with the KUnit suites built in
#   clippy   the same under the kernel's clippy lints; a warning is an error
#   bench    with the rival and the benchmark built in

. "$(dirname "$0")/lib.sh"

variant=${1:-}
case $variant in
plain) ;;
kunit) export TDX_PAGES_KUNIT=1 ;;
clippy) export TDX_PAGES_KUNIT=1 CLIPPY=1 W=e ;;
bench) export TDX_PAGES_BENCH=1 ;;
*) die "variant \"$variant\" is not known" "use plain, kunit, clippy or bench" ;;
esac
export TDX_PAGES_SAMPLES=1

# Who calls has often asked for the kernel already.
KERNEL_BUILD=${KERNEL_BUILD:-$("$top/scripts/kernel.sh")}
export KERNEL_BUILD

# One directory for each source tree, so that two clones do not fight.
key=$(echo "$top" | sha256sum | cut -c1-8)
dir=$cache/modules/$(basename "$KERNEL_BUILD")-$variant-$key
mkdir -p "$dir"
exec 8>"$dir.lock"
flock 8

# Sources only, whatever an in-tree build has left beside them.
sources() {
	(cd "$top" && find Kbuild bench include rust samples \
		\( -path rust/host -o -name target -o -name '.*' \) -prune -o \
		-type f \( -name Kbuild -o -name '*.rs' -o -name '*.[chS]' \) \
		! -name '*.mod.c' ! -name '*_bindings.rs' -print | sort)
}

# Only changed files are written and vanished ones removed: make stays
# incremental, and never sees a file that is no longer there.
sync_sources() {
	local file
	sources >"$dir/.sources.new"
	while read -r file; do
		cmp -s "$top/$file" "$dir/$file" && continue
		mkdir -p "$dir/$(dirname "$file")"
		cp "$top/$file" "$dir/$file"
	done <"$dir/.sources.new"
	if [ -e "$dir/.sources" ]; then
		comm -23 "$dir/.sources" "$dir/.sources.new" |
			while read -r file; do rm -f "$dir/$file"; done
	fi
	mv "$dir/.sources.new" "$dir/.sources"
}

[ -e "$top/Kbuild" ] || die "there is no Kbuild in $top" "this is no complete source tree"
sync_sources
KDIR='' KMAKE_DIR=$dir run_step "build the modules ($variant)" "$dir.log" \
	"$top/scripts/kmake.sh" modules
for module in tdx_pages tdx_emu samples/tdx_pages_sample samples/tdx_pages_sample_rust; do
	[ -e "$dir/$module.ko" ] || die "the build made no $module.ko" \
		"its log: $dir.log"
done
echo "$dir"
