"""Hold on the real kernel: nobody comes in who was not approved, and everybody does who was."""

from __future__ import annotations

import re
import signal
import subprocess
import sys

import pytest

from conntap.errors import UsageError
from conntap.guard.hold import Hold, release
from conntap.guard.hold_rules import rules_text
from conntap.guard.watch import Guard
from conntap.lab.scenarios import load
from conntap.lab.session import Session
from lab.guard.scene import BACK_DOOR, FRIEND, running, until

ROUNDS = 200
ZONES = """\
table ip zones {
    chain raw { type filter hook prerouting priority raw; ct zone set udp sport map { 7001 : 1 }; }
}
"""


def test_friends_come_in_and_strangers_do_not(scene):
    with running(Guard(netns=scene.pid, hold=Hold(scene.pid))) as guard:
        for _ in range(ROUNDS):
            scene.announce()
            scene.announce(BACK_DOOR, source="")
            scene.send(scene.stranger, BACK_DOOR)
            assert scene.comes_in(scene.friend)
            scene.forget()
        assert not scene.arrives(BACK_DOOR, within=0.3)
    assert guard.metrics.counts["approved"] >= ROUNDS
    assert "conntap_guard" not in scene.tables()


def test_a_packet_that_was_faster_than_the_approval_comes_in_when_it_is_sent_again(scene):
    guard = Guard(netns=scene.pid, hold=Hold(scene.pid))
    scene.announce()
    scene.send(scene.friend)  # the guard has not looked yet
    assert not scene.arrives(within=0.1)
    with running(guard):
        until(lambda: guard.metrics.counts["put_back"] == 1)
        assert scene.comes_in(scene.friend)


def test_tenants_in_zones_come_in(scene):
    """An approval names no zone, for the kernel tells none."""
    scene.lab.gateway.run(["nft", "-f", "-"], input=ZONES)
    one = scene.socket(scene.lab.server, FRIEND, 7001)
    with one, running(Guard(netns=scene.pid, hold=Hold(scene.pid))):
        scene.announce(zone=1)
        assert scene.comes_in(one)


@pytest.mark.parametrize("name", ["ftp", "ftp-active", "ftp6"])
def test_protocols_work_through_nat(scene, name):
    with running(Guard(netns=scene.pid, hold=Hold(scene.pid))) as guard:
        session = Session(scene.lab, load(name))
        for _ in session.batches():
            pass
        assert not session.missing()
    assert guard.metrics.counts["denied"] == 0


def test_what_the_rules_are_in_words_is_what_the_kernel_was_told(scene):
    guard = Guard(netns=scene.pid, hold=Hold(scene.pid))
    ours = rules_of(scene.lab.gateway.run(["nft", "list", "table", "inet", "conntap_guard"]))
    guard.close()
    assert rules_of(rules_text()) == ours
    assert len(ours) == 12


def rules_of(listing: str) -> list[str]:
    return [re.sub(r" packets \d+ bytes \d+", "", line.strip()) for line in listing.splitlines() if "ct state" in line]


def test_others_cannot_change_it(scene):
    guard = Guard(netns=scene.pid, hold=Hold(scene.pid))
    scene.lab.gateway.run(["nft", "flush", "ruleset"], check=False)
    scene.lab.gateway.run(["nft", "delete", "table", "inet", "conntap_guard"], check=False)
    assert "conntap_guard" in scene.tables()
    with pytest.raises(UsageError, match="another guard holds this namespace"):
        Guard(netns=scene.pid, hold=Hold(scene.pid))
    with pytest.raises(UsageError, match="another guard holds this namespace"):
        release(scene.pid)
    guard.close()
    assert "conntap_guard" not in scene.tables()


def started(scene) -> subprocess.Popen[str]:
    code = "import sys; from conntap.cli.main import main; sys.exit(main(sys.argv[1:]))"
    guard = subprocess.Popen(
        [sys.executable, "-c", code, "guard", "--hold", "--netns", str(scene.pid)],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    until(lambda: "conntap_guard" in scene.tables())
    return guard


def test_a_guard_that_is_killed_leaves_it_closed_until_it_is_released(scene):
    with started(scene) as guard:
        guard.send_signal(signal.SIGKILL)
        guard.wait()
    assert "conntap_guard" in scene.tables()
    scene.announce()
    scene.send(scene.friend)
    assert not scene.arrives(within=0.2)
    assert release(scene.pid)
    assert "conntap_guard" not in scene.tables()
    assert not release(scene.pid)
    scene.announce()
    assert scene.comes_in(scene.friend)


def test_an_error_leaves_it_closed_too(scene):
    with pytest.raises(RuntimeError), Guard(netns=scene.pid, hold=Hold(scene.pid)):
        raise RuntimeError
    assert "conntap_guard" in scene.tables()
    scene.announce()
    scene.send(scene.friend)
    assert not scene.arrives(within=0.2)
    assert release(scene.pid)


def test_a_new_guard_takes_over_what_a_killed_one_left(scene):
    with started(scene) as guard:
        guard.send_signal(signal.SIGKILL)
        guard.wait()
    with running(Guard(netns=scene.pid, hold=Hold(scene.pid))):
        scene.announce()
        assert scene.comes_in(scene.friend)


def test_the_second_is_told_who_is_first_and_a_signal_ends_it_in_order(scene):
    with started(scene) as guard:
        code = "import sys; from conntap.cli.main import main; sys.exit(main(sys.argv[1:]))"
        second = subprocess.run(
            [sys.executable, "-c", code, "guard", "--netns", str(scene.pid)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert second.returncode == 2
        assert f"another guard (pid {guard.pid}) guards this namespace" in second.stderr
        guard.send_signal(signal.SIGTERM)
        assert guard.wait() == 0
        assert guard.stderr is not None
        assert "nothing lost" in guard.stderr.read()
    assert "conntap_guard" not in scene.tables()
