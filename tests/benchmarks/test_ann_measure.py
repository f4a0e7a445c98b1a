"""What is read off the curves of dense search: frontier, interpolation, intervals, duels, charts, on numbers one can check by hand."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.ann import contest, duel, plot
from benchmarks.ann.data import Dataset
from benchmarks.ann.measure import (
    Bracket,
    Point,
    at_targets,
    bootstrap,
    bracket,
    curve,
    frontier,
    interpolate,
    measure_setting,
    one_pass,
    thinned,
)
from benchmarks.ann.peer import BEAMS, Peer, steps
from benchmarks.ann.truth import exact

CHEAPEST = Bracket(Point(0.9, 1e-3, "low"), Point(0.9, 1e-3, "low"), 0.0)
SLOPE = [Point(0.8, 0.001, 10), Point(0.9, 0.01, 20), Point(0.98, 0.1, 40)]


def test_frontier_drops_a_point_that_another_beats_in_recall_and_time() -> None:
    assert frontier([*SLOPE, Point(0.85, 0.02)]) == SLOPE


def test_frontier_of_equal_recalls_keeps_the_fastest() -> None:
    assert frontier([Point(0.9, 3.0), Point(0.9, 1.0), Point(0.9, 2.0)]) == [Point(0.9, 1.0)]


@given(st.lists(st.builds(Point, st.floats(0, 1), st.floats(1e-6, 1), st.none()), max_size=30))
def test_every_point_is_beaten_or_matched_by_the_frontier(points: list[Point]) -> None:
    kept = frontier(points)
    assert all(any(best.recall >= point.recall and best.seconds <= point.seconds for best in kept) for point in points)
    assert kept == sorted(kept, key=lambda point: point.recall)
    assert all(low.seconds < high.seconds and low.recall < high.recall for low, high in pairwise(kept))


def test_time_between_two_points_is_linear_in_its_logarithm() -> None:
    found = bracket(SLOPE, 0.94)
    assert found is not None
    assert (found.low.setting, found.high.setting) == (20, 40)
    assert found.weight == pytest.approx(0.5)
    assert found.seconds() == pytest.approx(math.sqrt(0.01 * 0.1))


def test_a_recall_that_a_point_has_is_read_at_that_point() -> None:
    found = bracket(SLOPE, 0.9)
    assert found is not None
    assert found.seconds() == pytest.approx(0.01)


def test_the_cheapest_setting_counts_as_it_is_where_it_finds_more() -> None:
    found = bracket(SLOPE, 0.5)
    assert found is not None
    assert (found.low, found.high, found.weight) == (SLOPE[0], SLOPE[0], 0.0)


def test_a_recall_that_is_not_reached_is_not_extrapolated() -> None:
    assert bracket(SLOPE, 0.99) is None
    assert bracket([], 0.5) is None


def test_rates_at_recalls() -> None:
    rows = [{"setting": 1, "recall": 0.9, "qps": 100.0}, {"setting": 2, "recall": 1.0, "qps": 1.0}]
    assert at_targets(rows, targets=(0.9, 0.95)) == {"0.9": pytest.approx(100), "0.95": pytest.approx(10)}
    assert at_targets(rows, rate="batch_qps", targets=(0.9,)) == {"0.9": None}


@given(st.floats(1e-6, 1e3), st.floats(1e-6, 1e3), st.floats(0, 1))
def test_interpolation_stays_between_its_ends(low: float, high: float, weight: float) -> None:
    assert min(low, high) * (1 - 1e-9) <= interpolate(low, high, weight) <= max(low, high) * (1 + 1e-9)


def test_bootstrap_of_equal_samples_has_no_width() -> None:
    assert bootstrap([2.0] * 20) == (2.0, 2.0, 2.0)


def test_bootstrap_holds_the_true_median_about_as_often_as_it_says() -> None:
    random = np.random.default_rng(3)
    held = [low <= 0.0 <= high for low, high in (bootstrap(random.standard_normal(40), draws=400)[1:] for _ in range(200))]
    assert 0.90 <= np.mean(held) <= 0.99


def test_bootstrap_is_the_same_every_time() -> None:
    samples = np.random.default_rng(0).standard_normal(30)
    assert bootstrap(samples) == bootstrap(samples)


def test_a_pass_calls_in_the_given_order_and_answers_in_that_of_the_queries() -> None:
    called: list[int] = []
    done = one_pass(lambda query: called.append(query) or query * 10, [2, 0, 1])
    assert called == [2, 0, 1]
    assert done.found == [0, 10, 20]
    assert len(done.seconds) == 3


def test_measuring_counts_recall_and_calls_every_query_equally_often() -> None:
    base = np.eye(4, dtype=np.float32)
    dataset = Dataset("tiny", "cosine", np.repeat(base, 10, axis=0), base)
    truth = exact("cosine", dataset.base, dataset.queries)
    calls = [0] * 4

    def search(query: int) -> list[int]:
        calls[query] += 1
        return list(range(query * 10, query * 10 + (10 if query else 5)))

    row = measure_setting(search, dataset, truth, seconds=0.0)
    assert row["recall"] == pytest.approx((0.5 + 3) / 4)
    assert calls == [2, 2, 2, 2]  # the warm-up, and one pass


def test_a_curve_ends_when_enough_is_found() -> None:
    rows = curve([1, 2, 3, 4], lambda setting: {"recall": setting / 3, "qps": 100.0})
    assert [row["setting"] for row in rows] == [1, 2, 3]


def test_thinned_settings_keep_both_ends() -> None:
    assert thinned(range(100), 4) == [0, 33, 66, 99]
    assert thinned([1, 2], 4) == [1, 2]


def test_steps_rise_finely_to_the_end() -> None:
    assert steps(1, 8, 2.0) == [1, 2, 4, 8]
    assert BEAMS[0] == 10
    assert all(1 < after / before <= 1.16 for before, after in pairwise(BEAMS))


class Recorder(Peer):
    """A peer that writes down what it is asked, in a list shared with the other side."""

    def __init__(self, name: str, log: list[tuple[str, Any, int]]) -> None:
        super().__init__("cosine", 2)
        self.name, self.log, self.setting = name, log, None

    def build(self, rows: Any) -> None: ...

    def use(self, setting: Any) -> None:
        self.setting = setting

    def search(self, query: Any, k: int) -> Any: ...

    def side(self) -> duel.Side:
        points = [Point(0.90, 1e-3, "low"), Point(0.96, 2e-3, "high")]
        return duel.Side(self.name, self, lambda query: self.log.append((self.name, self.setting, query)), points)


def test_a_duel_asks_every_query_once_per_pass_and_side_in_abba_order() -> None:
    log: list[tuple[str, Any, int]] = []
    found = duel.fight(Recorder("A", log).side(), Recorder("B", log).side(), 400, 0.95, seconds=0.0)
    assert found["blocks"] == 4
    for name in "AB":
        for setting in ("low", "high"):
            assert sorted(query for who, with_setting, query in log if (who, with_setting) == (name, setting)) == list(range(400))
    turns = [log[at][0] for at in range(0, len(log), duel.BLOCK)]
    assert turns == list("ABBAABBA") * 2


def test_both_sides_of_a_block_get_the_same_queries() -> None:
    log: list[tuple[str, Any, int]] = []
    duel.fight(Recorder("A", log).side(), Recorder("B", log).side(), 200, 0.95, seconds=0.0)
    first, second = ([query for _, _, query in log[at : at + duel.BLOCK]] for at in (0, duel.BLOCK))
    assert first == second


def test_three_sides_take_turns_forward_and_backward() -> None:
    log: list[tuple[str, Any, int]] = []
    sides = [Recorder(name, log).side() for name in "ABC"]
    rounds = duel.alternate(sides, [CHEAPEST] * 3, 200, seconds=0.0)
    assert [log[at][0] for at in range(0, len(log), duel.BLOCK)] == list("ABCCBA") * 2
    assert [len(block) for block in rounds] == [3, 3]


def test_passes_of_a_single_block_begin_with_either_side_in_turn() -> None:
    log: list[str] = []
    sides = [Recorder(name, []).side()._replace(together=lambda _, name=name: log.append(name)) for name in "AB"]
    duel.alternate(sides, [CHEAPEST] * 2, 50, seconds=0.0, block_of=50, blocks_min=2)
    assert log == list("ABAB") + list("BABA")


def test_a_side_that_answers_together_gets_a_block_in_one_call() -> None:
    blocks: list[list[int]] = []
    Recorder("A", []).side()._replace(together=blocks.append).answer([3, 1, 2])
    assert blocks == [[3, 1, 2]]


def test_a_contest_names_who_falls_short_and_goes_on() -> None:
    low = Recorder("low", []).side()._replace(points=[Point(0.5, 1e-3, "only")])
    sides = [Recorder("A", []).side(), low, Recorder("B", []).side()]
    found = contest.contest(sides, [("A", "B"), ("A", "low")], 100, 0.95, seconds=0.0)
    assert found["short"] == {"low": "low reaches a recall of 0.5000 at most"}
    assert found["sides"].keys() == {"A", "B"}
    assert [(pair["first"], pair["second"]) for pair in found["pairs"]] == [("A", "B")]


def test_a_contest_that_nobody_reaches_says_so_of_all() -> None:
    found = contest.contest([Recorder("A", []).side()], [], 100, 0.999, seconds=0.0)
    assert (found["sides"], found["short"]) == ({}, {"A": "A reaches a recall of 0.9600 at most"})


def test_a_duel_states_a_recall_that_one_side_does_not_reach() -> None:
    found = duel.fight(Recorder("A", []).side(), Recorder("B", []).side(), 100, 0.99, seconds=0.0)
    assert found == {"recall": 0.99, "error": "A reaches a recall of 0.9600 at most"}


def test_the_ratio_of_a_duel_is_above_one_where_the_first_side_is_faster() -> None:
    def side(name: str, loops: int) -> duel.Side:
        return duel.Side(name, Recorder(name, []), lambda _: sum(range(loops)), [Point(0.95, 1.0, None)])

    found = duel.fight(side("fast", 100), side("slow", 5000), 400, 0.95, seconds=0.0)
    assert 1 < found["ratio_low"] <= found["ratio"] <= found["ratio_high"]
    assert found["sides"]["fast"]["qps"] > found["sides"]["slow"]["qps"]


def test_a_chart_is_svg_with_every_line_inside() -> None:
    lines = {"a & b": [(0.9, 1e4), (0.999, 1e2)], "c": [(0.95, 2e3)]}
    text = plot.chart("title <1>", plot.recall_axis(0.8), plot.log_axis("queries per second", [1e4, 1e2, 2e3]), lines)
    root = ElementTree.fromstring(text)
    drawn = [
        tuple(map(float, pair.split(",")))
        for line in root.iter("{http://www.w3.org/2000/svg}polyline")
        for pair in line.get("points", "").split()
    ]
    assert len(drawn) == 3
    assert all(plot.LEFT <= x <= plot.WIDTH - plot.RIGHT and plot.TOP <= y <= plot.HEIGHT - plot.BOTTOM for x, y in drawn)


def test_the_recall_axis_spaces_nines_evenly() -> None:
    axis = plot.recall_axis(0.9)
    assert axis.scale(0.99) - axis.scale(0.9) == pytest.approx(axis.scale(0.999) - axis.scale(0.99))
