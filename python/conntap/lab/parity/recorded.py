"""A run as text, so that what the kernel said once can be compared with again where there is no such kernel.

One JSON object a line: a head, one per packet, and a tail. Bytes are hex; a packet that left as it came says so.
"""

from __future__ import annotations

import json
from typing import Any, Final

from conntap.lab.errors import LabError
from conntap.lab.parity.run import Run, Step
from conntap.lab.parity.subject import Answer, Packet

__all__ = ["dumps", "loads"]

FORMAT: Final = "conntap parity run 1"
SAME: Final = "same"


def dumps(run: Run, *, source: str = "") -> str:
    """Write a run as text; *source* says what made it."""
    lines: list[dict[str, Any]] = [{"format": FORMAT, "source": source}]
    lines += [_step(step) for step in run.steps]
    lines.append({"settled_ns": run.settled_ns, "settled": _hex(run.settled), "flushed": _hex(run.flushed)})
    return "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines)


def loads(text: str) -> Run:
    """Read a run from text.

    Raises:
        LabError: this is no recorded run, or it is not whole.
    """
    try:
        head, *steps, tail = [json.loads(line) for line in text.splitlines()]
        if head["format"] != FORMAT:
            raise LabError(f"not a recorded run: {head['format']!r}")
        return Run(
            [_read_step(step) for step in steps], tail["settled_ns"], _bytes(tail["settled"]), _bytes(tail["flushed"])
        )
    except (ValueError, KeyError, TypeError) as error:
        raise LabError(f"not a recorded run: {error}") from error


def _step(step: Step) -> dict[str, Any]:
    packet, answer = step.packet, step.answer
    line: dict[str, Any] = {
        "number": packet.number,
        "time_ns": packet.time_ns,
        "sent_ns": step.sent_ns,
        "side": packet.side,
        "ip": packet.ip.hex(),
        "messages": _hex(answer.messages),
        "verdict": answer.verdict,
    }
    if answer.forwarded is not None:
        line["forwarded"] = SAME if answer.forwarded == [packet.ip] else _hex(answer.forwarded)
    if answer.table is not None:
        line["table"] = _hex(answer.table)
    return line


def _read_step(line: dict[str, Any]) -> Step:
    packet = Packet(line["number"], line["time_ns"], line["side"], bytes.fromhex(line["ip"]))
    forwarded = (
        _bytes([line["ip"]] if line["forwarded"] == SAME else line["forwarded"]) if "forwarded" in line else None
    )
    table = _bytes(line["table"]) if "table" in line else None
    return Step(packet, line["sent_ns"], Answer(_bytes(line["messages"]), forwarded, line["verdict"], table))


def _hex(parts: list[bytes]) -> list[str]:
    return [part.hex() for part in parts]


def _bytes(parts: list[str]) -> list[bytes]:
    return [bytes.fromhex(part) for part in parts]
