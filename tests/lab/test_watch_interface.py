"""`conntap watch -i` on a real wire: the engine says of the packets what the kernel says, and ends as a stream ends."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import conntap
from conntap.helpers.assign import assign
from conntap.lab import CLIENT
from conntap.lab.ruleset import SHORT_TIMEOUTS
from conntap.lab.scenarios import load
from conntap.lab.topology import CLIENT6
from conntap.tracker import COUNTED
from lab.conftest import COMMAND

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from conntap import Event, Flow
    from conntap.lab import Lab

#: The gateway's timeouts, by the engine's names.
SETTINGS = {**COUNTED.settings, **{name.rpartition("/")[2]: value for name, value in SHORT_TIMEOUTS.items()}}
#: TCP and its helper, which are the same every time; what else hosts have to say is left out.
TRAFFIC = "tcp or expectation"


def inside(flow: Flow) -> tuple[object, ...]:
    """The connection as its packets look inside: NAT of who is inside shows only on the other side."""
    original, reply = flow.original, flow.reply
    if str(original.src) in (CLIENT, CLIENT6):
        return (original.src, original.sport, original.dst, original.dport)
    return (reply.dst, reply.dport, reply.src, reply.sport)


def story(events: list[Event]) -> dict[tuple[object, ...], list[tuple[object, ...]]]:
    """What happened to each connection and expectation, in order."""
    found: dict[tuple[object, ...], list[tuple[object, ...]]] = defaultdict(list)
    for event in events:
        if (flow := event.flow) is not None:
            counters = (flow.original_counters, flow.reply_counters)
            found[inside(flow)].append(
                (event.kind, flow.tcp_state, flow.assured, flow.helper, flow.master, flow.timeout, *counters)
            )
        elif (expectation := event.expectation) is not None:
            found["expectation", expectation.tuple.dport].append(
                (event.kind, expectation.helper, expectation.class_, expectation.mask, expectation.master)
            )
    return found


def engine_and_kernel(lab: Lab, name: str, interface: str) -> tuple[list[Event], list[Event]]:
    """Run a scenario and watch it twice: the packets of an interface, and the kernel's events."""
    setup = conntap.Setup(settings=SETTINGS, helpers=assign("ftp"))
    where = conntap.Filter(TRAFFIC)
    engine: list[Event] = []
    with (
        conntap.Interface(interface, setup, netns=lab.gateway.pid) as packets,
        conntap.open(lab.gateway.pid) as ct,
        ct.events(where) as events,
    ):
        load(name).run(lab)
        assert lab.forget() == 0, "a connection is still alive"
        kernel: list[Event] = []
        while (batch := events.receive(0)) is not None:
            kernel += batch.events()
        deadline = time.monotonic() + 20
        while len(engine) < len(kernel) and time.monotonic() < deadline:
            batch = packets.receive(0.1, where)
            engine += batch.events() if batch else []
        assert packets.counters["lost"] == events.counters["lost"] == 0
    return engine, kernel


@pytest.mark.usefixtures("one_processor")
@pytest.mark.parametrize("name", ["ftp", "ftp-active", "ftp6"])
def test_on_the_inside_it_says_what_the_kernel_says(lab: Lab, name: str) -> None:
    """Kinds, states, helpers, masters, timeouts and counters, in order; tuples as no translation had touched them."""
    engine, kernel = engine_and_kernel(lab, name, "inside")
    kinds = {event.kind for event in kernel}
    assert kinds == {"NEW", "UPDATE", "DESTROY", "EXP_NEW", "EXP_DESTROY"}
    assert story(engine) == story(kernel)


