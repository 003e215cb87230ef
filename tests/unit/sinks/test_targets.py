from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from conntap.errors import UsageError
from conntap.sinks.ipfix import IpfixSink
from conntap.sinks.ipfix_file import IpfixFileSink
from conntap.sinks.null import NullSink
from conntap.sinks.targets import make_sink


@dataclass
class Wanted:
    target: str
    options: dict[str, str] = field(default_factory=dict)
    fields: tuple[str, ...] | None = None


@pytest.mark.parametrize(
    ("target", "options", "made"),
    [
        ("null:", {}, NullSink),
        ("ipfix://127.0.0.1:4739", {"transport": "tcp", "extended": "yes"}, IpfixSink),
        ("ipfix://[::1]", {}, IpfixSink),
        ("ipfix:/tmp/flows.ipfix", {"rotate-bytes": "10MB", "compress": "gzip"}, IpfixFileSink),
    ],
)
def test_a_target_is_the_sink_that_it_names(target, options, made):
    sink = make_sink(Wanted(target, options))
    assert isinstance(sink, made)
    assert sink.target == target


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        (Wanted("kafka:x"), "there is no such sink"),
        (Wanted("null:x"), "'x' means nothing here"),
        (Wanted("null://x"), "there is no such sink"),
        (Wanted("ipfix://"), "no host"),
        (Wanted("ipfix://h:99999"), "no host and port"),
        (Wanted("ipfix://h/path"), "no host"),
        (Wanted("ipfix:"), "no path"),
        (Wanted("ipfix://h", {"color": "red"}), "there is no option 'color'"),
        (Wanted("ipfix://h", {"mtu": "big"}), "'big' is no number"),
        (Wanted("ipfix://h", {"extended": "perhaps"}), "neither yes nor no"),
        (Wanted("null:", fields=("orig_src",)), "fields cannot be chosen"),
    ],
)
def test_what_cannot_be_is_said_with_the_target(wanted, says):
    with pytest.raises(UsageError, match=says) as caught:
        make_sink(wanted)
    assert str(caught.value).startswith(wanted.target)
