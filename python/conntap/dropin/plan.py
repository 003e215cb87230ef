"""What a command line asks for, checked and in numbers: the parser makes it, the commands carry it out."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .protocols import Protocol

__all__ = ["Nat", "Plan", "Side"]


class Side:
    """The values of one direction (or of an expectation's tuple or mask); None: not given."""

    __slots__ = ("dport", "dst", "icmp_code", "icmp_id", "icmp_type", "sport", "src")

    def __init__(self) -> None:
        self.src: bytes | None = None
        self.dst: bytes | None = None
        self.sport: int | None = None  # GRE: the key
        self.dport: int | None = None
        self.icmp_type: int | None = None
        self.icmp_code: int | None = None
        self.icmp_id: int | None = None


class Nat:
    """A NAT option: with nothing given it asks for any NAT of its kind."""

    __slots__ = ("address", "port")

    def __init__(self, address: bytes | None = None, port: int | None = None) -> None:
        self.address = address
        self.port = port


class Plan:
    """One command with its options. Filled by the parser and not changed afterwards."""

    __slots__ = (
        "any_nat", "buffer_size", "command", "dst_nat", "events", "expected", "family", "given", "id",
        "label", "label_add", "label_del", "label_map", "label_numbers", "labelmap", "mark", "mask", "orig",
        "orig_vtag", "orig_zone", "output", "protocol", "protonum", "reply", "reply_vtag", "reply_zone",
        "role", "secmark", "src_nat", "state", "status", "table", "timeout", "zone",
    )  # fmt: skip

    def __init__(self) -> None:
        self.command = ""  # its letter; "" for none
        self.table = "conntrack"
        self.given: set[str] = set()  # names of options, those of the protocol included
        self.family = 0
        self.protocol: Protocol | None = None
        self.protonum: int | None = None
        self.orig = Side()
        self.reply = Side()
        self.expected = Side()
        self.mask = Side()
        self.timeout: int | None = None
        self.status: tuple[int, int] | None = None  # bits to be set, bits to be clear
        self.mark: tuple[int, int] | None = None  # value and mask
        self.secmark: int | None = None
        self.id: int | None = None
        self.zone: int | None = None
        self.orig_zone: int | None = None
        self.reply_zone: int | None = None
        self.src_nat: Nat | None = None
        self.dst_nat: Nat | None = None
        self.any_nat: Nat | None = None
        self.output = 0  # bits of words.OUTPUT
        self.events = 0  # bits of words.EVENTS
        self.buffer_size: int | None = None
        self.label: list[str] = []
        self.label_add: list[str] = []
        self.label_del: list[str] | None = None  # an empty list: all
        self.label_numbers: dict[str, int] = {}
        self.label_map = b""  # text of the map file, read when names are needed
        self.labelmap: str | None = None
        self.state: int | None = None
        self.role: int | None = None
        self.orig_vtag: int | None = None
        self.reply_vtag: int | None = None

    def shows(self, word: str) -> bool:
        """Tell whether `-o` names this word."""
        from .words import OUTPUT

        return any(self.output & bit for known, bit in OUTPUT if known == word)

    @property
    def labelled(self) -> bool:
        """Whether the names of labels are needed."""
        return bool(self.label or self.label_add or self.label_del is not None) or self.shows("labels")
