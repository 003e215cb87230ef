"""Whether a packet fits what a rule asks: yes, no, or it cannot be told (None); of destination ports, which of them."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final, TypeAlias

from conntap.rules.model import Span
from conntap.rules.spans import ALL_PORTS, bits_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from conntap.rules.model import Condition, Value

__all__ = ["ABSENT", "PORTS", "Absent", "Holding", "Known", "fits", "fits_ports", "holds", "row_fits"]

#: Fields that are followed for all ports at once.
PORTS: Final = frozenset({"dport", "ct_original_dport"})
#: A last * stands for any end.
_PATTERNS: Final = frozenset({"iifname", "oifname", "ct_helper"})
#: What nft calls by two names.
_SAME: Final = {"unicast": "host"}


class Absent:
    """The packet has no such field at all: no condition on it fits, not even one that says "not"."""

    __slots__ = ()


ABSENT: Final = Absent()


class Holding:
    """Words of which several hold at once (`ct status`).

    Attributes:
        words: they hold.
        unknown: of these it is not known.
    """

    __slots__ = ("unknown", "words")

    def __init__(self, words: frozenset[str], unknown: frozenset[str]) -> None:
        self.words = words
        self.unknown = unknown

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Holding) and (self.words, self.unknown) == (other.words, other.unknown)

    def __hash__(self) -> int:
        return hash((self.words, self.unknown))


#: What is known of a packet in one field: a number, a word, words that hold; that it has none; None: nothing.
#: Of destination ports, which are followed all at once: anything but None.
Known: TypeAlias = "int | str | Holding | Absent | None"


def fits(condition: Condition, known: Known) -> bool | None:
    """Whether a packet fits a condition on one field that is not a port."""
    if isinstance(known, Absent):
        return False
    if known is None or condition.chance:
        return None
    found: bool | None = False
    [field] = condition.fields
    for row in condition.rows:
        answer = _fits_values(field, row[0], known, condition.mask)
        if answer:
            found = True
            break
        if answer is None:
            found = None
    if condition.grows and not found:
        return None
    return found if not condition.negated or found is None else not found


def fits_ports(condition: Condition, known: Callable[[str], Known]) -> tuple[int, int]:
    """Of all ports, which fit for sure and which may: a condition on several fields, on ports, or not understood.

    Args:
        condition: any.
        known: what is known of a field.
    """
    if condition.chance or not condition.fields:
        return 0, ALL_PORTS
    if len(condition.fields) > 1 and any(known(field) is ABSENT for field in condition.fields):
        return 0, 0
    sure = may = 0
    for row in condition.rows:
        certain, bits = row_fits(condition.fields, row, known, condition.mask)
        if certain:
            sure |= bits
        elif bits:
            may |= bits
    may &= ~sure
    if condition.grows:
        may = ALL_PORTS & ~sure
    if condition.negated:
        sure = ALL_PORTS & ~(sure | may)
    return sure, may


def holds(condition: Condition, known: Callable[[str], Known]) -> tuple[int, int]:
    """Any condition: the ports of which it holds for sure, and those of which it may."""
    if len(condition.fields) != 1 or condition.fields[0] in PORTS:
        return fits_ports(condition, known)
    answer = fits(condition, known(condition.fields[0]))
    if answer is None:
        return 0, ALL_PORTS
    return (ALL_PORTS, 0) if answer else (0, 0)


def row_fits(
    fields: tuple[str, ...],
    row: tuple[tuple[Value, ...], ...],
    known: Callable[[str], Known],
    mask: int | None = None,
) -> tuple[bool, int]:
    """One row: (whether it is certain, the ports that it fits). No port: it does not fit."""
    certain = True
    bits = ALL_PORTS
    for field, values in zip(fields, row):
        value = known(field)
        if value is ABSENT:
            return True, 0
        if field in PORTS and value is not None:
            bits &= _port_bits(values, mask)
            if not bits:
                return True, 0
            continue
        answer = None if value is None or isinstance(value, Absent) else _fits_values(field, values, value, mask)
        if answer is False:
            return True, 0
        if answer is None:
            certain = False
    return certain, bits


def _fits_values(field: str, values: tuple[Value, ...], known: int | str | Holding, mask: int | None) -> bool | None:
    if isinstance(known, int):
        number = known if mask is None else known & mask
        return any(isinstance(value, Span) and value.first <= number <= value.last for value in values)
    if isinstance(known, Holding):
        if any(value == "*" or value in known.words for value in values):  # * of iptables: whatever holds
            return True
        return None if any(value in known.unknown for value in values) else False
    if field == "tcp_flags":
        answers = [_flags(str(value), known) for value in values]
        return True if True in answers else None if None in answers else False
    if known in values or _SAME.get(known, known) in values:
        return True
    if field in _PATTERNS:
        return (
            any(
                isinstance(value, str) and value.endswith("*") and known.startswith(value[:-1]) and known
                for value in values
            )
            or False
        )
    return any(_SAME.get(str(value)) == known for value in values)


def _port_bits(values: tuple[Value, ...], mask: int | None) -> int:
    spans = tuple(value for value in values if isinstance(value, Span))
    if mask is not None:
        return _masked_bits(spans, mask)
    if (
        len(spans) == 1 and 0 <= spans[0].first <= spans[0].last <= 65535
    ):  # the usual one, without a look into the memory
        return ((1 << (spans[0].last - spans[0].first + 1)) - 1) << spans[0].first
    return bits_of(spans)


@lru_cache(maxsize=256)
def _masked_bits(spans: tuple[Span, ...], mask: int) -> int:
    bits = 0
    for port in range(65536):
        if any(span.first <= port & mask <= span.last for span in spans):
            bits |= 1 << port
    return bits


_FLAGS: Final = frozenset({"fin", "syn", "rst", "psh", "ack", "urg", "ecn", "cwr"})


@lru_cache(maxsize=1024)
def _flags(asked: str, known: str) -> bool | None:
    """Flags as `model.FIELDS` says they are written. *known* is a list of those that are set."""
    has = _flag_words(known)
    word, slash, masked = asked.partition("/")
    exact = word.startswith("==")
    wanted, mask = _flag_words(word.removeprefix("==")), _flag_words(masked) if slash else _FLAGS
    if has is None or wanted is None or mask is None:
        return None
    return has & mask == wanted if exact or slash else bool(has & wanted)


def _flag_words(text: str) -> frozenset[str] | None:
    words = frozenset(word.strip().lower() for word in text.split(",")) - {"", "0", "none"}
    if "all" in words:
        return _FLAGS
    return words if words <= _FLAGS else None
