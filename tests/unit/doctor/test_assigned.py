"""Objects of nftables, from what nft 1.0.6 says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conntap.doctor.assigned import HelperObject, NftError, helper_objects, look, parse
from conntap.doctor.reading import Reading

if TYPE_CHECKING:
    from pathlib import Path

SAYS = (
    '{"nftables": [{"metainfo": {"version": "1.0.6", "release_name": "Lester Gooch #5", "json_schema_version": 1}}, '
    '{"ct helper": {"family": "inet", "name": "f", "table": "t", "handle": 1, "type": "ftp", "protocol": "tcp", '
    '"l3proto": "inet"}}, {"ct helper": {"family": "inet", "name": "s", "table": "t", "handle": 2, "type": "sip", '
    '"protocol": "udp", "l3proto": "inet"}}]}\n'
)
FTP, SIP = HelperObject("inet t", "f", "ftp", "tcp"), HelperObject("inet t", "s", "sip", "udp")


def test_objects_are_read_also_of_several_answers() -> None:
    assert parse(SAYS) == (FTP, SIP)
    assert parse(SAYS + SAYS) == (FTP, SIP, FTP, SIP)
    assert parse('{"nftables": [{"metainfo": {}}]}\n') == parse("") == ()


@pytest.mark.parametrize("text", ["rubbish", "[]", '{"nftables": 5}', '{"nftables": [5]}', "{}"])
def test_what_is_no_answer_is_told(text: str) -> None:
    with pytest.raises(NftError, match="cannot be read"):
        parse(text)


def program(folder: Path, script: str) -> None:
    (folder / "nft").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "nft").chmod(0o755)


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("echo 'Operation not permitted' >&2; exit 1", "nft: Operation not permitted"),
        ("exec sleep 5", "did not answer"),
    ],
)
def test_an_nft_that_fails_or_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, why: str) -> None:
    program(tmp_path, script)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(NftError, match=why):
        helper_objects()


def test_no_nft(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("conntap.programs.SYSTEM_PATH", str(tmp_path))
    with pytest.raises(NftError, match="not installed"):
        helper_objects()


def test_what_is_said() -> None:
    [entry] = look(Reading(helpers=(FTP, SIP)))
    assert entry.value == "ftp, sip"
    assert "ftp for tcp in inet t, sip for udp in inet t" in entry.why
    assert next(look(Reading(helpers=()))).value == "none"
    assert list(look(Reading(helpers=None))) == []
    assert "and 3 more" in next(look(Reading(helpers=(FTP,) * 8))).why
