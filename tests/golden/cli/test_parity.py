"""`conntap lab parity`: wrong use, and what it prints. On the real kernel: tests/lab/test_parity_command.py."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from conntap.cli import parity
from conntap.lab.parity import recorded
from conntap.lab.parity.bulk import Bulk, Found, Task
from conntap.lab.parity.compare import first_difference
from conntap.lab.parity.report import Report
from conntap.lab.parity.run import Step
from golden.cli.stage import DATA, Played, Terminal, play
from pcap_samples import SAMPLES

FILE = str(DATA / "pcap/udp_stream.pcap")
EXISTS = str(DATA / "pcap/README.md")


def refused(*words: str) -> str:
    played = play(["lab", "parity", *words])
    assert (played.out, played.status) == ("", 2)
    return played.err.splitlines()[0].removeprefix("conntap lab parity: ").removeprefix("conntap: ")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((), "say a FILE, or --generate N"),
        ((FILE, "--generate", "3"), "say a FILE, or --generate N"),
        ((FILE, "--seed", "3"), "--seed goes with --generate"),
        ((FILE, "--nat"), "--nat goes with --generate"),
        (("--generate", "3", "--helper", "ftp=tcp/21"), "--helper goes with a FILE"),
        (("--generate", "3", "--honour-time"), "--honour-time goes with a FILE"),
        ((FILE, "--speed", "2", "--squeeze", "1s"), "--squeeze, --speed and --honour-time: only one of them"),
        ((FILE, "--left", "10.0.0"), "invalid value for '--left': '10.0.0' is no address"),
        ((FILE, "--helper", "ftp=21"), "'ftp=21' assigns no helper"),
        ((FILE, "--helper", "ftp=udp/21"), "'ftp=udp/21': helper 'ftp' does not read udp"),
        ((FILE, "--snat", "10.0.0.1"), "'10.0.0.1' is no NAT rule"),
        ((FILE, "--snat", "mark 7 to 10.0.0.1"), "'mark 7' cannot be told to the kernel"),
        ((FILE, "--sysctl", "a=0"), "invalid value for '--sysctl': 'a=0' is no setting: say nf_conntrack_tcp_loose=0"),
        ((EXISTS,), f"{EXISTS} is neither pcap, pcapng nor a recording (it begins with 23 20 53 61)"),
    ],
)  # fmt: skip
def test_wrong_use_is_told_in_a_line_with_status_2(words, says):
    assert refused(*words) == says


def test_a_kind_that_does_not_exist_is_told_with_those_that_do():
    assert refused("--generate", "3", "--kind", "gopher").startswith("there is no kind 'gopher': one of tcp, ")
    assert ", headers, " in refused("--generate", "3", "--kind", "gopher")
    assert ", headers, " not in refused("--generate", "3", "--kind", "headers", "--nat"), "that is not translated"


def test_settings_are_taken_by_any_of_their_names():
    names = ("nf_conntrack_max", "net.netfilter.nf_conntrack_max", "net/netfilter/nf_conntrack_max")
    assert {parity.Setting()(f"{name}=7") for name in names} == {("nf_conntrack_max", 7)}


@pytest.mark.parametrize(
    ("given", "gap_s", "waits_s"),
    [
        ({}, 60, 0.05),
        ({}, 0.01, 0.01),
        ({"squeeze": 0.0}, 60, 0),
        ({"squeeze": 2.0}, 60, 2),
        ({"speed": 10.0}, 60, 6),
        ({"honour_time": True}, 60, 60),
    ],
)
def test_gaps_are_squeezed_unless_told_otherwise(given, gap_s, waits_s):
    usual = {"auto_helpers": False, "helpers": (), "honour_time": False, "speed": None, "squeeze": None, "left": ()}
    more = {"sysctls": (), "nft": None, "linger": 0.0, "tables": False}
    options = parity.options_of({**usual, **more, **given}, [])
    assert options.pacing.wait_ns(int(gap_s * 1e9)) == pytest.approx(waits_s * 1e9)


# ---------------------------------------------------------------- what is printed


def printed(call, *, ascii: bool = False) -> Played:
    import io

    from conntap.cli.io import IO

    out, err = Terminal(), io.StringIO()
    status = call(IO(out=out, err=err, ascii=ascii))
    return Played(out.getvalue().decode(), err.getvalue(), status)


@pytest.fixture
def different() -> Report:
    """The kernel's run of a sample, and the same with one event less."""
    one, two = (recorded.loads(SAMPLES["udp_stream"].recorded) for _ in range(2))
    step = two.steps[1]
    two.steps[1] = Step(step.packet, step.sent_ns, replace(step.answer, messages=[]))
    return Report(len(one.steps), one.messages, first_difference(one, two), (one, two), {"to a multicast group": 2})


