"""`conntap lab parity` as a process on the real kernel."""

from __future__ import annotations

import json
import os

import pytest

from pcap_samples import DIRECTORY, SAMPLES

FTP = str(SAMPLES["ftp_active"].path)


@pytest.fixture(autouse=True)
def _namespaces(session_lab) -> None:
    """Skips where there are none."""


def test_equal_is_status_0_and_one_line(conntap):
    done = conntap("lab", "parity", FTP, "--helper", "ftp=tcp/21")
    assert (done.returncode, done.stdout, done.stderr) == (0, "equal: 41 packets, 24 events, 41 forwarded\n", "")


def test_different_is_status_1_with_the_packet(conntap):
    """Rules of which the engine knows nothing."""
    done = conntap("lab", "parity", str(SAMPLES["mark_zone"].path), "--nft", str(DIRECTORY / "mark_zone.nft"))
    assert done.returncode == 1
    assert done.stdout.startswith("different events at packet 1 ")
    assert "  differs in CTA_ZONE: 0007 ≠ absent\n" in done.stdout
    assert done.stderr.startswith("note: the engine is not told of the rules in ")


def test_what_cannot_be_compared_is_status_2(conntap, tmp_path):
    rules = tmp_path / "wrong.nft"
    rules.write_text("no rules\n")
    done = conntap("lab", "parity", FTP, "--nft", str(rules))
    assert (done.returncode, done.stdout) == (2, "")
    assert "syntax error" in done.stderr


def test_both_are_given_the_settings_and_the_left_hosts(conntap):
    sample = SAMPLES["tcp_pickup.loose0"]
    words = [word for address in sample.left for word in ("--left", address)]
    done = conntap("lab", "parity", str(sample.path), *words, "--sysctl", "nf_conntrack_tcp_loose=0", "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout)["events"] == 0
    assert json.loads(conntap("lab", "parity", str(sample.path), *words, "--json").stdout)["events"] > 0


def test_both_are_given_the_translation(conntap):
    """The packets of these samples are as they arrive at the gateway that translates."""
    dns = ("--dnat", "dst 10.0.2.100 and udp and dport 53 to 10.0.2.2:5353")
    ftp = ("--snat", "src 10.0.1.0/24 to 10.0.2.1", "--helper", "ftp")
    for name, words in (("nat_dnat_udp", dns), ("nat_ftp_active", ftp)):
        sample = SAMPLES[name]
        done = conntap("lab", "parity", str(sample.path), "--left", sample.left[0], *words)
        assert (done.returncode, done.stderr) == (0, ""), done.stdout


def test_conversations_are_generated_and_repeat_by_their_seed(conntap):
    words = ("lab", "parity", "--generate", "40", "--nat", "--kind", "ftp", "--json")
    first = conntap(*words, "--seed", "9")
    assert first.returncode == 0, first.stdout
    assert first.stderr == ("seed 9   (repeat with: conntap lab parity --generate 40 --seed 9 --kind nat-ftp --nat)\n")
    again = conntap(*words, "--seed", "9")
    assert json.loads(again.stdout)["packets"] == json.loads(first.stdout)["packets"]
    assert json.loads(first.stdout)["kinds"] == {"nat-ftp": 40}


def test_a_user_without_privilege_goes_on_in_a_sandbox(conntap, need):
    """As `conntap lab run` does. Root's own files stay readable; user 0 needs CAP_SETFCAP to map itself."""
    under = (need("setpriv"), "--bounding-set=-all,+setfcap", "--inh-caps=-all") if os.geteuid() == 0 else ()
    done = conntap("lab", "parity", FTP, "--helper", "ftp=tcp/21", under=under)
    assert (done.returncode, done.stdout) == (0, "equal: 41 packets, 24 events, 41 forwarded\n"), done.stderr
