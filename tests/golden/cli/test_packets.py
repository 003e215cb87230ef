"""What `replay`, `list` and `expect` say of packets, and of what is wrong with them: byte for byte, no kernel.

`UPDATE_GOLDEN=1 pytest tests/golden/cli` writes the files anew; read the difference before committing it.
"""

from __future__ import annotations

import gzip
import json
import shlex
from typing import TYPE_CHECKING

import pytest
import zstandard

from contract.packets import Frame, frames_of, pcap_of
from golden.cli.running import call
from golden.cli.stage import DATA, SAMPLES, SERVICES, play, transcript
from golden.cli.test_output import EXPECTED, compare

if TYPE_CHECKING:
    from pathlib import Path

PCAP = DATA / "pcap"

RULESET = {
    "nftables": [
        {"ct helper": {"family": "inet", "table": "t", "name": "f", "type": "ftp", "protocol": "tcp"}},
        {
            "chain": {
                "family": "inet",
                "table": "t",
                "name": "pre",
                "type": "filter",
                "hook": "prerouting",
                "prio": 0,
                "policy": "accept",
            }
        },
        {
            "rule": {
                "family": "inet",
                "table": "t",
                "chain": "pre",
                "handle": 4,
                "expr": [
                    {"match": {"op": "==", "left": {"meta": {"key": "iifname"}}, "right": "lan"}},
                    {"match": {"op": "==", "left": {"payload": {"protocol": "tcp", "field": "dport"}}, "right": 21}},
                    {"ct helper": "f"},
                ],
            }
        },
    ]
}
SYSCTLS = """\
net.ipv4.ip_forward = 1
net.netfilter.nf_conntrack_acct = 0
net.netfilter.nf_conntrack_dccp_loose = 1
net.netfilter.nf_conntrack_tcp_timeout_time_wait = 7
net.netfilter.nf_conntrack_timestamp = 0
"""

