"""`python -m benches [--quick]`: measure all sections and write docs/benchmarks.md."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from benches import comparison, limits, machine, process, report

SECTIONS = {
    "start": "start-up",
    "core": "rows in the core",
    "packets": "packets through the engine",
    "events": "live events under a flood",
    "table": "reading a full table",
    "ledger": "the flow ledger on one core",
    "log_live": "the logger under a long flood",
    "loggers": "other loggers beside ours",
    "who": "who, on 100 million records",
    "audit": "audit of a large rule set",
    "doctor": "the doctor's round",
    "guard": "the guard's reaction, and hold",
}

FULL = {
    "entries": 1_000_000,
    "accounting": True,
    "timestamps": False,
    "table_rounds": 3,
    "pyroute2_entries": 10_000,
    "pinned_rounds": 4,
    "free_rounds": 1,
    "flood_seconds": 2.0,
    "flood_rate": 0,
    "start_rounds": 20,
    "core_rounds": 200,
    "packets": 3_000_000,
    "packet_rounds": 5,
    "packet_flows": 1_000_000,
    "engine_rounds": 5,
    "rival_rounds": 3,
    "live_rate": 500_000,
    "live_seconds": 3.0,
    "live_rounds": 3,
    "ledger_parts": ["pipeline", "ipfix", "memory", "size"],
    "log_flows": 1_000_000,
    "log_rounds": 3,
    "ipfix_flows": 200_000,
    "ipfix_rounds": 10,
    "open_flows": 1_000_000,
    "size_flows": 10_000_000,
    "nfcapd_flows": 200_000,
    "long_flood_seconds": 60.0,
    "long_flood_rate": 102_000,
    "logger_rounds": 2,
    "modest_seconds": 5.0,
    "modest_rate": 10_000,
    "loss_seconds": 5.0,
    "loss_rate": 40_000,
    "patient": True,
    "audit_rules": 10_000,
    "audit_rounds": 9,
    "doctor_rounds": 20,
    "doctor_listeners": 100,
    "doctor_processes": 300,
    "guard_expectations": 500,
    "guard_flood_rate": 20_000,
    "guard_hold_rounds": 10_000,
    "guard_decisions": 200_000,
    "guard_seconds": 30.0,
    "guard_event_rate": 80_000,
    "who_records": 100_000_000,
    "who_rounds": 15,
    "generate": False,
}
QUICK = FULL | {
    "entries": 100_000,
    "table_rounds": 2,
    "pyroute2_entries": 5_000,
    "pinned_rounds": 1,
    "free_rounds": 0,
    "flood_seconds": 1.5,
    "start_rounds": 5,
    "core_rounds": 50,
    "packets": 1_000_000,
    "packet_rounds": 2,
    "packet_flows": 300_000,
    "engine_rounds": 2,
    "rival_rounds": 1,
    "live_seconds": 2.0,
    "live_rounds": 1,
    "log_flows": 300_000,
    "log_rounds": 1,
    "ipfix_flows": 100_000,
    "ipfix_rounds": 3,
    "size_flows": 1_000_000,
    "nfcapd_flows": 100_000,
    "long_flood_seconds": 15.0,
    "logger_rounds": 1,
    "modest_seconds": 3.0,
    "loss_seconds": 3.0,
    "patient": False,
    "who_rounds": 5,
    "audit_rounds": 3,
    "doctor_rounds": 5,
    "guard_expectations": 300,
    "guard_hold_rounds": 500,
    "guard_decisions": 50_000,
    "guard_seconds": 6.0,
}
#: Room for what a flood leaves behind before the kernel's collector has come round.
FLOOD_ENTRIES = 3_000_000


def main() -> int:
    options = _parser().parse_args()
    plan: dict[str, Any] = dict(QUICK if options.quick else FULL)
    if options.entries:
        plan["entries"] = options.entries
    if options.timestamps:
        plan["timestamps"] = True
    if options.no_accounting:
        plan["accounting"] = False
    plan["generate"] = options.generate
    if options.ledger_parts:
        plan["ledger_parts"] = options.ledger_parts.split(",")
    process.build()
    figures: dict[str, Any] = {"machine": machine.facts(), "quick": options.quick, "notes": []}
    if options.add and Path(options.add).exists():
        figures = added(json.loads(Path(options.add).read_text(encoding="utf-8")), figures, options.sections)
    neighbours = machine.Neighbours()
    with limits.raised(max(FLOOD_ENTRIES, plan["entries"] + plan["entries"] // 10)) as room:
        if plan["entries"] > room:
            plan["entries"] = room * 9 // 10
            figures["notes"].append(
                f"nf_conntrack_max is {room:,} and only root may raise it: the table had {plan['entries']:,} entries"
            )
        if room < FLOOD_ENTRIES:
            # A one-second life and a collector that comes about once a second: keep well below the limit.
            plan["flood_rate"] = room // 5
            plan["long_flood_rate"] = min(plan["long_flood_rate"], room // 5)
            plan["loss_rate"] = min(plan["loss_rate"], room // 5)
            figures["notes"].append(f"for the same reason the flood was held to {plan['flood_rate']:,} flows/s")
        if os.geteuid() != 0:
            figures["notes"].append("not root: receive buffers are capped by net.core.rmem_max")
        for section in options.sections or SECTIONS:
            started = time.monotonic()
            _say(f"bench: {SECTIONS[section]} …")
            found = process.sandboxed(section, plan)
            if section == "ledger":  # parts of it may have been measured already
                found = figures.get("ledger", {}) | found
            figures[section] = found
            _say(f"bench: {SECTIONS[section]}: {time.monotonic() - started:.0f} s")
    figures["plan"] = figures.get("plan", {}) | plan if options.add else plan
    figures["machine"]["CPU meanwhile"] = neighbours.words()
    for path in filter(None, (options.json, options.add)):
        Path(path).write_text(json.dumps(figures, indent=1), encoding="utf-8")
    text = report.render(figures)
    print(text)
    if not options.sections or options.write:
        Path(options.output).write_text(text, encoding="utf-8")
        _say(f"bench: written to {options.output}")
        if "loggers" in figures:
            comparison.PAGE.write_text(comparison.render(figures), encoding="utf-8")
            _say(f"bench: written to {comparison.PAGE}")
    return 0


def added(before: dict[str, Any], now: dict[str, Any], sections: list[str]) -> dict[str, Any]:
    """What was measured earlier, to go on with: the machine's facts are those of now, and a note says so."""
    old = [name for name in before if name in SECTIONS and name not in sections]
    note = f"measured earlier, {before['machine']['date']}, conntap {before['machine']['conntap']}: {', '.join(old)}"
    notes = [one for one in before["notes"] if not one.startswith("measured earlier")]
    return {**before, **now, "quick": before["quick"] or now["quick"], "notes": [*notes, note] if old else notes}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benches", description=__doc__)
    parser.add_argument("sections", nargs="*", choices=[*SECTIONS, []], help="only these; the report is not written")
    parser.add_argument("--quick", action="store_true", help="100,000 entries, few rounds")
    parser.add_argument("--entries", type=int, metavar="N", help="entries of the full table")
    parser.add_argument("--no-accounting", action="store_true", help="entries without counters")
    parser.add_argument("--timestamps", action="store_true", help="entries with start times")
    parser.add_argument("--output", default=str(process.ROOT / "docs" / "benchmarks.md"), metavar="FILE")
    parser.add_argument("--generate", action="store_true", help="make the ledger that `who` needs (minutes, 1 GB)")
    parser.add_argument("--ledger-parts", metavar="NAMES", help="of ledger only these: pipeline,ipfix,memory,size")
    parser.add_argument("--add", metavar="FILE", help="take the other sections from FILE, and put these into it")
    parser.add_argument("--write", action="store_true", help="write the report also for some sections only")
    parser.add_argument("--json", metavar="FILE", help="all figures, as JSON")
    return parser


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
