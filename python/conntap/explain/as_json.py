"""A story as objects for programs: one a step, then one with the sums. docs/explain.md describes the fields."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from conntap.explain.numbers import relative
from conntap.explain.packet import first_line
from conntap.explain.protocols import protocol_name
from conntap.model import Status

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conntap.explain.story import Connection, Step, Story, Window

__all__ = ["json_lines"]


def json_lines(story: Story, number: int) -> Iterator[str]:
    """Write the story, line by line, without line ends; *number* is the story's, from 1."""
    for step in story.steps:
        yield _line({"kind": "packet" if step.packet else "event", "story": number, **_step(story, step)})
    yield _line({"kind": "story", "story": number, **_sums(story)})


def _line(fields: dict[str, Any]) -> str:
    present = {name: value for name, value in fields.items() if value is not None}
    return json.dumps(present, ensure_ascii=False, separators=(",", ":"))


def _step(story: Story, step: Step) -> dict[str, Any]:
    packet = step.packet
    fields: dict[str, Any] = {
        "number": step.number,
        "input": step.input if packet else None,
        "time_ns": step.time_ns,
        "since_ns": step.since_ns,
        "connection": step.connection,
        "id": story.connection(step.connection).flow_id,
        "direction": step.direction,
    }
    if packet is not None:
        fields |= {
            "l4proto": packet.l4proto,
            "protocol": protocol_name(packet.l4proto),
            "src": packet.ends.src,
            "sport": packet.ends.sport,
            "dst": packet.ends.dst,
            "dport": packet.ends.dport,
            "length": packet.length,
            "payload_length": packet.payload_length,
            "fragment": packet.fragment or None,
            "text": first_line(packet.payload) or None,
        }
        if packet.icmp is not None:
            fields |= {"icmp_type": packet.icmp[0], "icmp_code": packet.icmp[1]}
        if packet.tcp is not None:
            fields |= {
                "tcp_flags": packet.tcp.flags,
                "tcp_seq": packet.tcp.seq,
                "tcp_ack": packet.tcp.ack,
                "tcp_window": packet.tcp.window,
                "seq": step.seq,
                "ack": step.ack,
                "window": step.window,
            }
    if step.sent is not None:
        fields |= {
            "sent_src": step.sent.src, "sent_sport": step.sent.sport,
            "sent_dst": step.sent.dst, "sent_dport": step.sent.dport,
        }  # fmt: skip
    fields |= {
        "sent_text": step.sent_text or None,
        "packet": " ".join([step.short, *step.more]),
        "verdict": step.verdict or None,
        "reason": step.reason,
        "why": step.why,
        "dropped": step.dropped or None,
        "before": step.before,
        "state": step.state,
        "status_names": _status(step.status) if packet else None,
        "timeout": step.timeout,
        "windows": [_window(*pair) for pair in zip(step.windows, step.bases, strict=True)] if step.windows else None,
        "events": [json.loads(told.row.json()) for told in step.events] or None,
        "expectations": [told.words for told in step.events if told.words] or None,
    }
    return fields


def _status(status: int) -> list[str] | None:
    return [bit.name for bit in Status(status) if bit.name] or None


def _window(window: Window, base: int | None) -> dict[str, int | None]:
    """Of one side; numbers are relative to its first, None as long as nothing was seen of it."""
    return {
        "end": relative(window.end, base),
        "max_end": relative(window.max_end, base),
        "max_window": window.max_window,
        "scale": window.scale,
    }


def _sums(story: Story) -> dict[str, Any]:
    return {
        "title": story.title,
        "packets": story.packets,
        "left_out": story.left_out or None,
        "invalid": story.invalid,
        "dropped": story.dropped,
        "events": {kind: story.events.get(kind, 0) for kind in ("NEW", "UPDATE", "DESTROY", "EXP_NEW", "EXP_DESTROY")},
        "connections": [_connection(connection) for connection in story.connections],
    }


def _connection(connection: Connection) -> dict[str, Any]:
    fields = {
        "connection": connection.letter,
        "id": connection.flow_id,
        "protocol": connection.protocol,
        "orig_src": connection.original.src,
        "orig_sport": connection.original.sport,
        "orig_dst": connection.original.dst,
        "orig_dport": connection.original.dport,
        "reply_src": connection.reply.src,
        "reply_sport": connection.reply.sport,
        "reply_dst": connection.reply.dst,
        "reply_dport": connection.reply.dport,
        "helper": connection.helper,
        "master": connection.master,
        "announced_by": connection.announced_by,
        "state": connection.state,
        "timeout": connection.timeout,
    }
    return {name: value for name, value in fields.items() if value is not None}
