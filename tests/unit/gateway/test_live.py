"""Reading a running system: what cannot be had is told."""

import subprocess

import pytest

from conntap.errors import NotFoundError
from conntap.gateway import live
from conntap.gateway.live import ask, read_live, reason


def test_commands_only_list():
    for command in live.COMMANDS.values():
        assert not {"add", "delete", "flush", "insert", "replace", "set", "-F", "-A"} & set(command)


def test_a_missing_program_names_its_package(monkeypatch):
    monkeypatch.setattr(live.shutil, "which", lambda *_, **__: None)
    assert ask(("nft", "-j", "list", "ruleset"), None) == ("", "not installed: 'nft' (package nftables)")


@pytest.mark.parametrize(
    ("complaint", "words"),
    [
        ("Operation not permitted (you must be root)", "needs CAP_NET_ADMIN"),
        ("Error: JSON support not compiled-in", "this nft cannot write JSON"),
        ("netlink: Error: cache initialization failed", "cache initialization failed"),
    ],
)
def test_reasons_say_what_to_do(complaint, words):
    assert words in reason(("nft", "-j", "list", "ruleset"), complaint)


def test_a_program_that_hangs_is_given_up(monkeypatch):
    def hang(*_, **__):
        raise subprocess.TimeoutExpired("nft", 30)

    monkeypatch.setattr(live.subprocess, "run", hang)
    monkeypatch.setattr(live.shutil, "which", lambda *_, **__: "/usr/sbin/nft")
    assert "did not end within 30 s" in ask(("nft", "-j", "list", "ruleset"), None)[1]


def test_everything_is_had_or_told():
    gateway = read_live()
    for name in [*live.COMMANDS, *live.FILES]:
        assert (name in gateway.texts) != (name in gateway.missing)
    assert gateway.kernel is not None


def test_a_namespace_that_is_not_there():
    with pytest.raises(NotFoundError):
        read_live("no-such-namespace")
