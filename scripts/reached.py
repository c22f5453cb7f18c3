# SPDX-License-Identifier: GPL-2.0
"""What the boots of a check reached in the kernel: messages, transitions, statuses, leaves.

Messages are read from the sources and looked for on the consoles.  The rest is counted by the
kernel module with the KUnit suites, which tells it when it goes (rust/tdx_pages/reached.rs).
scripts/not-reached has a reason for all that no boot reaches.
"""

import collections
import os
import re

from qemu import SCRIPTS

TOP = os.path.dirname(SCRIPTS)
REASONS = os.path.join(SCRIPTS, "not-reached")

# The suites talk too, but what they say is no promise to anybody.
NOT_OURS = re.compile(r"/suite/|/suite\.rs$|/bench\.rs$|/planted\.rs$|/wrappers/|tdx_pages/emu\.rs$"
                      r"|/tests/|/sim\.rs$|/reached\.rs$|_test\.c$|/test\.c$")
STRING = r'"((?:[^"\\]|\\.)*)"'
PRINTED = re.compile(r"\bpr_(?:err|warn|notice|info)!?\(\s*" + STRING, re.S)
# Words that get into a message by way of an operand: what fmt!() makes, what text() and Display
# say, and why a line of control or a parameter is refused.
WORDS = re.compile(r"(?:\bfmt!\(\s*|\bfn text\b[^}]*?=> |(?<==> )|\bwrite!\(\s*f,\s*|\bErr\(|"
                   r"\bwrite_str\(|^const \w+: &str =\s*)" + STRING, re.S | re.M)
WORDS_IN = ("tdx_pages/capi/", "tdx_pages/custody/state.rs", "tdx_pages/custody/memory.rs",
            "tdx_pages/users/dmar.rs", "tdx_emu/model/bugs.rs", "tdx_emu/model/config.rs",
            "tdx_emu/model/command.rs", "abi/list.rs", "tdx_pages/users/talk.rs")

Message = collections.namedtuple("Message", "name pattern weight")


def unescape(text):
    """A literal of Rust or C as it is printed, without the end of its line."""
    text = re.sub(r"\\\n\s*", "", text)
    return text.replace("\\n", "").replace('\\"', '"')


def pattern(text, conversions):
    """A regular expression for all that a format can become, and its count of fixed characters."""
    parts = re.split(conversions, text)
    fixed = [part.replace("{{", "{").replace("}}", "}") for part in parts]
    return ".*?".join(re.escape(part) for part in fixed), sum(map(len, fixed))


def messages(sources):
    """All messages of (path, text) pairs, each once."""
    found = {}

    def add(module, text, whole, conversions):
        body, weight = pattern(text, conversions)
        # What has no words of its own says what its operands say, which are listed by themselves.
        if weight < 6:
            return
        body = (r"%s: %s.*$" if whole else r"%s: .*%s") % (module, body)
        # Messages of the same words cannot be told apart, and are one.
        name = re.sub(r"\s*(\{\})+$", "", "%s: %s" % (module, re.sub(r"(\{\})+", "{}", text)))
        found.setdefault(name, Message(name, re.compile(body), weight))

    for path, text in sources:
        if NOT_OURS.search(path):
            continue
        emu = "tdx_emu" in path or "/emu_" in path
        module = "tdx_emu" if emu else "tdx_pages"
        if path.endswith(".c"):
            for match in PRINTED.finditer(text):
                add(module, unescape(match.group(1)), True, r"%[#]?[a-z]*[a-zA-Z]S?")
            continue
        text = text.partition("#[cfg(test)]\nmod ")[0]
        for match in PRINTED.finditer(text):
            add(module, unescape(match.group(1)), True, r"(?<!\{)\{[^{}]*\}")
        if any(part in path for part in WORDS_IN):
            for match in WORDS.finditer(text):
                words = unescape(match.group(1))
                if " " in words:
                    add("tdx_pages" if "abi/" in path else module, words, False,
                        r"(?<!\{)\{[^{}]*\}")
    return list(found.values())


