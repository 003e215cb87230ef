"""A configuration file: what it says is read, and all that is wrong is told at once, each with its line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from conntap.config import ConfigError, Limit, read_file, read_text
from conntap.config.read import Schemes
from conntap.errors import UsageError

WHOLE = """
filter = "tcp or udp"
bindings = "nat"
interim = "30m"
state = "/var/lib/conntap/state"
sync = "50ms"

[source]
netns = "gateway"
reliable = false
buffer = "64MiB"
settings = "fix"

[[sink]]
target = "parquet:/var/lib/conntap"

[[sink]]
target = "ipfix://192.0.2.9:4739?transport=tcp"
filter = "nat"
fields = ["orig_src", "reply_dst"]
spool = "2GB"
options = { mtu = 1400, nat_events = true }

[privacy]
no_destination = true
truncate_inside = { ipv4 = 24, ipv6 = 56 }

[retention]
flows = "30d"
nat = { age = "180d", size = "10GiB" }
max_bytes = "200GB"
"""


def test_all_that_is_said_is_read():
    config = read_text(WHOLE)
    assert (config.filter, config.bindings, config.interim_seconds) == ("tcp or udp", "nat", 1800)
    assert (config.state, config.sync_ms) == ("/var/lib/conntap/state", 50)
    assert config.source.kind == "kernel"
    assert (config.netns, config.reliable, config.buffer_bytes, config.settings) == ("gateway", False, 64 << 20, "fix")
    first, second = config.sinks
    assert (first.target, first.scheme, first.fields, first.options) == (
        "parquet:/var/lib/conntap",
        "parquet",
        None,
        {},
    )
    assert (second.target, second.filter) == ("ipfix://192.0.2.9:4739", "nat")
    assert second.fields == ("orig_src", "reply_dst")
    assert second.spool_bytes == 2_000_000_000
    assert second.options == {"transport": "tcp", "mtu": "1400", "nat_events": "yes"}
    assert (config.privacy.no_destination, config.privacy.truncate_inside) == (True, (24, 56))
    assert config.retention.flows == Limit(age_seconds=30 * 86400)
    assert config.retention.nat == Limit(age_seconds=180 * 86400, bytes=10 << 30)
    assert config.retention.max_bytes == 200_000_000_000


SINK = '[[sink]]\ntarget = "jsonl:/var/log/flows.jsonl"\n'

#: What is written, and what is told of it.
FAULTS = {
    # unknown keys
    'fliter = ""\n' + SINK: ["f:1: fliter: there is no such key, did you mean 'filter'?"],
    SINK + "bindings = 'all'": ["f:3: sink.bindings: does not go here: write it at the top, above all tables"],
    "netns = 'x'\n" + SINK: ["f:1: netns: does not go here: write it below [source]"],
    "[surce]\n" + SINK: ["f:1: surce: there is no such key, did you mean 'source'?"],
    # kinds of values
    "filter = 3\n" + SINK: ['f:1: filter: is a number, must be a filter in quotes: "tcp and dport 443"'],
    "source = 'kernel'\n" + SINK: ["f:1: source: is a table: write [source], and its keys on the lines below"],
    "[sink]\ntarget = 'csv:-'": ["f:1: sink: is a list of tables: write [[sink]]"],
    "sink = ['csv:-']": ["f:1: sink: is a table: write [[sink]], and its keys on the lines below"],
    "bindings = 'natt'\n" + SINK: ["f:1: bindings: there is no 'natt', did you mean 'nat'?"],
    "interim = 'often'\n" + SINK: ["f:1: interim: 'often' is no duration: say 10s, 500ms, 2m, 1h"],
    "interim = 0\n" + SINK: ["f:1: interim: must be a duration from 1s to 1w, or off"],
    "[source]\nbuffer = '1k'\n" + SINK: ["f:2: source.buffer: must be at least 64KiB"],
    "[source]\nreliable = 'yes'\n" + SINK: ["f:2: source.reliable: is text, must be true or false, without quotes"],
    "state = 'lib'\n" + SINK: [
        "f:1: state: 'lib' is no absolute path: a service starts in /, so begin with /",
    ],
    # filters and fields
    "filter = 'dprot 22'\n" + SINK: ["f:1: filter: unknown word 'dprot', did you mean 'dport'?"],
    "filter = 'new'\n" + SINK: [
        "f:1: filter: records are no events: 'new', 'update' and 'destroy' select nothing here",
    ],
    SINK + "fields = [\n  'orig_src',\n  'org_src',\n]": [
        "f:5: sink.fields: there is no field 'org_src', did you mean 'orig_src'?",
    ],
    SINK + "fields = ['id', 'id']": ["f:3: sink.fields: 'id' is said twice"],
    # targets
    "[[sink]]": ['f:1: sink.target: is missing: say where records go, target = "parquet:/var/lib/conntap"'],
    "[[sink]]\ntarget = 'parqet:/x'": [
        "f:2: sink.target: there is no kind of target 'parqet', did you mean 'parquet'?",
    ],
    "[[sink]]\ntarget = '/var/log'": [
        ("f:2: sink.target: '/var/log' does not say what kind of target it is: begin with parquet:, ipfix:, jsonl:, "
        "csv:, syslog:, null:"),
    ],
    "[[sink]]\ntarget = 'ipfix://'": [
        "f:2: sink.target: 'ipfix://' leads nowhere: say ipfix:/absolute/path or ipfix://host:port",
    ],
    "[[sink]]\ntarget = 'csv:x'": [
        "f:2: sink.target: 'x' is no absolute path: a service starts in /, so say csv:/…/x",
    ],
    "[[sink]]\ntarget = 'csv:-?spool=2M'\nspool = '3M'": [
        "f:2: sink.target: 'spool' is said behind the ? and below: once is enough",
    ],
    SINK + SINK: ["f:4: sink.target: 'jsonl:/var/log/flows.jsonl' is the target of a sink above already"],
    SINK + "options = { a = 1979-05-27 }": ["f:3: sink.options: option 'a' must be text, a number, true or false"],
    # what goes not together
    "": [
        ("f:1: there is no [[sink]], so records would go nowhere: write [[sink]] and "
        'target = "parquet:/var/lib/conntap"'),
    ],
    "[source]\nfiles = ['/a.pcap']\ninterface = 'eth0'\n" + SINK: [
        "f:3: source.interface: goes not with files: a logger has one source",
    ],
    "[source]\nfiles = ['/a.pcap']\nreliable = true\n" + SINK: [
        "f:3: source.reliable: does nothing when the source is files: leave it out",
    ],
    "[source]\nengine = ['--helper', 'ftp']\n" + SINK: [
        "f:2: source.engine: does nothing when the source is the kernel: leave it out",
    ],
    "[source]\ncollect = ['http://x']\n" + SINK: [
        "f:2: source.collect: there is no kind of target 'http': say ipfix:",
    ],
    SINK + "[retention]\nflows = '1d'": [
        "f:3: retention: does nothing without a parquet: sink, which alone keeps records: leave it out",
    ],
    "[[sink]]\ntarget = 'parquet:/x'\n[retention]\nflows = '30d'\ngaps = '7d'": [
        "f:5: retention.gaps: must not be shorter than flows: nothing would prove the rest complete",
    ],
    "[[sink]]\ntarget = 'parquet:/x'\n[retention]\nnat = { agee = '30d' }": [
        "f:4: retention.nat: there is no 'agee' here, did you mean 'age'?",
    ],
    # privacy
    "[privacy]\ntruncate_inside = { ipv4 = 24 }\n" + SINK: [
        "f:2: privacy.truncate_inside: says nothing of ipv6, whose addresses would stay whole: add ipv6 = …",
    ],
    "[privacy]\ntruncate_inside = '24/56'\nhash_key_file = '/key'\n" + SINK: [
        "f:3: privacy.hash_key_file: goes not with truncate_inside: an address is either cut or hashed",
    ],
    "[privacy]\nno_destination = true\n" + SINK + "fields = ['orig_src', 'orig_dst']": [
        "f:5: sink.fields: 'orig_dst' is the destination, which privacy.no_destination leaves out",
    ],
    # no TOML
    "a = 1\nb = \n": ["f:2:5: invalid value"],
    "a = [1,\n": ["f:1: invalid value at the end of the file"],
    "a = 1\na = 2\n": ["f:2:6: cannot overwrite a value"],
}  # fmt: skip


@pytest.mark.parametrize(("text", "told"), FAULTS.items())
def test_what_is_wrong_is_told_with_its_line(text, told):
    with pytest.raises(ConfigError) as caught:
        read_text(text, "f")
    assert [str(fault) for fault in caught.value.faults] == told


def test_all_faults_are_told_at_once_in_order_of_lines():
    text = WHOLE.replace('"nat"', '"nta"').replace('"64MiB"', '"lots"').replace("reply_dst", "rply_dst")
    with pytest.raises(ConfigError) as caught:
        read_text(text, "f")
    assert [(fault.place, fault.key) for fault in caught.value.faults] == [
        ("f:3", "bindings"),
        ("f:11", "source.buffer"),
        ("f:19", "sink.filter"),
        ("f:20", "sink.fields"),
    ]


def test_a_file_that_is_not_there_says_so(tmp_path):
    with pytest.raises(UsageError, match=r"^reading .*none\.toml: No such file or directory$"):
        read_file(tmp_path / "none.toml")


def test_a_file_that_is_no_text_names_the_line(tmp_path):
    (tmp_path / "f").write_bytes(b"filter = ''\n# \xff\n")
    with pytest.raises(ConfigError, match=r"/f:2: this is no UTF-8 text$"):
        read_file(tmp_path / "f")


def test_kinds_of_targets_are_what_the_caller_has():
    own = Schemes(sinks=("kafka",), sources=("sflow",))
    text = "[source]\ncollect = ['sflow://[::]:6343']\n[[sink]]\ntarget = 'kafka://broker/flows'"
    assert read_text(text, schemes=own).sinks[0].target == "kafka://broker/flows"
    assert read_text(text, schemes=own).source.kind == "collect"
    with pytest.raises(ConfigError):
        read_text(text)


def documented() -> list[tuple[str, str]]:
    """Blocks of TOML in the documents, each a whole file."""
    docs = Path(__file__).resolve().parents[3] / "docs"
    return [
        (f"{name}:{index}", block)
        for name in ("log-config.md", "recipes.md")
        for index, block in enumerate(
            re.findall(r"^```toml\n(.*?)^```", (docs / name).read_text(), re.DOTALL | re.MULTILINE)
        )
    ]


@pytest.mark.parametrize(("name", "text"), documented())
def test_what_the_documents_show_can_be_used(name, text):
    assert read_text(text, name).sinks


def test_the_documents_show_something():
    assert len(documented()) >= 4
