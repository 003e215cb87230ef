"""Policies out of TOML: every fault with its line, contradictions with both."""

from __future__ import annotations

import pytest

from conntap.config.faults import ConfigError
from conntap.errors import UsageError
from conntap.guard.read import read_policy, read_policy_text


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('[default]\nports = ["80-22"]', "guard.toml:2: default.ports: '80-22' holds no port"),
        ("[default]\nport = 1", "guard.toml:2: default.port: there is no such key, did you mean 'ports'?"),
        ("[defaults]\n", "guard.toml:1: defaults: there is no such table"),
        ('[[helper]]\nports = ["1-2"]', "guard.toml:1: helper.name: is missing"),
        (
            '[[helper]]\nname = "irc"\n[[helper]]\nname = "irc"',
            "guard.toml:3: helper.name: 'irc' has a section already, at guard.toml:1",
        ),
        (
            '[[helper]]\nname = "irc"\nallow = false\nports = ["1-5"]',
            "guard.toml:4: helper.ports: is never asked: guard.toml:3",
        ),
        (
            '[[helper]]\nname = "irc"\n[deny]\nhelpers = ["irc"]',
            "guard.toml:1: helper.name: 'irc' is allowed something, and denied always at guard.toml:4",
        ),
        (
            '[default]\nports = ["22"]\n[deny]\nports = ["1-80"]',
            "guard.toml:2: default.ports: allows nothing: all of it is denied at guard.toml:4",
        ),
        ('[actions]\non_deny = ["alert"]', 'guard.toml:2: actions.on_deny: says "alert", and neither alert'),
        ('[actions]\nalert = ["syslog://"]', "guard.toml:2: actions.alert: is never used"),
        ('[actions]\nblock = "1m"', "guard.toml:2: actions.block: is never used"),
        ('[actions]\non_deny = ["alert"]\nalert = ["ftp://x"]', "'ftp://x' is no target of alerts"),
        ('[default]\nmasters = ["10.0.0.1/8"]', "'10.0.0.1/8' is no network"),
        ("[default\n", "guard.toml:1"),
    ],
)  # fmt: skip
def test_a_fault_has_its_line(text, fault):
    with pytest.raises(ConfigError) as caught:
        read_policy_text(text, name="guard.toml")
    assert fault in str(caught.value)


def test_all_faults_are_told_at_once():
    with pytest.raises(ConfigError) as caught:
        read_policy_text("[default]\nfoo = 1\nbar = 2", name="guard.toml")
    assert "guard.toml:2" in str(caught.value)
    assert "guard.toml:3" in str(caught.value)


def test_what_a_section_does_not_say_the_default_says():
    policy = read_policy_text('[default]\nper_master = 3\n[[helper]]\nname = "sip"')
    assert policy.sections["sip"].per_master.value == 3


def test_a_file_that_cannot_be_read(tmp_path):
    with pytest.raises(UsageError, match="No such file"):
        read_policy(tmp_path / "none.toml")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="this is no text"):
        read_policy(tmp_path / "binary")
