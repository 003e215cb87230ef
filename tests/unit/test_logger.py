from __future__ import annotations

import threading

import pytest

from conntap.config import from_options
from conntap.errors import UsageError
from conntap.logger import make_logger, same_source, state_of
from records import SAMPLES, made, numbers


def log(config):
    said = []
    pipeline = make_logger(config, say=said.append)
    pipeline.start()
    pipeline.run(threading.Event())
    pipeline.stop()
    return pipeline


def test_settings_become_a_logger():
    pipeline = log(from_options(to=["null:"], files=[str(SAMPLES)], bindings="all"))
    assert pipeline.ledger.seq == len(numbers(made()))
    assert pipeline.runners[0].sink.counters == {"records": pipeline.ledger.seq}


def test_each_sink_has_its_own_filter(tmp_path):
    to = ["null:", f"jsonl:{tmp_path}/udp.jsonl?filter=udp"]
    pipeline = log(from_options(to=to, files=[str(SAMPLES)], bindings="all"))
    everything, some = (runner.counters["taken"] for runner in pipeline.runners)
    assert 0 < some < everything
    assert pipeline.runners[1].counters["filtered"] == everything - some


def test_the_state_lies_where_it_is_said_or_with_the_first_ledger(monkeypatch, tmp_path):
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    to = ["jsonl:-", f"parquet:{tmp_path}/a", f"parquet:{tmp_path}/b"]
    assert state_of(from_options(to=to, state="/x")).as_posix() == "/x"
    assert state_of(from_options(to=to)).as_posix() == f"{tmp_path}/a"
    assert state_of(from_options(to=["jsonl:-"])) is None
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/conntap:/other")
    assert state_of(from_options(to=["jsonl:-"])).as_posix() == "/var/lib/conntap"
    assert state_of(from_options(to=to, files=[str(SAMPLES)])) is None  # it can be read again


def test_a_reload_goes_on_with_the_same_events_only():
    one = from_options(to=["null:"], filter="tcp")
    assert same_source(one, from_options(to=["jsonl:-"], filter="tcp"))
    assert not same_source(one, from_options(to=["null:"], filter="udp"))
    assert not same_source(one, from_options(to=["null:"], filter="tcp", netns="blue"))


@pytest.mark.parametrize("name", ["missing.pcapng", "log.txt"])
def test_a_file_that_cannot_be_read_is_the_users_mistake(tmp_path, name):
    (tmp_path / "log.txt").write_text("no recording")
    with pytest.raises(UsageError, match=name):
        make_logger(from_options(to=["null:"], files=[str(tmp_path / name)]), say=print)


def test_an_address_that_is_taken_is_told():
    with pytest.raises((UsageError, OSError)):
        make_logger(from_options(to=["null:"], collect=["ipfix://198.51.100.1:4739"]), say=print)
