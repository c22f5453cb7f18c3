# SPDX-License-Identifier: GPL-2.0
#
# What is seen in debugfs tdx_pages/, held against what the software TDX Module
# counted; and for scripts/tdx-pages the files as they are, read by the host.

. /guest/lib.sh
plan 37

failed=0xc000030000000002 # TDX_PAGE_METADATA_INCORRECT on RDX
sample=/tdx_pages_sample.ko

# value KEY: of a key in the file for programs.
value() { awk -v key="$1" '$1 == key { sub(/^[^ ]* /, ""); print }' $pages/state; }
# The keys of the object with this name: its number in the list.
object() { awk -v name="$1" '/^object\..*\.name / {
	key = $1; sub(/^[^ ]* /, ""); if ($0 == name) { split(key, part, "."); print part[2] }
}' $pages/state; }
# Everything for the host, under one name.
files() {
	local file
	for file in summary users objects handles quarantine seamcalls features state; do
		section "$1 $file" cat $pages/$file
	done
	section "$1 messages" ours
}

scenario "at rest"
check "tdx_emu loads" insmod /tdx_emu.ko pool_pages=600
mark
check "tdx_pages loads" load global_keyid=32
same "files and their modes" "features 400 handles 400 objects 400 quarantine 400 retry 200 seamcalls 400 state 400 summary 400 users 400 " \
	"$(cd $pages && for file in *; do stat -c '%n %a' $file; done | tr '\n' ' ')"
same "profile, extensions, units" "v2 brought up 2" \
	"$(value profile) $(value extensions) $(value iommus)"
same "parameters" "1 -1 32 -1 -1" "$(value parameter.pool) $(value parameter.iommu) \
$(value parameter.global_keyid) $(value parameter.profile) $(value parameter.clflush)"
same "the pool's size as it was read" "0x258 MEMORY_POOL_REQUIRED_PAGES" "$(value field.$field_pool)"
check "the features have names" grep -qE '^TDX_FEATURES0 .* TDX_CONNECT EXT$' $pages/features
check "the pool is an object" grep -qE '^pool +600 +[01] held_for_good +[0-9]+  ext_pool$' $pages/objects
check "a unit is one, with its id" grep -qE '^iommu +12 +0 held +[0-9]+  iommu 0xfed90000, id 0x[0-9a-f]+$' \
	$pages/objects
same "its id is the one that was told" "$(messages | sed -n 's/.*iommu 0xfed90000: set up, id \(0x[0-9a-f]*\),.*/\1/p')" \
	"$(value "object.$(object 0xfed90000).id")"
same "the most that the IOMMUs had" 24 "$(value user.1.peak)"
files rest

scenario "a driver"
check "tdx_pages unloads" unload
check "tdx_emu loads" emu_fresh pool_pages=600
check "tdx_pages loads" load iommu=0 global_keyid=32
check "BUSY and INTERRUPTED come now and then" eval \
	'tell fail TDH.SPDM.CREATE 1 2 0x8000020200000000; tell interrupt TDH.SPDM.DELETE 3'
check "it lives and goes" eval 'insmod $sample scenario=life && rmmod tdx_pages_sample'
same "answers that want another call" "2 3" \
	"$(value leaf.TDH.SPDM.CREATE.again) $(value leaf.TDH.SPDM.DELETE.again)"
same "busy answers by status" 2 "$(value leaf.TDH.SPDM.CREATE.answered.0x8000020200000000)"
# The same numbers from both ends of the SEAMCALL: calls, and those that succeeded.
ours_by_leaf() {
	awk '/^leaf\..*\.calls / { sub(/^leaf\./, ""); sub(/\.calls/, ""); calls[$1] = $2 }
	/^leaf\..*\.succeeded / { sub(/^leaf\./, ""); sub(/\.succeeded/, ""); print $1, calls[$1], $2 }' $pages/state | sort
}
theirs_by_leaf() { awk '/^TDH/ && $2 { print $1, $2, $3 }' $emu/seamcalls | sort; }
same "each leaf as the TDX Module counted it" "$(theirs_by_leaf)" "$(ours_by_leaf)"
same "every call is in the histogram" "$(value leaf.TDH.PHYMEM.PAGE.WBINVD.calls)" \
	"$(awk '/^leaf\.TDH\.PHYMEM\.PAGE\.WBINVD\.below_ns\./ { n += $2 } END { print n }' $pages/state)"

scenario quarantine
check "DELETE is to fail" tell fail TDH.SPDM.DELETE 1 1 $failed
mark
check "a driver that leaks" insmod $sample scenario=leak
number=$(object "session 0000:01:00.0")
same "state, pages, cause" "quarantined 3 release failed" \
	"$(value object.$number.state) $(value object.$number.pages) $(value object.$number.why)"
same "leaf and status" "TDH.SPDM.DELETE TDX_PAGE_METADATA_INCORRECT on RDX (non-recoverable error, $failed)" \
	"$(value object.$number.leaf) $(value object.$number.status)"
same "an id that is given up is not shown" "" "$(value object.$number.id)"
ranges() { sed -n 's/^    0x[0-9a-f]*000-0x[0-9a-f]*fff \([0-9]*\) pages$/\1/p' $pages/quarantine; }
same "ranges of all pages" 15 "$(ranges | awk '{ n += $1 } END { print n }')"
check "no address of a page elsewhere" eval \
	'! grep -F "$(sed -n "s/^    \(0x[0-9a-f]*\)-.*/\1/p" $pages/quarantine | head -n 1 | sed s/000000//)" \
	$pages/state $pages/objects $pages/users $pages/handles $pages/summary $pages/seamcalls'
check "ask for a try" eval 'echo 1 >$pages/retry'
check "it is counted" test "$(value object.$number.tries)" -ge 1
files trouble
check "the TDX Module forgets" tell reset
check "ask for another try" eval 'echo 1 >$pages/retry'
same "nothing is left in quarantine" "0 " "$(value quarantined) $(cat $pages/quarantine)"

# However many pages fail: one line for each object when they do, and one when
# they are given up.
scenario "a thousand pages"
check "the driver goes" rmmod tdx_pages_sample
check "tdx_pages unloads" unload
check "tdx_emu loads" emu_fresh iommu_mt_pages=500
check "no proof is to succeed" eval \
	'load pool=0 global_keyid=32 && tell fail TDH.PHYMEM.PAGE.WBINVD 1 1000000 $failed && mark && unload'
same "pages that are told of, and lines" "1008 5" \
	"$(messages | sed -n 's/.*detached; \([0-9]*\) pages stay.*/\1/p') $(messages | grep -c '^tdx_pages: ')"
