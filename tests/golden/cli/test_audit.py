"""`conntap audit`: what it says, and how it ends."""

from __future__ import annotations

import json
import os
import tarfile

import pytest

import gateways
from conntap.audit.registry import CHECKS
from golden.cli.stage import play

DATA = gateways.DATA


def run(*words, status=0, **options):
    played = play([str(word) for word in ("audit", *words)], **options)
    assert played.status == status, (played.out, played.err)
    return played


def file(name):
    return DATA / f"{name}.nft.json"


WHOLE = """\
 A005  high     irc lets anybody use what it expects         nft: table inet fw, chain pre, handle 8
                any host in the internet may open TCP 1024–65535 on a host of 192.168.1.0/24 for 300
                s once that host opens a connection to port 6667 of such a server
                rule:  iifname "lan" ip daddr 198.51.100.7 tcp dport 6667 ct helper set "irc-std"
                rule:  iifname "wan" oifname "lan" ct state related ct helper "irc" tcp dport
                       1024-65535 accept   (nft: table inet fw, chain forward, handle 11)
                fix:   delete rule inet fw pre handle 8
                more:  docs/audit.md#a005

 sides   outside is wan: source addresses are translated there; inside is lan: its name
 1 high
"""


def test_the_report_as_a_whole():
    assert run(file("irc"), status=1).out == WHOLE


def test_a_good_gateway_is_status_0():
    assert run(file("good")).out.endswith(" nothing found\n")


def test_from_which_severity_on_it_fails():
    assert run(file("to-gateway"), status=0)
    assert run(file("to-gateway"), "--fail-on", "low", status=1)


def test_what_cannot_be_told_is_status_3(tmp_path):
    half = tmp_path / "half.json"
    half.write_text(file("good").read_text()[:1500])
    assert "cannot tell" in run(half, status=3).out


@pytest.mark.parametrize("text", ["", "\x00\x01\x02", "table inet fw { }", "[1, 2", "{}"])
def test_rubbish_is_status_2_and_says_what_to_do(tmp_path, text):
    (tmp_path / "x").write_text(text)
    played = run(tmp_path / "x", status=2)
    assert "hint: say it: --nft" in played.err
    assert not played.out


def test_a_file_that_is_not_there(tmp_path):
    assert "No such file" in run(tmp_path / "none", status=2).err


def test_a_whole_gateway_of_named_files(tmp_path):
    (tmp_path / "s").write_text("net.netfilter.nf_conntrack_tcp_be_liberal = 1\n")
    (tmp_path / "p").write_text("nf_conntrack_ftp.loose = Y\n")
    out = run("--nft", file("good"), "--sysctl", tmp_path / "s", "--parameters", tmp_path / "p", status=1).out
    assert " A022  medium " in out
    assert " A013  low " in out


def test_only_and_skip():
    assert "A003" not in run(file("router"), "--only", "a001,A002", status=1).out
    assert "A001" not in run(file("router"), "--skip", "A001", status=1).out
    assert "there is no finding 'A099'" in run("--only", "A099", status=2).err


def test_sides_that_are_told():
    out = run(file("irc"), "--inside", "x0", "--outside", "y0", "--inside-net", "10.1.0.0/16").out
    assert "outside is y0: told; inside is x0: told" in out
    assert "is no network" in run(file("irc"), "--inside-net", "10.1", status=2).err


def test_json():
    found = json.loads(run(file("irc"), "--json", status=1).out)
    assert [one["id"] for one in found["findings"]] == ["A005"]
    assert found["status"] == 1


def test_sarif_to_a_file_and_to_standard_output(tmp_path):
    run(file("irc"), "--sarif", tmp_path / "a.sarif", status=1)
    written = json.loads((tmp_path / "a.sarif").read_text())
    assert json.loads(run(file("irc"), "--sarif", "-", status=1).out) == written
    (one,) = written["runs"][0]["results"]
    assert one["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == str(file("irc"))


def test_a_baseline_takes_away_what_was_accepted(tmp_path):
    accepted = tmp_path / "accepted.toml"
    assert "1 finding accepted" in run(file("irc"), "--write-baseline", accepted).err
    assert run(file("irc"), "--baseline", accepted).out.endswith(" nothing found; 1 accepted by the baseline\n")
    assert " stale   A005 irc" in run(file("good"), "--baseline", accepted).out


def test_explain():
    assert run("explain", "a003").out == run("--explain", "A003").out
    assert "### A003: " in run("explain", "A003").out
    assert len(run("explain").out.splitlines()) == len(CHECKS)
    assert "there is no finding 'A099'" in run("explain", "A099", status=2).err


def test_collected_and_audited_elsewhere(tmp_path):
    run(file("irc"), "--collect", tmp_path / "gw.tar")
    with tarfile.open(tmp_path / "gw.tar") as tar:
        assert tar.getnames() == ["README", "missing", "nft.json"]
    assert run(tmp_path / "gw.tar", status=1).out == WHOLE


def test_only_ascii_where_that_is_asked():
    assert run(file("irc"), "--ascii", status=1).out.isascii()


def test_colours_on_a_terminal():
    assert "\x1b[31mhigh" in run(file("irc"), status=1, width=100, color=True).out


def test_a_namespace_is_for_the_running_gateway():
    assert "not for files" in run(file("irc"), "--netns", "x", status=2).err


def test_without_privilege_it_says_so(tmp_path, monkeypatch):
    """A program named nft that is refused, as without root."""
    nft = tmp_path / "nft"
    nft.write_text("#!/bin/sh\necho 'Operation not permitted (you must be root)' >&2\nexit 1\n")
    nft.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/nowhere")
    monkeypatch.setattr("conntap.programs.SYSTEM_PATH", "/nowhere")
    played = run(status=2)
    assert "no rules could be read: nft.json: 'nft -j list ruleset': Operation not permitted" in played.err
    assert "hint: run it with sudo" in played.err
