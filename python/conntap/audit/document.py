"""An audit as one JSON document: everything the text says, and both fixes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from conntap.audit.registry import DOCS

if TYPE_CHECKING:
    from conntap.audit.baseline import Compared
    from conntap.audit.finding import Evidence, Finding
    from conntap.audit.run import Audited

__all__ = ["as_document", "as_row"]


def as_document(audited: Audited, compared: Compared, status: int) -> dict[str, Any]:
    """The whole audit."""
    return {
        "inside": list(audited.sides.inside),
        "outside": list(audited.sides.outside),
        "sides": list(audited.sides.how),
        "missing": list(audited.unsaid),
        "findings": [as_row(one) for one in compared.new],
        "accepted": [as_row(one) | {"reason": reason} for one, reason in compared.accepted],
        "stale": [{"id": one.id, "key": one.key, "reason": one.reason} for one in compared.stale],
        "status": status,
    }


def as_row(one: Finding) -> dict[str, Any]:
    """A finding."""
    return {
        "id": one.id,
        "severity": one.severity.name.lower(),
        "title": one.title,
        "consequence": one.consequence,
        "evidence": [evidence(shown) for shown in one.evidence],
        "fix": {
            name: text
            for name, text in (("nft", one.fix.nft), ("iptables", one.fix.iptables), ("other", one.fix.other))
            if text
        },
        "reach": [
            {
                "helper": reach.helper,
                "nfproto": reach.nfproto,
                "l4proto": reach.l4proto,
                "from": reach.from_interface,
                "to": reach.to_interface,
                "ports": [list(span) for span in reach.ports],
                "by": reach.by,
            }
            for reach in one.reach
        ],
        "certain": one.certain,
        "doubt": one.doubt,
        "key": one.key,
        "docs": f"{DOCS}#{one.id.lower()}",
    }


def evidence(shown: Evidence) -> dict[str, Any]:
    """What shows it."""
    row: dict[str, Any] = {"what": shown.what}
    if shown.place is not None:
        place = shown.place
        row |= {"source": place.source, "family": place.family, "table": place.table, "chain": place.chain}
        row |= {name: value for name, value in (("handle", place.handle), ("line", place.line)) if value is not None}
    if shown.setting:
        row |= {"setting": shown.setting, "value": shown.value}
    return row
