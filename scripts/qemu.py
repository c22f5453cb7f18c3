#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Boots the kernel of `make kernel` in QEMU and runs guest scripts in it.

The guest has two serial ports.  The first is the kernel's console.  The second
takes what the guest scripts report, so that no kernel message can fall into
the middle of a result.
"""

import argparse
import gzip
import os
import shutil
import struct
import subprocess
import sys
import time

import dmar

SCRIPTS = os.path.dirname(os.path.abspath(__file__))
CMDLINE = ("console=ttyS0,115200 panic=-1 oops=panic ignore_loglevel printk.devkmsg=on "
           "rdinit=/init")
MODULES = ("tdx_pages.ko", "tdx_emu.ko", "samples/tdx_pages_sample.ko",
           "samples/tdx_pages_sample_rust.ko")


def die(*lines):
    sys.exit("error: " + "\n       ".join(lines))


class Cpio:
    """An archive in the format of an initramfs ("newc"), without a need for root."""

    def __init__(self):
        self.data = bytearray()
        self.inode = 0
        self.seen = {""}

    def _entry(self, name, mode, content=b"", device=(0, 0)):
        self.inode += 1
        fields = (self.inode, mode, 0, 0, 1, 0, len(content), 0, 0, *device, len(name) + 1, 0)
        self.data += b"070701" + b"".join(b"%08X" % field for field in fields)
        self.data += name.encode() + b"\0"
        self.data += b"\0" * (-len(self.data) % 4) + content
        self.data += b"\0" * (-len(self.data) % 4)

    def directory(self, name):
        if name not in self.seen:
            self.directory(os.path.dirname(name))
            self.seen.add(name)
            self._entry(name, 0o040755)

    def file(self, name, content, mode=0o644):
        self.directory(os.path.dirname(name))
        self._entry(name, 0o100000 | mode, content)

    def link(self, name, target):
        self.directory(os.path.dirname(name))
        self._entry(name, 0o120777, target.encode())

    def device(self, name, major, minor):
        self.directory(os.path.dirname(name))
        self._entry(name, 0o020600, b"", (major, minor))

    def finish(self):
        self._entry("TRAILER!!!", 0)
        self.data += b"\0" * (-len(self.data) % 512)
        return bytes(self.data)


def read(path):
    with open(path, "rb") as file:
        return file.read()


def is_static(elf):
    """Whether an ELF file names no interpreter (PT_INTERP)."""
    at, = struct.unpack_from("<Q", elf, 32)
    size, count = struct.unpack_from("<HH", elf, 54)
    return all(struct.unpack_from("<I", elf, at + i * size)[0] != 3 for i in range(count))


def busybox():
    path = shutil.which("busybox")
    if not path:
        die("busybox is not there", "install busybox-static")
    content = read(path)
    if not is_static(content):
        die("%s is not linked statically" % path, "install busybox-static")
    applets = subprocess.run([path, "--list"], stdout=subprocess.PIPE, text=True, check=True)
    return content, applets.stdout.split()


def initramfs(modules, scripts, table):
    """The initramfs: the DMAR table in front, uncompressed; then the guest's files."""
    front = b""
    if table is not None:
        early = Cpio()
        early.file("kernel/firmware/acpi/dmar.aml", table)
        front = early.finish()
    archive = Cpio()
    content, applets = busybox()
    archive.file("bin/busybox", content, 0o755)
    for applet in applets:
        if applet != "busybox":
            archive.link("bin/" + applet, "busybox")
    for directory in ("dev", "proc", "sys", "tmp", "etc", "mnt"):
        archive.directory(directory)
    # The first process gets its console before /dev is mounted.
    archive.device("dev/console", 5, 1)
    guest = os.path.join(SCRIPTS, "guest")
    for name in sorted(os.listdir(guest)):
        if name == "init":
            archive.file("init", read(os.path.join(guest, name)), 0o755)
        elif name.endswith(".sh"):
            archive.file("guest/" + name, read(os.path.join(guest, name)))
    for name in scripts:
        if not os.path.exists(os.path.join(guest, name + ".sh")):
            die("there is no %s.sh in %s" % (name, guest), "name one that is, without .sh")
    archive.file("guest/scripts", "".join(name + "\n" for name in scripts).encode())
    for name in MODULES:
        path = os.path.join(modules, name)
        if not os.path.exists(path):
            die("there is no %s in %s" % (name, modules), "scripts/build.sh makes it")
        archive.file(os.path.basename(name), read(path))
    return front + gzip.compress(archive.finish(), 1)