def sources():
    """(path, text) of what the kernel modules are made of, relative to rust/."""
    root = os.path.join(TOP, "rust")
    for directory, below, names in os.walk(root):
        below[:] = sorted(name for name in below if name not in ("host", "target"))
        for name in sorted(names):
            if name.endswith((".rs", ".c")) and not name.endswith((".mod.c", "_bindings.rs")):
                path = os.path.join(directory, name)
                with open(path) as file:
                    yield "/" + os.path.relpath(path, root), file.read()


def reasons(path=REASONS):
    """Reason by item: a line "KIND NAME", then its reason, indented; "#" begins a comment."""
    found = {}
    item = None
    with open(path) as file:
        for line in file:
            if line.startswith("#") or not line.strip():
                continue
            if line[0].isspace() and item is not None:
                found[item] = (found[item] + " " + line.strip()).strip()
            else:
                item = line.strip()
                found[item] = ""
    return found


LINE = re.compile(r"(tdx_(?:pages|emu): .*)$")
COUNTED = re.compile(r"tdx_pages: reached: (transition|status|leaf) (.+): (\d+)$")
STRANGE = "tdx_pages: reached: no such transition"
# Begins a reason that holds whether it was reached or not.
LUCK = "A matter of luck:"
KINDS = ("message", "transition", "status", "leaf")
PLURAL = {"message": "messages", "transition": "transitions", "status": "statuses",
          "leaf": "answers of leaves"}


class Reached:
    """What was there to be reached, and what of it was."""

    def __init__(self, texts, consoles):
        self.items = {kind: {} for kind in KINDS}
        self.strange = []
        known = messages(texts)
        self.items["message"] = {message.name: False for message in known}
        lines = set()
        for console in consoles:
            for line in console:
                said = LINE.search(line.rstrip())
                if said:
                    lines.add(said.group(1))
        for line in sorted(lines):
            counted = COUNTED.match(line)
            if counted:
                kind, name, times = counted.groups()
                before = self.items[kind].get(name, False)
                self.items[kind][name] = before or times != "0"
            elif line.startswith(STRANGE):
                self.strange.append(line)
            else:
                self._match(known, line)

    def _match(self, known, line):
        """A line is the message that has the most in common with it; words may be in any."""
        fitting = [message for message in known if message.pattern.match(line)]
        whole = [message for message in fitting if message.pattern.pattern.endswith("$")]
        words = [message for message in fitting if not message.pattern.pattern.endswith("$")]
        for message in sorted(whole, key=lambda message: message.weight)[-1:] + words:
            self.items["message"][message.name] = True

    def missed(self):
        """"KIND NAME" of all that was not reached."""
        return ["%s %s" % (kind, name) for kind in KINDS
                for name, reached in self.items[kind].items() if not reached]

    def line(self):
        return "exercised: " + ", ".join(
            "%s %d of %d" % (PLURAL[kind], sum(self.items[kind].values()), len(self.items[kind]))
            for kind in KINDS)

    def cases(self, why):
        """Three cases; `why` is the reason by item."""
        missed = self.missed()
        there = {"%s %s" % (kind, name) for kind in KINDS for name in self.items[kind]}
        empty = ["nothing was told of any %s" % kind for kind in KINDS if not self.items[kind]]
        unsaid = ["not reached, and no reason in scripts/not-reached: " + item
                  for item in missed if not why.get(item)]
        stale = ["reached now: " + item for item, reason in why.items()
                 if item in there and item not in missed and not reason.startswith(LUCK)]
        stale += ["there is no such thing: " + item for item in why if item not in there]
        return [("exercised: all that no boot reached has its reason", not empty + unsaid,
                 empty + unsaid),
                ("exercised: no reason is out of date", not stale, stale),
                ("exercised: no transition but those that there are", not self.strange,
                 self.strange)]
