# SPDX-License-Identifier: GPL-2.0
#
# The demo: hands everything over and takes back what can be had back.  The
# figures are read by the host, which judges them.

. /guest/lib.sh
plan 3

lines() { grep 'func:rust_helper_' /proc/allocinfo | grep -v '\[' || true; }

scenario demo
check "tdx_emu loads" insmod /tdx_emu.ko pool_pages=12800
section allocinfo-before lines
check "tdx_pages loads" load global_keyid=32
section messages-load messages
section summary cat $pages/summary
section users cat $pages/users
section seamcalls-loaded cat $emu/seamcalls
mark
check "tdx_pages unloads" unload
section messages-unload messages
section state cat $emu/state
section seamcalls cat $emu/seamcalls
section allocinfo-after lines
