"""From argument words to a `Plan`, or to the message of conntrack-tools that says what is wrong.

Errors come in the order of the words; after the last word labels are resolved, then the checks of `check.py` run.
"""

from __future__ import annotations

from . import addresses, messages, words
from .getopt import Getopt
from .numbers import atoi, strtoul, u32
from .options import COMMANDS, OPTIONS, TABLES
from .plan import Nat, Plan

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .options import Option

__all__ = ["parse"]

# Largest value and letter of the options that read a plain number.
_NUMBERS = {
    "secmark": ("secmark", 0xFFFFFFFF),
    "id": ("id", 0xFFFFFFFF),
    "zone": ("zone", 0xFFFF),
    "orig-zone": ("orig_zone", 0xFFFF),
    "reply-zone": ("reply_zone", 0xFFFF),
}


def parse(argv: list[str], warn: Callable[[str], None]) -> Plan:
    """Read the words behind the program's name (`argv[0]`).

    Args:
        argv: program name and words; left alone.
        warn: takes lines for stderr that do not end the program.

    Raises:
        Stop: the words are wrong; it carries the message and the exit status.
    """
    from os import environ

    from .check import check

    parser = _Parser(argv, warn, ordered="POSIXLY_CORRECT" in environ)
    plan = parser.run()
    check(plan, warn)
    return plan


