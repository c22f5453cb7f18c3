# SPDX-License-Identifier: GPL-2.0
"""Tests of scripts/tdx-pages, by what a boot recorded and by what the boot "look" shows now."""

import importlib.machinery
import importlib.util
import os
import re
import stat
import subprocess
import sys
import tempfile

from qemu import SCRIPTS

COMMAND = os.path.join(SCRIPTS, "tdx-pages")
RECORDED = os.path.join(SCRIPTS, "recorded")
PAGE = os.path.join(os.path.dirname(SCRIPTS), "Documentation", "debugfs.rst")
MOUNTED = "debugfs /sys/kernel/debug debugfs rw 0 0\n"
ADDRESS = re.compile(r"0x[0-9a-f]+000-0x[0-9a-f]+fff")


def recorded(name):
    """The files of a recorded tree, by name."""
    found = {}
    folder = os.path.join(RECORDED, name)
    for file in sorted(os.listdir(folder)):
        with open(os.path.join(folder, file), encoding="utf-8") as content:
            found[file] = content.read()
    return found


def tree(root, files, changes=None):
    """Makes a system of files in debugfs and the kernel log; None in `changes` leaves one out."""
    content = {"proc/mounts": MOUNTED, "proc/filesystems": "nodev\tdebugfs\n",
               "proc/version": "Linux version 7.3.4 (who@host) (a compiler)\n",
               "proc/cmdline": "root=/dev/secret intel_iommu=on\n",
               "sys/module/tdx_pages/version": "0.1\n", "dmesg": files.get("dmesg", "")}
    content.update({"sys/kernel/debug/tdx_pages/" + name: text for name, text in files.items()
                    if name not in ("dmesg", "picture")})
    content.update(changes or {})
    for name, text in content.items():
        path = os.path.join(root, name)
        if text is not None:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)


def run(files, *words, changes=None, encoding="utf-8", cwd=None, out=subprocess.PIPE):
    """What the command does with a system: status, output, errors."""
    with tempfile.TemporaryDirectory() as root:
        tree(root, files, changes)
        done = subprocess.run([sys.executable, COMMAND, "--root", root, *words], cwd=cwd,
                              env=dict(os.environ, PYTHONIOENCODING=encoding),
                              stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.PIPE)
        return (done.returncode, (done.stdout or b"").decode(encoding),
                done.stderr.decode(encoding))


def on_terminal(files, width):
    """The picture as a terminal of this width gets it."""
    module = command()
    with tempfile.TemporaryDirectory() as root:
        tree(root, files)
        return list(module.status(module.System(root), module.Painter(width, tty=True)))


def command():
    """The command as a Python module."""
    loader = importlib.machinery.SourceFileLoader("tdx_pages_command", COMMAND)
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    written, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    loader.exec_module(module)
    sys.dont_write_bytecode = written
    return module


def picture_cases():
    for name in ("rest", "trouble"):
        files = recorded(name)
        code, out, errors = run(files)
        yield "tdx-pages: the picture of %s" % name, (code, errors) == (0, "") \
            and out == files["picture"]
    code, out, _ = run(recorded("trouble"), encoding="ascii")
    yield "tdx-pages: a picture in ASCII where there is no more", \
        code == 0 and "=====" in out and "\033" not in out
    _, out, _ = run(recorded("trouble"), "--colour")
    yield "tdx-pages: colours when asked for", "\033[31m" in out
    code, out, errors = run(recorded("rest"), "watch", "--times", "0")
    yield "tdx-pages: watch not even once is refused", \
        (code, out) == (2, "") and "--times: once at least" in errors
    code, out, _ = run(recorded("rest"), "watch", "--times", "2", "-n", "0.1")
    yield "tdx-pages: watch shows it twice", \
        code == 0 and out == "\n".join([recorded("rest")["picture"]] * 2)
    def words(lines):
        return " ".join(lines[lines.index("Quarantine"):]).split()

    files = recorded("trouble")
    shown = on_terminal(files, 80)
    yield "tdx-pages: no line is wider than the terminal, and no word is lost", \
        max(map(len, shown)) <= 80 and words(shown) == words(files["picture"].splitlines())
    module = command()
    painter = module.Painter()
    counts = {"held": 12800, "held_for_good": 0, "quarantined": 1}
    yield "tdx-pages: one page beside many is seen", painter.bar(counts, 12801, 8) == "#######!"
    yield "tdx-pages: nothing is no bar", painter.bar(dict.fromkeys(counts, 0), 0, 3) == "   "
    yield "tdx-pages: memory in the unit that fits", \
        [module.memory(pages) for pages in (0, 1, 256, 640, 1 << 20)] \
        == ["0 KiB", "4 KiB", "1 MiB", "2.5 MiB", "4 GiB"]


