"""Writes docs/comparison.md from the figures of `loggers` (and nfcapd's sizes of `ledger`)."""

from __future__ import annotations

from typing import Any

from benches.markdown import spread_text, table_lines
from benches.process import ROOT

__all__ = ["PAGE", "render"]

PAGE = ROOT / "docs" / "comparison.md"

HEAD = """\
# conntap beside other loggers

Written by `make bench`; do not edit. Programs that log connections, on the same machine, under the same two floods.
**m**: measured in this run. **d**: said by the program's documentation, or by its settings.
"""

HOW = """\
## How it was measured

- A generator sends UDP packets, each of a new tuple, whose source is translated (`snat to 203.0.113.7`); entries live
  one second. Created: packets sent whose entry the kernel kept.
- CPU a flow: the program's own, all threads, kernel and user, from before the flood until its queue is empty
  ({modest_rate:,} flows/s for {modest_seconds:.0f} s, {logger_rounds} rounds, alternating).
  A collector behind it does not count.
- Recorded: {loss_rate:,} flows/s (twice as many events) for {loss_seconds:.0f} s.
  Counted in what was written: lines, rows of segments, flows in nfcapd's files.
  What the path to nfcapd loses counts as lost, for it is UDP for all.
- NAT: the inside and the translated address stand in one record. ICMP, IPv6: a ping and a datagram were sent before the
  flood, and are in what was written.
- conntap: as `conntap log --to …` is. ulogd2: stacks NFCT,IP2STR,JSON and NFCT,IPFIX, its table large enough; once with
  a buffer of 128 MiB and reliable=1, once as it comes. softflowd: on the outside interface, timeouts of one second.
- Every flow of the floods is one packet. softflowd works by packet, the others by flow: with longer flows its CPU grows
  and theirs does not; the kernel's copy of the packets for it is on the sender's account.
- bytes a flow: of these floods, whose flows differ little; realistic ones are above.
- ICMP: there is a record of that protocol; what of it is told is another matter (ulogd2's IPFIX has no type).
- ulogd2 sends an IPFIX message only when it is full, and stopping does not send the last one: a few flows are missing.
- softflowd sees packets behind the translation, so it knows no inside address there (and no outside one inside).
"""


def render(figures: dict[str, Any]) -> str:
    """Return the page."""
    loggers, facts = figures["loggers"], figures["machine"]
    rows = [row(name, found, loggers["cost"].get(name)) for name, found in loggers["loss"].items()]
    rows += [(name, f"skipped: {reason}", *["—"] * 7) for name, reason in loggers["skipped"].items()]
    head = (
        "program", "from what to what", "created (events/s)", "recorded (m)", "lost (m)", "CPU µs a flow (m)",
        "bytes a flow (m)", "NAT / ICMP / IPv6 (m)", "says its losses",
    )  # fmt: skip
    lines = [HEAD, *table_lines(head, rows)]
    lines.append(f"{facts['date']}, {facts['kernel']}, {facts['processor']}, conntap {facts['conntap']}.\n")
    stored = figures.get("ledger", {}).get("size", {})
    if "bytes_a_flow" in stored.get("nfcapd", {}):
        sizes = ", ".join(f"{name} {size:.1f}" for name, size in stored["nfcapd"]["bytes_a_flow"].items())
        lines.append(
            f"On realistic flows (`benches/ledger_flows.py`) nfcapd takes these bytes a flow: {sizes}; "
            f"`parquet:` merged {stored['flows']['merged_bytes_a_record']:.1f} for full records and "
            f"{stored['nat']['merged_bytes_a_record']:.1f} for NAT alone (m).\n"
        )
    return "\n".join(lines) + "\n" + HOW.format(**figures["plan"])


def row(name: str, found: dict[str, Any], cost: dict[str, Any] | None) -> tuple[str, ...]:
    """One program's row."""
    knows = " / ".join("yes" if found[what] else "no" for what in ("nat", "icmp", "ipv6"))
    says = f"{found['told_lost']:,} told (m); " if "told_lost" in found else ""
    return (
        name,
        found["kind"],
        f"{found['created']:,} ({2 * found['flows_a_second']:,.0f})",
        f"{found['recorded']:,}",
        f"{found['lost']:,} ({found['lost'] / found['created']:.1%})",
        spread_text(cost["cpu_us_a_flow"]) if cost else "—",
        f"{found['bytes_a_flow']:.1f}",
        knows,
        f"{says}{found['notes']['says its losses']} (d)",
    )
