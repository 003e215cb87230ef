"""`audit(gateway)`: every check on a gateway, worst first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from conntap.audit.finding import Severity
from conntap.audit.registry import CHECKS
from conntap.audit.sides import find_sides
from conntap.audit.view import View

if TYPE_CHECKING:
    from collections.abc import Collection

    from conntap.audit.finding import Finding
    from conntap.audit.sides import Sides
    from conntap.gateway.state import Gateway

__all__ = ["Audited", "audit"]


@dataclass(frozen=True, slots=True)
class Audited:
    """What an audit found.

    Attributes:
        findings: worst first, then by id.
        sides: of the gateway, and how they were found.
        unsaid: what was not asked or not known, in words.
        program: that its rules are of: nft, or iptables where all are.
    """

    findings: tuple[Finding, ...]
    sides: Sides
    unsaid: tuple[str, ...] = ()
    program: str = "nft"

    def worst(self) -> Severity | None:
        """The worst severity of a certain finding; None where there is none."""
        return max((one.severity for one in self.findings if one.certain), default=None)

    @property
    def cannot_tell(self) -> bool:
        """Something that matters is not understood."""
        return any(not one.certain and one.severity > Severity.INFO for one in self.findings)


def audit(
    gateway: Gateway, sides: Sides | None = None, *, only: Collection[str] = (), skip: Collection[str] = ()
) -> Audited:
    """Audit a gateway.

    Args:
        gateway: from `read_live`, `read_files` or `read_bundle`.
        sides: inside and outside; None: guessed.
        only: ids to look for; empty: all.
        skip: ids not to look for.
    """
    view = View(gateway, find_sides(gateway) if sides is None else sides)
    found: list[Finding] = []
    for check in CHECKS:
        if (not only or check.id in only) and check.id not in skip:
            found += check.run(view)
    found.sort(key=lambda one: (-one.severity, one.id, one.key))
    unsaid = [f"{name}: {why}" for name, why in sorted(gateway.missing.items())]
    pairs = len(view.sides.inside) * len(view.sides.outside)
    if pairs > len(view.pairs):
        unsaid.append(f"only {len(view.pairs)} of {pairs} pairs of interfaces were asked about")
    of_nft = any(chain.place.source == "nft" for chain in gateway.rules.chains.values())
    program = "nft" if of_nft or not gateway.rules.chains else "iptables"
    return Audited(tuple(found), view.sides, tuple(unsaid), program)
