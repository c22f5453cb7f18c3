# SPDX-License-Identifier: GPL-2.0
#
# The jobs of `make bench`, each by turns.  What they took is read by the host.  The
# kernel's command line says which: bench_jobs=JOB:PAGES:ROUNDS:MODE,...

. /guest/lib.sh

bench=/sys/kernel/debug/tdx_pages_bench
jobs=$(tr ' ' '\n' </proc/cmdline | sed -n 's/^bench_jobs=//p' | tr ',' ' ')
parameters=$(tr ' ' '\n' </proc/cmdline | sed -n 's/^tdx_emu\.//p')
plan $(($(echo $jobs | wc -w) + 3))

run() { echo "$1" | tr ':' ' ' >$bench/run; }

scenario bench
check "tdx_emu loads" insmod /tdx_emu.ko $parameters
check "tdx_pages loads" load pool=0 iommu=0 global_keyid=32
run calibrate
for job in $jobs; do
	check "$job" run "$job"
done
section bench cat $bench/run
same "bugs of the host" 0 "$(state host_bugs)"
