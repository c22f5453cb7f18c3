#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# rust-analyzer.sh: writes rust-project.json, by which rust-analyzer knows both
# kernel modules, their bindings, and the kernel crate.

. "$(dirname "$0")/lib.sh"

kunit=()
if [ -n "${KDIR:-}" ]; then
	"$top/scripts/kmake.sh" modules
	dir=$top
	[ "${TDX_PAGES_KUNIT:-}" != 1 ] || kunit=(--kunit)
else
	KERNEL_BUILD=${KERNEL_BUILD:-$("$top/scripts/kernel.sh")}
	export KERNEL_BUILD
	# With the suites, or they would be dead text to an editor.
	dir=$("$top/scripts/build.sh" kunit)
	kunit=(--kunit)
fi
"$top/scripts/kmake.sh" rust-analyzer >/dev/null
exec python3 "$top/scripts/rust-analyzer.py" "$dir" "${kunit[@]}"
