"""Gateways of `tests/data/gateways`, with more texts where a test needs them."""

from __future__ import annotations

from pathlib import Path

from conntap.audit.run import audit
from conntap.audit.sides import find_sides
from conntap.audit.view import View
from conntap.gateway.state import Gateway

DATA = Path(__file__).resolve().parent / "data/gateways"


def rules(name: str) -> str:
    """What nft lists of a gateway."""
    return (DATA / f"{name}.nft.json").read_text()


def gateway(name: str = "good", **texts: str) -> Gateway:
    """A gateway; `sysctl`, `parameters` … are more of its texts, `net_netlink` stands for proc/net/netlink."""
    named = {{"net_netlink": "proc/net/netlink"}.get(key, key): text for key, text in texts.items()}
    return Gateway({"nft.json": rules(name), **named})


def view(name: str = "good", **texts: str) -> View:
    """What a check looks at."""
    of = gateway(name, **texts)
    return View(of, find_sides(of))


def found(name: str = "good", **texts: str) -> dict[str, list[str]]:
    """Id → severities of what is found, in small letters."""
    ids: dict[str, list[str]] = {}
    for one in audit(gateway(name, **texts)).findings:
        ids.setdefault(one.id, []).append(one.severity.name.lower())
    return ids
