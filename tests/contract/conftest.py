"""Rows for the contracts: real kernel messages, and a gap among them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

START_NS = 1_795_474_031_000_000_000


@pytest.fixture(scope="session")
def messages(data: Path) -> list[bytes]:
    """Every event that the kernel sent, one message each, in the order of their files."""
    return [path.read_bytes() for path in sorted((data / "ctnetlink").glob("ev_*.bin"))]


@pytest.fixture(scope="session")
def timed(messages: list[bytes]) -> list[tuple[bytes, int]]:
    """The same with the time each was received: a millisecond apart."""
    return [(message, START_NS + at * 1_000_000) for at, message in enumerate(messages)]


@pytest.fixture(scope="session")
def gap() -> bytes:
    """NLMSG_OVERRUN as a batch carries it: 1,024 events lost between two times."""
    body = b"".join(number.to_bytes(8, "big") for number in (1024, START_NS, START_NS + 5_000_000))
    return (16 + len(body)).to_bytes(4, "little") + (4).to_bytes(2, "little") + bytes(10) + body
