"""Settings written as TOML are read back the same; so is the example."""

from __future__ import annotations

import re
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conntap.config import (
    Limit,
    LogConfig,
    PrivacyConfig,
    RetentionConfig,
    SinkConfig,
    SourceConfig,
    example,
    read_text,
    write,
)  # fmt: skip
from conntap.config.keys import KEYS
from conntap.config.write import quoted

WORDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(str.strip)
SINKS = st.builds(
    SinkConfig,
    target=st.sampled_from(["parquet:/var/lib/conntap", "ipfix://[2001:db8::1]:4739", "syslog:journald", "csv:-"]),
    filter=st.sampled_from(["", "nat", 'helper "ftp"']),
    fields=st.none() | st.lists(st.sampled_from(["id", "zone", "mark"]), min_size=1, unique=True).map(tuple),
    spool_bytes=st.integers(1 << 20, 1 << 40),
    options=st.dictionaries(WORDS.filter(lambda name: name not in ("filter", "fields", "spool")), WORDS, max_size=3),
)
LIMITS = st.builds(
    Limit, age_seconds=st.none() | st.integers(3600, 10**8).map(float), bytes=st.none() | st.integers(1 << 20)
)
COMMON = {
    "filter": st.sampled_from(["", "tcp and dport 443", 'helper "sip" or nat']),
    "state": st.none() | WORDS.map(lambda text: f"/{text}"),
    "sync_ms": st.integers(1, 60_000),
    "sinks": st.lists(SINKS, min_size=1, max_size=3, unique_by=lambda sink: sink.target).map(tuple),
    "privacy": st.builds(
        PrivacyConfig,
        no_destination=st.booleans(),
        truncate_inside=st.none() | st.tuples(st.integers(0, 31), st.integers(0, 127)),
    ),
}
NAMESPACES = st.none() | WORDS
STAGE = {
    "bindings": st.sampled_from(["none", "nat", "all"]),
    "interim_seconds": st.none() | st.integers(1000, 10**8).map(lambda count: count / 1000),
}
KERNEL = st.builds(
    LogConfig,
    **COMMON,
    **STAGE,
    netns=NAMESPACES,
    reliable=st.booleans(),
    buffer_bytes=st.integers(64 << 10, 1 << 40),
    settings=st.sampled_from(["check", "fix", "ignore"]),
)
INTERFACE = st.builds(
    LogConfig,
    **COMMON,
    **STAGE,
    netns=NAMESPACES,
    source=st.builds(SourceConfig, interface=WORDS, engine=st.lists(WORDS).map(tuple)),
)
COLLECT = st.builds(LogConfig, **COMMON, source=st.just(SourceConfig(collect=("ipfix://0.0.0.0:4739",))))


@given(KERNEL | INTERFACE | COLLECT)
def test_what_is_written_is_read_back(config):
    assert read_text(write(config)) == config


@given(LIMITS, LIMITS, st.none() | st.integers(64 << 20))
def test_retention_is_read_back(flows, nat, most):
    kept = RetentionConfig(flows=flows, nat=nat, max_bytes=most)
    config = LogConfig(sinks=(SinkConfig("parquet:/x"),), retention=kept)
    assert read_text(write(config)).retention == kept


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_can_be_quoted(text):
    assert tomllib.loads(f"x = {quoted(text)}") == {"x": text}


def test_the_example_can_be_used_as_it_is():
    config = read_text(example())
    assert [sink.target for sink in config.sinks] == ["parquet:/var/lib/conntap"]


def commented_out(text: str) -> list[tuple[str, str]]:
    """`# key = value` lines with the table that they stand in."""
    table, found = "", []
    for line in text.splitlines():
        if head := re.match(r"(?:# )?\[+(\w+)\]+", line):
            table = head[1]
        elif pair := re.match(r"# (\w+ = .+)", line):
            found.append((table, pair[1]))
    return found


@pytest.mark.parametrize(("table", "line"), commented_out(example()))
def test_each_line_that_is_commented_out_is_right_too(table, line):
    """Alone, beside a sink that it goes with."""
    sink = "[[sink]]\ntarget = 'parquet:/x'\n"
    engine = "interface = 'eth0'\n" if line.startswith("engine") else ""
    if table == "sink":
        text = f"[[sink]]\n{line}\n" if line.startswith("target") else sink + line
    else:
        text = f"[{table}]\n{engine}{line}\n{sink}" if table else f"{line}\n{sink}"
        text = text.replace("gaps =", "flows = '30d'\ngaps =")
    read_text(text)


def test_the_example_names_every_key():
    said = {f"{table}.{line.split()[0]}".lstrip(".") for table, line in commented_out(example())}
    table = ""
    for line in example().splitlines():
        if head := re.match(r"\[+(\w+)\]+", line):
            table = head[1]
        elif pair := re.match(r"(\w+) = ", line):
            said.add(f"{table}.{pair[1]}".lstrip("."))
    assert said == {key.full for key in KEYS}
