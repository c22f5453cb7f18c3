# SPDX-License-Identifier: GPL-2.0
#
# Which tools a kernel tree of the user's own was built with.  Sourced, never
# run.  Reads the tree and writes nothing.

# tree_option TREE NAME: the value of an option in the tree's configuration.
tree_option() {
	sed -n "s/^$2=//p" "$1/.config" 2>/dev/null | tail -n 1 | sed 's/^"\(.*\)"$/\1/'
}

first_line() { "$@" 2>/dev/null | head -n 1 || true; }

# The C compiler of the tree decides on LLVM=: modules are built with the same.
tree_llvm() {
	local tree=$1 text suffix
	[ "$(tree_option "$tree" CONFIG_CC_IS_CLANG)" = y ] || return 0
	text=$(tree_option "$tree" CONFIG_CC_VERSION_TEXT)
	if [ "$(first_line clang --version)" = "$text" ]; then
		echo 1
		return 0
	fi
	suffix=-$(($(tree_option "$tree" CONFIG_CLANG_VERSION) / 10000))
	if command -v "clang$suffix" >/dev/null; then echo "$suffix"; else echo 1; fi
}

# The rustc whose version the tree was configured with; else the first one.
tree_rustc() {
	local tree=$1 text candidate
	text=$(tree_option "$tree" CONFIG_RUSTC_VERSION_TEXT)
	for candidate in rustc /usr/bin/rustc; do
		if [ "$(first_line "$candidate" --version)" = "$text" ]; then
			echo "$candidate"
			return 0
		fi
	done
	command -v rustc || echo /usr/bin/rustc
}

# tree_env TREE: sets kmake_vars.  What the user names goes first; tool_env
# then fills in what the tree does not tell.
tree_env() {
	local tree=$1 llvm
	[ -n "${RUSTC:-}" ] || RUSTC=$(tree_rustc "$tree")
	if [ -z "${BINDGEN:-}" ] && command -v bindgen >/dev/null; then BINDGEN=bindgen; fi
	if [ -n "${LLVM+set}" ]; then llvm=$LLVM; else llvm=$(tree_llvm "$tree"); fi
	case $llvm in
	-*) LLVM=$llvm ;;
	*) unset LLVM ;;
	esac
	tool_env
	kmake_vars=(RUSTC="$RUSTC" HOSTRUSTC="$RUSTC" BINDGEN="$BINDGEN" RUST_LIB_SRC="$RUST_LIB_SRC")
	unset LLVM
	[ -z "$llvm" ] || kmake_vars+=(LLVM="$llvm")
}
