"""A gateway for each test, made for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conntap.lab import NamespaceError, kernel
from conntap.lab.errors import LabError
from lab.log.faults import Gateway

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    if not kernel.has_sys_admin():
        pytest.skip("the kernel refuses a user namespace, or this is not `make test`")
    try:
        made = Gateway()
    except NamespaceError as error:
        pytest.skip(f"the kernel refuses a user namespace: {error}")
    except LabError as error:
        pytest.skip(f"the kernel has no netfilter here: {error}")
    with made:
        yield made
