"""Whether what was computed from the rules is what the kernel did."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from conntap.audit.known import HELPERS
from conntap.lab.prove.model import OWN

if TYPE_CHECKING:
    from collections.abc import Iterable

    from conntap.audit.finding import Finding, Reach
    from conntap.lab.prove.model import Cell, Proof, Row

__all__ = ["Disagreement", "agree", "reaches"]

#: Of a knock at what no helper opened, as `run.py` says it.
UNEXPECTED: Final = "no expectation was made"


@dataclass(frozen=True, slots=True)
class Disagreement:
    """One port, said to be open and found closed, or the reverse."""

    row: Row
    cell: Cell
    said: bool

    def __str__(self) -> str:
        way, cell = self.row.way, self.cell
        said, found = ("open", "closed") if self.said else ("closed", "open")
        why = f": {cell.why}" if cell.why else ""
        return (
            f"{self.row.helper} from {way.outside} to {way.inside}, IPv{way.nfproto}, {cell.who}, port {cell.port} "
            f"({cell.session}): the rules say {said}, the kernel {found}{why}"
        )


def reaches(findings: Iterable[Finding]) -> list[Reach]:
    """All that findings say is reached."""
    return list(dict.fromkeys(reach for finding in findings for reach in finding.reach))


def agree(said: Iterable[Reach], proof: Proof) -> list[Disagreement]:
    """Compare knocks with what was said.

    What a server opens by being lured is compared, and what a third party reaches by that; not what cannot be played.
    A port that is open because any of several ways of luring works is open. Where the helper reads connections to known
    servers alone nobody is lured: what the third party reaches is what an honest session opened.
    """
    known = list(said)
    overheard = {row for row in proof.rows for cell in row.cells if (cell.kind, cell.outcome) == ("overheard", "open")}
    worst: dict[tuple[Row, str, int, int], Cell] = {}
    for row in proof.rows:
        if row.way.inside == OWN:
            continue  # findings on the gateway itself do not say where to knock
        for cell in row.cells:
            if any(text.startswith(f"nf_conntrack_{HELPERS[row.helper].module}.") for text in proof.cannot):
                continue  # a parameter of the machine decides
            if cell.kind not in ("lured", "child") or cell.outcome == "anyway":
                continue
            if cell.kind == "child" and cell.outcome != "open":
                continue  # rules that name the assigned helper do not mean the other; the assigned one may open it, too
            key = (row, cell.who, cell.l4proto, cell.port)
            if key not in worst or cell.outcome == "open":
                worst[key] = cell
    found: list[Disagreement] = []
    for (row, who, l4proto, port), cell in worst.items():
        says = any(holds(one, row, who, l4proto, port) for one in known)
        if says and cell.why == UNEXPECTED and row in overheard:
            continue
        if says != (cell.outcome == "open"):
            found.append(Disagreement(row, cell, says))
    return found


def holds(reach: Reach, row: Row, who: str, l4proto: int, port: int) -> bool:
    """The reach speaks of this knock."""
    return (
        (reach.helper, reach.nfproto, reach.l4proto) == (row.helper, row.way.nfproto, l4proto)
        and (reach.from_interface, reach.to_interface) == (row.way.outside, row.way.inside)
        and (reach.by == "stranger" or who == "server")
        and any(first <= port <= last for first, last in reach.ports)
    )
