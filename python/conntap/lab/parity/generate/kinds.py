"""The kinds of conversation, and how the one of a seed and a number is made."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final, NamedTuple

from conntap.lab.parity.generate import helpers_misc as misc
from conntap.lab.parity.generate.fragments import FRAGMENT_TROUBLES, fragments
from conntap.lab.parity.generate.generic import GENERIC_TROUBLES, others
from conntap.lab.parity.generate.gre import GRE_TROUBLES, tunnels
from conntap.lab.parity.generate.headers import HEADER_TROUBLES, headers
from conntap.lab.parity.generate.helpers_ftp import FTP_TROUBLES, ftp
from conntap.lab.parity.generate.helpers_garbage import GARBAGE_TROUBLES, garbage
from conntap.lab.parity.generate.helpers_h323 import H323_TROUBLES, h323
from conntap.lab.parity.generate.helpers_pptp import PPTP_TROUBLES, pptp
from conntap.lab.parity.generate.helpers_sip_talks import SIP_TROUBLES, sip
from conntap.lab.parity.generate.icmp import ICMP_TROUBLES, messages
from conntap.lab.parity.generate.icmp6 import ICMP6_TROUBLES, messages6
from conntap.lab.parity.generate.sctp import SCTP_TROUBLES, association, sctp_storm
from conntap.lab.parity.generate.sites import Site
from conntap.lab.parity.generate.talk import Conversation
from conntap.lab.parity.generate.tcp_life import TCP_TROUBLES, life, storm
from conntap.lab.parity.generate.udp import LITE_TROUBLES, UDP_TROUBLES, datagrams, lite

if TYPE_CHECKING:
    from collections.abc import Callable

    from conntap.lab.parity.generate.talk import Script

__all__ = ["TROUBLES", "conversation", "kinds"]


class _Kind(NamedTuple):
    """A kind: how often it comes without and with translation, its script, the troubles it may note, its IP version."""

    weight: int
    translated: int
    script: Callable[[Site], Script[None]]
    troubles: frozenset[str]
    version: int | None = None


_KINDS: Final[dict[str, _Kind]] = {
    "tcp": _Kind(24, 14, life, TCP_TROUBLES),
    "tcp-storm": _Kind(10, 5, storm, frozenset({"storm"})),
    "udp": _Kind(10, 6, datagrams, UDP_TROUBLES),
    "udplite": _Kind(3, 2, lite, LITE_TROUBLES),
    "icmp": _Kind(8, 8, messages, ICMP_TROUBLES, 4),
    "icmp6": _Kind(6, 4, messages6, ICMP6_TROUBLES, 6),
    "sctp": _Kind(7, 3, association, SCTP_TROUBLES),
    "sctp-storm": _Kind(4, 1, sctp_storm, frozenset({"sctp-storm"})),
    "gre": _Kind(3, 2, tunnels, GRE_TROUBLES),
    "generic": _Kind(3, 2, others, GENERIC_TROUBLES),
    "headers": _Kind(4, 0, headers, HEADER_TROUBLES),
    "fragments": _Kind(8, 4, fragments, FRAGMENT_TROUBLES),
    "ftp": _Kind(12, 24, ftp, FTP_TROUBLES),
    "tftp": _Kind(3, 3, misc.tftp, misc.TFTP_TROUBLES),
    "irc": _Kind(3, 4, misc.irc, misc.IRC_TROUBLES, 4),
    "amanda": _Kind(3, 3, misc.amanda, misc.AMANDA_TROUBLES),
    "sane": _Kind(2, 2, misc.sane, misc.SANE_TROUBLES),
    "pptp": _Kind(4, 4, pptp, PPTP_TROUBLES, 4),
    "sip": _Kind(9, 18, sip, SIP_TROUBLES),
    "h323": _Kind(3, 2, h323, H323_TROUBLES),
    "garbage": _Kind(5, 3, garbage, GARBAGE_TROUBLES),
}

TROUBLES: Final[dict[str, frozenset[str]]] = {name: kind.troubles for name, kind in _KINDS.items()}
"""What each kind's conversations may list in their `notes`."""

_NAT: Final = "nat-"


def kinds(*, nat: bool = False) -> dict[str, int]:
    """Names of all kinds and how often each comes, relatively; with *nat* those for a translating gateway."""
    if nat:
        return {_NAT + name: kind.translated for name, kind in _KINDS.items() if kind.translated}
    return {name: kind.weight for name, kind in _KINDS.items()}


_CHOICES: Final = {nat: (list(kinds(nat=nat)), list(kinds(nat=nat).values())) for nat in (False, True)}


def conversation(seed: int, index: int, kind: str | None = None, *, nat: bool = False) -> Conversation:
    """Conversation number *index* (from 0) of *seed* (from 0): the same packets every time, on every machine.

    Without *kind* one is drawn; giving that one makes the same conversation. Names that begin with `nat-` are for a
    gateway that translates as `nat.ruleset` says (*nat* draws among them); the others for one that does not.
    Conversations share no address within a run of `sites.CAPACITY` numbers.

    Raises:
        ValueError: there is no such kind.
    """
    rng = random.Random(seed << 40 | index)
    names, weights = _CHOICES[nat if kind is None else kind.startswith(_NAT)]
    (drawn,) = rng.choices(names, weights)
    name = drawn if kind is None else kind
    bare = name.removeprefix(_NAT)
    if bare not in _KINDS or name not in names:
        raise ValueError(f"no kind of conversation: {name}")
    translation = ("snat" if rng.random() < 0.6 else "dnat") if name != bare else ""
    version = 6 if rng.random() < 0.3 else 4
    if translation and bare == "fragments":
        version = 4  # IPv6 fragments leave the gateway with a new number, picked at random
    site = Site(rng, index, _KINDS[bare].version or version, translation)
    return Conversation(name, index, site, _KINDS[bare].script(site))
