#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# install.sh [--remove]: what is left to do after `make modules_install`, so
# that modprobe finds the kernel modules; or takes them away again.

. "$(dirname "$0")/lib.sh"

kdir=${KDIR:-${KERNEL_BUILD:-$("$top/scripts/kernel.sh")}}
release=$(cat "$kdir/include/config/kernel.release" 2>/dev/null) ||
	die "$kdir does not tell its release (include/config/kernel.release)" "build the kernel there"
root=${INSTALL_MOD_PATH:-}
modules=(tdx_emu)
[ "${TDX_EMU_ONLY:-}" = 1 ] || modules+=(tdx_pages)
dir=$root/lib/modules/$release/${INSTALL_MOD_DIR:-updates}
PATH=$PATH:/usr/sbin:/sbin

depmod_all() {
	local map=()
	[ ! -e "$kdir/System.map" ] || map=(-e -F "$kdir/System.map")
	depmod -a "${map[@]}" ${root:+-b "$root"} "$release"
}

command -v depmod >/dev/null || die "depmod is not there" "install kmod"
if [ "${1:-}" = --remove ]; then
	[ -d "$root/lib/modules/$release" ] || die "nothing is installed in $root/lib/modules/$release"
	rm -f "$dir"/tdx_pages.ko* "$dir"/tdx_emu.ko*
	rmdir --ignore-fail-on-non-empty "$dir" 2>/dev/null || true
	depmod_all
	say "removed from $dir"
	exit 0
fi
# The kernel's modules_install does this itself, but for a headers package, which
# has no System.map.
[ -e "$kdir/System.map" ] || depmod_all
for module in "${modules[@]}"; do
	modprobe -S "$release" ${root:+-d "$root"} --show-depends "$module" >/dev/null ||
		die "modprobe does not find $module for $release" "look into $dir"
done
say "installed in $dir: ${modules[*]}"
[ "${TDX_EMU_ONLY:-}" = 1 ] ||
	say "modprobe tdx_pages hands memory over, the extension pool until the next boot: see README.md"
