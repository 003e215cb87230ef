"""`who` in a cold process on 100 million NAT records (`ledger_who` tells how they are made)."""

from __future__ import annotations

from typing import Any

from benches import data, ledger_who

__all__ = ["measure"]


def measure(plan: dict[str, Any]) -> dict[str, Any]:
    """Ask; the ledger is made only where the plan says so, for that takes minutes."""
    directory, records = data.folder() / "who", plan["who_records"]
    segments = -(-records // ledger_who.SEGMENT)
    if not plan["generate"] and len(list(directory.glob("segments/*/*.parquet"))) < segments:
        return {"skipped": f"no ledger of {records:,} records in {directory}: python -m benches who --generate"}
    ledger_who.make(directory, records)  # segments that are there stay; the manifest is written anew
    return ledger_who.measure(directory, records, plan["who_rounds"])
