#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Fetches, patches, configures and builds the kernel, once for each
# combination of version, patches, config fragment and tools, and prints the
# build directory on standard output.
#
#   KERNEL=7.2        the series wanted, instead of the newest that works
#   FLAVOUR=plain     or debug
#   FRESH=1           look for a newer source package even if one is cached

. "$(dirname "$0")/lib.sh"

series=${KERNEL:-}
flavour=${FLAVOUR:-plain}
fragments=("$top/scripts/kernel/config")
case $flavour in
plain) ;;
debug) fragments+=("$top/scripts/kernel/config.debug") ;;
*) die "FLAVOUR=$flavour is not known" "use plain or debug" ;;
esac
case $series in
'' | [0-9]*.[0-9]*) ;;
*) die "KERNEL=$series is not a kernel series" "give it as in KERNEL=7.3" ;;
esac

"$top/scripts/tools.sh"
tool_env

# --- The source package ------------------------------------------------------

# The kernel sources are packages of Debian 13's backports, for all
# architectures and releases.  They are reached through the machine's own apt
# source with the suite replaced, in a private directory: the machine's
# configuration is not touched.
private_apt() {
	local command=$1 dir=$cache/apt
	shift
	"$command" -o Dir::Etc::sourcelist=/dev/null \
		-o Dir::Etc::sourceparts="$dir/parts" \
		-o Dir::State::lists="$dir/lists" \
		-o Dir::Cache="$dir/cache" -o APT::Sandbox::User=root "$@"
}

private_apt_sources() {
	local dir=$cache/apt
	rm -rf "$dir"
	mkdir -p "$dir/parts" "$dir/lists/partial" "$dir/cache/archives/partial"
	python3 - "$dir/parts" <<'PY'
import glob, re, sys

out = sys.argv[1]
suite = "trixie-backports"
for path in glob.glob("/etc/apt/sources.list.d/*.sources"):
    for stanza in re.split(r"\n\s*\n", open(path).read()):
        suites = re.search(r"^Suites:\s*(.*)$", stanza, re.M)
        if suites and re.search(r"(^|\s)(bookworm|trixie|stable)(\s|$)", suites.group(1)):
            stanza = re.sub(r"^Suites:.*$", f"Suites: {suite}", stanza, flags=re.M)
            stanza = re.sub(r"^Components:.*$", "Components: main", stanza, flags=re.M)
            open(f"{out}/tdx-pages.sources", "w").write(stanza.strip() + "\n")
            sys.exit(0)
for path in ["/etc/apt/sources.list"] + glob.glob("/etc/apt/sources.list.d/*.list"):
    try:
        lines = open(path).read().splitlines()
    except OSError:
        continue
    for line in lines:
        m = re.match(r"deb\s+(\[[^]]*\]\s+)?(\S+)\s+(bookworm|trixie|stable)\s", line)
        if m:
            options = m.group(1) or ""
            open(f"{out}/tdx-pages.list", "w").write(f"deb {options}{m.group(2)} {suite} main\n")
            sys.exit(0)
sys.exit("no apt source of Debian 12 or 13 was found on this machine")
PY
}

update_packages() {
	private_apt_sources
	private_apt apt-get update
}

# The series that apt has, and those that are here.
offered() {
	private_apt apt-cache pkgnames linux-source- | sed -n 's/^linux-source-//p'
	find "$cache/source" -maxdepth 1 -name 'linux-source-*_*.deb' |
		sed 's|.*/linux-source-||; s|_.*||'
}

fetch_source() {
	local dir=$cache/source
	rm -rf "$dir/download"
	mkdir "$dir/download"
	(cd "$dir/download" && private_apt apt-get download "linux-source-$series")
	mv "$dir/download"/linux-source-*.deb "$dir/"
}

newest_source() {
	find "$cache/source" -maxdepth 1 -name "linux-source-${series}_*.deb" | sort -V | tail -n 1
}

# Locks are for steps that make something, so that whoever only wants a kernel
# that is there need not wait for one that is being built.
lock() {
	exec 9>"$1.lock"
	flock 9
}
unlock() { exec 9>&-; }

mkdir -p "$cache/source"
if [ -z "$series" ]; then
	series=$("$top/scripts/series.sh" --known)
	series=${series%% *}
