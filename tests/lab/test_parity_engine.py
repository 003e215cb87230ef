"""The userspace engine against the real kernel: the samples live, and conversations that nobody wrote by hand."""

from __future__ import annotations

import dataclasses
import random
import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conntap.lab.parity import bulk, capture
from conntap.lab.parity.bulk import Bulk, Found, Kernel, Task
from conntap.lab.parity.compare import first_difference
from conntap.lab.parity.generate import CAPACITY, conversation, kinds
from conntap.lab.parity.harness import run_kernel
from conntap.lab.parity.report import Report
from conntap.lab.parity.run import Run, repeat
from conntap.lab.parity.workers import run_parallel
from golden.test_engine_samples import without_pieces
from pcap_engine import engine_for
from pcap_samples import SAMPLES, Sample

# The expectation of `exp_timeout` lives for two seconds.
LONGEST_LINGER_S = 2.6

#: Some 45 s on two cores. `make parity` takes more.
PLAIN, TRANSLATED, TABLES = 20_000, 2_000, 30


@pytest.fixture(scope="session")
def seed(request: pytest.FixtureRequest) -> int:
    """What everything generated here follows from: --hypothesis-seed."""
    said = request.config.getoption("--hypothesis-seed")
    return int(said) if said is not None and str(said).isdigit() else random.SystemRandom().randrange(2**32)


# ---------------------------------------------------------------- samples


@pytest.fixture(scope="module")
def reports(session_lab) -> dict[str, Report]:
    """Every sample through a gateway of its own, several at once, then through an engine."""

    def compare(sample: Sample) -> Report:
        options = sample.options()
        options = dataclasses.replace(options, linger_s=min(options.linger_s, LONGEST_LINGER_S))
        packets = capture.read(sample.path, left={ip_address(address).packed for address in sample.left}).packets
        kernel = without_pieces(sample.name, run_kernel(packets, options))
        engine = repeat(engine_for(sample), kernel)
        return Report(len(packets), kernel.messages, first_difference(kernel, engine), (kernel, engine))

    # Those that wait come first, so that the others run meanwhile.
    samples = sorted(SAMPLES.values(), key=lambda sample: not sample.timed)
    with ThreadPoolExecutor(8) as workers:
        return dict(zip((sample.name for sample in samples), workers.map(compare, samples), strict=True))


@pytest.mark.parametrize("name", SAMPLES)
def test_a_sample_is_equal_on_this_kernel(name, reports):
    assert reports[name].equal, reports[name].text()


# ---------------------------------------------------------------- generated


def compare(*tasks: Task) -> dict[Task, Bulk]:
    """Compare on all cores; fail with the first difference."""
    found = {task: Bulk() for task in tasks}
    for task, part in run_parallel(tasks):
        found[task].add(part)
        if part.found:
            pytest.fail(part.found[0].text(), pytrace=False)
    for task, sums in found.items():
        print(f"{task.command}: {sums.packets} packets, {sums.messages} events, {sums.seconds:.0f} s of CPU")
    return found


@pytest.mark.slow
def test_generated_conversations_are_equal_with_and_without_translation(session_lab, seed):
    plain, translated = Task(seed=seed, count=PLAIN), Task(seed=seed, count=TRANSLATED, nat=True)
    found = compare(plain, translated)
    for task in (plain, translated):
        assert found[task].conversations == task.count
        assert set(found[task].kinds) == set(kinds(nat=task.nat)), "every kind has come"


@pytest.mark.slow
def test_tables_are_equal_after_every_packet(session_lab, seed):
    """What no event tells: refreshed timeouts, counters, the windows of TCP."""
    compare(*(Task(seed=seed, first=first, count=TABLES, tables=True, batch=10) for first in (0, TABLES)))


@pytest.fixture(scope="module")
def kernels(session_lab):
    with Kernel() as plain, Kernel(nat=True) as translating:
        yield {False: plain, True: translating}


def some_of(nat: bool) -> st.SearchStrategy[list[tuple[int, str]]]:
    """Numbers and kinds of conversations: each stays what it is when another is left out."""
    one = st.tuples(st.integers(0, CAPACITY - 1), st.sampled_from(sorted(kinds(nat=nat))))
    return st.lists(one, min_size=1, max_size=12, unique_by=lambda talk: talk[0])


def check_at_once(kernel: Kernel, seed: int, talks: list[tuple[int, str]]) -> None:
    report, culprit = kernel.compare([conversation(seed, number, kind) for number, kind in talks])
    if not report.equal:
        nat = talks[0][1].startswith("nat-")
        alone = [Task(seed=seed, first=number, count=1, kind=kind, nat=nat).command for number, kind in talks]
        pytest.fail(f"{report.text()}{culprit}\nconversations, each alone:\n" + "\n".join(alone), pytrace=False)


@given(seed=st.integers(0, 2**32 - 1), talks=some_of(nat=False))
@settings(max_examples=60)
def test_any_conversations_at_once_are_equal(kernels, seed, talks):
    check_at_once(kernels[False], seed, talks)


@given(seed=st.integers(0, 2**32 - 1), talks=some_of(nat=True))
@settings(max_examples=60)
def test_any_translated_conversations_at_once_are_equal(kernels, seed, talks):
    check_at_once(kernels[True], seed, talks)


# ---------------------------------------------------------------- the comparison itself


@pytest.fixture
def deaf(monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that does not know the FTP helper, where the kernel has it."""

    class Deaf(bulk.EngineSubject):
        def __init__(self, **how: object) -> None:
            super().__init__(**{**how, "helpers": {}})

    monkeypatch.setattr(bulk, "EngineSubject", Deaf)


def test_a_difference_is_found_told_and_reduced_to_the_conversation(session_lab, deaf):
    task = Task(seed=1, count=120, batch=40)
    done = bulk.run(task)
    assert len(done.found) == 1, "it stops at the first batch that differs"
    found = done.found[0]
    assert (found.task.count, found.task.kind) == (1, conversation(1, found.task.first).kind)
    lines = found.text().splitlines()
    assert lines[0].startswith("different events at packet ")
    assert lines[-1] == f"repeat with: conntap lab parity --generate 1 --seed 1 --first {found.task.first} --kind " + (
        found.task.kind or ""
    )
    assert done.kinds == Counter(conversation(1, number).kind for number in range(done.conversations))


def test_what_repeats_a_difference_repeats_it(session_lab, deaf):
    found: Found = bulk.run(Task(seed=1, count=120)).found[0]
    again = bulk.run(found.task).found[0]
    told = [re.sub(r"id=\d+|\(\+[\d.]+ s\)", "", each.text()) for each in (found, again)]
    assert told[0] == told[1]


def test_a_task_is_cut_into_parts_without_loss():
    parts = Task(seed=3, first=10, count=25, nat=True).parts(10)
    assert [(part.first, part.count) for part in parts] == [(10, 10), (20, 10), (30, 5)]
    assert all((part.seed, part.nat) == (3, True) for part in parts)


def test_a_gateway_can_be_used_again_after_a_difference(session_lab, deaf, kernels):
    first, _ = kernels[False].compare([conversation(1, number, "ftp") for number in range(5)])
    second, _ = kernels[False].compare([conversation(1, number, "icmp") for number in range(5)])
    assert (first.equal, second.equal) == (False, True)
    assert isinstance(first.runs[0], Run)
