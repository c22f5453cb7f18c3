# SPDX-License-Identifier: GPL-2.0
#
# What tdx_emu.ko and tdx_pages.ko say to parameters and lines of control that
# they do not take.

. /guest/lib.sh
plan 45

# no_emu SAID PARAMETER...: tdx_emu does not load with them, and says why.
no_emu() {
	local said=$1
	shift
	mark
	check "tdx_emu does not load with $*" eval "! insmod /tdx_emu.ko $*"
	check "it says why" said "^tdx_emu: $said"
}

scenario "parameters"
no_emu 'memory_mb=0 leaves no page' memory_mb=0
no_emu 'pool_pages is above 65535' pool_pages=65536
no_emu 'ext_required is above 255' ext_required=256
no_emu 'iommu_mt_pages is above 65535' iommu_mt_pages=65536
no_emu 'spdm_mt_pages is above 65535' spdm_mt_pages=65536
no_emu 'ide_mt_pages is above 65535' ide_mt_pages=65536
no_emu 'spdm_max_dev_info_pages is above 65535' spdm_max_dev_info_pages=65536
no_emu 'global_keyid is 0 or does not fit' global_keyid=0
mark
check "tdx_pages does not load with profile=2" refused "Invalid argument" profile=2
check "it says why" said_once '^tdx_pages: profile=2: give -1 '

scenario "interrupted for ever"
check "tdx_emu loads" insmod /tdx_emu.ko pool_pages=16
check "it will not end" tell fail TDH.EXT.MEM.ADD 1 100000000 TDX_INTERRUPTED_RESUMABLE
mark
check "tdx_pages does not load" eval '! load iommu=0 global_keyid=32 2>/dev/null'
check "it says why" said 'EXT.MEM.ADD was interrupted and does not move on$'
check "the TDX Module forgets" tell reset
check "tdx_emu unloads" rmmod tdx_emu

scenario "no SEAM"
check "tdx_emu loads" insmod /tdx_emu.ko
check "SEAMCALL is to raise #GP" tell fail TDH.SYS.RD 1 1000 0x8000ff000000000d
mark
check "tdx_pages does not load" refused "No such device" global_keyid=32
check "it says why" said_once '^tdx_pages: no TDX Module: TDX_SEAMCALL_GP .* enable TDX in the BIOS'
check "tdx_emu unloads" rmmod tdx_emu

scenario "lines of control"
check "tdx_emu loads" insmod /tdx_emu.ko
# usage LINE...: each is refused with what it should have been.
usage() {
	local line
	for line in "$@"; do
		mark
		tell "$line" && { echo "taken: $line"; return 1; }
		said "^tdx_emu: control: \"$line\": want" || { echo "silent: $line"; return 1; }
	done
}
check "no such word" usage explode
check "faults" usage fail nofail interrupt refuse keep released id
check "fields" usage field nofield
check "exchanges" usage rounds device_info told key_lasts
check "lives" usage update profile "reset now"
check "lies" usage progress outputs mix
mark
check "what cannot be done" eval '! tell refuse 0x1'
check "is refused" said '^tdx_emu: control: "refuse 0x1": refused, TDX_OPERAND_INVALID on RCX'
mark
check "what is no text" eval '! printf "\\377\\n" >$emu/control'
check "is called so" said '^tdx_emu: control: this is no text$'
same "bugs of the host" 0 "$(state host_bugs)"
mark
check "tdx_pages does not load with another KeyID" refused "" pool=0 iommu=0 global_keyid=9999
check "it says why" said '^tdx_pages: global_keyid=9999: there are '
check "tdx_emu unloads" rmmod tdx_emu
check "nothing was handed over" silent_about 'allocated at module unload'
