"""Fixes tried: the rule set is loaded as it is, the fix's commands are given, and everything is played again.

A fix of nft names rules by their handles. Those of a lab are others: a handle stands for a rule's number in its chain,
and is written anew for the rules as they were loaded.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from conntap.audit.known import HELPERS
from conntap.lab.errors import LabError
from conntap.lab.prove.model import OWN
from conntap.lab.prove.run import prove
from conntap.lab.prove.trace import numbers

if TYPE_CHECKING:
    from collections.abc import Iterable

    from conntap.audit.finding import Finding, Fix
    from conntap.audit.sides import Sides
    from conntap.gateway.state import Gateway
    from conntap.lab.host import Host
    from conntap.lab.prove.model import Proof, Row

__all__ = ["FixProof", "apply", "prove_fixes"]

#: A command of nft that names a rule of a chain.
_HANDLE: Final = re.compile(
    r"^(?P<head>(?:add|insert|replace|delete) rule (?P<family>\S+) (?P<table>\S+) (?P<chain>\S+) (?:handle|position)) "
    r"(?P<handle>\d+)"
)
_PROGRAMS: Final = {"iptables": "iptables-nft", "ip6tables": "ip6tables-nft"}


@dataclass(frozen=True, slots=True)
class FixProof:
    """What a fix does.

    Attributes:
        ids: of the findings that propose it.
        text: its commands.
        refused: why it could not be tried; "" where it was.
        shut: what was open and is closed now: "irc, third party, port 22".
        left: what is open still.
        lost: honest sessions that worked and do not any more.
        wild: of these those of helpers that let anybody in: they cannot work where strangers are kept out.
    """

    ids: tuple[str, ...]
    text: str
    refused: str = ""
    shut: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    wild: tuple[str, ...] = ()

    @property
    def good(self) -> bool:
        """It closes something and takes no session away that can be kept."""
        return not self.refused and bool(self.shut) and not self.lost

    def as_json(self) -> dict[str, Any]:
        """For `json.dumps`."""
        words = ("shut", "left", "lost", "wild")
        return {"ids": self.ids, "text": self.text, "proved": self.good, "refused": self.refused} | {
            name: getattr(self, name) for name in words
        }

    def __str__(self) -> str:
        name = f"the fix of {', '.join(self.ids)}"
        if self.refused:
            return f"{name} could not be tried: {self.refused}"
        if not self.shut:
            return f"{name} closes nothing that was open here"
        told = f"{name} closes {len(self.shut)} of {len(self.shut) + len(self.left)} ways in"
        if self.lost:
            return f"{told}, but these honest sessions stop: {', '.join(self.lost)}"
        told += "; honest sessions work as before"
        return f"{told}, but those that need a door for anybody: {', '.join(self.wild)}" if self.wild else told


def prove_fixes(gateway: Gateway, sides: Sides, findings: Iterable[Finding], before: Proof) -> list[FixProof]:
    """Try every fix of what is open, each text once. Nothing is tried where nothing is open."""
    if not before.open:
        return []
    texts: dict[str, list[str]] = {}
    own = any(row.way.inside == OWN for row, _ in before.open)  # findings on it do not say where to knock
    for finding in findings:
        if (finding.reach or (own and finding.id == "A021")) and (text := commands(finding.fix, gateway)):
            texts.setdefault(text, []).append(finding.id)
    return [try_fix(gateway, sides, text, tuple(dict.fromkeys(ids)), before) for text, ids in texts.items()]


def commands(fix: Fix, gateway: Gateway) -> str:
    """A fix's text in the language of the gateway's rules; "" where it is only advice."""
    text = fix.nft if gateway.texts.get("nft.json") else fix.iptables
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines or any(line.lstrip().startswith("#") for line in lines):
        return ""
    return "\n".join(lines)


def try_fix(gateway: Gateway, sides: Sides, text: str, ids: tuple[str, ...], before: Proof) -> FixProof:
    """Play everything again with a fix."""
    try:
        after = prove(gateway, sides, ports=ports_of(before), change=lambda host: apply(host, gateway, text))
    except LabError as error:
        return FixProof(ids, text, refused=str(error))
    if after.refused:
        return FixProof(ids, text, refused=after.refused)
    was, now = ways_in(before), ways_in(after)
    lost = sorted(working(before) - working(after))
    kept = [name for name in lost if not wild(gateway, name)]
    return FixProof(
        ids,
        text,
        "",
        tuple(sorted(was - now)),
        tuple(sorted(now)),
        tuple(kept),
        tuple(one for one in lost if one not in kept),
    )


def apply(host: Host, gateway: Gateway, text: str) -> None:
    """Give a fix's commands in a namespace that has the gateway's rules.

    Raises:
        LabError: a command is not taken.
    """
    if not text.startswith(tuple(_PROGRAMS)):
        host.run(["nft", "-f", "-"], input=renumbered(host, gateway, text))
        return
    for line in text.splitlines():
        words = shlex.split(line, comments=True)
        if words and words[0] not in _PROGRAMS:
            raise LabError(f"'{words[0]}' is no command of iptables")
        if words:
            host.run([_PROGRAMS[words[0]], *words[1:]])


def renumbered(host: Host, gateway: Gateway, text: str) -> str:
    """The commands with the handles that the rules have in the namespace."""
    theirs = numbers(gateway.texts.get("nft.json", ""))
    ours = {
        (*key[:3], number): key[3] for key, number in numbers(host.run(["nft", "-j", "-a", "list", "ruleset"])).items()
    }

    def anew(found: re.Match[str]) -> str:
        family, table, chain = found["family"], found["table"], found["chain"]
        number = theirs.get((family, table, chain, int(found["handle"])))
        handle = None if number is None else ours.get((family, table, chain, number))
        if handle is None:
            raise LabError(f"the fix names a rule that is not there: {found[0]}")
        return f"{found['head']} {handle}"

    return "".join(f"{_HANDLE.sub(anew, line)}\n" for line in text.splitlines())


def ports_of(proof: Proof) -> list[int]:
    """Where strangers knocked."""
    cells = (cell for row in proof.rows for cell in row.cells if cell.kind in ("lured", "child"))
    return sorted({cell.port for cell in cells})


def title(row: Row) -> str:
    way = row.way
    return f"{row.helper} {'tcp' if row.l4proto == 6 else 'udp'}, {way.outside} to {way.inside}, IPv{way.nfproto}"


def ways_in(proof: Proof) -> set[str]:
    """What is open, in words that are the same before and after."""
    return {
        f"{title(row)}, {cell.who}, {cell.session}, {'low' if cell.port < 1024 else 'high'} port"
        for row, cell in proof.open
    }


def working(proof: Proof) -> set[str]:
    """The honest sessions that work."""
    return {
        f"{title(row)}: {cell.session}"
        for row in proof.rows
        for cell in row.cells
        if cell.who == "friend" and cell.outcome == "works"
    }


def wild(gateway: Gateway, name: str) -> bool:
    """The session is of a helper that lets anybody in."""
    known = HELPERS.get(name.split()[0])
    return known is not None and bool(known.wild(gateway))
