"""The userspace engine says of every sample what kernel 6.18.44 said of it: tests/data/pcap, no kernel needed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from conntap.captures import Capture
from conntap.helpers.assign import well_known_assignments
from conntap.lab.parity import recorded
from conntap.lab.parity.compare import first_difference
from conntap.lab.parity.report import Report
from conntap.lab.parity.run import Run, repeat
from conntap.lab.parity.subject import Answer
from conntap.sent import SentPackets
from conntap.tracker import Setup
from pcap_engine import RULES, engine_for
from pcap_samples import SAMPLES

every_sample = pytest.mark.parametrize("sample", SAMPLES.values(), ids=list(SAMPLES))


def kernel_run(name: str) -> Run:
    return recorded.loads(SAMPLES[name].recorded)


@every_sample
def test_events_states_and_packets_are_those_of_the_kernel(sample):
    kernel = kernel_run(sample.name)
    engine = repeat(engine_for(sample), kernel)
    difference = first_difference(kernel, engine)
    assert difference is None, Report(len(kernel.steps), kernel.messages, difference, (kernel, engine)).text()


class Silent:
    """Forwards everything as it came and says nothing."""

    def packet(self, now_ns: int, side: int, ip: bytes) -> Answer:
        return Answer([], [ip], "")

    def settle(self, now_ns: int) -> list[bytes]:
        return []

    flush = settle


# That one forbids pickup: the kernel has nothing to report but states.
@pytest.mark.parametrize("name", sorted(set(SAMPLES) - {"tcp_pickup.loose0"}))
def test_an_engine_that_is_silent_differs(name):
    kernel = kernel_run(name)
    assert first_difference(kernel, repeat(Silent(), kernel)) is not None


def test_every_sample_with_rules_has_them_told_to_the_engine():
    assert set(RULES) == {sample.name for sample in SAMPLES.values() if sample.nft}


@pytest.mark.parametrize("name", RULES)
def test_an_engine_that_is_not_told_the_rules_differs(name):
    """The rules of these samples matter: without them the comparison fails."""
    sample = replace(SAMPLES[name], nft=False)
    kernel = kernel_run(name)
    assert first_difference(kernel, repeat(engine_for(sample), kernel)) is not None


@every_sample
def test_events_do_not_depend_on_whether_somebody_wants_the_packets(sample, tmp_path):
    """Where nobody does, a flow that is there already takes a shorter way through the engine."""
    setup = Setup(helpers=well_known_assignments(), settings={"acct": 1})

    def events(sent: SentPackets | None) -> list[tuple[bytes, int]]:
        capture = Capture([sample.path], setup, drain=True)
        return [row for batch in capture.batches(sent=sent) for row in batch.messages()]

    with SentPackets(str(tmp_path / "sent.pcap")) as sent:
        assert events(None) == events(sent)
