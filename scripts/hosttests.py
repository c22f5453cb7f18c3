# SPDX-License-Identifier: GPL-2.0
"""Tests that need no guest: `cargo test`, and a look at the built modules."""

import hashlib
import os
import re
import shutil
import subprocess

from qemu import SCRIPTS

TOP = os.path.dirname(SCRIPTS)
CARGO_TEST = re.compile(r"^test (.+?)(?: - should panic)? \.\.\. (\w+)")
CARGO_RESULT = re.compile(r"^test result: \w+\. (\d+) passed; (\d+) failed; (\d+) ignored")

# What tdx_pages.ko takes from the kernel instead of doing it itself.
FROM_KERNEL = ["tdx_seamcall", "tdx_seamcall_ret", "tdx_seamcall_saved_ret",
               "tdh_phymem_page_wbinvd_hkid",
               "tdh_phymem_page_reclaim", "tdx_quirk_reset_paddr", "tdx_get_global_keyid"]
PARAMETERS = {"tdx_pages": {"pool", "iommu", "global_keyid", "profile", "clflush"},
              "tdx_emu": {"global_keyid", "pool_pages", "ext_required", "iommu_mt_pages",
                          "memory_mb", "features0", "profile_late", "pool_u32",
                          "spdm_mt_pages", "ide_mt_pages", "spdm_max_dev_info_pages"}}
# For people; one for a device or a CPU would load the kernel module unasked.
ALIASES = {"tdx_pages": "tdx-connect-pages", "tdx_emu": "tdx-module-emulator"}
SAMPLES = ["samples/tdx_pages_sample.ko", "samples/tdx_pages_sample_rust.ko"]



def target():
    """Where cargo builds: apart for each tree, since two checks at once would mix them."""
    tree = hashlib.sha256(TOP.encode()).hexdigest()[:8]
    return os.path.join(os.environ["TDX_PAGES_CACHE"], "host-" + tree)


def cargo_cases(output, status):
    """The cases of a `cargo test` run, from its output and exit status."""
    found = []
    counted = [0, 0, 0]
    for line in output.splitlines():
        test = CARGO_TEST.match(line)
        result = CARGO_RESULT.match(line)
        if test:
            passed = test.group(2) == "ok"
            found.append(("host: " + test.group(1), passed,
                          [] if passed else ["cargo test says: " + test.group(2)]))
        elif result:
            counted = [have + int(more) for have, more in zip(counted, result.groups())]
    wrong = []
    if status:
        wrong += ["cargo ended with %d" % status] + output.splitlines()[-40:]
    if not found:
        wrong.append("no test was run")
    if len(found) != sum(counted):
        wrong.append("%d tests were seen, cargo counted %d" % (len(found), sum(counted)))
    if wrong or not found:
        found.append(("host: cargo test", False, wrong))
    return found


def environment():
    """The environment of cargo, and its path."""
    # Cargo, rustc and rustdoc of one release; another one may come first on the PATH.
    rustc = shutil.which(os.environ["RUSTC"]) or "/usr/bin/rustc"
    tools = os.path.dirname(rustc)
    variables = dict(os.environ, CARGO_TERM_COLOR="never", RUSTC=rustc,
                     RUSTDOC=os.path.join(tools, "rustdoc"), CARGO_TARGET_DIR=target())
    return variables, os.path.join(tools, "cargo")


def cases():
    """The pure parts, compiled for the host."""
    variables, cargo = environment()
    try:
        done = subprocess.run([cargo, "test", "--locked", "--manifest-path",
                               os.path.join(TOP, "rust/host/Cargo.toml")], env=variables,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True)
    except OSError as error:
        return [("host: cargo test", False, [str(error)])]
    return cargo_cases(done.stdout, done.returncode)


def output(*command):
    """What a command prints; nothing if it fails."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, text=True)
    return done.stdout if done.returncode == 0 else ""


def modinfo(path):
    """The fields of a module's .modinfo section, several of a kind as one; parameters as a set of names."""
    fields = {"parm": set()}
    for line in output("/sbin/modinfo", path).splitlines():
        key, _, value = line.partition(":")
        if key == "parm":
            fields["parm"].add(value.strip().partition(":")[0])
        elif key in fields:
            fields[key] += ", " + value.strip()
        else:
            fields[key] = value.strip()
    return fields


def module_cases(directory):
    """What the built modules say of themselves, and what they take from the kernel."""
    found = []

    def same(name, wanted, got):
        found.append(("module files: " + name, wanted == got,
                      ["wanted: %s" % (wanted,), "got:    %s" % (got,)]))

    with open(os.path.join(TOP, "dkms.conf")) as file:
        version = re.search(r'^PACKAGE_VERSION="(.+)"$', file.read(), re.M).group(1)
    for module, parameters in PARAMETERS.items():
        fields = modinfo(os.path.join(directory, module + ".ko"))
        same(module + ": license", "GPL", fields.get("license", "").removesuffix(" v2"))
        same(module + ": description and author", True,
             bool(fields.get("description")) and bool(fields.get("author")))
        same(module + ": version is that of dkms.conf", version, fields.get("version"))
        same(module + ": the one alias", ALIASES[module], fields.get("alias"))
        same(module + ": parameters", sorted(parameters), sorted(fields["parm"]))
        same(module + ": needs no other module", "", fields.get("depends"))
    llvm = os.environ.get("LLVM", "")

    def symbols(module, kind):
        lines = output("llvm-nm" + llvm, kind, os.path.join(directory, module)).splitlines()
        return {line.split()[-1] for line in lines if line.strip()}

    undefined = symbols("tdx_pages.ko", "-u")
    missing = [name for name in FROM_KERNEL if name not in undefined]
    same("tdx_pages: SEAMCALL entries, WBINVD and RECLAIM are the kernel's", [], missing)
    taken = [name for name in symbols("tdx_emu.ko", "-u") if name in FROM_KERNEL]
    same("tdx_emu: needs nothing of the kernel patch", [], taken)
    with open(os.path.join(TOP, "include/linux/tdx_pages.h")) as file:
        api = set(re.findall(r"^(?:[a-z][^(\n]*[ *])?(tdx_\w+)\(", file.read(), re.M))
    marks = "__ksymtab_"
    exported = {name.removeprefix(marks) for name in symbols("tdx_pages.ko", "--defined-only")
                if name.startswith(marks)}
    same("tdx_pages: exports what its header declares", sorted(api), sorted(exported))
    for module in SAMPLES:
        fields = modinfo(os.path.join(directory, module))
        same(module + ": license", "GPL", fields.get("license", "").removesuffix(" v2"))
        same(module + ": needs tdx_pages", "tdx_pages", fields.get("depends"))
        same(module + ": uses every function", [], sorted(api - symbols(module, "-u")))
    sections = output("llvm-readelf" + llvm, "-SW", os.path.join(directory, "tdx_pages.ko"))
    same("tdx_pages: without KUnit suites unless asked", (True, False),
         (".modinfo" in sections, ".kunit_test_suites" in sections))
    return found
