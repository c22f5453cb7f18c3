#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# with-kernel.sh PROGRAM [ARGUMENT...]: sees to it that tools and kernel are
# there, then runs a Python program of this directory, which finds the kernel
# in KERNEL_BUILD and the cache in TDX_PAGES_CACHE.

. "$(dirname "$0")/lib.sh"

KERNEL_BUILD=$("$top/scripts/kernel.sh")
tool_env
program=$top/scripts/$1
shift
export KERNEL_BUILD TDX_PAGES_CACHE=$cache PYTHONDONTWRITEBYTECODE=1
exec python3 "$program" "$@" </dev/null