# Name → the command line, as a shell splits it; words with @ are samples or files of `workplace`.
# A name ending in `*` is played at 80 and 120 columns and piped.
CASES = {
    "replay-ftp*": "replay @ftp_active --helper ftp --utc",
    "replay-without-helper": "replay @ftp_active --utc",
    "replay-json": "replay @nat_ftp_active --helper ftp --masquerade 10.0.2.1 --json",
    "replay-conntrack": "replay @nat_ftp_active --helper ftp --masquerade 10.0.2.1 --format conntrack",
    "replay-xml": "replay @tftp --auto-helpers --format xml",
    "replay-filter": "replay @ftp_active --helper ftp --utc expectation or helper ftp",
    "replay-count": "replay @ftp_active --utc --count 3",
    "replay-drain": "replay @udp_stream --utc --drain",
    "replay-nothing": "replay @ftp_active --utc udp",
    "replay-several": "replay @tcp_basic @udp_stream --utc",
    "replay-gz": "replay @gz --utc",
    "replay-zst": "replay @zst --utc",
    "replay-empty": "replay @empty-capture",
    "replay-masquerade": "replay @nat_ftp_active --helper ftp --masquerade 10.0.2.1 --utc",
    "replay-snat": "replay @tcp_basic --utc --snat 'src 10.0.1.0/24 to 203.0.113.1-203.0.113.9:1024-65535 persistent'",
    "replay-dnat": "replay @nat_dnat_udp --utc --dnat 'udp and dport 53 to 10.0.2.2:5353'",
    "replay-redirect": "replay @udp_stream --utc --redirect 'udp and dport 53 to 10.0.1.1:5353'",
    "replay-sysctl": "replay @tcp_invalid --utc --sysctl nf_conntrack_tcp_be_liberal=1",
    "replay-sysctl-file": "replay @tcp_basic --utc --drain --sysctl @sysctls destroy",
    "replay-no-checksum": "replay @udp_corner --utc --no-checksum",
    "replay-helper-option": "replay @irc_dcc --utc --helper irc --helper-option irc.dcc_timeout=600 expectation",
    "replay-helpers-from": "replay @ftp_active --utc --helpers-from @ruleset expectation",
    "replay-local": "replay @udp_stream --utc --local 10.0.1.1/24",
    "replay-cut": "replay @cut --utc",
    "replay-cut-gz": "replay @cut-gz --utc",
    "replay-snap-headers": "replay @snap-headers --utc",
    "replay-snap-payload": "replay @snap-payload --utc",
    "replay-backwards": "replay @backwards --utc",
    "list*": "list @ftp_active --helper ftp",
    "list-json": "list @ftp_active --helper ftp --json",
    "list-conntrack": "list @ftp_active --helper ftp --format conntrack",
    "list-several": "list @tcp_basic @udp_stream",
    "list-filter": "list @ftp_active --helper ftp state time_wait",
    "list-sort": "list @ftp_active --helper ftp --sort bytes --top 2",
    "list-top": "list @ftp_active --top 1",
    "list-none": "list @ftp_active sctp",
    "list-cut": "list @cut",
    "list-snap": "list @snap-headers",
    "expect*": "expect @irc_dcc --auto-helpers",
    "expect-json": "expect @irc_dcc --auto-helpers --json",
    "expect-none": "expect @ftp_active --helper ftp",
    "expect-filter": "expect @irc_dcc --auto-helpers dport 1",
    # errors
    "error-image": "replay holiday.jpg",
    "error-image-list": "list ./holiday.jpg",
    "error-missing": "list nosuch.pcap",
    "error-missing-second": "replay @tcp_basic nosuch.pcap.gz",
    "error-missing-expect": "expect nosuch.pcapng",
    "error-recording-list": "list @recording",
    "error-recording-helper": "replay @recording --helper ftp",
    "error-recording-drain": "replay @recording --drain",
    "error-recording-packets": "replay @recording -w out.pcap",
    "error-recording-among": "replay @tcp_basic @recording",
    "error-stdin-twice": "replay - -",
    "error-filter": "list @tcp_basic tcp and dprot 80",
    "error-list-events": "list @tcp_basic new",
    "error-helper": "replay @tcp_basic --helper nonsense",
    "error-helper-near": "replay @tcp_basic --helper fpt",
    "error-helper-port": "replay @tcp_basic --helper ftp=tcp/99999",
    "error-helper-protocol": "replay @tcp_basic --helper ftp=udp/21",
    "error-helpers-from": "replay @tcp_basic --helpers-from holiday.jpg",
    "error-helpers-from-missing": "replay @tcp_basic --helpers-from nosuch.json",
    "error-helper-option": "replay @tcp_basic --helper-option dcc_timeout=600",
    "error-helper-option-name": "replay @tcp_basic --helper-option irc.dcc_timeuot=600",
    "error-sysctl-name": "replay @tcp_basic --sysctl nf_conntrack_tcp_lose=0",
    "error-sysctl-value": "replay @tcp_basic --sysctl nf_conntrack_tcp_loose=maybe",
    "error-sysctl-range": "replay @tcp_basic --sysctl nf_conntrack_acct=7",
    "error-sysctl-file": "replay @tcp_basic --sysctl holiday.jpg",
    "error-sysctl-missing": "replay @tcp_basic --sysctl nosuch.txt",
    "error-snat": "replay @tcp_basic --snat 203.0.113.1",
    "error-snat-filter": "replay @tcp_basic --snat 'dprot 80 to 203.0.113.1'",
    "error-dnat-port": "replay @tcp_basic --dnat 'to 10.0.0.1:70000'",
    "error-redirect": "replay @tcp_basic --redirect 'dport 53 to :5353'",
    "error-masquerade": "replay @tcp_basic --masquerade eth0",
    "error-local": "replay @tcp_basic --local eth0",
    "error-packets-stdout": "replay @tcp_basic -w -",
    "error-packets-exists": "replay @tcp_basic -w holiday.jpg",
    "error-packets-input": "replay ./copy.pcap -w copy.pcap --overwrite",
    "error-packets-link": "replay @copy -w link.pcap --overwrite",
    "error-write-input": "replay ./copy.pcap --write copy.pcap --overwrite",
    "error-packets-write": "replay @tcp_basic -w out --write ./out",
    "error-list-netns": "list @tcp_basic --netns x",
    "error-list-zero": "list @tcp_basic --zero",
    "error-list-kernel": "list --helper ftp",
    "error-expect-kernel": "expect --sysctl nf_conntrack_acct=1",
    "error-expect-watch": "expect @irc_dcc --watch",
    "error-expect-count": "expect @irc_dcc --count 3",
    "error-watch-kernel": "watch --auto-helpers",
    "error-watch-promiscuous": "watch --promiscuous",
    "error-watch-reliable": "watch -i lo --reliable",
    "error-watch-buffer": "watch -i lo --buffer 1M",
    "error-watch-filter": "watch -i lo tcp and dprot 22",
    "error-watch-any": "watch -i any --promiscuous",
}


