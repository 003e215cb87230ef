"""A gateway, a friend and a stranger for every test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conntap.lab import Lab
from lab.guard.scene import Scene

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def scene() -> Iterator[Scene]:
    with Lab() as lab:
        lab.server.run(["ip", "route", "add", "10.0.0.0/24", "via", "203.0.113.1"])
        made = Scene(lab)
        yield made
        made.close()
