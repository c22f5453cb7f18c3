# SPDX-License-Identifier: GPL-2.0
#
# A machine with less memory than the TDX Module wants: it is refused, what was
# free before is free again, and nobody is killed for it.

. /guest/lib.sh
plan 6

scenario "more than there is memory"
sleep 1000 &
sleeper=$!
free_pages() { awk '$1 == "MemFree:" { print int($2 / 1024) }' /proc/meminfo; }
check "a TDX Module" insmod /tdx_emu.ko pool_pages=65535
mark
before=$(free_pages)
check "ENOMEM" refused "Cannot allocate memory" iommu=0 global_keyid=32
check "one line says why" said_once '^tdx_pages: ext_pool: the TDX Module wants 65535 pages, more than half of '
same "pages handed over" 0 "$(state handed_over)"
check "the memory is free again" [ "$(free_pages)" -ge $((before - 4)) ]
check "another process lives on" kill $sleeper