def trouble_cases():
    """Each thing in the way: one line with the cure, and no traceback."""
    gone = {"sys/kernel/debug/tdx_pages/state": None}
    files = recorded("rest")
    for what, changes, wanted in (
            ("debugfs not mounted", {"proc/mounts": "proc /proc proc rw 0 0\n"},
             "not mounted: mount -t debugfs"),
            ("a kernel without debugfs", {"proc/mounts": "", "proc/filesystems": "nodev\tproc\n"},
             "no debugfs: build it with CONFIG_DEBUG_FS"),
            ("the kernel module not loaded", dict(gone, **{"sys/module/tdx_pages/version": None}),
             "not loaded: modprobe tdx_pages"),
            ("loaded without files", gone, "no such file as .*/state: load it again"),
            ("another version's state",
             {"sys/kernel/debug/tdx_pages/state": "something 1\n"}, "lacks lines: use the")):
        code, out, errors = run(files, changes=changes)
        yield "tdx-pages: %s: one line with the cure" % what, \
            (code, out, errors.count("\n")) == (1, "", 1) and bool(re.search(wanted, errors))
    module = command()
    with open("/dev/full", "w", encoding="utf-8") as full:
        for words in (("status",), ("report", "-o", "-")):
            code, _, errors = run(files, *words, out=full)
            yield "tdx-pages: %s cannot be written: one line" % words[0], \
                code == 1 and errors.count("\n") == 1 and "No space left" in errors
    try:
        said = repr(module.System("/nonexistent"))
    except module.Trouble as trouble:
        said = str(trouble)
    yield "tdx-pages: no copy of a system there: the cure", "give --root=" in said

    class Refused(module.System):
        def text(self, name):
            if "tdx_pages" in name:
                raise PermissionError
            return MOUNTED

    for euid, wanted in ((1000, "only root may look: run it with sudo"), (0, "lockdown")):
        module.os = type("Os", (), dict(vars(os), geteuid=staticmethod(lambda euid=euid: euid)))
        try:
            said = "".join(module.status(Refused(), module.Painter()))
        except module.Trouble as trouble:
            said = str(trouble)
        yield "tdx-pages: user %d may not read: the cure" % euid, wanted in said


def report_cases():
    files = recorded("trouble")
    code, out, errors = run(files, "report", "-o", "-")
    wanted = ["--- debugfs tdx_pages/" + name for name in files if name not in ("dmesg", "picture")]
    yield "tdx-pages: a report has every file, the kernel, the log", \
        (code, errors) == (0, "") and all(title in out for title in wanted) \
        and "Linux version 7.3.4 (a compiler)" in out and files["dmesg"] in out
    yield "tdx-pages: a report has no addresses, and nothing of the host", \
        bool(ADDRESS.search(files["quarantine"])) and not ADDRESS.search(out) \
        and "secret" not in out and "host)" not in out and "intel_iommu=on" in out
    _, out, _ = run(files, "report", "-o", "-", "--addresses")
    yield "tdx-pages: a report has addresses when asked for", bool(ADDRESS.search(out))
    bug = "tdx_emu: host bug: page 0x101272000 was freed while the TDX Module owned it"
    reports = [run(dict(files, dmesg=bug), "report", "-o", "-", *words)[1]
               for words in ((), ("--addresses",))]
    yield "tdx-pages: nor has the log in a report, unless asked for", \
        "host bug: page (left out) was freed" in reports[0] and bug in reports[1]
    gone = {"sys/kernel/debug/tdx_pages/" + name: None for name in files}
    gone["sys/module/tdx_pages/version"] = None
    code, out, _ = run(files, "report", "-o", "-", changes=gone)
    yield "tdx-pages: a report without the kernel module", \
        code == 0 and "not loaded" in out and files["dmesg"] in out
    with tempfile.TemporaryDirectory() as folder:
        code, out, _ = run(files, "report", cwd=folder)
        names = os.listdir(folder)
        mode = [stat.S_IMODE(os.stat(os.path.join(folder, name)).st_mode) for name in names]
        yield "tdx-pages: a report is a file for its owner", \
            code == 0 and mode == [0o600] and out == names[0] + ": attach this file to the bug\n"
        code, out, errors = run(files, "report", "-o", names[0], cwd=folder)
        yield "tdx-pages: a report overwrites nothing", \
            code == 1 and "give another name" in errors and errors.count("\n") == 1


