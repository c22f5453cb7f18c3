#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""The kernel modules' messages, and the table of them in Documentation/messages.rst.

`make check` holds the one against the other: every message of the sources is in the table with its
level, and nothing else is; and a line of the kernel log that any page quotes is said by the sources.
reached.py looks for them on the consoles.  By hand: prints the messages
of the sources, by kernel module.
"""

import collections
import glob
import os
import re

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PAGE = os.path.join(TOP, "Documentation", "messages.rst")
# Other pages that quote the kernel log; what debugfs.rst quotes is said by scripts/tdx-pages.
QUOTING = [path for path in [os.path.join(TOP, "README.md")]
           + sorted(glob.glob(os.path.join(TOP, "Documentation", "*.rst")))
           if path != PAGE and os.path.basename(path) != "debugfs.rst"]

# The KUnit suites talk too; what they say is no promise to anybody.
NOT_OURS = re.compile(r"/suite/|/suite\.rs$|/bench\.rs$|/planted\.rs$|/expect\.rs$|/wrappers/"
                      r"|tdx_pages/emu\.rs$|/tests/|/sim\.rs$|/reached\.rs$|_test\.c$|/test\.c$"
                      r"|^rust/host/")
PRINTED = re.compile(r"\bpr_(emerg|alert|crit|err|warn|notice|info|debug)(?:_once|_ratelimited)?!?\(\s*"
                     r"((?:\"(?:[^\"\\]|\\.)*\"\s*)+)", re.S)
LITERAL = re.compile(r"\"((?:[^\"\\]|\\.)*)\"", re.S)
# A message of the table: the format by itself in a line, then its level and what it says.
ENTRY = re.compile(r"^``(.+)``\n    \*(\w+)\.\* \S", re.M)
HEADING = re.compile(r"^(\S.*)\n(=+|-+)$", re.M)

# A line of a kernel log that a page quotes, with ".." for what differs; it goes on in lines that are
# further in.
QUOTED = re.compile(r"^    (tdx_pages|tdx_emu): (.+(?:\n     +\S.*)*)", re.M)
OPERAND = re.compile(r"(?<!\{)\{[^{}]*\}|%#?[a-z]*[A-Za-z]S?")

Message = collections.namedtuple("Message", "module level text where")


def unescape(literals):
    """Literals of Rust or C as they are printed, without the end of the line."""
    text = "".join(LITERAL.findall(literals))
    text = re.sub(r"\\\n\s*", "", text)
    return text.replace("\\n", "").replace('\\"', '"').strip()


def without_tests(text):
    """The text of a file up to the tests that end it."""
    return text.partition("#[cfg(test)]\nmod ")[0]


def of_module(path):
    """The kernel module that a file speaks for."""
    return "tdx_emu" if "tdx_emu" in path or "/emu" in path else "tdx_pages"


def in_file(path, text):
    """The messages of one file; `path` is the one within the tree."""
    module = of_module(path)
    text = without_tests(text)
    for match in PRINTED.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        yield Message(module, match.group(1), unescape(match.group(2)), "%s:%d" % (path, line))


def sources(top=TOP):
    """The (path, text) of every file of the kernel modules."""
    for folder in ("rust", "include"):
        for directory, folders, names in os.walk(os.path.join(top, folder)):
            folders[:] = sorted(name for name in folders if name != "target")
            for name in sorted(names):
                path = os.path.relpath(os.path.join(directory, name), top)
                made = name.endswith((".mod.c", "_bindings.rs"))
                if name.endswith((".rs", ".c", ".h")) and not (made or NOT_OURS.search(path)):
                    with open(os.path.join(top, path), encoding="utf-8") as file:
                        yield path, file.read()


def of_sources(files):
    """All messages, in order."""
    return [message for path, text in files for message in in_file(path, text)]


def of_page(page):
    """The (level, text) of each message in the table."""
    return [(level, text) for text, level in ENTRY.findall(page)]


def quoted(page):
    """The (kernel module, text) of each line of a log in the page."""
    return [(module, re.sub(r"\s+", " ", text).strip()) for module, text in QUOTED.findall(page)]


def fixed(text):
    """What is printed as it stands of a format: the parts before, between and behind its operands."""
    return [part.replace("{{", "{").replace("}}", "}") for part in OPERAND.split(text)]


def pattern(text):
    """A regular expression for all that a message can become."""
    return re.compile(".*".join(map(re.escape, fixed(text))) + "$")


def not_said(messages, page):
    """The lines of a log in a page that no source says."""
    # What has no words of its own would fit anything.
    patterns = [(message.module, pattern(message.text)) for message in messages
                if sum(map(len, fixed(message.text))) > 2]
    return ["quoted, and said by no source: %s: %s" % (module, text) for module, text in quoted(page)
            if not any(module == known and words.match(text) for known, words in patterns)]


def faults(messages, page):
    """What differs between sources and table, and what is quoted and cannot be said, as lines."""
    table = of_page(page)
    known = set(table)
    found = []
    for message in messages:
        if (message.level, message.text) not in known:
            levels = [level for level, text in table if text == message.text]
            found.append("%s: %s: %s" % (message.where, message.text, "is in the table as %s, not as %s"
                                         % (levels[0], message.level) if levels else
                                         "is not in the table (level: %s)" % message.level))
    said = {(message.level, message.text) for message in messages}
    texts = {message.text for message in messages}
    found += ["in the table and in no source: %s" % text for level, text in table
              if (level, text) not in said and text not in texts]
    for text in sorted({text for _, text in table}):
        times = sum(other == text for _, other in table)
        if times > len({level for level, other in said if other == text} or [0]):
            found.append("%d times in the table: %s" % (times, text))
    found += not_said(messages, page)
    if not table:
        found.append("the table is empty")
    return found


def cases():
    """The cases for `make check`."""
    messages = of_sources(sources())
    with open(PAGE, encoding="utf-8") as file:
        wrong = faults(messages, file.read())
    found = [("every message is in Documentation/messages.rst", not wrong, wrong)]
    wrong = []
    for path in QUOTING:
        with open(path, encoding="utf-8") as file:
            wrong += ["%s: %s" % (os.path.basename(path), line)
                      for line in not_said(messages, file.read())]
    return found + [("every line of the log that a page quotes is said", not wrong, wrong)]


def main():
    for message in of_sources(sources()):
        print("%s: %s: %s: %s" % (message.where, message.module, message.level, message.text))


if __name__ == "__main__":
    main()
