"""A scenario that runs while its gateway is watched: events out, and what they prove."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conntap.lab.scenarios.facts import Ends, Seen

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conntap import _core
    from conntap.lab.scenarios.facts import Claim, Facts, Scenario
    from conntap.lab.topology import Lab

__all__ = ["Session", "seen_in"]

#: One wait for events; the end of the traffic is noticed this fast.
TICK_SECONDS = 0.05


class Session:
    """One run of a scenario in a lab, seen from its gateway.

    Attributes:
        seen: the events so far, reduced to what claims speak of.
        facts: what happened; None until `batches` has ended.
        counters: of the listener, at its end.
    """

    __slots__ = ("counters", "facts", "lab", "scenario", "seen")

    def __init__(self, lab: Lab, scenario: Scenario) -> None:
        self.lab = lab
        self.scenario = scenario
        self.seen: list[Seen] = []
        self.facts: Facts | None = None
        self.counters: dict[str, int] = {}

    def batches(self) -> Iterator[_core.Batch]:
        """Run the scenario and hand out the gateway's events as they come, to the last DESTROY.

        Raises:
            LabError: the traffic could not be made.
            KernelError: the gateway's events cannot be had.
        """
        import conntap

        with conntap.open(self.lab.gateway.pid) as ct, ct.events() as events:
            traffic = self.lab.gateway.start(self._traffic)
            while not traffic.done():
                if (batch := events.receive(TICK_SECONDS)) is not None:
                    self.seen += seen_in(batch)
                    yield batch
            self.facts = traffic.result()
            # The kernel has announced everything by now: only what waits in the socket is left.
            while (batch := events.receive(0)) is not None:
                self.seen += seen_in(batch)
                yield batch
            self.counters = events.counters

    def missing(self) -> list[Claim]:
        """Return the claims that no event has fulfilled."""
        return [] if self.facts is None else self.facts.missing(self.seen)

    def _traffic(self) -> Facts:
        facts = self.scenario.run(self.lab)
        self.lab.forget()
        return facts


def seen_in(batch: _core.Batch) -> list[Seen]:
    """Reduce the events of a batch to what claims speak of."""
    return [seen for event in batch.events() if (seen := _seen(event)) is not None]


def _seen(event: _core.Event) -> Seen | None:
    from conntap.model import Status

    if (flow := event.flow) is not None:
        return Seen(
            kind=event.kind,
            protocol=flow.l4proto or 0,
            original=_ends(flow.original),
            reply=_ends(flow.reply),
            related=None if flow.status is None else bool(flow.status & Status.EXPECTED),
            helper=flow.helper,
            master=None if flow.master is None else _ends(flow.master),
        )
    if (expectation := event.expectation) is not None:
        return Seen(
            kind=event.kind,
            protocol=expectation.tuple.l4proto or 0,
            original=_ends(expectation.tuple),
            helper=expectation.helper,
            master=_ends(expectation.master),
        )
    return None


def _ends(side: _core.Tuple) -> Ends:
    return Ends(str(side.src), str(side.dst), side.sport, side.dport)
