"""The error that carries all faults."""

from __future__ import annotations

from conntap.config import ConfigError, Fault
from conntap.errors import UsageError


def test_each_fault_is_a_line_with_its_place_in_front():
    error = ConfigError([Fault("log.toml:3", "filter", "is a number"), Fault("log.toml:1", "", "no sink")])
    assert str(error) == "these settings cannot be used:\n  log.toml:3: filter: is a number\n  log.toml:1: no sink"
    assert str(ConfigError(error.faults[:1])) == "log.toml:3: filter: is a number"
    assert isinstance(error, UsageError)
    assert error.exit_code == 2
