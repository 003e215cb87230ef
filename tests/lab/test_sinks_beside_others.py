"""Real log daemons take our records, and ulogd2 writes the same lines of the same connections."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from conntap.programs import SYSTEM_PATH
from conntap.sinks.syslog import SyslogSink
from receivers import wait_until
from records import every_kind, numbers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conntap import _core

HERE = Path(__file__).resolve().parent


def program(name: str, *elsewhere: str) -> str:
    path = os.pathsep.join([os.environ.get("PATH", ""), SYSTEM_PATH, *elsewhere])
    return shutil.which(name, path=path) or pytest.skip(f"needs the program {name}")


def sandboxed(*command: str) -> subprocess.CompletedProcess[str]:
    """Run in a network, mount and pid namespace of its own."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)}
    return subprocess.run(
        [sys.executable, "-m", "conntap.lab.sandbox", "--", *command],
        env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def as_dicts(batches: list[_core.Batch]) -> list[dict[str, object]]:
    return [json.loads(line) for batch in batches for line in batch.json().splitlines()]


# -- rsyslog ---------------------------------------------------------------------------------------------------

RSYSLOG = """
global(workDirectory="{home}")
module(load="imudp")
module(load="imtcp")
module(load="mmpstrucdata")
template(name="all" type="list") {{ property(name="jsonmesg") constant(value="\\n") }}
input(type="imudp" address="127.0.0.1" port="{port}")
input(type="imtcp" address="127.0.0.1" port="{port}")
action(type="mmpstrucdata" sd_name.lowercase="off")
action(type="omfile" file="{home}/out" template="all" asyncWriting="off" flushOnTXEnd="on")
"""


@contextmanager
def rsyslog(home: Path) -> Iterator[int]:
    """rsyslogd with a configuration of its own; its port."""
    command = program("rsyslogd")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    config = home / "rsyslog.conf"
    config.write_text(RSYSLOG.format(home=home, port=port))
    with subprocess.Popen([command, "-n", "-f", str(config), "-i", str(home / "pid")]) as daemon:

        def listens() -> bool:
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", port)) == 0

        try:
            assert wait_until(listens)
            yield port
        finally:
            daemon.terminate()


def taken(home: Path, count: int) -> list[dict[str, str]]:
    """What rsyslog made of our messages."""
    out = home / "out"
    wait_until(lambda: out.exists() and out.read_bytes().count(b"\n") >= count)
    found = [json.loads(line) for line in out.read_text().splitlines()]
    return [message for message in found if message["programname"] == "conntap"]


@pytest.mark.parametrize(("transport", "framing"), [("udp", "octets"), ("tcp", "octets"), ("tcp", "lf")])
def test_rsyslog_parses_header_and_structured_data(tmp_path, transport, framing):
    batches = every_kind()
    rows = as_dicts(batches)
    with rsyslog(tmp_path) as port:
        sink = SyslogSink(
            "127.0.0.1", port=port, transport=transport, framing=framing, hostname="gw", facility="local3"
        )
        sink.open()
        for batch in batches:
            sink.write(batch)
        sink.close()
        messages = taken(tmp_path, len(rows))
    assert len(messages) == len(rows)
    for row, message in zip(rows, messages, strict=True):
        said = message["$!"]["rfc5424-sd"]["conntap@32473"]
        header = (message["hostname"], message["msgid"], message["procid"], message["syslogfacility"])
        assert header == ("gw", row["kind"], str(os.getpid()), "19")
        assert message["syslogseverity"] == ("4" if row["kind"] == "GAP" else "6")
        assert (said["seq"], said["received_ns"]) == (str(row["seq"]), str(row["received_ns"]))
        if row["kind"] == "GAP":
            assert said["gap_cause"] == row["gap_cause"]
            continue
        version = "IPv6" if ":" in row["orig_src"] else "IPv4"
        assert said["flowId"] == str(row["flow_id"])
        assert said[f"source{version}Address"] == row["orig_src"]
        assert said[f"destination{version}Address"] == row["orig_dst"]
        assert said.get("sourceTransportPort") == (str(row["orig_sport"]) if "orig_sport" in row else None)
        assert said.get("nat") == row.get("nat")
        assert said.get(f"postNATSource{version}Address") == (row["reply_dst"] if "nat" in row else None)


def test_rsyslog_parses_the_older_format(tmp_path):
    batches = every_kind()
    with rsyslog(tmp_path) as port:
        sink = SyslogSink("127.0.0.1", port=port, format="rfc3164", hostname="gw")
        sink.open()
        for batch in batches:
            sink.write(batch)
        sink.close()
        messages = taken(tmp_path, len(numbers(batches)))
    assert {message["hostname"] for message in messages} == {"gw"}
    found = [re.search(r" seq=([0-9]+)", message["msg"]) for message in messages]
    assert [int(seq[1]) for seq in found if seq] == numbers(batches)


# -- journald --------------------------------------------------------------------------------------------------

JOURNALD = """
mount -t tmpfs tmpfs /run && mount -t tmpfs tmpfs /var/log && mkdir -p /run/log /run/systemd/journal || exit 3
"$1" 2>/run/said &
"$2" "$3" || { cat /run/said >&2; exit 4; }
"""
SENT_TO_JOURNALD = """
import subprocess
from pathlib import Path
from conntap.sinks.syslog import JournaldSink
from receivers import wait_until
from records import every_kind, numbers

def kept():
    asked = ["journalctl", "-D", "/run/log/journal", "-o", "json", "--no-pager", "-q", "SYSLOG_IDENTIFIER=conntap"]
    return subprocess.run(asked, capture_output=True, text=True).stdout

assert wait_until(Path("/run/systemd/journal/socket").exists)
sink = JournaldSink()
sink.open()
for batch in every_kind():
    sink.write(batch)
sink.close()
wait_until(lambda: kept().count("\\n") >= len(numbers(every_kind())))
print(kept(), end="")
"""


def test_journald_keeps_every_field(tmp_path):
    """The real one, with a /run of its own."""
    daemon = program("systemd-journald", "/lib/systemd", "/usr/lib/systemd")
    program("journalctl")
    script = tmp_path / "send.py"
    script.write_text(SENT_TO_JOURNALD)
    run = sandboxed("sh", "-c", JOURNALD, "-", daemon, sys.executable, str(script))
    assert run.returncode == 0, run.stderr
    entries = [json.loads(line) for line in run.stdout.splitlines()]
    assert [int(entry["CONNTAP_SEQ"]) for entry in entries] == numbers(every_kind())
    for entry, row in zip(entries, as_dicts(every_kind()), strict=True):
        assert entry["PRIORITY"] == ("4" if row["kind"] == "GAP" else "6")
        for name, value in row.items():
            if not isinstance(value, list):
                assert entry[f"CONNTAP_{name.upper()}"] == str(value)


# -- ulogd2 ----------------------------------------------------------------------------------------------------

#: Of these ulogd takes its own: when it writes, and in its hash when it received the begin (we take the kernel's time).
OWN_TIMES = re.compile(rb'"(timestamp|flow\.start\.usec|flow\.start\.sec)": [^,]+')


def test_ulogd_writes_the_same_lines(tmp_path):
    """Keys, their order, separators, types and values, of the same connections in the same run."""
    ulogd = program("ulogd")
    plugins = [path.parent for path in Path("/usr/lib").glob("**/ulogd/ulogd_output_JSON.so")]
    if not plugins:
        pytest.skip("needs the program ulogd with its JSON output")
    run = sandboxed(sys.executable, str(HERE / "ulogd_beside.py"), str(tmp_path), ulogd, str(plugins[0]))
    assert run.returncode == 0, run.stderr

    def lines(name: str) -> list[tuple[bytes, tuple[int, int]]]:
        """Each line without the times that are ulogd's own, and when its connection began."""
        found = (tmp_path / name).read_bytes().splitlines()
        return sorted((OWN_TIMES.sub(rb'"\1": -', line), began(json.loads(line))) for line in found)

    ours, theirs = lines("ours"), lines("theirs")
    assert len(ours) == 5
    assert [line for line, _ in ours] == [line for line, _ in theirs]
    assert all(mine <= heard for (_, mine), (_, heard) in zip(ours, theirs, strict=True))


def began(row: dict[str, int]) -> tuple[int, int]:
    return row["flow.start.sec"], row["flow.start.usec"]
