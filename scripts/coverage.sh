#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# coverage.sh [--lines]: installs the tools, with those of rustc's own LLVM, and runs coverage.py.

. "$(dirname "$0")/lib.sh"

WITH_COVERAGE=1 "$top/scripts/tools.sh"
tool_env
export TDX_PAGES_CACHE=$cache PYTHONDONTWRITEBYTECODE=1
exec python3 "$top/scripts/coverage.py" "$@" </dev/null
