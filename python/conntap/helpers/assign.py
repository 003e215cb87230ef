"""Which connections carry which helper, as rules of a modern kernel say it: explicitly.

    assign("ftp=tcp/21")               one by one
    well_known_assignments()           every helper on its registered port, as kernels before 6.0 did

`conntap.helpers.ruleset` takes them out of a gateway's rules.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from conntap.errors import UsageError
from conntap.helpers.base import TCP, UDP
from conntap.helpers.registry import HELPERS, load, resolve

if TYPE_CHECKING:
    from collections.abc import Container, Iterable

__all__ = ["PROTOCOLS", "Assignment", "assign", "family_of", "well_known_assignments", "with_children"]

PROTOCOLS: Final = {"tcp": TCP, "udp": UDP}
#: Helpers that others give to the connections that they announce.
CHILDREN: Final = {"RAS": ("Q.931", "RAS", "H.245"), "Q.931": ("Q.931", "H.245"), "sip": ("sip",)}

PLACE: Final = re.compile(r"(tcp|udp)/([0-9]{1,5})")


class Assignment(NamedTuple):
    """New connections to a port get a helper.

    Attributes:
        helper: its name.
        l4proto: 6 or 17.
        port: destination port, after destination NAT.
        family: 4, 6, or 0 for both.
    """

    helper: str
    l4proto: int
    port: int
    family: int = 0


def assign(text: str) -> tuple[Assignment, ...]:
    """Read "ftp=tcp/2121", "ftp" (its well-known port) or "h323" (which means two helpers).

    Raises:
        UsageError: it does not parse, or there is no such helper.
    """
    word, equals, place = text.strip().partition("=")
    names = resolve(word)
    if not equals:
        return tuple(rule for name in names for rule in _registered(name))
    found = PLACE.fullmatch(place)
    if not found or not 0 < int(found[2]) < 65536:
        raise UsageError(f"'{text}' assigns no helper", hint="say NAME=PROTOCOL/PORT, as in ftp=tcp/2121")
    l4proto, port = PROTOCOLS[found[1]], int(found[2])
    fits = [name for name in names if l4proto in HELPERS[name].l4protos]
    if not fits:
        raise UsageError(f"'{text}': helper '{word}' does not read {found[1]}")
    return tuple(Assignment(name, l4proto, port, family_of(name)) for name in fits)


def _registered(name: str) -> list[Assignment]:
    entry = HELPERS[name]
    if not entry.port:
        raise UsageError(f"helper '{name}' has no port of its own", hint=f"say {name}=tcp/PORT")
    return [Assignment(name, l4proto, entry.port, family_of(name)) for l4proto in entry.l4protos]


def family_of(name: str) -> int:
    """The IP version that a helper reads; 0: both."""
    families = load(name).families
    return families[0] if len(families) == 1 else 0


def well_known_assignments() -> tuple[Assignment, ...]:
    """Every shipped helper on its registered port."""
    return tuple(rule for name, entry in HELPERS.items() if entry.port for rule in _registered(name))


def with_children(names: Iterable[str], own: Container[str] = ()) -> list[str]:
    """The names, each once, and those that their children will need; *own* are not shipped."""
    found: dict[str, None] = {}
    for name in names:
        children = () if name in own else CHILDREN.get(name, ())
        found |= dict.fromkeys((name, *children))
    return list(found)
