# SPDX-License-Identifier: GPL-2.0
#
# How long loading takes, by pool size.  The number of remapping units is the DMAR
# table's.  The times are in the kernel's line "ready in ...".

. /guest/lib.sh
plan 6

for pool in 12800 25600 64000; do
	scenario "$pool pages"
	check "tdx_emu loads" insmod /tdx_emu.ko pool_pages=$pool pool_u32=1
	mark
	check "tdx_pages loads" load global_keyid=32
	section "load $pool" ours
	unload
	tell reset
	rmmod tdx_emu
done
