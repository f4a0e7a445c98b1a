"""The pytest plugin of vicino: a test fails when a judged set gets worse than its stored baseline.

    def test_search_stays_as_good_as_it_was(relevance_baseline, docs, judged):
        relevance_baseline("cranfield", vicino.evaluate.evaluate(docs, judged.judgments, judged.queries))

Baselines lie in `baselines/` beside the test; `pytest --vicino-update-baselines` stores them. The plugin is a package of its own, and not
part of `vicino`, because pytest imports the plugins of all installed packages: in a test run that does not use the fixture it costs neither
numpy nor the core.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from vicino.evaluate import Evaluation

    CheckBaseline = Callable[..., None]


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("vicino", "relevance baselines of vicino")
    group.addoption(
        "--vicino-update-baselines",
        action="store_true",
        help="store the evaluations that tests compare with their baselines as the new baselines",
    )


@pytest.fixture
def relevance_baseline(request: pytest.FixtureRequest) -> CheckBaseline:
    """A function (name, evaluation, *, tolerance=0.005): fails the test if the mean of a measure fell by more than the tolerance."""

    def check(name: str, evaluation: Evaluation, *, tolerance: float = 0.005) -> None:
        from vicino.evaluate import compare_with_baseline, describe_loss, store_baseline, worse_measures

        __tracebackhide__ = True
        if not name or "/" in name or name.startswith("."):
            raise ValueError(f"the name of a baseline is the name of a file without its ending, got {name!r}")
        path = request.path.parent / "baselines" / f"{name}.json"
        if request.config.getoption("vicino_update_baselines"):
            store_baseline(evaluation, path)
            return
        if not path.exists():
            pytest.fail(f"there is no baseline {path}; pytest --vicino-update-baselines stores this one:\n{evaluation}", pytrace=False)
        comparison = compare_with_baseline(evaluation, path)
        if worse := worse_measures(comparison, tolerance):
            loss = describe_loss(comparison, worse, tolerance)
            pytest.fail(f"{loss}\nif this is meant, store it with pytest --vicino-update-baselines", pytrace=False)

    return check
