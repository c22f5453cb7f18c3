# SPDX-License-Identifier: GPL-2.0
#
# For people.  The kernel's build system reads Kbuild; see `make help`.

.DEFAULT_GOAL := modules

# The scripts below start makes of their own in other trees.  What is said on the
# command line here reaches them as environment.
unexport MAKEFLAGS MFLAGS

.PHONY: modules samples modules_install install uninstall checkinstall kernel demo \
	check check-long check-debug coverage bench fmt fmtcheck clippy checkpatch lint doc rust-analyzer clean help

modules: ## build tdx_pages.ko and tdx_emu.ko here
	@scripts/kmake.sh modules

samples: ## the same, and sample drivers that use the C API, in samples/
	@TDX_PAGES_SAMPLES=1 scripts/kmake.sh modules

modules_install: checkinstall modules ## install them for the kernel of KDIR=, or below INSTALL_MOD_PATH=
	@scripts/kmake.sh modules_install

install: modules_install ## the same, and let modprobe know of them
	@scripts/install.sh

uninstall: checkinstall ## take them away again
	@scripts/install.sh --remove

# The kernel of make kernel runs in QEMU only: to install for it by default
# would do nothing but litter this machine.
checkinstall:
	@test -n "$(KDIR)$(INSTALL_MOD_PATH)" || { \
		echo "error: installing wants KDIR=<build dir of the kernel that runs them>, or INSTALL_MOD_PATH=<directory>" >&2; \
		exit 1; }

# What a change must pass before it is sent, beside the tests.
lint: fmtcheck clippy checkpatch ## all of fmtcheck, clippy and checkpatch

ifdef KDIR
clippy:
	@CLIPPY=1 W=e scripts/kmake.sh modules
else
clippy: ## build them, and the suites and samples, with the kernel's clippy lints
	@scripts/build.sh clippy >/dev/null
endif

checkpatch: ## the kernel's checkpatch --strict on the C files and the kernel patches
	@scripts/checkpatch.sh

doc: ## rustdoc of both modules and the pages of Documentation/, in Documentation/output/
	@scripts/doc.sh

rust-analyzer: ## rust-project.json, for editors that use rust-analyzer
	@scripts/rust-analyzer.sh

# These make and boot a kernel of their own, of the series KERNEL=.
ifdef KDIR
kernel demo check check-long check-debug coverage bench:
	@echo "error: make $@ uses the kernel of make kernel; leave KDIR= out" >&2; exit 1
else
kernel: ## install the tools, fetch, patch and build the kernel of demo and check
	@scripts/kernel.sh

demo: ## boot it in QEMU; hand everything over and release it again
	@scripts/with-kernel.sh demo.py

check: ## run all tests
	@scripts/with-kernel.sh check.py

check-long: ## let the suites try everything instead of a share of it; many minutes
	@scripts/with-kernel.sh check.py --long

ifeq ($(HW),1)
bench:
	@scripts/bench-hw.sh
else
bench: ## measure against plain C, in QEMU; HW=1: on this machine, with its TDX Module
	@scripts/with-kernel.sh bench.py
endif

check-debug: ## run the boots of check on the debug kernel, which is built first if need be
	@FLAVOUR=debug scripts/with-kernel.sh check.py --debug

coverage: ## tell how much of the pure Rust the host tests go through; LINES=1 names what is left; minutes
	@scripts/coverage.sh $(if $(LINES),--lines)
endif

fmt: ## format the Rust sources
	@scripts/fmt.sh

fmtcheck: ## tell whether they are formatted
	@scripts/fmt.sh --check

clean: ## remove what a build has left here (the cache stays)
	@scripts/clean.sh

help: ## this
	@echo "make [target] [KDIR=<kernel build dir>]"
	@echo
	@awk -F':.*## ' '/^[a-z_-]+:.*## / { printf "  %-16s %s\n", $$1, $$2 }' Makefile
	@echo
	@echo "Without KDIR= the kernel of make kernel is used, which is made first if need be and"
	@echo "kept in \$${XDG_CACHE_HOME:-\$$HOME/.cache}/tdx-pages.  With KDIR= only that tree is used."
	@echo "KERNEL=7.2 takes that series instead of the newest that works; FRESH=1 looks for a newer package."
	@echo "TDX_EMU_ONLY=1 builds tdx_emu.ko alone, for a kernel without the patch too."
	@echo "TDX_PAGES_KUNIT=1 builds the KUnit suites in; V=1, W=1, CLIPPY=1 are the kernel's."