class _Parser:
    __slots__ = ("plan", "reader", "warn")

    def __init__(self, argv: list[str], warn: Callable[[str], None], *, ordered: bool) -> None:
        self.plan = Plan()
        self.reader = Getopt(list(argv), (*COMMANDS, *OPTIONS), ordered=ordered)
        self.warn = warn

    def run(self) -> Plan:
        while (found := self.reader.step()) is not None:
            option, argument = found
            if option is None:
                word = self.reader.word()
                if argument == ":":
                    raise messages.usage_fault(f"option `{word}' requires an argument")
                raise messages.usage_fault(f"unknown option `{word}'")
            if option.action != "command" and option.action != "deprecated":
                self.plan.given.add(option.name)
            _ACTIONS[option.action](self, option, argument)
        plan = self.plan
        # Creating needs a family even when no address says one.
        if not plan.family and plan.command not in ("L", "U", "D", "G", "F", "E"):
            plan.family = addresses.AF_INET
        return plan

    def command(self, option: Option, argument: str | None) -> None:
        table = self.table(self.reader.optional(argument))
        if table == "expect" and option.letter in "UA":
            raise messages.usage_fault(f"Can't do --{option.longs[0]} on expectations")
        if self.plan.command:
            raise messages.usage_fault("Invalid commands combination")
        self.plan.command, self.plan.table = option.letter, table
        if table in ("dying", "unconfirmed") and option.letter != "L":
            raise messages.usage_fault("Can't do that command with tables `dying' and `unconfirmed'")

    def table(self, word: str | None) -> str:
        if word is None:
            return "conntrack"
        for table in TABLES:
            if table.startswith(word):
                return table
        raise messages.usage_fault(f"unknown type `{word}'")

    def set_family(self, family: int) -> None:
        if self.plan.family not in (0, family):
            raise messages.usage_fault("mismatched address family")
        self.plan.family = family

    def address(self, option: Option, argument: str | None) -> None:
        plan = self.plan
        which, _, field = option.name.rpartition("-")
        prefix = which in ("", "tuple")
        family, packed, bits = addresses.parse_address(argument or "", option.longs[0], prefix=prefix)
        self.set_family(family)
        if bits is not None:
            setattr(plan.mask, field, addresses.prefix_mask(bits, len(packed)))
            plan.given.add(f"mask-{field}")
        sides = {"": plan.orig, "reply": plan.reply, "tuple": plan.expected, "mask": plan.mask}
        setattr(sides[which], field, packed)

    def nat(self, option: Option, argument: str | None) -> None:
        text = self.reader.optional(argument)
        nat = Nat()
        if text is not None:
            family, nat.address, nat.port = addresses.parse_nat(text, option.longs[0])
            self.set_family(family)
        setattr(self.plan, option.name.replace("-", "_"), nat)

    def family(self, _: Option, argument: str | None) -> None:
        text = argument or ""
        for name, family in (("ipv4", addresses.AF_INET), ("ipv6", addresses.AF_INET6)):
            if text.startswith(name):
                self.set_family(family)
                return
        raise messages.usage_fault(f"`{text}' unsupported protocol")

    def protocol(self, _: Option, argument: str | None) -> None:
        from .protocols import find

        found = find(argument or "")
        if found is None:
            raise messages.usage_fault(f"`{argument}' unsupported protocol")
        self.plan.protocol, self.plan.protonum = found
        # Its options are known from here on, and only here on.
        extra = found[0].options if found[0] is not None else ()
        self.reader.options = (*COMMANDS, *OPTIONS, *extra)

    def number(self, option: Option, argument: str | None) -> None:
        attribute, most = _NUMBERS[option.name]
        setattr(self.plan, attribute, _strict(argument or "", option.letter, most, argument or ""))

    def mark(self, option: Option, argument: str | None) -> None:
        text = argument or ""
        value, slash, mask = text.partition("/")
        number = _strict(value, option.letter, 0xFFFFFFFF, text)
        bits = 0xFFFFFFFF
        if slash:
            bits = _strict(mask, option.letter, 0xFFFFFFFF, text) if mask else 0
        self.plan.mark = number, bits

    def status(self, _: Option, argument: str | None) -> None:
        wanted, refused = words.parse_status(argument or "", self.warn)
        before = self.plan.status or (0, 0)
        self.plan.status = before[0] | wanted, before[1] | refused

    def events(self, _: Option, argument: str | None) -> None:
        self.plan.events |= words.parse_words(argument or "", words.EVENTS, self.warn)

    def output(self, _: Option, argument: str | None) -> None:
        more = words.parse_words(argument or "", words.OUTPUT, self.warn)
        self.plan.output = words.join_output(self.plan.output, more)

    def timeout(self, _: Option, argument: str | None) -> None:
        self.plan.timeout = u32(atoi(argument or ""))

    def buffer(self, _: Option, argument: str | None) -> None:
        self.plan.buffer_size = max(0, min(atoi(argument or ""), 0x7FFFFFFF))

    def flag(self, _: Option, argument: str | None) -> None:
        """-z: that it was given is all."""

    def deprecated(self, option: Option, _: str | None) -> None:
        self.warn(f"WARNING: ignoring -{option.letter}, deprecated option.\n")

    def label(self, option: Option, argument: str | None) -> None:
        plan = self.plan
        if option.name == "label-del":
            text = self.reader.optional(argument)
            plan.label_del = [*(plan.label_del or ()), *(text.split(",") if text is not None else ())]
        elif option.name == "label-add":
            plan.label_add += (argument or "").split(",")
        else:
            plan.label += (argument or "").split(",")
        if plan.label_add and plan.label_del is not None:
            raise messages.failure("cannot use --label-add and --label-del at the same time")

    def labelmap(self, _: Option, argument: str | None) -> None:
        if self.plan.labelmap is not None:
            raise messages.usage_fault("option `--labelmap' can only be specified once")
        self.plan.labelmap = argument

    def port(self, option: Option, argument: str | None) -> None:
        self.place(option, atoi(argument or "") & 0xFFFF)

    def key(self, option: Option, argument: str | None) -> None:
        self.place(option, strtoul(argument or "", 0)[0] & 0xFFFF)

    def place(self, option: Option, value: int) -> None:
        """Store a port or key where the option's name says."""
        plan, name = self.plan, option.name
        field = "sport" if "src" in name or name == "sport" else "dport"
        which = name.partition("-")[0]
        side = {"reply": plan.reply, "mask": plan.mask, "tuple": plan.expected}.get(which, plan.orig)
        setattr(side, field, value)

    def icmp(self, option: Option, argument: str | None) -> None:
        field = option.name.rpartition("-")[2]
        value = atoi(argument or "") & (0xFFFF if field == "id" else 0xFF)
        setattr(self.plan.orig, f"icmp_{field}", value)

    def state(self, _: Option, argument: str | None) -> None:
        from .protocols import DCCP_STATES, SCTP_STATES, TCP_STATES

        text, protocol = argument or "", self.plan.protocol
        name = protocol.name if protocol else ""
        states = {"tcp": TCP_STATES, "sctp": SCTP_STATES, "dccp": DCCP_STATES}[name]
        if name == "tcp" and text == "LISTEN":
            text = TCP_STATES[-1]
        if text not in states:
            unknown = "Unknown" if name == "dccp" else "unknown"
            raise messages.usage_fault(f"{unknown} {name.upper()} state `{text}'")
        self.plan.state = states.index(text)

    def role(self, _: Option, argument: str | None) -> None:
        text = (argument or "").lower()
        for number, role in enumerate(("client", "server")):
            if role.startswith(text):
                self.plan.role = number
                return
        raise messages.usage_fault(f"Unknown DCCP role `{argument}'")

    def vtag(self, option: Option, argument: str | None) -> None:
        setattr(self.plan, option.name.replace("-", "_"), u32(atoi(argument or "")))


def _strict(text: str, letter: str, most: int, whole: str) -> int:
    value, rest = strtoul(text, 0)
    if not text or rest or value > most:
        raise messages.failure(f"unexpected value '{whole}' with -{letter} option")
    return value


_ACTIONS: dict[str, Callable[[_Parser, Option, str | None], None]] = {
    "address": _Parser.address,
    "buffer": _Parser.buffer,
    "command": _Parser.command,
    "deprecated": _Parser.deprecated,
    "events": _Parser.events,
    "family": _Parser.family,
    "flag": _Parser.flag,
    "icmp": _Parser.icmp,
    "key": _Parser.key,
    "label": _Parser.label,
    "labelmap": _Parser.labelmap,
    "mark": _Parser.mark,
    "nat": _Parser.nat,
    "number": _Parser.number,
    "output": _Parser.output,
    "port": _Parser.port,
    "protocol": _Parser.protocol,
    "role": _Parser.role,
    "state": _Parser.state,
    "status": _Parser.status,
    "timeout": _Parser.timeout,
    "vtag": _Parser.vtag,
}
