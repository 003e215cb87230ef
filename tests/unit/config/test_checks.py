"""What follows from a fault is not told on top of it."""

from __future__ import annotations

import pytest

from conntap.config import ConfigError, read_text


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("[[sink]]\ntarget = 'parqet:/x'\n[retention]\nflows = '3d'", ["sink.target"]),
        ("[[sink]]\ntarget = 'parquet:/x'\n[retention]\nflows = 'x'\ngaps = '1d'", ["retention.flows"]),
        ("[source]\nfiles = ['/a']\ncollect = ['ipfix://x']\nnetns = 'x'\n[[sink]]\ntarget = 'csv:-'",
         ["source.collect"]),
        ("[[sink]]\n", ["sink.target"]),
        ("sink = 3", ["sink"]),
    ],
)  # fmt: skip
def test_one_mistake_is_one_fault(text, keys):
    with pytest.raises(ConfigError) as caught:
        read_text(text)
    assert [fault.key for fault in caught.value.faults] == keys
