"""A journal under crashes: nothing acknowledged is lost, nothing is invented, it always opens. And the proof that this test can fail."""

from __future__ import annotations

import pytest

from tests.durability.faults import FAULTS, Fault
from tests.durability.harness import check_crashes
from tests.durability.journal_scenario import JournalScenario
from vicino.types import SyncLevel


@pytest.mark.parametrize(("sync", "n_seeds"), [("commit", 80), ("interval", 20), ("off", 20)])
def test_no_crash_loses_what_was_acknowledged(sync: SyncLevel, n_seeds: int) -> None:
    report = check_crashes(lambda: JournalScenario(sync), range(n_seeds), n_steps=25, images_per_seed=20)
    assert report.n_images == n_seeds * 20
    assert not report.failures, str(report)


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_planted_fault_is_caught(fault: Fault, monkeypatch: pytest.MonkeyPatch) -> None:
    fault(monkeypatch)
    caught = any(_finds_failure(sync) for sync in ("commit", "off"))
    assert caught, "no crash image showed the fault"


def _finds_failure(sync: SyncLevel) -> bool:
    report = check_crashes(lambda: JournalScenario(sync), range(100), n_steps=25, images_per_seed=20, stop_at=1)
    assert not report.is_by_mistake, str(report)
    return bool(report.failures)
