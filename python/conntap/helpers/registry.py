"""Which helper has which name; its module is loaded when it is asked for.

Source: kernel, the names that `nf_conntrack_helper_register` is called with.
"""

from __future__ import annotations

from difflib import get_close_matches
from importlib import import_module
from typing import Final, NamedTuple

from conntap.errors import UsageError
from conntap.helpers.base import TCP, UDP, Helper

__all__ = ["ALIASES", "HELPERS", "Entry", "load", "resolve", "well_known"]


class Entry(NamedTuple):
    """A shipped helper, as far as it is known without loading it.

    Attributes:
        where: "module:class".
        l4protos: of the connections that it reads.
        port: the well-known one; 0: there is none, it comes by expectation.
    """

    where: str
    l4protos: tuple[int, ...]
    port: int


#: Name, as netlink and rules say it → helper.
HELPERS: Final[dict[str, Entry]] = {
    "ftp": Entry("conntap.helpers.ftp:Ftp", (TCP,), 21),
    "tftp": Entry("conntap.helpers.tftp:Tftp", (UDP,), 69),
    "irc": Entry("conntap.helpers.irc:Irc", (TCP,), 6667),
    "sip": Entry("conntap.helpers.sip:Sip", (UDP, TCP), 5060),
    "RAS": Entry("conntap.helpers.h323:Ras", (UDP,), 1719),
    "Q.931": Entry("conntap.helpers.h323:Q931", (TCP,), 1720),
    "H.245": Entry("conntap.helpers.h323:H245", (TCP,), 0),
    "pptp": Entry("conntap.helpers.pptp:Pptp", (TCP,), 1723),
    "amanda": Entry("conntap.helpers.amanda:Amanda", (UDP,), 10080),
    "netbios-ns": Entry("conntap.helpers.netbios_ns:NetbiosNs", (UDP,), 137),
    "snmp": Entry("conntap.helpers.snmp:Snmp", (UDP,), 161),
    "sane": Entry("conntap.helpers.sane:Sane", (TCP,), 6566),
}

#: What people also say, in lower case → the names that are meant.
ALIASES: Final[dict[str, tuple[str, ...]]] = {
    "h323": ("RAS", "Q.931"),
    "h.323": ("RAS", "Q.931"),
    "q931": ("Q.931",),
    "h245": ("H.245",),
    "netbios": ("netbios-ns",),
    "netbios_ns": ("netbios-ns",),
    "dcc": ("irc",),
}


def resolve(word: str) -> tuple[str, ...]:
    """The names that *word* means: a helper's, in whatever case, or an alias; "h323" means two.

    Raises:
        UsageError: none.
    """
    if word in HELPERS:
        return (word,)
    lower = word.lower()
    exact = {name.lower(): (name,) for name in HELPERS} | ALIASES
    if lower in exact:
        return exact[lower]
    near = get_close_matches(lower, exact, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(HELPERS)}"
    raise UsageError(f"no helper is called {word!r}", hint=hint)


def load(name: str) -> type[Helper]:
    """The class of the helper with this name, in whatever case, or with an alias that means only one.

    Raises:
        UsageError: there is none, or the alias means several.
    """
    found, *others = resolve(name)
    if others:
        raise UsageError(f"{name!r} means several helpers", hint=f"say one of {', '.join([found, *others])}")
    module, _, attribute = HELPERS[found].where.partition(":")
    loaded: type[Helper] = getattr(import_module(module), attribute)
    return loaded


def well_known() -> dict[tuple[int, int], tuple[str, ...]]:
    """Protocol and server's port → names of the helpers that read such connections, for `--auto-helpers`."""
    ports: dict[tuple[int, int], tuple[str, ...]] = {}
    for name, entry in HELPERS.items():
        if entry.port:
            for l4proto in entry.l4protos:
                ports[l4proto, entry.port] = (*ports.get((l4proto, entry.port), ()), name)
    return ports