@pytest.fixture(autouse=True)
def workplace(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, str]:
    """Files that are there and at fault; gives their names by what stands for them."""
    from conntap.cli import output

    monkeypatch.setattr(output, "service_names", lambda: SERVICES)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path)
    plain = (PCAP / "ftp_active.pcap").read_bytes()
    frames = frames_of("tcp_basic")
    files = {
        "@gz": ("ftp.pcap.gz", gzip.compress(plain, mtime=0)),
        "@zst": ("ftp.pcap.zst", zstandard.compress(plain)),
        "@cut": ("cut.pcap", plain[:1000]),
        "@cut-gz": ("cut.pcap.gz", gzip.compress(plain, mtime=0)[:700]),
        "@snap-headers": ("snap34.pcap", snapped(frames, 34)),
        "@snap-payload": ("snap74.pcap", snapped(frames, 74)),
        "@backwards": ("backwards.pcap", pcap_of([*frames[:3], frames[4], frames[3], *frames[5:]])),
        "@empty-capture": ("empty.pcap", pcap_of([])),
        "@sysctls": ("sysctls.txt", SYSCTLS.encode()),
        "@ruleset": ("ruleset.json", json.dumps(RULESET).encode()),
        "": ("holiday.jpg", b"\xff\xd8\xff\xe0 a picture"),
        "@copy": ("copy.pcap", plain),
    }
    for name, content in files.values():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "link.pcap").hardlink_to(tmp_path / "copy.pcap")
    return {place: name for place, (name, _) in files.items()} | {"@recording": str(SAMPLES)}


def snapped(frames: list[Frame], length: int) -> bytes:
    """A capture with a snap length: each frame cut, its own length told."""
    whole = pcap_of(frames)
    out, at = whole[:24], 24
    for frame in frames:
        head = whole[at : at + 16]
        kept = frame.data[:length]
        out += head[:8] + len(kept).to_bytes(4, "little") + head[12:] + kept
        at += 16 + len(frame.data)
    return out


def words_of(line: str, workplace: dict[str, str]) -> list[str]:
    def place(word: str) -> str:
        return workplace.get(word) or str(PCAP / f"{word[1:]}.pcap") if word.startswith("@") else word

    return [place(word) for word in shlex.split(line)]


def modes() -> list[tuple[str, str, int]]:
    """(file name, command line, columns)."""
    widths = (("-80", 80), ("-120", 120), ("-piped", 0))
    return [
        (f"{name.rstrip('*')}{suffix}", line, width)
        for name, line in CASES.items()
        for suffix, width in (widths if name.endswith("*") else [("", 0)])
    ]


@pytest.mark.parametrize(("name", "line", "width"), modes(), ids=lambda value: value if isinstance(value, str) else "")
def test_output(name: str, line: str, width: int, workplace: dict[str, str], tmp_path: Path) -> None:
    played = play(words_of(line, workplace), width=width)
    compare(f"packets/{name}", transcript(played, f"conntap {line}".replace("@", "")))
    if name.startswith("error-"):
        assert (played.out, played.status) == ("", 2)
        assert not [path for path in tmp_path.glob("out*") if path.stat().st_size], "nothing half done"


def test_every_golden_file_has_its_case() -> None:
    assert {path.stem for path in (EXPECTED / "packets").glob("*.txt")} == {name for name, _, _ in modes()}


@pytest.mark.parametrize("style", ["human", "json", "conntrack", "xml"])
def test_a_format_writes_packets_as_it_writes_a_recording_of_their_events(
    style: str, workplace: dict[str, str]
) -> None:
    line = words_of("replay @nat_ftp_active --helper ftp --masquerade 10.0.2.1 --drain", workplace)
    assert play([*line, "--write", "events.pcapng"]).status == 0
    packets = play([*line, "--utc", "--format", style])
    events = play(["replay", "events.pcapng", "--utc", "--format", style])
    assert packets.out == events.out != ""


