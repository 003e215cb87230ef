"""The value that settings become."""

from __future__ import annotations

import dataclasses

import pytest

from conntap.config import LogConfig, SinkConfig, SourceConfig
from conntap.config.model import BUFFER_BYTES
from conntap.kernel import BUFFER_BYTES as KERNEL_BUFFER_BYTES


def test_nothing_can_be_changed_afterwards():
    with pytest.raises(dataclasses.FrozenInstanceError):
        LogConfig().filter = "tcp"


def test_the_source_is_the_kernel_unless_said():
    assert SourceConfig().kind == "kernel"
    assert SourceConfig(files=("/a",)).kind == "files"


def test_a_sink_knows_its_scheme():
    assert SinkConfig("ipfix://c:1").scheme == "ipfix"


def test_the_buffer_is_that_of_the_kernel_handle():
    assert BUFFER_BYTES == KERNEL_BUFFER_BYTES
