#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# kmake.sh TARGET...: makes targets of the kernel's build system for the
# modules in this tree, with the kernel of `make kernel`, or with KDIR=.

. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/tree.sh"

# The kernel's Makefile would take one for several external modules.
case ${KMAKE_DIR:-$top} in
*[[:space:]:]*) die "the kernel's build system takes no blank or colon in the path of a module" \
	"move ${KMAKE_DIR:-$top} to a directory without one" ;;
esac
if [ -n "${KDIR:-}" ]; then
	"$top/scripts/check-tree.sh" "$KDIR" || exit 1
	tree_env "$KDIR"
	kdir=$KDIR
else
	kdir=${KERNEL_BUILD:-$("$top/scripts/kernel.sh")}
	tool_env
fi

# The kernel's Makefile heeds these on its command line only.
args=()
for name in V W C CLIPPY INSTALL_MOD_PATH INSTALL_MOD_DIR TDX_PAGES_KUNIT TDX_PAGES_SAMPLES \
	TDX_PAGES_BENCH TDX_EMU_ONLY; do
	[ -z "${!name:-}" ] || args+=("$name=${!name}")
done
# The clippy of the same release as rustc, where there is one beside it.
clippy=$(dirname "$(command -v "$RUSTC")")/clippy-driver
[ ! -x "$clippy" ] || args+=("CLIPPY_DRIVER=$clippy")
exec make -C "$kdir" M="${KMAKE_DIR:-$top}" "${kmake_vars[@]}" -j"$(nproc)" \
	--no-print-directory "${args[@]}" "$@"
