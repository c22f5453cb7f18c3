#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# doc.sh [rust|sphinx]...: the documentation, below the directory that it
# tells at the end: of both kernel modules by rustdoc, and the pages of
# Documentation/ by Sphinx.  Both without a name.  A warning of Sphinx is an
# error, and so is what rustdoc finds wrong, a link that leads nowhere for one.

. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/tree.sh"

[ $# != 0 ] || set -- rust sphinx
wrong=(-Drustdoc::{missing_crate_level_docs,unescaped_backticks,invalid_html_tags,bare_urls}
	-Drustdoc::{invalid_codeblock_attributes,invalid_rust_codeblocks}
	-Drustdoc::{redundant_explicit_links,broken_intra_doc_links})
out=${DOC_DIR:-$top/Documentation/output}
mkdir -p "$out"

# kbuild has no target for it, but leaves the command by which it compiled a
# crate; rustdoc wants the same but for what is said of the output.
rustdoc_flags() {
	local dir=$1 crate=$2 words word
	words=$(sed -n 's/^savedcmd_[^ ]* := //p' "$dir/rust/.$crate.o.cmd" | sed 's/ ; .*//')
	[ -n "$words" ] || die "$dir/rust/.$crate.o.cmd does not tell how $crate was compiled"
	# The words have quotes that a shell is to read.
	eval "set -- $words"
	flags=()
	while [ $# != 0 ]; do
		word=$1
		shift
		case $word in
		OBJTREE=* | RUST_MODFILE=*) export "${word?}" ;;
		*/rustc | rustc | --emit=* | -Zbinary_dep_depinfo* | -?clippy::* | "rust/$crate.rs") ;;
		--out-dir | --crate-type) shift ;;
		*) flags+=("$word") ;;
		esac
	done
}

rust() {
	local dir crate flags rustdoc
	if [ -n "${KDIR:-}" ]; then
		"$top/scripts/kmake.sh" modules >&2
		tree_env "$KDIR"
		dir=$top
	else
		KERNEL_BUILD=${KERNEL_BUILD:-$("$top/scripts/kernel.sh")}
		export KERNEL_BUILD
		dir=$("$top/scripts/build.sh" plain)
		tool_env
	fi
	rustdoc=$(dirname "$(command -v "$RUSTC")")/rustdoc
	[ -x "$rustdoc" ] || die "there is no rustdoc beside $RUSTC"
	for crate in tdx_pages tdx_emu; do
		# Kbuild exports these to the compiler.
		export "$(echo "${crate}_bindings" | tr '[:lower:]' '[:upper:]')=$dir/rust/${crate}_bindings.rs"
		rustdoc_flags "$dir" "$crate"
		(cd "$dir" && RUSTC_BOOTSTRAP=1 "$rustdoc" "${flags[@]}" --crate-name "$crate" \
			--document-private-items "${wrong[@]}" --output "$out/rust" "rust/$crate.rs") ||
			die "rustdoc has complaints about $crate"
	done
	say "rustdoc: $out/rust/tdx_pages/index.html, $out/rust/tdx_emu/index.html"
}

sphinx() {
	"$top/scripts/tools.sh" doc
	sphinx-build -q -W --keep-going -n -b html -d "$out/.doctrees" "$top/Documentation" "$out/html" ||
		die "Sphinx has complaints about Documentation/"
	say "Sphinx: $out/html/index.html"
}

for part; do
	case $part in
	rust | sphinx) "$part" ;;
	*) die "doc.sh: \"$part\" is not known" "use rust or sphinx" ;;
	esac
done
