"""`conntap audit` of a large rule set: the whole process, and the parts of it."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

from benches.figures import spread
from benches.process import conntap, timed
from benches.rulesets import make_rules

__all__ = ["measure"]


def measure(plan: dict[str, Any]) -> dict[str, Any]:
    """Wall and CPU seconds of the process, its memory, and what reading and following take within it."""
    text = make_rules(plan["audit_rules"])
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        file.write(text)
        file.flush()
        # Nothing is critical: the status is 0 whatever is found.
        command = [conntap(), "audit", file.name, "--json", "--fail-on", "critical"]
        runs = [timed(command) for _ in range(plan["audit_rounds"] + 1)][1:]
        parts = within(Path(file.name))
    return {
        "rules": plan["audit_rules"],
        "bytes": len(text),
        "wall": spread([cost.wall for cost in runs]),
        "cpu": spread([cost.cpu for cost in runs]),
        "peak_kib": max(cost.peak_kib for cost in runs),
        **parts,
    }


def within(path: Path) -> dict[str, Any]:
    """Seconds of the two parts, in this process."""
    from conntap.audit.run import audit
    from conntap.gateway.files import read_files

    gateway = read_files([path])
    started = time.perf_counter()
    chains = len(gateway.rules.chains)
    read = time.perf_counter()
    findings = len(audit(gateway).findings)
    return {
        "chains": chains,
        "findings": findings,
        "reading_seconds": read - started,
        "checking_seconds": time.perf_counter() - read,
    }
