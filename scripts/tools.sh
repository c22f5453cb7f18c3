#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# tools.sh [doc]: installs what is needed to build the kernel and the modules
# and to boot them, or to build the pages of Documentation/: on Debian 12 and 13
# as root; elsewhere it says what is missing.

. "$(dirname "$0")/lib.sh"

packages_common="clang-19 lld-19 llvm-19 libclang-19-dev
	flex bison bc libelf-dev libssl-dev cpio kmod make gcc libc6-dev perl
	patch xz-utils python3 ca-certificates busybox-static qemu-system-x86"
packages_doc="python3-sphinx"
packages_12="rustc-web rust-web-src rust-web-clippy rustfmt-web cargo-web"
packages_13="rustc rust-src rust-clippy rustfmt cargo bindgen"

debian_version() {
	[ -r /etc/os-release ] || return 0
	( . /etc/os-release; [ "${ID:-}" = debian ] && echo "${VERSION_ID:-}" ) || true
}

missing_packages() {
	local p
	for p in "$@"; do
		dpkg-query -W -f='${db:Status-Status}' "$p" 2>/dev/null | grep -qx installed ||
			printf '%s ' "$p"
	done
}

# Any other system: name every command that is not there.
check_commands() {
	local c lack=()
	for c in "clang$LLVM" "ld.lld$LLVM" "llvm-nm$LLVM" flex bison bc cpio make perl \
		python3 patch xz busybox qemu-system-x86_64 depmod "$RUSTC" "$BINDGEN"; do
		command -v "$c" >/dev/null || lack+=("$c")
	done
	[ -d "$RUST_LIB_SRC/core" ] || lack+=("the sources of Rust's core library (RUST_LIB_SRC)")
	[ ${#lack[@]} = 0 ] || die "missing: ${lack[*]}" \
		"install them, or name yours with LLVM=, RUSTC=, BINDGEN=, RUST_LIB_SRC="
}

version=$(debian_version)
case ${1:-}:$version in
doc:12 | doc:13) packages=$packages_doc ;;
doc:*)
	command -v sphinx-build >/dev/null || die "missing: sphinx-build" "install Sphinx"
	exit 0
	;;
:12) packages="$packages_common $packages_12" ;;
:13) packages="$packages_common $packages_13" ;;
:*) tool_env; check_commands; exit 0 ;;
*) die "usage: tools.sh [doc]" ;;
esac

# A profile can only be read by the LLVM of the rustc that wrote the counters.
if [ -n "${WITH_COVERAGE:-}" ]; then
	case $version in
	12) packages="$packages llvm-22" ;;
	*) ;; # It is llvm-19, which is needed anyway.
	esac
fi

# shellcheck disable=SC2086
missing=$(missing_packages $packages)
if [ -n "$missing" ]; then
	if [ "$(id -u)" != 0 ]; then
		die "packages are missing and this is not root; run:" "sudo apt-get install $missing"
	fi
	install_missing() {
		apt-get update
		# shellcheck disable=SC2086
		DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $missing
	}
	run_step "install $(echo "$missing" | wc -w) packages" "$cache/log/tools.log" install_missing
fi

[ "${1:-}" != doc ] || exit 0
tool_env
if [ ! -x "$BINDGEN" ]; then
	dir=$cache/tools/bindgen-$bindgen_version
	install_bindgen() {
		RUSTC=/usr/bin/rustc /usr/bin/cargo install --locked bindgen-cli \
			--version "$bindgen_version" --root "$dir.new" --target-dir "$dir.build" &&
			rm -rf "$dir" "$dir.build" && mv "$dir.new" "$dir"
	}
	run_step "build bindgen $bindgen_version" "$cache/log/bindgen.log" install_bindgen
	tool_env
fi
check_commands
