"""What `conntap doctor` writes of readings that never change: text at widths, in colour, ASCII, JSON; and how it ends.

`UPDATE_GOLDEN=1 pytest tests/golden/cli/test_doctor.py` writes the files anew; read the difference before you commit.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from conntap.doctor import listeners, modules, reading
from conntap.doctor.assigned import HelperObject
from conntap.doctor.model import Unseen
from conntap.doctor.reading import Reading
from conntap.doctor.settings import SETTINGS
from conntap.doctor.timeouts import TIMEOUTS
from golden.cli.stage import HERE, play, transcript

if TYPE_CHECKING:
    from collections.abc import Iterator

EXPECTED = HERE / "expected-doctor"

DEFAULTS = {setting.name: setting.default for setting in SETTINGS if setting.name.startswith("nf_conntrack_")} | {
    timeout.name: timeout.default for timeout in TIMEOUTS if "dccp" not in timeout.name
}
SOCKETS = {"core/rmem_default": "212992", "core/rmem_max": "4194304", "core/netdev_max_backlog": "1000"}
HEAD = "sk Eth Pid Groups Rmem Wmem Dump Locks Drops Inode\n"


def settings(**changed: int) -> dict[str, str]:
    known = {**DEFAULTS, "nf_conntrack_count": 61_022, "nf_conntrack_max": 262_144, "nf_conntrack_buckets": 262_144,
             "nf_conntrack_expect_max": 4_096, "nf_log_all_netns": 0, **changed}  # fmt: skip
    return {f"netfilter/{name}": str(value) for name, value in known.items() if value is not None} | SOCKETS


def cpus(**counters: int) -> tuple[dict[str, int], ...]:
    names = ("found", "invalid", "insert", "insert_failed", "drop", "early_drop", "clash_resolve", "chaintoolong")
    first = {"cpu": 0, **{name: counters.get(name, 0) for name in names}}
    return (first, {"cpu": 1, **dict.fromkeys(names, 0)})


FINE = Reading(
    settings=settings(), cpus=cpus(), expect_cpus=({"cpu": 0, "expect_new": 3},), expectations={"ftp": (2, 0)},
    netlink=HEAD, memory=16 << 30, slabs={"nf_conntrack": (61_022, 61_024, 256)},
    helpers=(HelperObject("inet fw", "f", "ftp", "tcp"), HelperObject("inet fw", "s", "sip", "udp")),
)  # fmt: skip
SICK = Reading(
    settings=settings(
        nf_conntrack_count=250_000, nf_conntrack_buckets=16_384, nf_conntrack_tcp_be_liberal=1,
        nf_conntrack_udp_timeout_stream=30, nf_conntrack_quantum=7,
    ),
    cpus=cpus(drop=12, early_drop=4_031, invalid=77),
    expectations={"irc": (1, 1)},
    netlink=HEAD + "0 12 812 00000007 200000 0 0 2 41022 99\n",
    buffers={99: 212_992},
    memory=16 << 30,
)  # fmt: skip
BLIND = Reading(
    settings=settings(),
    netlink=HEAD,
    memory=16 << 30,
    initial=False,
    unseen=(
        Unseen("the kernel's counters, and the expectations",
               "reading statistics: needs CAP_NET_ADMIN in this network namespace"),
        Unseen("memory by kind of object (/proc/slabinfo)", "Permission denied"),
    ),
)  # fmt: skip
NOTHING = Reading(
    unseen=(Unseen("the settings net.netfilter.nf_conntrack_*", "the kernel has no connection tracking"),)
)
READINGS = {"fine": FINE, "sick": SICK, "blind": BLIND, "nothing": NOTHING}

# Name → what is read and the command line. A name ending in `*` is played at 50, 80 and 120 columns and piped.
CASES = {
    "fine*": ("fine", "doctor"),
    "fine-all": ("fine", "doctor --all"),
    "fine-only": ("fine", "doctor --only table --only losses --all"),
    "sick*": ("sick", "doctor"),
    "sick-color": ("sick", "doctor --color"),
    "sick-ascii": ("sick", "doctor --ascii"),
    "sick-json": ("sick", "doctor --json --only table --only listeners"),
    "blind-80": ("blind", "doctor"),
    "nothing-80": ("nothing", "doctor"),
    "error-group": ("fine", "doctor --only tabel"),
    "error-protocol": ("fine", "doctor --log-invalid tpc 10s"),
    "error-time": ("fine", "doctor --log-invalid tcp soon"),
    "error-all-with-log": ("fine", "doctor --all --log-invalid tcp 10s"),
}
WIDTHS = {"50": 50, "80": 80, "120": 120, "piped": 0}


def modes() -> Iterator[tuple[str, str, str, int]]:
    """(file name, reading, command line, columns)."""
    for name, (seen, line) in CASES.items():
        if name.endswith("*"):
            yield from ((f"{name[:-1]}-{suffix}", seen, line, width) for suffix, width in WIDTHS.items())
        else:
            yield name, seen, line, WIDTHS.get(name.rpartition("-")[2], 0)


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch, tmp_path) -> dict[str, Reading]:
    """What the doctor reads in this test; the same modules and processes everywhere."""
    stage: dict[str, Reading] = {}
    monkeypatch.setattr(reading, "read", lambda _netns: stage["now"])
    monkeypatch.setattr(listeners, "owners", lambda *_: {99: (812, "ulogd")})
    loaded = "nf_conntrack 1 2 -\nnf_conntrack_netlink 1 0 -\nnf_conntrack_ftp 1 0 -\n"
    for name, text in (("with", loaded), ("without", "")):
        (tmp_path / name / "proc").mkdir(parents=True)
        (tmp_path / name / "proc/modules").write_text(text)
    real = modules.look
    monkeypatch.setattr(
        modules, "look", lambda seen: real(seen, root=str(tmp_path / ("with" if seen.settings else "without")))
    )
    return stage


@pytest.mark.parametrize(("name", "seen", "line", "width"), list(modes()), ids=[mode[0] for mode in modes()])
def test_text(read: dict[str, Reading], name: str, seen: str, line: str, width: int) -> None:
    read["now"] = READINGS[seen]
    text = transcript(play(line.split(), width=width), f"conntap {line}")
    path = EXPECTED / f"{name}.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    assert text == path.read_text()


def test_no_golden_file_is_left_over() -> None:
    assert {path.stem for path in EXPECTED.glob("*.txt")} == {mode[0] for mode in modes()}


@pytest.mark.parametrize(("seen", "status"), [("fine", 0), ("sick", 1), ("blind", 0), ("nothing", 1)])
def test_the_exit_status_says_whether_there_is_something_to_do(
    read: dict[str, Reading], seen: str, status: int
) -> None:
    read["now"] = READINGS[seen]
    played = play(["doctor", "--json"])
    found = json.loads(played.out)
    assert played.status == status
    assert (found["sums"]["todo"] > 0) == (status == 1)
    assert sum(found["sums"].values()) == len(found["entries"])
    assert [unseen["what"] for unseen in found["unseen"]] == [unseen.what for unseen in READINGS[seen].unseen]


@pytest.mark.parametrize("seen", READINGS)
def test_ascii_is_ascii(read: dict[str, Reading], seen: str) -> None:
    read["now"] = READINGS[seen]
    assert play(["doctor", "--all", "--ascii"], width=80).out.isascii()


@pytest.mark.parametrize("width", [30, 50, 80, 100])
@pytest.mark.parametrize("seen", READINGS)
def test_no_line_is_wider_than_the_terminal(read: dict[str, Reading], seen: str, width: int) -> None:
    """Except where one word is: a setting's name."""
    read["now"] = READINGS[seen]
    for line in play(["doctor", "--all"], width=width).out.splitlines():
        assert len(line) <= width or len(line.split()) <= 2, line