class Watching:
    """`conntap watch -i` in a process of its own."""

    def __init__(self, netns: int, folder: Path, *words: str) -> None:
        self.netns = netns
        self.sums_path = folder / "sums.json"
        command = [sys.executable, "-c", COMMAND, "watch", *words, "--netns", str(netns), "--summary", self.sums_path]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def capturing(self) -> bool:
        """Has it a packet socket that runs in the namespace? Columns: sk RefCnt Type Proto Iface R Rmem User Inode."""
        rows = Path(f"/proc/{self.netns}/net/packet").read_text().splitlines()[1:]
        return any(row.split()[5] == "1" for row in rows)

    def ended(self) -> tuple[str, str, int]:
        out, err = self.process.communicate(timeout=30)
        return out, err, self.process.returncode

    @property
    def sums(self) -> dict[str, object]:
        return json.loads(self.sums_path.read_text())


@pytest.fixture
def watch(lab: Lab, tmp_path: Path, wait_for: Callable[..., None]) -> Iterator[Callable[..., Watching]]:
    """Start it on the gateway; gives it back when it captures."""
    started: list[Watching] = []

    def start(*words: str) -> Watching:
        watching = Watching(lab.gateway.pid, tmp_path, *words)
        started.append(watching)
        wait_for(lambda: watching.capturing() or watching.process.poll() is not None, "it captures")
        return watching

    yield start
    for watching in started:
        watching.process.kill()
        watching.process.communicate()


class TestCommand:
    def test_count_ends_it_with_the_sums(self, lab: Lab, watch) -> None:
        watching = watch("-i", "inside", "--helper", "ftp", "--json", "--count", "4", "tcp or expectation")
        load("ftp").run(lab)
        out, err, status = watching.ended()
        rows = [json.loads(line) for line in out.splitlines()]
        assert [row["kind"] for row in rows] == ["NEW", "UPDATE", "UPDATE", "EXP_NEW"]
        assert (rows[0]["orig_dst"], rows[0]["orig_dport"], rows[0]["helper"]) == ("198.51.100.9", 21, "ftp")
        assert re.fullmatch(
            r"4 events of \d+ packets in \d+ s: 1 new, 2 updated, 1 expectation · nothing lost.*\n", err
        )
        assert status == 0
        sums = watching.sums
        assert (sums["ended_by"], sums["rows"]) == ("count", 4)
        assert sums["counters"]["frames"] == sums["counters"]["packets"] > 0

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
    def test_a_signal_ends_it_in_order(self, lab: Lab, watch, number) -> None:
        watching = watch("-i", "outside")
        watching.process.send_signal(number)
        _, err, status = watching.ended()
        assert re.fullmatch(r"0 events of \d+ packets in \d+ s · nothing lost.*\n", err)
        assert (status, watching.sums["ended_by"]) == (0, "signal")

    def test_duration_ends_a_quiet_one(self, watch) -> None:
        assert watch("-i", "any", "--duration", "300ms").ended()[2] == 0

    def test_translation_on_the_way_can_be_told(self, lab: Lab, watch) -> None:
        """What the gateway does may be said, and is shown."""
        watching = watch("-i", "inside", "--masquerade", "203.0.113.1", "--json", "--count", "1", "new and tcp")
        load("tcp").run(lab)
        [row] = map(json.loads, watching.ended()[0].splitlines())
        assert (row["orig_src"], row["reply_dst"]) == ("10.0.0.5", "203.0.113.1")


class TestRefusals:
    def test_an_unknown_interface_is_told(self, lab: Lab, conntap) -> None:
        done = conntap("watch", "-i", "nosuch", "--netns", str(lab.gateway.pid))
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == "conntap: capturing on nosuch: No such device\nhint: ip link shows the interfaces\n"

    def test_without_privilege_the_right_one_is_named(self, conntap) -> None:
        unshare = shutil.which("unshare") or pytest.skip("needs the program unshare")
        done = conntap("watch", "-i", "lo", under=(unshare, "-U"))
        assert (done.returncode, done.stdout) == (1, "")
        first, second = done.stderr.splitlines()
        assert first == "conntap: capturing on lo: needs CAP_NET_RAW in this network namespace"
        assert second == "hint: run it with sudo, or give this program alone the right: docs/privileges.md"
