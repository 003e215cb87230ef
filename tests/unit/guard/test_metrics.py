from __future__ import annotations

import pytest

from conntap.guard.metrics import COUNTERS, Histogram, Metrics


def test_quantiles_are_within_a_fifth():
    times = Histogram()
    assert times.quantile(0.5) is None
    for micros in range(1, 1001):
        times.add(micros * 1000)
    assert times.quantile(0.5) == pytest.approx(500_000, rel=0.22)
    assert times.quantile(0.99) == pytest.approx(990_000, rel=0.22)
    assert times.quantile(1.0) == 1_000_000


def test_prometheus_reads_every_counter(tmp_path):
    metrics = Metrics()
    metrics.add("denied", 3)
    metrics.reaction.add(2_000_000)
    metrics.write(str(tmp_path / "guard.prom"))
    text = (tmp_path / "guard.prom").read_text()
    assert "conntap_guard_denied_total 3\n" in text
    assert 'conntap_guard_reaction_seconds_bucket{le="+Inf"} 1' in text
    assert all(f"conntap_guard_{name}_total" in text for name in COUNTERS)
    assert [path.name for path in tmp_path.iterdir()] == ["guard.prom"]