fi
deb=$(newest_source)
if [ -z "$deb" ] || [ -n "${FRESH:-}" ]; then
	lock "$cache/source"
	command -v apt-get >/dev/null ||
		die "the kernel source package is fetched with apt-get, which is not here" \
			"build a tree of your own and name it: make KDIR=<build dir>"
	# Somebody else may have fetched it by now.
	deb=$(newest_source)
	if [ -z "$deb" ] || [ -n "${FRESH:-}" ]; then
		run_step "look for kernel source packages" "$cache/log/fetch.log" update_packages
		# shellcheck disable=SC2046
		series=$("$top/scripts/series.sh" "${KERNEL:-}" $(offered))
		if private_apt apt-cache show "linux-source-$series" >/dev/null 2>&1; then
			run_step "fetch the source of Linux $series" "$cache/log/fetch-$series.log" fetch_source
		fi
		deb=$(newest_source)
	fi
	unlock
fi

# --- The keys ----------------------------------------------------------------

release=$(basename "$deb" .deb)
release=${release#*_}
release=${release%%-*}
hash() { sha256sum | cut -c1-12; }
source_key=$({ basename "$deb"; cat "$top"/scripts/kernel/patches/*.patch; } | hash)
build_key=$({
	echo "$source_key"
	cat "${fragments[@]}"
	"clang$LLVM" --version
	"$RUSTC" --version
	"$BINDGEN" --version
} | hash)
src=$cache/source/linux-$release-$source_key
build=$cache/kernel/$release-$flavour-$build_key

# --- The tree ----------------------------------------------------------------

unpack_source() {
	rm -rf "$src" "$src.new"
	mkdir -p "$src.new"
	dpkg-deb --fsys-tarfile "$deb" | tar -xO --wildcards './usr/src/linux-source-*.tar.xz' |
		tar -xJ --strip-components=1 -C "$src.new"
	local patch
	for patch in "$top"/scripts/kernel/patches/*.patch; do
		echo "applying $(basename "$patch")"
		patch -d "$src.new" -p1 --fuzz=0 <"$patch" || {
			echo "error: $(basename "$patch") is not for Linux $release;" \
				"known to work: $("$top/scripts/series.sh" --known)"
			return 1
		}
	done
	mv "$src.new" "$src"
}

configure() {
	local fragment wanted option
	rm -rf "$build"
	mkdir -p "$build"
	make -C "$src" O="$build" "${kmake_vars[@]}" tinyconfig
	cat "${fragments[@]}" >"$build/fragment"
	(cd "$build" && "$src/scripts/kconfig/merge_config.sh" -m -O "$build" .config fragment)
	make -C "$src" O="$build" "${kmake_vars[@]}" olddefconfig
	# An option that did not come true would be missed much later.
	fragment=0
	while read -r wanted; do
		option=${wanted#'# '}
		option=${option%%[= ]*}
		case $wanted in
		'# CONFIG_'*' is not set' | CONFIG_*) ;;
		*) continue ;;
		esac
		# A later fragment may have set it otherwise.
		[ "$(grep -E "^(# )?$option[= ]" "$build/fragment" | tail -n 1)" = "$wanted" ] || continue
		case $wanted in
		CONFIG_*) grep -qxF "$wanted" "$build/.config" ;;
		*) ! grep -q "^$option=" "$build/.config" ;;
		esac || { echo "not granted: $wanted"; fragment=1; }
	done <"$build/fragment"
	return "$fragment"
}

if [ ! -e "$build/complete" ]; then
	lock "$src"
	[ -e "$src/Makefile" ] ||
		run_step "unpack and patch Linux $release" "$cache/log/unpack-$release.log" unpack_source
	unlock
	mkdir -p "$cache/kernel"
	lock "$build"
	if [ ! -e "$build/complete" ]; then
		run_step "configure Linux $release ($flavour)" "$cache/log/configure-$release-$flavour.log" configure
		run_step "build Linux $release ($flavour), 6 to 15 minutes" "$cache/log/build-$release-$flavour.log" \
			make -C "$src" O="$build" "${kmake_vars[@]}" -j"$(nproc)" bzImage modules
		touch "$build/complete"
	fi
	unlock
fi
say "kernel: Linux $release ($flavour) in $build"
echo "$build"
