"""`find_records` finds in a segment the rows that SQL would, whatever the question, the columns and the pages."""

from __future__ import annotations

import random
from ipaddress import IPv4Address, ip_address
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
from arro3.io import write_parquet
from hypothesis import given
from hypothesis import strategies as st

from conntap import _core
from conntap.errors import SegmentError
from conntap.store import segment
from conntap.store.who import READ
from ledgers import ICMP, TCP, UDP, Connection, at, records_of

if TYPE_CHECKING:
    from pathlib import Path

INSIDE = ("10.0.0.5", "10.0.0.6", "fd00::5", "fd00::6")
OUTSIDE = ("203.0.113.7", "203.0.113.8", "2001:db8:1::1")
DIALLED = ("198.51.100.9", "203.0.113.7", "2001:db8::77")
SERVERS = ("10.0.0.8", "10.0.0.5", "fd00::8")
PORTS = (0, 80, 8080, 40000, 50510)
SECONDS = st.integers(-5, 65)

#: Role → the address and port in SQL.  {a}: addr or addr6.
ADDRESS = {
    "source": "out_{a} = $1",
    "dialled": "dst_{a} = $1 AND nat IN (2, 3)",
    "inside": "(in_{a} = $1 OR (in_{a} IS NULL AND out_{a} = $1 AND in_port IS NOT NULL))",
    "server": "(dnat_{a} = $1 OR (dnat_{a} IS NULL AND dst_{a} = $1 AND dnat_port IS NOT NULL))",
}
PORT = {
    "source": "out_port",
    "dialled": "CASE WHEN l4proto IN (1, 58) THEN out_port ELSE dst_port END",
    "inside": "coalesce(in_port, out_port)",
    "server": "CASE WHEN l4proto IN (1, 58) THEN out_port ELSE coalesce(dnat_port, dst_port) END",
}


def connections(rng: random.Random, count: int) -> list[Connection]:
    def end(pool: tuple[str, ...], version: int) -> tuple[str, int]:
        fitting = [address for address in pool if ip_address(address).version == version]
        return rng.choice(fitting), rng.choice(PORTS)

    made: list[Connection] = []
    for number in range(count):
        inside = rng.choice(INSIDE), rng.choice(PORTS)
        version = ip_address(inside[0]).version
        outside = end(OUTSIDE, version) if rng.random() < 0.5 else None
        server = end(SERVERS, version) if rng.random() < 0.3 else None
        if outside and rng.random() < 0.2:
            outside = inside[0], outside[1]  # only the port was translated
        proto = rng.choice((TCP, UDP, ICMP)) if version == 4 else rng.choice((TCP, UDP, 58))
        start = rng.randrange(60)
        stop = None if rng.random() < 0.1 else start + rng.randrange(30)
        made.append(
            Connection(inside, end(DIALLED, version), outside, server, proto=proto, start=start, stop=stop, id=number)
        )
    return made


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The same records whole, as translations alone, and with the open flows, in groups and pages of some rows."""
    folder = tmp_path_factory.mktemp("segments")
    records, opened = records_of(connections(random.Random(7), 600), bindings="all")
    made: list[Path] = []
    for name, nat_only, batches in (("flows", False, records), ("nat", True, records), ("open", False, opened)):
        builder = _core.SegmentBuilder(nat_only=nat_only)
        for batch in batches:
            builder.append(batch)
        sizes = {"max_row_group_size": 90, "data_page_row_count_limit": 7, "write_batch_size": 3}
        made.append(folder / f"{name}.parquet")
        write_parquet(builder.finish(), str(made[-1]), **(segment.settings(1) | sizes))
    return made


def by_sql(path: Path, role: str, question: dict[str, Any]) -> list[tuple[Any, ...]]:
    address = question["address"]
    four = isinstance(address, IPv4Address)
    where = [ADDRESS[role].format(a="addr" if four else "addr6"), f"start_ns <= {question['late_ns']}"]
    if question["port"] is not None:
        where.append(f"{PORT[role]} = {question['port']}")
    if question["l4proto"] is not None:
        where.append(f"l4proto = {question['l4proto']}")
    if (low := question["low_ns"]) is not None:
        endless = "kind = 3 OR (duration_ns IS NULL AND kind = 0)"
        where.append(f"(start_ns + coalesce(duration_ns, 0) >= {low} OR {endless})")
    with duckdb.connect() as database:
        there = {name for name, *_ in database.execute(f"DESCRIBE FROM '{path}'").fetchall()}
        columns = ", ".join(name if name in there else f"NULL AS {name}" for name in READ)
        sql = f"SELECT {columns} FROM '{path}' WHERE {' AND '.join(f'({one})' for one in where)}"
        return database.execute(sql, [int(address) if four else address.packed]).fetchall()


@given(
    which=st.integers(0, 2),
    role=st.sampled_from(list(ADDRESS)),
    address=st.sampled_from(sorted({*INSIDE, *OUTSIDE, *DIALLED, *SERVERS, "192.0.2.1", "2001:db8:9::"})),
    port=st.none() | st.sampled_from(PORTS),
    l4proto=st.none() | st.sampled_from((TCP, UDP, ICMP, 58)),
    late=SECONDS,
    low=st.none() | SECONDS,
)
def test_it_finds_what_sql_finds(files, which, role, address, port, l4proto, late, low):
    question = {
        "address": ip_address(address),
        "port": port,
        "l4proto": l4proto,
        "late_ns": at(late),
        "low_ns": None if low is None else at(low),
    }
    asked = dict(question)
    found = _core.find_records(str(files[which]), role, asked.pop("address"), READ, **asked)
    assert sorted(found, key=repr) == sorted(by_sql(files[which], role, question), key=repr)


@pytest.mark.parametrize("role", list(ADDRESS))
def test_every_role_is_found_in_some_question(files, role):
    """The property says nothing where no row is met."""
    addresses = sorted({*INSIDE, *OUTSIDE, *DIALLED, *SERVERS})
    counts = [len(_core.find_records(str(files[0]), role, ip_address(one), READ, late_ns=at(99))) for one in addresses]
    assert sum(count > 0 for count in counts) >= 3


def test_a_damaged_file_is_refused_or_read_and_nothing_worse(files, tmp_path, capfd):
    rng, path, refused = random.Random(11), tmp_path / "damaged.parquet", 0
    for _ in range(150):
        data = bytearray(files[0].read_bytes())
        for _ in range(rng.choice((1, 1, 4))):
            data[rng.randrange(len(data))] = rng.randrange(256)
        if rng.random() < 0.1:
            del data[rng.randrange(len(data)) :]
        path.write_bytes(data)
        for role in ADDRESS:
            try:
                _core.find_records(str(path), role, ip_address("203.0.113.7"), READ, late_ns=at(99), low_ns=0)
            except SegmentError:
                refused += 1
    assert refused > 50
    assert capfd.readouterr().err == ""


def test_what_is_no_segment_is_refused_by_name(tmp_path):
    (tmp_path / "a").write_bytes(b"rubbish")
    with pytest.raises(SegmentError, match=str(tmp_path / "a")):
        _core.find_records(str(tmp_path / "a"), "source", ip_address("10.0.0.1"), READ, late_ns=0)
    with pytest.raises(FileNotFoundError):
        _core.find_records(str(tmp_path / "b"), "source", ip_address("10.0.0.1"), READ, late_ns=0)
