"""Word lists of -u, -o and -e: comma separated, any case, any prefix; the first word that fits counts."""

from __future__ import annotations

from .messages import failure, usage_fault

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "ASSURED",
    "CONFIRMED",
    "EVENTS",
    "OUTPUT",
    "SEEN_REPLY",
    "STATUS",
    "join_output",
    "parse_status",
    "parse_words",
]

SEEN_REPLY, ASSURED, CONFIRMED = 2, 4, 8

# IPS_* bits of include/uapi/linux/netfilter/nf_conntrack_common.h, in the order in which a prefix is tried.
STATUS = (
    ("ASSURED", ASSURED),
    ("SEEN_REPLY", SEEN_REPLY),
    ("UNSET", 0),
    ("FIXED_TIMEOUT", 1024),
    ("EXPECTED", 1),
    ("OFFLOAD", 16384),
    ("HW_OFFLOAD", 32768),
)
EVENTS = (("ALL", 7), ("NEW", 1), ("UPDATES", 2), ("DESTROY", 4))
OUTPUT = tuple(
    (word, 1 << at)
    for at, word in enumerate(("xml", "extended", "timestamp", "id", "ktimestamp", "labels", "userspace", "save"))
)

# Once status bits; now options of their own. The test comes first, so `s` and `d` in any list mean these.
_RETIRED = (("SRC_NAT", "--src-nat"), ("DST_NAT", "--dst-nat"))


def parse_words(text: str, words: tuple[tuple[str, int], ...], warn: Callable[[str], None]) -> int:
    """Return the bits of all words of `text` together; `warn` gets a line for each word that is ignored."""
    bits = 0
    at = 0
    for word in text.split(","):
        found = _bits(word, words, warn)
        if found is None:
            raise usage_fault(f"Bad parameter `{text[at:]}'")
        bits |= found
        at += len(word) + 1
    return bits


def join_output(before: int, more: int) -> int:
    """Return the bits of two lists of -o words together.

    Raises:
        Stop: `save` stands beside another form.
    """
    bits = before | more
    save = OUTPUT[-1][1]
    if bits & save and bits != save:
        raise failure("cannot combine save output with any other output type, use -o save only")
    return bits


def parse_status(text: str, warn: Callable[[str], None]) -> tuple[int, int]:
    """Return the status bits named by plain words and those that must be clear (`!WORD`, UNREPLIED)."""
    wanted = refused = 0
    at = 0
    for word in text.split(","):
        negated = word.startswith("!")
        if word.startswith("UNREPLIED"):
            refused |= SEEN_REPLY
        else:
            found = _bits(word[1:] if negated else word, STATUS, warn)
            if found is None:
                raise usage_fault(f"Bad parameter `{text[at + negated :]}'")
            if negated:
                refused |= found
            else:
                wanted |= found
        at += len(word) + 1
    return wanted, refused


def _bits(word: str, words: tuple[tuple[str, int], ...], warn: Callable[[str], None]) -> int | None:
    if not word:
        return None
    folded = word.lower()
    for name, instead in _RETIRED:
        if name.lower().startswith(folded):
            warn(f"WARNING: ignoring {name}, use {instead} instead\n")
            return 0
    for name, bits in words:
        if name.lower().startswith(folded):
            return bits
    return None
