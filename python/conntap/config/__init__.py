"""The logger's settings, from a TOML file or a command line: checked as a whole, every fault with its place.

config = read_file("/etc/conntap/log.toml")
config = from_options(to=["parquet:/var/lib/conntap"], filter="nat")
"""

from __future__ import annotations

from conntap.config.faults import ConfigError, Fault
from conntap.config.model import Limit, LogConfig, PrivacyConfig, RetentionConfig, SinkConfig, SourceConfig
from conntap.config.options import from_options
from conntap.config.read import read_file, read_text
from conntap.config.write import example, write

__all__ = [
    "ConfigError",
    "Fault",
    "Limit",
    "LogConfig",
    "PrivacyConfig",
    "RetentionConfig",
    "SinkConfig",
    "SourceConfig",
    "example",
    "from_options",
    "read_file",
    "read_text",
    "write",
]