@pytest.fixture
def equal() -> Report:
    run = recorded.loads(SAMPLES["udp_stream"].recorded)
    return Report(len(run.steps), run.messages, None, (run, run), {"to a multicast group": 2})


def test_equal_is_one_line(equal):
    told = printed(lambda io: parity.tell(io, equal, as_json=False))
    assert told.out == "equal: 6 packets, 4 events, 6 forwarded; left out: 2 to a multicast group\n"


def test_a_difference_is_told_with_its_packet(different):
    told = printed(lambda io: parity.tell(io, different, as_json=False)).out.splitlines()
    assert told[0].startswith("different events at packet 2 (+")
    assert told[1] == "  right → left  10.0.2.2:53 > 10.0.1.2:5000  UDP, 10 bytes"
    assert told[2] == "  kernel:"
    assert "[UPDATE] udp      17 30 src=10.0.1.2 dst=10.0.2.2 sport=5000" in told[3]
    assert told[4:6] == ["  engine:", "    nothing"]
    assert told[-1] == "compared: 6 packets, 4 events, 6 forwarded; left out: 2 to a multicast group"


def test_json_has_the_same_and_the_bytes(different):
    told = json.loads(printed(lambda io: parity.tell(io, different, as_json=True)).out)
    difference = told.pop("difference")
    assert told == {
        "equal": False, "packets": 6, "events": 4, "forwarded": 6, "left_out": {"to a multicast group": 2}
    }  # fmt: skip
    kernel = different.runs[0].steps[1]
    assert (difference["what"], difference["packet"], difference["engine"]) == ("events", 2, [])
    assert difference["kernel"] == [message.hex() for message in kernel.answer.messages]
    assert difference["packet_bytes"] == kernel.packet.ip.hex()


def test_generated_conversations_end_with_the_sums_and_what_repeats_the_difference(different):
    done = Bulk(conversations=7, packets=1234, messages=99, forwarded=1200)
    task = Task(seed=4, count=7)
    equal = printed(lambda io: parity.tell_generated(io, done, task, as_json=False))
    assert equal.out == "equal: 7 conversations, 1,234 packets, 99 events, 1,200 forwarded\n"
    done.found.append(Found(Task(seed=4, first=3, count=1, kind="sip"), different, "<Conversation 3>"))
    lines = printed(lambda io: parity.tell_generated(io, done, task, as_json=False)).out.splitlines()
    assert lines[-3:] == [
        "<Conversation 3>",
        "repeat with: conntap lab parity --generate 1 --seed 4 --first 3 --kind sip",
        "different: 7 conversations, 1,234 packets, 99 events, 1,200 forwarded",
    ]
    told = json.loads(printed(lambda io: parity.tell_generated(io, done, task, as_json=True)).out)
    assert (told["equal"], told["seed"], told["first"]["difference"]["packet"]) == (False, 4, 2)
    assert told["first"]["repeat"].endswith("--first 3 --kind sip")


def test_an_ascii_terminal_gets_nothing_else(different):
    assert printed(lambda io: parity.tell(io, different, as_json=False), ascii=True).out.isascii()
