"""A command line and a file that say the same become the same."""

from __future__ import annotations

import os

import pytest

from conntap.config import ConfigError, from_options, read_text


def test_both_ways_meet():
    said = from_options(
        to=["parquet:/var/lib/conntap", "ipfix://c:4739?filter=nat&fields=orig_src,reply_dst&spool=2G&transport=tcp"],
        filter="tcp",
        bindings="nat",
        interim=1800.0,
        sync="50ms",
        netns="gateway",
        reliable=False,
        buffer=64 << 20,
        settings="fix",
        no_destination=True,
        truncate_inside="24/56",
        keep=["flows=30d", "all=200GB"],
    )
    written = read_text("""
        filter = "tcp"
        bindings = "nat"
        interim = "30m"
        sync = "50ms"
        source = { netns = "gateway", reliable = false, buffer = "64MiB", settings = "fix" }
        privacy = { no_destination = true, truncate_inside = { ipv4 = 24, ipv6 = 56 } }
        retention = { flows = "30d", max_bytes = "200GB" }
        [[sink]]
        target = "parquet:/var/lib/conntap"
        [[sink]]
        target = "ipfix://c:4739?transport=tcp"
        filter = "nat"
        fields = ["orig_src", "reply_dst"]
        spool = "2GiB"
    """)
    assert said == written


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({}, "kernel"),
        ({"files": ["a.pcap"]}, "files"),
        ({"interface": "eth0", "engine": ["--helper", "ftp"]}, "interface"),
        ({"collect": ["ipfix://[::]:4739"]}, "collect"),
    ],
)
def test_sources(options, kind):
    assert from_options(to=["csv:-"], **options).source.kind == kind


def test_paths_may_be_relative_where_a_person_types_them():
    said = from_options(to=["parquet:ledger?compress=9", "jsonl:-"], files=["a.pcap", "-"], state="s")
    assert [sink.target for sink in said.sinks] == [f"parquet:{os.getcwd()}/ledger", "jsonl:-"]
    assert said.sinks[0].options == {"compress": "9"}
    assert said.source.files == (f"{os.getcwd()}/a.pcap", "-")
    assert said.state == f"{os.getcwd()}/s"


def test_faults_name_the_option():
    with pytest.raises(ConfigError) as caught:
        from_options(
            to=["parqet:/x", "csv:-?spool=2", "jsonl:/x?fields=orig_sr", "ipfix://a:1?mtu=1&mtu=2"],
            filter="dprot 22",
            truncate_inside="wide",
            keep=["flow=3d", "nat=1"],
            files=["a"],
            netns="x",
        )
    assert [str(fault) for fault in caught.value.faults] == [
        "FILTER: unknown word 'dprot', did you mean 'dport'?",
        '--truncate-inside: is text, must be { ipv4 = 24, ipv6 = 56 } or "24/56"',
        "--keep: flow: there is no such key, did you mean 'flows'?",
        "--keep: nat: must be a duration from 1h to 3653d",
        "--to parqet:/x: there is no kind of target 'parqet', did you mean 'parquet'?",
        "--to csv:-?spool=2: spool: must be at least 1MiB",
        "--to jsonl:/x?fields=orig_sr: fields: there is no field 'orig_sr', did you mean 'orig_src'?",
        "--to ipfix://a:1?mtu=1&mtu=2: 'ipfix://a:1?mtu=1&mtu=2' says an option twice",
        "--netns: does nothing when the source is files: leave it out",
    ]


def test_nowhere_to_go_is_told():
    with pytest.raises(ConfigError, match="records would go nowhere"):
        from_options(to=[])
