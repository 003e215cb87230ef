"""A proof needs what the lab needs."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _namespaces(session_lab) -> None:
    """Skips where there are none."""