def cases():
    """For the self-test."""
    for group in (picture_cases, trouble_cases, report_cases):
        yield from group()


def documented():
    """The keys of the table in Documentation/debugfs.rst."""
    with open(PAGE, encoding="utf-8") as file:
        table = file.read().partition("The file for programs\n")[2].partition("\nkey  ")[2]
    found = set()
    last = ""
    for key in re.findall(r"^(?=``).*?(?=  |$)|(?<=, )``\.\w+``", table, re.M):
        for word in re.findall(r"``([\w.]+)``", key):
            last = last.rpartition(".")[0] + word if word.startswith(".") else word
            found.add(last)
    balance = [key for key in found if re.fullmatch(
        "handed_over|released|held|held_for_good|quarantined|lost|quarantined_ever|proved_later", key)]
    return found | {"user.N." + key for key in balance}


def general(key):
    """A key as the table has it."""
    for one, all_of_them in ((r"^(user|object)\.\d+\.", r"\1.N."), (r"^leaf\.[A-Z.]+\.", "leaf.NAME."),
                             (r"^parameter\..*", "parameter.NAME"), (r"^field\..*", "field.ID"),
                             (r"answered\..*", "answered.STATUS"), (r"below_ns\..*", "below_ns.NS")):
        key = re.sub(one, all_of_them, key)
    return key


def live(script):
    """The cases of the boot: the command reads what the guest's files are now."""
    found = []
    keys = set()
    for name in ("rest", "trouble"):
        files = {title.partition(" ")[2]: "".join(line + "\n" for line in lines)
                 for title, lines in script.sections if title.startswith(name + " ")}
        files["dmesg"] = files.pop("messages", "")
        state = files.get("state", "")
        keys |= {general(line.partition(" ")[0]) for line in state.splitlines()}
        code, out, errors = run(files)
        objects = re.findall(r"^object\.(\d+)\.state quarantined$", state, re.M)
        names = [re.search(r"^object\.%s\.name (.*)$" % number, state, re.M).group(1)
                 for number in objects]
        lacking = [thing for thing in names + ["ext_pool", "IOMMUs"] if thing not in out]
        found.append(("look: tdx-pages shows %s" % name, code == 0 and not errors and not lacking
                      and (name == "rest") == ("empty" in out),
                      ["ended with %d, does not show %s" % (code, lacking)]
                      + errors.splitlines() + out.splitlines()))
        code, out, errors = run(files, "report", "-o", "-")
        found.append(("look: tdx-pages reports %s" % name, code == 0 and state in out,
                      errors.splitlines() + out.splitlines()[:20]))
    known = documented()
    # What only shows when a proof failed right after the release.
    seldom = {"object.N.unproved", "object.N.proof"}
    wrong = ["not documented: " + key for key in sorted(keys - known)]
    wrong += ["documented, and not there: " + key for key in sorted(known - keys - seldom)]
    found.append(("look: the keys of state are those of Documentation/debugfs.rst", not wrong, wrong))
    return found
