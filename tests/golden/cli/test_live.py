"""Commands as processes on the real kernel: how they begin, stop, lose and report."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import shutil
import signal
import struct
import subprocess
import termios
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from conftest import udp
from golden.cli.running import COMMAND, Running, call, listeners
from golden.cli.stage import FTP, SAMPLES, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from conntap import Conntrack

pytestmark = pytest.mark.lab

STREAMS = {
    "watch": ("watch",),
    "watch-json": ("watch", "--json"),
    "watch-xml": ("watch", "--format", "xml"),
    "watch-reliable": ("watch", "--reliable"),
    "watch-names": ("watch", "--names"),
    "record": ("record", "-"),
}


@pytest.fixture
def start(netns: int, tmp_path: Path, request: pytest.FixtureRequest) -> Callable[..., Running]:
    """Start a command in the namespace; it ends with the test at the latest."""

    def begin(*words: str, **options: object) -> Running:
        folder = tmp_path / f"{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        running = Running(netns, folder, *words, **options)
        request.addfinalizer(lambda: running.__exit__())
        return running

    return begin


def rows_in(output: bytes) -> int:
    """Rows that are there in whole: lines, XML elements, or packets of a recording (two tuples from one address)."""
    if output.startswith(b"\x0a\x0d\x0d\x0a"):
        return output.count(bytes([192, 0, 2, 1])) // 2
    return output.count(b"</flow>") if output.startswith(b"<?xml") else output.count(b"\n")


class TestEnd:
    """However a stream ends: status 0, nothing hangs, the sums are told."""

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
    @pytest.mark.parametrize("words", STREAMS.values(), ids=STREAMS)
    def test_a_signal_ends_it_with_the_sums(self, start, ct: Conntrack, words, number) -> None:
        running = start(*words).listening()
        for port in range(1, 4):
            ct.create(**udp(port))
        wait_for(lambda: rows_in(running.out_path.read_bytes()) == 3, "rows on stdout")
        running.signal(number)
        assert running.ended() == 0
        assert re.fullmatch(r"3 events in \d+ s: 3 new · nothing lost\n", running.err)
        sums = running.sums
        assert (sums["ended_by"], sums["rows"], sums["kinds"]) == ("signal", 3, {"NEW": 3})
        assert sums["counters"]["rows"] == sums["counters"]["received"] == 3
        assert sums["counters"]["lost"] == 0

    @pytest.mark.parametrize("words", [*STREAMS.values(), ("expect", "--watch")], ids=[*STREAMS, "expect"])
    def test_a_quiet_stream_ends_too(self, start, words) -> None:
        running = start(*words).listening()
        running.signal(signal.SIGINT)
        assert running.ended() == 0
        assert re.fullmatch(r"0 events in \d+ s · nothing lost\n", running.err)
        assert running.sums["ended_by"] == "signal"

    def test_xml_is_closed(self, start, ct) -> None:
        running = start("watch", "--format", "xml").listening()
        ct.create(**udp(1))
        running.wrote("</flow>")
        running.signal(signal.SIGTERM)
        assert running.ended() == 0
        assert len(ET.fromstring(running.out)) == 1

    def test_a_signal_that_the_parent_ignores_stays_ignored(self, netns, tmp_path, ct) -> None:
        before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
        try:
            running = Running(netns, tmp_path, "watch")
        finally:
            signal.signal(signal.SIGHUP, before)
        with running:
            running.listening().signal(signal.SIGHUP)
            ct.create(**udp(1))
            running.wrote(":53")
            running.signal(signal.SIGINT)
            assert running.ended() == 0

    def test_count_is_exact_in_a_burst(self, start, ct) -> None:
        running = start("watch", "--json", "--count", "7").listening()
        for port in range(1, 51):
            ct.create(**udp(port))
        assert running.ended() == 0
        ports = [json.loads(line)["orig_sport"] for line in running.out.splitlines()]
        assert ports == [1, 2, 3, 4, 5, 6, 7]
        assert (running.sums["rows"], running.sums["ended_by"]) == (7, "count")

    def test_duration_ends_a_quiet_stream(self, start) -> None:
        running = start("watch", "--duration", "300ms")
        assert running.ended() == 0
        assert running.sums["ended_by"] == "duration"
        assert 0.3 <= running.sums["seconds"] < 5

    def test_a_reader_that_has_enough_is_no_error(self, start, ct) -> None:
        with subprocess.Popen(["head", "-1"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as head:
            running = start("watch", "--json", stdout=head.stdin)
            head.stdin.close()
            running.listening()
            ct.create(**udp(1))
            assert json.loads(head.stdout.readline())["orig_sport"] == 1
        # No event comes any more: the closed pipe is noticed all the same.
        assert running.ended() == 0
        assert running.err == ""
        assert running.sums["ended_by"] == "pipe"

    def test_a_burst_into_a_closed_pipe_is_no_error(self, start, ct) -> None:
        read, write = os.pipe()
        running = start("watch", stdout=write)
        os.close(write)
        running.listening()
        os.close(read)
        for port in range(1, 200):
            ct.create(**udp(port))
        assert running.ended() == 0
        assert running.err == ""
        assert running.sums["ended_by"] == "pipe"

    @pytest.mark.parametrize("signals", [1, 2])
    def test_a_reader_that_stands_still_holds_nobody(self, start, ct, signals) -> None:
        read, write = os.pipe()
        fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, 4096)
        running = start("watch", "--json", stdout=write)
        running.listening()
        os.close(write)
        for port in range(1, 60):
            ct.create(**udp(port))
        wait_for(lambda: "pipe_write" in state(running.process.pid), "a write that waits")
        for _ in range(signals):
            running.signal(signal.SIGINT)
        try:
            assert running.ended() == 0
        finally:
            os.close(read)
        assert running.sums["ended_by"] == "signal"
        assert running.err.startswith(f"{running.sums['rows']} events in")

    def test_a_full_disk_is_told(self) -> None:
        with open("/dev/full", "wb") as full:
            done = subprocess.run(
                [*COMMAND, "replay", str(FTP)], stdout=full, stderr=subprocess.PIPE, text=True, timeout=30
            )
        assert done.returncode == 1
        assert "No space left on device" in done.stderr
        assert "Traceback" not in done.stderr
        assert "Exception ignored" not in done.stderr

    def test_killed_it_leaves_no_socket_and_a_recording_that_reads(self, start, ct, netns, tmp_path) -> None:
        path = tmp_path / "killed.pcapng"
        running = start("record", str(path)).listening()
        ct.create(**udp(1))
        wait_for(lambda: path.exists() and rows_in(path.read_bytes()) == 1, "the row in the file")
        running.signal(signal.SIGKILL)
        assert running.ended() == -signal.SIGKILL
        wait_for(lambda: listeners(netns) == 0, "the socket to go")
        done = call("replay", str(path), "--json")
        assert done.returncode == 0
        assert [json.loads(line)["orig_sport"] for line in done.stdout.splitlines()] == [1]


def state(pid: int) -> str:
    """What a process waits for in the kernel; empty where that is not told."""
    return Path(f"/proc/{pid}/wchan").read_text()


class TestLoss:
    def test_an_overrun_is_a_line_and_in_the_sums(self, start, ct) -> None:
        running = start("watch", "--json", "--buffer", "4k").listening()
        running.signal(signal.SIGSTOP)
        for port in range(1, 301):
            ct.create(**udp(port))
        running.signal(signal.SIGCONT)
        running.wrote('"kind":"GAP"')
        ct.create(**udp(999))
        running.wrote('"orig_sport":999,')
        running.signal(signal.SIGINT)
        assert running.ended() == 0
        rows = [json.loads(line) for line in running.out.splitlines()]
        lost = sum(row["lost"] for row in rows if row["kind"] == "GAP")
        sums = running.sums
        assert lost == sums["counters"]["lost"] > 0
        assert sums["kinds"]["NEW"] + lost == 301
        assert sums["counters"]["gaps"] == sums["kinds"]["GAP"] >= 1
        assert running.err.endswith(f" · lost {lost:,}\n")
        assert running.err.startswith(f"{sums['kinds']['NEW']} events in ")

    def test_count_counts_events_and_not_gaps(self, start, ct) -> None:
        running = start("watch", "--json", "--buffer", "4k", "--count", "20").listening()
        running.signal(signal.SIGSTOP)
        for port in range(1, 101):
            ct.create(**udp(port))
        running.signal(signal.SIGCONT)
        running.wrote('"kind":"GAP"')
        ports = iter(range(201, 60_000))
        wait_for(lambda: ct.create(**udp(next(ports))) or running.process.poll() is not None, "twenty events")
        assert running.ended() == 0
        kinds = running.sums["kinds"]
        assert kinds["NEW"] == 20
        assert kinds["GAP"] >= 1

    def test_reliable_loses_no_end(self, start, ct) -> None:
        running = start("watch", "--json", "--reliable", "--buffer", "4k", "destroy").listening()
        for port in range(1, 201):
            ct.create(**udp(port))
        running.signal(signal.SIGSTOP)
        deleted = ct.delete("udp")
        running.signal(signal.SIGCONT)
        assert deleted == 200
        wait_for(lambda: running.out.count('"kind":"DESTROY"') == 200, "every DESTROY")
        running.signal(signal.SIGINT)
        assert running.ended() == 0
        rows = [json.loads(line) for line in running.out.splitlines()]
        assert {row["orig_sport"] for row in rows if row["kind"] == "DESTROY"} == set(range(1, 201))
        assert ct.count() == 0
        assert "(ends came again, changes merged into later events)" in running.err


class TestRecord:
    def test_recording_replays_to_what_was_watched(self, start, ct, tmp_path) -> None:
        path = tmp_path / "r.pcapng"
        watch = start("watch", "--format", "conntrack").listening()
        record = start("record", str(path))
        wait_for(lambda: listeners(record.netns) == 2, "the second subscription")
        for port in range(1, 21):
            ct.create(**udp(port))
        ct.update("sport 1-5", mark=7)
        ct.delete("sport 6-20")
        wait_for(lambda: watch.out.count("\n") == 40, "all lines")
        wait_for(lambda: rows_in(path.read_bytes()) == 40, "all rows in the file")
        for running in (watch, record):
            running.signal(signal.SIGINT)
            assert running.ended() == 0
        replayed = call("replay", str(path), "--format", "conntrack")
        assert replayed.stdout == watch.out
        assert record.err.startswith(f"recording to {path}; ctrl+c ends it\n40 events in ")
        again = tmp_path / "again.pcapng"
        call("replay", str(path), "--write", str(again))
        assert call("replay", str(again), "--json").stdout == call("replay", str(path), "--json").stdout != ""

    def test_a_file_that_exists_is_left_alone(self, start, tmp_path) -> None:
        path = tmp_path / "mine"
        path.write_text("precious")
        running = start("record", str(path))
        assert running.ended() == 2
        assert "exists\nhint: choose another name, or --overwrite\n" in running.err
        assert path.read_text() == "precious"
        assert running.sums["ended_by"] == "error"

    def test_table_comes_first(self, start, ct, tmp_path) -> None:
        ct.create(**udp(1))
        path = tmp_path / "t.pcapng"
        running = start("record", str(path), "--table").listening()
        wait_for(lambda: path.exists() and rows_in(path.read_bytes()) == 1, "the row of the table")
        ct.create(**udp(2))
        wait_for(lambda: rows_in(path.read_bytes()) == 2, "both rows")
        running.signal(signal.SIGINT)
        assert running.ended() == 0
        rows = [json.loads(line) for line in call("replay", str(path), "--json").stdout.splitlines()]
        assert [(row["kind"], row["orig_sport"]) for row in rows] == [("ENTRY", 1), ("NEW", 2)]


class TestTables:
    def test_list_count_stats_and_delete(self, ct, netns) -> None:
        for port in range(1, 11):
            ct.create(**udp(port, mark=port))
        where = ("--netns", f"/proc/{netns}/ns/net")
        listed = call("list", "--json", "sport 1-4", *where)
        assert {json.loads(line)["mark"] for line in listed.stdout.splitlines()} == {1, 2, 3, 4}
        assert re.fullmatch(r"4 of 10 entries \(table 0 % of [\d,]+\)\n", listed.stderr)
        top = call("list", "--json", "--sort", "timeout", "--top", "3", *where)
        assert top.stdout.count("\n") == 3
        assert call("count", *where).stdout == "10\n"
        assert call("count", "mark 3-5", *where).stdout == "3\n"
        assert "entries                  10  of" in call("stats", *where).stdout
        dry = call("delete", "--dry-run", "mark 1", *where)
        assert (dry.returncode, dry.stderr) == (0, "1 would be deleted\n")
        gone = call("delete", "mark 1,2", *where)
        assert (gone.returncode, gone.stdout, gone.stderr) == (0, "", "2 deleted\n")
        assert call("delete", "mark 1,2", *where).returncode == 1
        assert call("delete", "--limit", "3", "udp", *where).stderr == "3 deleted\n"
        assert call("delete", "--all", *where).stderr == "5 deleted\n"
        assert call("count", *where).stdout == "0\n"

    def test_list_into_a_closed_pipe_is_quiet(self, ct, netns) -> None:
        for port in range(1, 1500):
            ct.create(**udp(port))
        command = [*COMMAND, "list", "--json", "--netns", str(netns)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as listing:
            listing.stdout.readline()
            listing.stdout.close()
            assert listing.wait(30) == 0
            assert listing.stderr.read() == b""


class TestRefusals:
    """Nothing half done, one line and what to do."""

    LINES = ("watch", "list", "expect", "count", "stats", "delete --all", "record r.pcapng", "expect --watch")

    @pytest.mark.parametrize("line", LINES)
    def test_without_privilege(self, line, tmp_path) -> None:
        unshare = shutil.which("unshare") or pytest.skip("needs the program unshare")
        done = call(*line.split(), under=(unshare, "-U"), cwd=tmp_path)
        assert (done.returncode, done.stdout) == (1, "")
        first, second = done.stderr.splitlines()
        assert re.fullmatch(r"conntap: [a-z' ]+: needs CAP_NET_ADMIN in this network namespace", first)
        assert second == "hint: run it with sudo, or give this program alone the right: docs/privileges.md"
        assert not list(tmp_path.iterdir())

    @pytest.mark.parametrize("name", ["nosuch", "4194303", "/nonexistent/net"])
    def test_without_the_namespace(self, name) -> None:
        done = call("list", "--netns", name)
        assert (done.returncode, done.stdout) == (1, "")
        assert name in done.stderr.splitlines()[0]
        assert "Traceback" not in done.stderr


class Terminal:
    """A pseudo terminal with a command in it, as a person has it."""

    def __init__(self, netns: int, *words: str) -> None:
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ.pop("NO_COLOR", None)
            os.execvpe(COMMAND[0], [*COMMAND, *words, "--netns", str(netns)], {**os.environ, "TERM": "xterm"})
        os.set_blocking(self.fd, False)
        self.resize(100)
        self.text = ""

    def resize(self, columns: int) -> None:
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))

    def shows(self, text: str) -> None:
        def look() -> bool:
            try:
                self.text += os.read(self.fd, 65536).decode(errors="replace")
            except BlockingIOError:
                pass
            except OSError:  # the other side is closed
                return True
            return text in self.text

        wait_for(look, f"'{text}' on the terminal")
        assert text in self.text

    def status(self) -> int:
        def look() -> tuple[int, int] | None:
            ended = os.waitpid(self.pid, os.WNOHANG)
            return ended if ended[0] else None

        return os.waitstatus_to_exitcode(wait_for(look, "the end")[1])


class TestTerminal:
    def test_a_person_sees_colours_the_note_and_the_sums(self, netns, ct) -> None:
        ct.create(**udp(1))
        terminal = Terminal(netns, "watch")
        wait_for(lambda: listeners(netns), "the subscription")
        for columns in (40, 200, 1, 100):
            terminal.resize(columns)  # SIGWINCH
        ct.create(**udp(2))
        terminal.shows("192.0.2.1:2 ")
        before = termios.tcgetattr(terminal.fd)
        os.write(terminal.fd, b"\x03")
        terminal.shows("nothing lost")
        assert termios.tcgetattr(terminal.fd) == before
        assert terminal.status() == 0
        os.close(terminal.fd)
        assert "\x1b[32m+\x1b[0m" in terminal.text
        assert "1 event in" in terminal.text

    def test_a_closed_terminal_ends_it(self, netns, ct, tmp_path) -> None:
        sums = tmp_path / "sums.json"
        terminal = Terminal(netns, "watch", "--summary", str(sums))
        wait_for(lambda: listeners(netns), "the subscription")
        ct.create(**udp(2))
        terminal.shows("192.0.2.1:2 ")
        os.close(terminal.fd)
        assert terminal.status() == 0
        assert json.loads(sums.read_text())["ended_by"] in {"signal", "pipe"}
        assert listeners(netns) == 0


def test_replay_of_a_pipe(tmp_path) -> None:
    with SAMPLES.open("rb") as file:
        done = call("replay", "-", "--json", "--count", "3", stdin=file)
    assert (done.returncode, done.stdout.count("\n")) == (0, 3)
