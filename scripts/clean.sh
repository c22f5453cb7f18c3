#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Removes what a build in the source tree has left.  Needs no kernel tree, so
# that cleaning never starts with building one.

cd "$(dirname "$0")/.." || exit 1
find . \( -path ./.git -o -path ./scripts -o -path ./Documentation \) -prune -o -type f \( \
	-name '*.o' -o -name '*.ko' -o -name '*.mod' -o -name '*.mod.c' -o -name '.*.cmd' -o \
	-name '*.rsi' -o -name '*.ll' -o -name '*.s' -o -name '*.d' -o -name '*_bindings.rs' -o \
	-name Module.symvers -o -name modules.order -o -name '.module-common.o' -o \
	-name rust-project.json -o -name compile_commands.json \) -exec rm -f {} +
rm -rf rust/host/target scripts/__pycache__ Documentation/output
