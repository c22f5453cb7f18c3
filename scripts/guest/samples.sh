# SPDX-License-Identifier: GPL-2.0
#
# The C API, used well and badly by the two sample drivers.  What a call answers
# is theirs to check; what is said, what is held and what is left is ours.

. /guest/lib.sh
plan 181

failed=0xc000030000000002 # TDX_PAGE_METADATA_INCORRECT on RDX
c=tdx_pages_sample
rust=tdx_pages_sample_rust
# The most misuse that is told of in five seconds.
burst=100

steps() { messages | grep -c 'sample: ok '; }
failures() { messages | grep 'sample: not ok '; }
# Lines about calls that should not have been made.
misuse() { messages | grep -cE '^tdx_pages: (tdx_[a-z_]+\(\): |a user.s name |there is a user )'; }
forgotten() { messages | grep -cE '^tdx_pages: sample(_rust)?: .* was forgotten: ended with its user$'; }
references() { awk '$1 == "tdx_pages" { print $3 }' /proc/modules; }

# What succeeded from the extension pool on, in order.
order() {
	awk '$1 != "TDH.SYS.RD" && $3 == "TDX_SUCCESS" && $1 != last {
		last = $1; sub(/^TDH\./, "", $1); printf "%s ", $1
	}' $emu/journal
}
whole_life="EXT.MEM.ADD EXT.INIT IOMMU.SETUP SPDM.CREATE SPDM.CONNECT IDE.STREAM.CREATE SPDM.MNG \
IDE.STREAM.KM IDE.STREAM.BLOCK IDE.STREAM.DELETE PHYMEM.PAGE.WBINVD SPDM.DISCONNECT SPDM.DELETE \
PHYMEM.PAGE.WBINVD IOMMU.CLEAR PHYMEM.PAGE.WBINVD "

fresh() {
	check "tdx_emu loads" emu_fresh pool_pages=16 "$@"
	check "tdx_pages loads" load iommu=0 global_keyid=32
}
finish() {
	check "tdx_pages unloads" unload
	check "every page is accounted for" balanced
	same "pages still held" "0 0" "$(state held) $(state unproved)"
}

told=0
# use SAMPLE SCENARIO STEPS MISUSE FORGOTTEN: the last two are a matter of luck in a race.
use() {
	scenario "$profile: $1 $2"
	told=$((told + $4))
	if [ $told -gt $burst ]; then
		sleep 6
		told=$4
	fi
	mark
	check "it loads" insmod /$1.ko scenario=$2
	same "steps" $3 "$(steps)"
	same "steps that failed" "" "$(failures)"
	[ "$2" = race ] || same "calls that were told of" $4 "$(misuse)"
	[ "$2" = race ] || same "objects that were forgotten" $5 "$(forgotten)"
	check "it unloads" rmmod $1
	same "objects left" "" "$(cat $pages/handles)"
	same "references left" 0 "$(references)"
}

profile=v2
scenario "$profile profile"
fresh
use $c life 44 2 0
same "order of SEAMCALLs" "$whole_life" "$(order)"
use $c leak 8 0 4
use $c twice 12 5 0
use $c after 34 21 0
use $c null 22 21 0
use $c error 22 21 0
use $c number 45 52 0
use $c bad 58 41 0
use $c race 12 12 0
use $rust 0 19 1 0
use $rust 1 1 0 5
use $rust 2 4 5 0
use $rust 3 6 21 0
use $rust 4 10 21 0

scenario "who holds what"
mark
check "the C sample keeps objects" insmod /$c.ko scenario=hold
check "the Rust sample keeps an array" insmod /$rust.ko scenario=5
check "there is the array" grep -qE '^sample array [0-9]+: 600 pages on node [01]: ' $pages/handles
check "there is the IOMMU" grep -qE '^sample iommu [0-9]+: 12 pages on node [01]: 0xfed90000$' $pages/handles
check "there is the other array" grep -qE '^sample_rust array [0-9]+: 600 pages on node [01]: ' $pages/handles
check "the users' list has the pages" grep -qE '^sample +12 +0 +12 +0 +0 +0 +12 +driver$' $pages/users
# One for each sample's symbols, and one for each registration.
same "references" 4 "$(references)"
check "tdx_pages does not unload" eval '! rmmod tdx_pages'
check "the C sample unloads" rmmod $c
check "the Rust sample unloads" rmmod $rust
same "steps that failed" "" "$(failures)"
same "references left" 0 "$(references)"
same "objects left" "" "$(cat $pages/handles)"
finish

# What is forgotten and cannot be got back stays known under its name, and the
# name can be used again.
scenario "forgotten, and not let go"
fresh
check "DELETE is to fail" tell fail TDH.SPDM.DELETE 1 1000 $failed
mark
check "the C sample loads" insmod /$c.ko scenario=leak
check "its objects were told of" said '^tdx_pages: sample: session [0-9]* .* was forgotten'
check "a line tells of the session's pages" said '^tdx_pages: sample session 0000:01:00.0: 3 of 3 pages quarantined, release failed'
check "a line tells what is left" said '^tdx_pages: sample: unregistered with 0 pages held and 15 in quarantine'
check "the users' list has them" grep -qE '^sample +[0-9]+ +[0-9]+ +0 +0 +15 +0 +[0-9]+ +gone$' $pages/users
check "it unloads" rmmod $c
same "references left" 0 "$(references)"
check "the TDX Module forgets" tell reset
check "ask for a try" eval 'echo 1 >$pages/retry'
check "the users' list has it no more" eval '! grep -q ^sample $pages/users'
# What is held for good was forgotten as well: its pages are no concern here.
check "tdx_pages unloads" unload

profile=late
scenario "$profile profile"
fresh profile_late=1 pool_u32=1
use $c life 44 2 0
same "order of SEAMCALLs" "$whole_life" "$(order)"
use $c leak 8 0 4
use $rust 0 19 1 0
use $rust 1 1 0 5
finish
