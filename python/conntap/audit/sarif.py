"""An audit as SARIF 2.1.0 (OASIS), which code hosts and CI show beside the lines of a file.

A rule of iptables-save has a line of that file; one of nft has none and is told as a logical location
("inet fw/forward/handle 8"). A text that was read live has no file: its name stands for it.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final

from conntap.audit.finding import Severity
from conntap.audit.registry import CHECKS, DOCS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from conntap.audit.baseline import Compared
    from conntap.audit.finding import Evidence, Finding

__all__ = ["as_sarif"]

SCHEMA: Final = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
LEVELS: Final = {
    Severity.INFO: "note",
    Severity.LOW: "note",
    Severity.MEDIUM: "warning",
    Severity.HIGH: "error",
    Severity.CRITICAL: "error",
}
#: GitHub and others sort by this number, 0 to 10.
SCORES: Final = {
    Severity.INFO: "0.0",
    Severity.LOW: "3.0",
    Severity.MEDIUM: "5.5",
    Severity.HIGH: "8.0",
    Severity.CRITICAL: "9.5",
}
TEXTS: Final = {"nft": "nft.json", "iptables": "iptables-save", "ip6tables": "ip6tables-save"}


def as_sarif(compared: Compared, version: str, files: Mapping[str, str] | None = None) -> dict[str, Any]:
    """A SARIF log with one run.

    Args:
        compared: findings; accepted ones are told as suppressed.
        version: of conntap.
        files: name of a text → file it was read from.
    """
    files = files or {}
    return {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "conntap audit",
                        "version": version,
                        "informationUri": DOCS,
                        "rules": [
                            {
                                "id": check.id,
                                "shortDescription": {"text": check.title},
                                "fullDescription": {"text": check.why},
                                "help": {"text": f"{check.fix}\n\n{DOCS}#{check.id.lower()}"},
                                "helpUri": f"{DOCS}#{check.id.lower()}",
                            }
                            for check in CHECKS
                        ],
                    }
                },
                "columnKind": "unicodeCodePoints",
                "results": [
                    *(result(one, files) for one in compared.new),
                    *(
                        result(one, files)
                        | {
                            "suppressions": [
                                {"kind": "external", "justification": reason or "accepted in the baseline"}
                            ]
                        }
                        for one, reason in compared.accepted
                    ),
                ],
            }
        ],
    }


def result(one: Finding, files: Mapping[str, str]) -> dict[str, Any]:
    """A finding as a result."""
    ids = [check.id for check in CHECKS]
    text = f"{one.title}: {one.consequence}"
    if one.doubt:
        text += f" (not certain: {one.doubt})"
    return {
        "ruleId": one.id,
        "ruleIndex": ids.index(one.id),
        "level": LEVELS[one.severity],
        "message": {"text": text},
        "locations": [location(shown, files) for shown in one.evidence[:1]],
        "relatedLocations": [
            {"id": at, **location(shown, files)} for at, shown in enumerate(one.evidence[1:], start=1)
        ],
        "partialFingerprints": {"conntapFinding/v1": hashlib.sha256(f"{one.id}\0{one.key}".encode()).hexdigest()},
        "properties": {
            "security-severity": SCORES[one.severity],
            "certain": one.certain,
            "nft": one.fix.nft,
            "iptables": one.fix.iptables,
            "other": one.fix.other,
        },
    }


def location(shown: Evidence, files: Mapping[str, str]) -> dict[str, Any]:
    """Where it stands."""
    place = shown.place
    if place is None:
        name = "sysctl" if shown.setting.startswith("net.") else "parameters"
        return {
            "physicalLocation": {"artifactLocation": {"uri": uri(files.get(name, name))}, "region": {"startLine": 1}},
            "logicalLocations": [{"fullyQualifiedName": shown.setting or shown.what}],
            "message": {"text": f"{shown.setting} = {shown.value}" if shown.setting else shown.what},
        }
    name = TEXTS[place.source]
    qualified = f"{place.family} {place.table}/{place.chain}"
    if place.handle is not None:
        qualified += f"/handle {place.handle}"
    return {
        "physicalLocation": {
            "artifactLocation": {"uri": uri(files.get(name, name))},
            "region": {"startLine": place.line or 1},
        },
        "logicalLocations": [{"fullyQualifiedName": qualified}],
        "message": {"text": shown.what or qualified},
    }


def uri(path: str) -> str:
    """A path as a URI reference."""
    from urllib.parse import quote

    return quote(path)
