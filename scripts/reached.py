# SPDX-License-Identifier: GPL-2.0
"""What the boots of a check reached in the kernel: messages, transitions, statuses, leaves.

Messages are those of messages.py, looked for on the consoles.  The rest is counted by the kernel
module with the KUnit suites, which tells it when it goes (rust/tdx_pages/reached.rs).
scripts/not-reached has a reason for all that no boot reaches.
"""

import collections
import os
import re

import messages
from qemu import SCRIPTS

REASONS = os.path.join(SCRIPTS, "not-reached")

STRING = r'("(?:[^"\\]|\\.)*")'
# Words that get into a message by way of an operand: what fmt!() makes, what text() and Display
# say, and why a line of control or a parameter is refused.
WORDS = re.compile(r"(?:\bfmt!\(\s*|\bfn text\b[^}]*?=> |(?<==> )|\bwrite!\(\s*f,\s*|\bErr\(|"
                   r"\bwrite_str\(|^const \w+: &str =\s*)" + STRING, re.S | re.M)
WORDS_IN = ("tdx_pages/capi/", "tdx_pages/custody/state.rs", "tdx_pages/custody/memory.rs",
            "tdx_pages/users/dmar.rs", "tdx_emu/model/bugs.rs", "tdx_emu/model/config.rs",
            "tdx_emu/model/command.rs", "abi/list.rs", "tdx_pages/users/talk.rs")

Message = collections.namedtuple("Message", "name pattern weight")


def known(sources):
    """What is there to be said by (path, text) pairs, each message once."""
    found = {}

    def add(module, text, whole):
        fixed = messages.fixed(text)
        weight = sum(map(len, fixed))
        # What has no words of its own says what its operands say, which are listed by themselves.
        if weight < 6:
            return
        body = ".*?".join(map(re.escape, fixed))
        body = (r"%s: +%s.*$" if whole else r"%s: .*%s") % (module, body)
        # Messages of the same words cannot be told apart, and are one.
        name = re.sub(r"\s*(\{\})+$", "", "%s: %s" % (module, re.sub(r"(\{\})+", "{}", text)))
        found.setdefault(name, Message(name, re.compile(body), weight))

    for path, text in sources:
        for message in messages.in_file(path, text):
            add(message.module, message.text, True)
        if any(part in path for part in WORDS_IN):
            for match in WORDS.finditer(messages.without_tests(text)):
                words = messages.unescape(match.group(1))
                if " " in words:
                    add(messages.of_module(path), words, False)
    return list(found.values())


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

    def __init__(self, sources, consoles):
        self.items = {kind: {} for kind in KINDS}
        self.strange = []
        said_by = known(sources)
        self.items["message"] = {message.name: False for message in said_by}
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
                self._match(said_by, line)

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
