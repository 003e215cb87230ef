"""Nanoseconds a row in the Rust core, without kernel and Python."""

from __future__ import annotations

import json
from typing import Any

from benches.process import ROOT, timed, tool

__all__ = ["measure"]


def measure(plan: dict[str, Any]) -> dict[str, Any]:
    """Return the steps and their nanoseconds a row."""
    datagram = ROOT / "tests" / "data" / "ctnetlink" / "datagram_dump_first.bin"
    command = [tool(), "core-rows", "--file", str(datagram), "--rounds", str(plan["core_rounds"])]
    return json.loads(timed(command, keep_output=True).output)
