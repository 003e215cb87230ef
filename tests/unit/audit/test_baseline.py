"""Accepted findings."""

import pytest

from conntap.audit.baseline import Accepted, compare, read_baseline, write_baseline
from conntap.audit.run import audit
from conntap.errors import UsageError
from gateways import gateway


def test_what_was_written_is_accepted(tmp_path):
    findings = audit(gateway("router")).findings
    count = write_baseline(tmp_path / "b.toml", findings)
    accepted = read_baseline(tmp_path / "b.toml")
    assert count == len(accepted) == len(findings)
    compared = compare(findings, accepted)
    assert not compared.new
    assert not compared.stale


def test_reasons_are_kept_when_written_anew(tmp_path):
    findings = audit(gateway("irc")).findings
    write_baseline(tmp_path / "b.toml", findings, [Accepted("A005", "irc", 'the "old" bot')])
    assert read_baseline(tmp_path / "b.toml") == [Accepted("A005", "irc", 'the "old" bot')]


def test_keys_outlive_a_reload():
    before = audit(gateway("router")).findings
    text = gateway("router").texts["nft.json"].replace('"handle": 20', '"handle": 977')
    after = audit(gateway("router", **{"nft.json": text})).findings
    assert [one.key for one in before] == [one.key for one in after]


def test_stale_entries_are_told_but_not_of_checks_that_were_not_asked():
    gone = [Accepted("A013", "tcp_be_liberal", "why")]
    assert compare([], gone).stale == tuple(gone)
    assert not compare([], gone, asked=["A001"]).stale


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("accepted = 1\n", "a list of tables"),
        ("[[accepted]]\nid = 'A001'\n", "entry 1: id and key are needed"),
        ("[[accepted]]\nid = 'A999'\nkey = 'x'\n", "no finding 'A999'"),
        ("[[accepted]]\nid = 'A001'\nkey = 'x'\nwhy = 'y'\n", "there is no 'why'"),
        ("[rejected]\n", "no 'rejected' in a baseline"),
        ("[[accepted\n", "line 1"),
    ],
)
def test_a_baseline_that_is_none_says_where(tmp_path, text, words):
    (tmp_path / "b.toml").write_text(text)
    with pytest.raises(UsageError, match=words):
        read_baseline(tmp_path / "b.toml")
