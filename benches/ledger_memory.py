"""`python -m benches.ledger_memory FLOWS`: what a ledger with so many open flows takes, as JSON."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from benches.ledger_flows import NEW, Shape, chunks, messages
from conntap import _core

__all__ = ["measure"]


def resident() -> int:
    """Resident bytes of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def measure(flows: int) -> dict[str, float]:
    """Feed NEW events; the ledger's own account, and how much the process grew."""
    batches = [_core.Batch.of(messages(chunk, NEW)) for chunk in chunks(Shape(flows=flows), 1 << 14)]
    ledger = _core.Ledger(bindings="nat")
    before = resident()
    for batch in batches:
        ledger.feed(batch)
    held = ledger.counters["open"]
    return {"flows": held, "own_bytes": ledger.nbytes / held, "resident_bytes": (resident() - before) / held}


if __name__ == "__main__":
    print(json.dumps(measure(int(sys.argv[1]))))