@pytest.mark.parametrize("name", ["out.pcap", "out.pcapng"])
def test_packets_that_were_written_read_back_as_the_outside_saw_them(name: str, workplace: dict[str, str]) -> None:
    line = words_of("replay @tcp_basic --utc --masquerade 203.0.113.1", workplace)
    inside = play([*line, "-w", name])
    assert inside.status == 0
    assert inside.out == play(line).out, "writing packets changes no row"
    refused = play([*line, "-w", name])
    assert refused.err.startswith(f"conntap: {name} exists\nhint: choose another name, or --overwrite\n")
    assert play([*line, "-w", name, "--overwrite"]).status == 0
    outside = play(["list", name, "--json"])
    row = json.loads(outside.out.splitlines()[0])
    assert (row["orig_src"], row["orig_dst"]) == ("203.0.113.1", "10.0.2.2")


def test_standard_input_is_read_by_each(workplace: dict[str, str]) -> None:
    for command in ("replay", "list", "expect"):
        path = PCAP / "irc_dcc.pcap"
        with path.open("rb") as file:
            piped = call(command, "-", "--auto-helpers", "--json", stdin=file)
        named = call(command, str(path), "--auto-helpers", "--json")
        assert (piped.stdout, piped.returncode) == (named.stdout, 0)
        assert piped.stdout


def test_standard_input_may_be_compressed() -> None:
    plain = (PCAP / "tcp_basic.pcap").read_bytes()
    wanted = call("replay", str(PCAP / "tcp_basic.pcap"), "--json").stdout
    for pack in (gzip.compress, zstandard.compress):
        packed = call("replay", "-", "--json", input=pack(plain), text=False)
        assert packed.stdout.decode() == wanted


def test_summary_of_packets_holds_every_counter(workplace: dict[str, str], tmp_path: Path) -> None:
    play(words_of("replay @tcp_invalid --summary sums.json tcp", workplace))
    sums = json.loads((tmp_path / "sums.json").read_text())
    assert (sums["ended_by"], sums["rows"]) == ("end", sum(sums["kinds"].values()))
    counters = sums["counters"]
    assert counters["frames"] == counters["packets"] > counters["invalid"] > 0
    assert {"lost", "cut", "packet_not_ip", "time_backwards", "table_full", "capture_truncated"} <= set(counters)


def test_a_file_is_told_from_the_filter_behind_it(workplace: dict[str, str], tmp_path: Path) -> None:
    """By its name, also where it is missing, or as a path that is there; a filter word never is one."""
    from conntap.cli.engine import files_and_filter

    (tmp_path / "tcp").write_bytes(b"a file with the name of a word")
    assert files_and_filter(("tcp", "and", "udp")) == ([], "tcp and udp")
    assert files_and_filter(("a.pcap", "b.PCAPNG.gz", "tcp", "c.cap")) == (["a.pcap", "b.PCAPNG.gz"], "tcp c.cap")
    assert files_and_filter(("./tcp", "tcp")) == (["./tcp"], "tcp")
    assert files_and_filter(("-", "src", "10.0.0.0/8")) == (["-"], "src 10.0.0.0/8")
    assert files_and_filter(("tcp", "udp"), first=True) == (["tcp"], "udp")


def test_both_sides_of_a_gateway_are_told_as_one(tmp_path: Path) -> None:
    """What came in and what left are two captures of the same packets: each connection is there once, with its NAT."""
    from scapy.layers.inet import IP, UDP
    from scapy.utils import wrpcap

    ask, answer = (
        UDP(sport=5000, dport=53) / b"a long enough question",
        UDP(sport=53, dport=5000) / b"a long enough answer",
    )
    client, gateway, server = "10.0.0.5", "203.0.113.1", "198.51.100.9"

    def side(name: str, inner: str, ttl: int, times: tuple[float, float]) -> str:
        packets = [
            IP(src=inner, dst=server, ttl=64 - ttl, id=7) / ask,
            IP(src=server, dst=inner, ttl=56 + ttl, id=8) / answer,
        ]
        for one, at in zip(packets, times, strict=True):
            one.time = at
        wrpcap(str(tmp_path / name), packets)
        return str(tmp_path / name)

    inside = side("inside.pcap", client, 0, (1.0, 1.5))
    outside = side("outside.pcap", gateway, 1, (1.001, 1.499))
    done = call("replay", inside, outside, "--both-sides", "--json")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(row["kind"], row["orig_src"], row["reply_dst"]) for row in rows] == [
        ("NEW", client, gateway),
        ("UPDATE", client, gateway),
    ]
    assert f"seen: udp {client}:5000 leaves as {gateway}:5000 towards {server}:53" in done.stderr
    assert "connections seen on both sides: 1 translated, 0 not" in done.stderr
