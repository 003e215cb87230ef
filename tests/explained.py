"""Stories of sample captures, each told once, and steps made by hand."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from conntap.explain import Connection, Ends, Packet, Step, Story, explain
from conntap.helpers.assign import assign
from conntap.nat import masquerade
from conntap.tracker import COUNTED, Setup

ROOT = Path(__file__).resolve().parent.parent
SAMPLES = ROOT / "tests/data/pcap"
#: An FTP session in active mode as it came to a masquerading gateway (docs/explain.md).
FTP = ROOT / "python/conntap/lab/data/ftp-active.pcap"


def setup(*helpers: str, outside: str = "", **settings: int) -> Setup:
    """What the engine is told: helpers by name, the gateway's outside address, sysctls."""
    return Setup(
        settings={**COUNTED.settings, **settings},
        helpers=tuple(rule for name in helpers for rule in assign(name)),
        nat=(masquerade(outside),) if outside else (),
    )


@cache
def told(name: str, where: str = "", *helpers: str, outside: str = "", drain: bool = False) -> tuple[Story, ...]:
    """The stories of a sample."""
    return tuple(explain(SAMPLES / f"{name}.pcap", where, setup(*helpers, outside=outside), drain=drain))


@cache
def ftp_story() -> Story:
    """The FTP session through the gateway."""
    (story,) = explain(FTP, "dport 21", setup("ftp", outside="203.0.113.1"))
    return story


CLIENT, SERVER = Ends("10.0.0.5", 1000, "10.0.0.9", 80), Ends("10.0.0.9", 80, "10.0.0.5", 1000)


def step(number: int | None = 1, **fields: Any) -> Step:
    """An ordinary packet, but for *fields*."""
    reply = fields.get("direction") == "reply"
    usual: dict[str, Any] = {
        "number": number,
        "time_ns": (number or 0) * 1_000_000,
        "since_ns": (number or 0) * 1_000_000,
        "connection": "A",
        "direction": "original",
        "packet": Packet(l4proto=6, ends=SERVER if reply else CLIENT, length=40),
        "short": "ACK 1",
        "verdict": "ESTABLISHED",
        "reason": "in_window",
        "why": "in window",
        "before": "ESTABLISHED",
        "state": "ESTABLISHED",
    }
    return Step(**{**usual, **fields})


def story(*steps: Step, **fields: Any) -> Story:
    """A story of one connection."""
    connection = Connection(letter="A", flow_id=1, protocol="tcp", original=CLIENT, reply=SERVER)
    usual: dict[str, Any] = {"connections": (connection,), "steps": steps, "packets": len(steps)}
    return Story(**{**usual, **fields})