class Boot:
    """One run of the guest and what came of it."""

    def __init__(self, name, modules, scripts, kernel, *, nodes=2, memory=1024, cpus=2,
                 table="good", cmdline="", timeout=180, cpu="max", icount=False):
        self.name = name
        self.modules = modules
        self.scripts = scripts
        self.kernel = kernel
        self.nodes = nodes
        self.memory = memory
        self.cpus = cpus
        self.table = table
        self.cmdline = cmdline
        self.timeout = timeout
        self.cpu = cpu
        # The guest's clocks go by instructions, one nanosecond for each.
        self.icount = icount
        # Beside the modules, so that two source trees do not write the same files.
        self.directory = os.path.join(modules, "boot")
        os.makedirs(self.directory, exist_ok=True)
        self.console_path = os.path.join(self.directory, name + ".console")
        self.results_path = os.path.join(self.directory, name + ".results")
        self.verdict = "not started"
        self.seconds = 0.0

    def _command(self, image):
        command = ["qemu-system-x86_64", "-M", "q35", "-accel", "tcg", "-cpu", self.cpu,
                   "-smp", str(self.cpus), "-m", "%dM" % (self.nodes * self.memory),
                   "-nodefaults", "-display", "none", "-no-reboot",
                   "-chardev", "file,id=console,path=" + self.console_path,
                   "-serial", "chardev:console",
                   "-chardev", "file,id=results,path=" + self.results_path,
                   "-serial", "chardev:results"]
        for node in range(self.nodes):
            command += ["-object", "memory-backend-ram,id=m%d,size=%dM" % (node, self.memory),
                        "-numa", "node,nodeid=%d,memdev=m%d" % (node, node)]
        for cpu in range(self.cpus):
            command += ["-numa", "cpu,node-id=%d,socket-id=%d,core-id=0,thread-id=0"
                        % (cpu % self.nodes, cpu)]
        command[command.index("-smp") + 1] = "%d,sockets=%d" % (self.cpus, self.cpus)
        if self.icount:
            command += ["-icount", "shift=0"]
        return command + ["-kernel", os.path.join(self.kernel, "arch/x86/boot/bzImage"),
                          "-initrd", image, "-append", (CMDLINE + " " + self.cmdline).strip()]

    def run(self):
        """Runs the guest; True if it came to its own end in time."""
        if not shutil.which("qemu-system-x86_64"):
            die("qemu-system-x86_64 is not there", "install qemu-system-x86")
        table = None
        if self.table is not None:
            table = dmar.tables()[self.table]
        image = os.path.join(self.directory, self.name + ".initramfs")
        with open(image, "wb") as file:
            file.write(initramfs(self.modules, self.scripts, table))
        for path in (self.console_path, self.results_path):
            open(path, "wb").close()
        start = time.monotonic()
        try:
            done = subprocess.run(self._command(image), stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                  timeout=self.timeout, text=True)
        except subprocess.TimeoutExpired:
            self.verdict = "still running after %d s" % self.timeout
        else:
            if done.returncode:
                self.verdict = "QEMU ended with %d: %s" % (done.returncode, done.stdout.strip())
            elif "@@ bye" not in self.results():
                self.verdict = "the guest died"
            else:
                self.verdict = "ok"
        self.seconds = time.monotonic() - start
        os.remove(image)
        return self.verdict == "ok"

    def console(self):
        return read(self.console_path).decode(errors="replace").replace("\r", "").split("\n")

    def results(self):
        return read(self.results_path).decode(errors="replace").replace("\r", "").split("\n")


def main():
    parser = argparse.ArgumentParser(
        description="Boot guest scripts; run by way of scripts/with-kernel.sh.")
    parser.add_argument("scripts", nargs="+", help="of scripts/guest, without .sh")
    parser.add_argument("--modules", required=True, help="a directory that scripts/build.sh printed")
    parser.add_argument("--name", default="by-hand")
    parser.add_argument("--memory", type=int, default=1024, help="MiB of each node")
    parser.add_argument("--nodes", type=int, default=2)
    parser.add_argument("--cpus", type=int, default=2)
    parser.add_argument("--dmar", default="good", help="none, or a name in dmar.py")
    parser.add_argument("--cmdline", default="")
    parser.add_argument("--timeout", type=int, default=180)
    parser.add_argument("--cpu", default="max", help="QEMU's -cpu")
    parser.add_argument("--icount", action="store_true", help="the clocks count instructions")
    args = parser.parse_args()
    boot = Boot(args.name, args.modules, args.scripts, os.environ["KERNEL_BUILD"],
                nodes=args.nodes, memory=args.memory,
                cpus=args.cpus, table=None if args.dmar == "none" else args.dmar,
                cmdline=args.cmdline, timeout=args.timeout, cpu=args.cpu, icount=args.icount)
    good = boot.run()
    print("\n".join(boot.console()))
    print("\n".join(boot.results()))
    print("%s: %s, %.1f s; logs: %s %s" % (boot.name, boot.verdict, boot.seconds,
                                           boot.console_path, boot.results_path))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
