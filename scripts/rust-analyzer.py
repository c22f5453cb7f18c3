#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Adds our crates to the rust-project.json that the kernel's generator has made.

That one finds a crate of an external module only by a Makefile beside it, and
leaves out what Kbuild alone knows: MODULE, our own cfgs, and where the bindings
are.  It also lists core and its like as crates of the project, and then
rust-analyzer 1.96 finds no method of any primitive type; named as the sysroot's
sources they work.  Run by way of scripts/rust-analyzer.sh: rust-analyzer.py BUILD [--kunit]
"""

import argparse
import json
import os
import sys

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PROJECT = os.path.join(TOP, "rust-project.json")
# Crate root, the variable that tells its bindings, and these.
CRATES = [("rust/tdx_pages.rs", "TDX_PAGES_BINDINGS", "rust/tdx_pages_bindings.rs"),
          ("rust/tdx_emu.rs", "TDX_EMU_BINDINGS", "rust/tdx_emu_bindings.rs"),
          ("samples/tdx_pages_sample_rust.rs", "TDX_PAGES_SAMPLE_BINDINGS",
           "samples/tdx_pages_sample_bindings.rs")]
SYSROOT = ["core", "alloc", "std", "proc_macro"]
# As in the kernel's scripts/Makefile.build.
DEPENDENCIES = ["kernel", "pin_init", "zerocopy", "zerocopy_derive"]


def use_sysroot(project):
    """Leaves the crates of the sysroot to rust-analyzer, which finds them by its sources."""
    crates = project["crates"]
    roots = [crate["root_module"] for crate in crates if crate["display_name"] == "core"]
    end = "/core/src/lib.rs"
    if len(roots) != 1 or not roots[0].endswith(end):
        sys.exit("error: the kernel's generator made no crate core that we understand")
    project["sysroot_src"] = roots[0].removesuffix(end)
    kept = [number for number, crate in enumerate(crates) if crate["display_name"] not in SYSROOT]
    moved = {old: new for new, old in enumerate(kept)}
    project["crates"] = [crates[number] for number in kept]
    for crate in project["crates"]:
        crate["deps"] = [{"crate": moved[dependency["crate"]], "name": dependency["name"]}
                         for dependency in crate["deps"] if dependency["crate"] in moved]


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", help="where the modules were built")
    parser.add_argument("--kunit", action="store_true", help="with the KUnit suites")
    args = parser.parse_args()
    with open(PROJECT) as file:
        project = json.load(file)
    use_sysroot(project)
    crates = project["crates"]
    index = {crate["display_name"]: number for number, crate in enumerate(crates)}
    missing = [name for name in DEPENDENCIES if name not in index]
    if missing:
        sys.exit("error: the kernel's generator made no crate " + ", ".join(missing))
    cfg = crates[index["kernel"]]["cfg"] + ["MODULE"] + ["TDX_PAGES_KUNIT"] * args.kunit
    added = []
    for root, variable, name in CRATES:
        bindings = os.path.join(os.path.abspath(args.build), name)
        if not os.path.exists(bindings):
            continue
        path = os.path.join(TOP, root)
        stem = os.path.splitext(os.path.basename(root))[0]
        directories = [os.path.dirname(path), os.path.dirname(bindings)]
        crates.append({
            "display_name": stem, "root_module": path, "is_workspace_member": True,
            "edition": "2021", "cfg": cfg,
            "deps": [{"crate": index[name], "name": name} for name in DEPENDENCIES],
            "env": {"RUST_MODFILE": "./" + stem, variable: bindings},
            "source": {"include_dirs": sorted(set(directories)), "exclude_dirs": []}})
        added.append(stem)
    if "tdx_pages" not in added:
        sys.exit("error: no bindings in %s: build the modules first" % args.build)
    # Written anew only when complete: an editor may be watching it.
    with open(PROJECT + ".new", "w") as file:
        json.dump(project, file, sort_keys=True, indent=4)
        file.write("\n")
    os.replace(PROJECT + ".new", PROJECT)
    print("rust-project.json: %s, and the kernel's %d crates" % (", ".join(added),
                                                               len(crates) - len(added)))


if __name__ == "__main__":
    main()
