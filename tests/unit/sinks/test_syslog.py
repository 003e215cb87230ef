from __future__ import annotations

import pytest

from conntap.errors import UsageError
from conntap.sinks.syslog import JournaldSink, SyslogSink
from receivers import LocalReceiver, UdpReceiver
from records import every_kind, numbers


@pytest.fixture
def receiver():
    made = UdpReceiver()
    yield made
    made.go()


def sent(receiver, **options):
    sink = SyslogSink("127.0.0.1", port=receiver.port, hostname="gw", **options)
    sink.open()
    for batch in every_kind():
        sink.write(batch)
    sink.close()
    assert receiver.numbers(len(numbers(every_kind()))) == numbers(every_kind())
    return receiver.messages, sink


def test_a_record_is_a_message(receiver):
    messages, _ = sent(receiver, facility="local3", severity="notice", app_name="cgnat")
    assert messages[0].startswith(b"<157>1 2001-09-09T01:46:40.000000Z gw cgnat ")  # 19 * 8 + 5
    assert messages[-1].startswith(b"<156>1 ")  # a gap is a warning
    assert b" [conntap@32473 " in messages[0]


def test_the_older_format(receiver):
    messages, _ = sent(receiver, format="rfc3164", utc_offset=0)
    assert messages[0].startswith(b"<134>Sep  9 01:46:40 gw conntap[")


def test_parameters_that_have_no_room_are_left_out_and_counted(receiver):
    messages, sink = sent(receiver, max_length=1024)
    assert max(map(len, messages)) <= 1024
    _, roomy = sent(receiver_of(receiver), max_length=8192)
    assert roomy.counters["shortened"] == 0
    assert sink.counters["written"] == len(numbers(every_kind()))


def receiver_of(receiver):
    receiver.messages.clear()
    return receiver


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"transport": "sctp"}, "udp, tcp, tls or unix"),
        ({"format": "cef"}, "rfc5424 or rfc3164"),
        ({"transport": "tls", "framing": "lf"}, "RFC 5425"),
        ({"max_length": 100}, "at least 1024"),
        ({"facility": "local9"}, "facility=local9"),
        ({"severity": "8"}, "severity=8"),
        ({"hostname": "two words"}, "without spaces"),
        ({"transport": "tls", "ca": "/no/such/file"}, "No such file"),
        ({"fields": ["sq"]}, "no field 'sq'"),
    ],
)
def test_options_that_cannot_be(options, says):
    with pytest.raises(UsageError, match=says):
        SyslogSink("127.0.0.1", **options)


def test_a_target_says_where_and_how():
    assert SyslogSink("::1").target == "syslog://[::1]:514?transport=udp"
    assert SyslogSink("log", transport="tls").target == "syslog://log:6514?transport=tls"
    assert SyslogSink("/dev/log", transport="unix").target == "syslog:/dev/log"


def test_the_journal_gets_fields_by_name(tmp_path):
    receiver = LocalReceiver(tmp_path / "journal")
    sink = JournaldSink(str(receiver.path), facility="local1", fields=["seq", "kind"])
    sink.open()
    sink.write(every_kind()[0])
    receiver.numbers(1)
    sink.close()
    receiver.go()
    lines = receiver.messages[0].split(b"\n")
    assert {b"SYSLOG_IDENTIFIER=conntap", b"SYSLOG_FACILITY=17", b"PRIORITY=6", b"CONNTAP_SEQ=1"} <= set(lines)
