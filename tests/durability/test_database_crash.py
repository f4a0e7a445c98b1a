"""A whole database under crashes: nothing acknowledged is lost, nothing is invented, it always opens and is sound. And the proof that
this test can fail: every planted fault is noticed.
"""

from __future__ import annotations

import pytest

from tests.durability.database_faults import DATABASE_FAULTS
from tests.durability.database_scenario import DatabaseScenario
from tests.durability.harness import check_crashes
from vicino.types import SyncLevel

PARTS = 10
"""10,000 images in parts of 1,000, so that a failure is named soon and the parts can run beside each other."""


@pytest.mark.parametrize("part", range(PARTS))
def test_no_crash_loses_what_was_acknowledged(part: int) -> None:
    """Every other part with background work that lags behind."""
    report = check_crashes(
        lambda: DatabaseScenario(deferred=part % 2 == 1), range(part * 20, part * 20 + 20), n_steps=25, images_per_seed=50
    )
    assert report.n_images == 1000
    assert not report.failures, str(report)


@pytest.mark.parametrize("sync", ["interval", "off"])
def test_weaker_sync_levels_lose_only_the_end(sync: SyncLevel) -> None:
    report = check_crashes(lambda: DatabaseScenario(sync, with_catalog=False), range(10), n_steps=25, images_per_seed=20)
    assert report.n_images == 200
    assert not report.failures, str(report)


@pytest.mark.parametrize("fault", DATABASE_FAULTS.values(), ids=DATABASE_FAULTS.keys())
def test_planted_fault_is_caught(fault, monkeypatch: pytest.MonkeyPatch) -> None:
    fault(monkeypatch)
    report = check_crashes(lambda: DatabaseScenario(deferred=True), range(400), n_steps=25, images_per_seed=20, stop_at=1)
    assert report.failures, f"survived {report.n_images} images"
    assert not report.is_by_mistake, str(report)
