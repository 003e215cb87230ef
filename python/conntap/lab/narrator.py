"""Tells an FTP download in words while its events go by. No I/O: events in, lines out.

Works on live events and on a recording alike, and for active and passive transfers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from conntap import _core

__all__ = ["Line", "Narrator"]


@dataclass(frozen=True, slots=True)
class Line:
    """A line and what it is: a `step` of the story, an `event` as `conntap watch` prints it, a `quote` of conntrack."""

    kind: Literal["step", "event", "quote"]
    text: str


class Narrator:
    """Knows where in the download it is by the events alone."""

    __slots__ = ("_ended", "_steps")

    def __init__(self) -> None:
        self._steps: set[str] = set()
        self._ended = 0

    def tell(self, event: _core.Event) -> list[Line]:
        """Return the lines for one event, in the order in which to print them."""
        lines = [Line("step", text) for text in self._step(event)]
        lines.append(Line("event", str(event)))
        if event.kind == "EXP_NEW":
            lines += [
                Line("step", "`conntrack -E expect` prints the same as"),
                Line("quote", event.text().rstrip("\n")),
            ]
        return lines

    def _step(self, event: _core.Event) -> list[str]:
        flow, expectation = event.flow, event.expectation
        if expectation is not None:
            return self._expectation(event.kind, expectation)
        if flow is None:
            return []
        if event.kind == "NEW" and flow.master is not None:
            return self._once("data", _data_text(flow, flow.master))
        if event.kind == "NEW":
            nat = f", and the world sees it come from {flow.reply.dst}" if flow.reply.dst != flow.original.src else ""
            helper = f"A rule gives it the {flow.helper} helper" if flow.helper else "No helper looks at it"
            return self._once("control", f"The client opens the control connection. {helper}{nat}.")
        if event.kind == "DESTROY":
            return self._once("end", "A second after they closed (two minutes by default) the kernel forgets both.")
        return []

    def _expectation(self, kind: str, expectation: _core.Expectation) -> list[str]:
        if kind == "EXP_NEW":
            words = (
                f"The {expectation.helper} helper has read in it where the data will go, and announces that connection:"
            )
            return self._once("announced", words)
        if kind == "EXP_DESTROY":
            return self._once("used", "It has come, so the announcement is used up:")
        return []

    def _once(self, step: str, text: str) -> list[str]:
        if step in self._steps:
            return []
        self._steps.add(step)
        return [text]


def _data_text(flow: _core.Flow, master: _core.Tuple) -> str:
    """Which way the NAT of the master shows in the data connection depends on who opened it."""
    if flow.original.src == master.src:
        nat = f"the answers go to {flow.reply.dst}, not to {flow.original.src}"
    else:
        nat = f"what comes to {flow.original.dst} goes on to {flow.reply.src}"
    return (
        f"It is RELATED: the child of {master.src}:{master.sport} → {master.dst}:{master.dport}, with its NAT: {nat}."
    )
