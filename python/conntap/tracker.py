"""`Tracker`: the kernel's connection tracking, helpers, expectations and NAT, without a kernel.

tracker = Tracker(Setup(helpers=assign("ftp=tcp/21"), nat=(masquerade("203.0.113.1"),)))
verdict = tracker.packet(time_ns, ip_packet)
for event in tracker.take_events().events(): ...
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from conntap import _core
from conntap.errors import UsageError
from conntap.filter import as_filter
from conntap.helpers.assign import Assignment, with_children
from conntap.helpers.base import Helper
from conntap.helpers.registry import load
from conntap.helpers.runtime import HelperHost

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from ipaddress import IPv4Interface

    from conntap.filter import Filter
    from conntap.nat import NatRule

__all__ = ["COUNTED", "Setup", "Tracker", "Verdict"]

#: IP version → AF_INET, AF_INET6; 0: both.
FAMILIES: Final = {0: 0, 4: 2, 6: 10}


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What a gateway's settings and rules say; the defaults are the kernel's.

    Attributes:
        settings: sysctls by name, with or without `net.netfilter.nf_conntrack_`.
        helpers: which new connections get which helper.
        helper_options: parameters of helper modules: {"irc": {"dcc_timeout": 600}}.
        own_helpers: helper classes beside the shipped ones, by name.
        nat: translation rules; none: nothing is translated.
        local_networks: the gateway's own addresses and networks, for helpers of broadcasts.
        rules: asked about each packet of a flow before its helper; returns False to drop it. See docs/engine.md.
    """

    settings: Mapping[str, int] = field(default_factory=dict[str, int])
    helpers: tuple[Assignment, ...] = ()
    helper_options: Mapping[str, Mapping[str, int]] = field(default_factory=dict[str, "Mapping[str, int]"])
    own_helpers: Mapping[str, type[Helper]] = field(default_factory=dict[str, type[Helper]])
    nat: tuple[NatRule, ...] = ()
    local_networks: tuple[IPv4Interface, ...] = ()
    rules: Callable[[_core.Engine, _core.HelperCall], bool] | None = None


#: The kernel's defaults, but with counters and times, which cost nothing here.
COUNTED: Final = Setup(settings={"acct": 1, "timestamp": 1})


class Verdict(NamedTuple):
    """What became of a packet.

    Attributes:
        state: NEW, ESTABLISHED, RELATED, INVALID, UNTRACKED, or UNSEEN (the IP layer keeps or drops it).
        why: in words.
        reason: the same as one word that stays.
        dropped: the gateway does not send it on.
        flow: id of the flow, and the direction in it (0 original, 1 reply); None where there is none.
    """

    state: str
    why: str
    reason: str
    dropped: bool
    flow: tuple[int, int] | None


class Tracker:
    """A connection tracking table that packets are shown to, in order of time.

    Attributes:
        engine: the core's own object, for what is not here.
    """

    __slots__ = ("_host", "engine")

    def __init__(self, setup: Setup | None = None) -> None:
        """Make an empty table.

        Raises:
            UsageError: a setting, helper or parameter does not exist.
        """
        setup = setup or Setup()
        self.engine = _core.Engine(list(setup.settings.items()), os.urandom(16))
        own = setup.own_helpers
        names = with_children([*(rule.helper for rule in setup.helpers), *own], own)
        known = {name: own.get(name) or load(name) for name in names}
        for name, options in setup.helper_options.items():
            check_parameters(name, own.get(name) or load(name), options)
        self._host = HelperHost(
            self.engine, known, setup.helper_options, local_networks=setup.local_networks, rules=setup.rules
        )
        for rule in setup.helpers:
            self.engine.assign(self._host.numbers[rule.helper], rule.l4proto, rule.port, FAMILIES[rule.family])
        for nat in setup.nat:
            addresses = nat.addresses and (nat.addresses[0].packed, nat.addresses[1].packed)
            family = FAMILIES[nat.family]
            self.engine.add_nat(nat.source, family, nat.where, nat.interface, addresses, nat.ports, nat.persistent)

    @property
    def ask(self) -> Callable[[], bool]:
        """What the core calls where a helper or the rules are needed."""
        return self._host.ask

    @property
    def counters(self) -> dict[str, int]:
        """What the engine met, by name (docs/engine.md)."""
        return self.engine.counters

    def packet(self, time_ns: int, ip: bytes, *, zone: int = 0, came_by: int = 0, goes_by: int = 0) -> Verdict:
        """Let one packet pass.

        Args:
            time_ns: nanoseconds since the epoch; the clock of everything.
            ip: from the IP header on.
            zone: in both directions.
            came_by, goes_by: interfaces, numbered as you like; NAT rules may ask for them.

        Raises:
            Whatever a helper of your own raises, other than `Drop`.
        """
        return Verdict(*self.engine.packet(time_ns, ip, self.ask, zone=zone, came_by=came_by, goes_by=goes_by))

    def take_events(self, where: str | Filter = "") -> _core.Batch:
        """Return the events since the last time, those that match."""
        batch, _ = self.engine.take_events(as_filter(where))
        return batch

    def flows(self) -> _core.Batch:
        """Return the flow table as a dump tells it."""
        return self.engine.flows()

    def expectations(self) -> _core.Batch:
        """Return the expectation table as a dump tells it."""
        return self.engine.expectations()

    def flush(self) -> None:
        """End everything that is left now: each DESTROY tells the time that was left."""
        self.engine.flush()

    def drain(self) -> None:
        """Let time go by until nothing is left: each DESTROY comes at its own time."""
        self.engine.drain()


def check_parameters(name: str, helper: type[Helper], options: Mapping[str, int]) -> None:
    """Refuse parameters that the helper does not have.

    Raises:
        UsageError: there is no such parameter.
    """
    for option in options:
        if option not in helper.parameters:
            known = ", ".join(helper.parameters)
            hint = f"it has {known}" if known else "it has none"
            raise UsageError(f"helper '{name}' has no parameter '{option}'", hint=hint)
