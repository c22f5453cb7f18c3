# SPDX-License-Identifier: GPL-2.0
#
# What the scripts share.  Sourced, never run.

set -euo pipefail

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# Who is started by dkms at boot may have no home.
cache=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/tdx-pages
# With a tree of the user's own nothing else is touched.
[ -n "${KDIR:-}" ] || mkdir -p "$cache/log"

bindgen_version=0.72.1

say() { printf '%s\n' "$*" >&2; }
die() {
	printf 'error: %s\n' "$1" >&2
	shift
	local line
	for line in "$@"; do printf '       %s\n' "$line" >&2; done
	exit 1
}

# The tools, unless the environment names others.  A rustc from elsewhere may
# come first on the PATH; the kernel and the modules must see the same one.
tool_env() {
	: "${LLVM:=-19}"
	: "${RUSTC:=/usr/bin/rustc}"
	if [ -z "${BINDGEN:-}" ]; then
		BINDGEN=$cache/tools/bindgen-$bindgen_version/bin/bindgen
		[ -x "$BINDGEN" ] || BINDGEN=$(command -v bindgen || echo "$BINDGEN")
	fi
	if [ -z "${RUST_LIB_SRC:-}" ]; then
		# One that is not there is told of by who needs it.
		RUST_LIB_SRC=$("$RUSTC" --print sysroot 2>/dev/null || true)/lib/rustlib/src/rust/library
		if [ ! -d "$RUST_LIB_SRC/core" ]; then
			RUST_LIB_SRC=/usr/src/rustc-$({ "$RUSTC" --version 2>/dev/null || true; } |
				awk '{print $2}')/library
		fi
	fi
	# Debian's layout; elsewhere libclang is found by its own means.
	if [ -z "${LIBCLANG_PATH:-}" ] && [ -d "/usr/lib/llvm${LLVM}/lib" ]; then
		LIBCLANG_PATH=/usr/lib/llvm${LLVM}/lib
		export LIBCLANG_PATH
	fi
	export LLVM RUSTC BINDGEN RUST_LIB_SRC
	# What every make in the kernel tree is told.  The kernel's Makefile assigns
	# these, so the environment alone would not do.
	kmake_vars=(LLVM="$LLVM" RUSTC="$RUSTC" HOSTRUSTC="$RUSTC" BINDGEN="$BINDGEN"
		RUST_LIB_SRC="$RUST_LIB_SRC")
}

# run_step NAME LOG COMMAND...: runs a long step with its output in LOG and a
# line of progress; a failed one says which step it was and where its log is.
run_step() {
	local name=$1 log=$2 start=$SECONDS told=$SECONDS pid n rc=0
	shift 2
	say "==> $name"
	"$@" >"$log" 2>&1 </dev/null &
	pid=$!
	while kill -0 "$pid" 2>/dev/null; do
		sleep 0.2
		if [ $((SECONDS - told)) -ge "${PROGRESS_SECONDS:-20}" ]; then
			told=$SECONDS
			n=$(grep -cE '^  (CC|AS|LD|AR|RUSTC|HOSTCC|BINDGEN|EXPORTS|CC \[M\])' "$log" || true)
			if [ "$n" -gt 0 ]; then
				say "    ${n} objects built, $((SECONDS - start)) s"
			else
				say "    $((SECONDS - start)) s"
			fi
		fi
	done
	wait "$pid" || rc=$?
	if [ "$rc" != 0 ]; then
		# From the first error on; a compiler's last lines tell little.
		{ grep -m 1 -A 25 -E '(^|[ :])(error|ERROR|E)(\[[A-Z0-9]+\])?:' "$log" ||
			tail -n 15 "$log"; } | sed 's/^/    | /' >&2
		die "step \"$name\" failed with status $rc" "its log: $log"
	fi
	say "    done in $((SECONDS - start)) s"
}
