import itertools

import pytest

import vicino
from tests.unit.struck import struck_at
from vicino.errors import InvalidArgument, MemoryLimitError
from vicino.segment.memory import LIMIT_MIN, MemoryBudget, parse_bytes, show_bytes


@pytest.mark.parametrize(
    ("text", "size"), [("2GB", 2 * 10**9), ("512MiB", 512 * 2**20), ("1.5 kB", 1500), ("100", 100), (" 3 gib ", 3 * 2**30), (7, 7)]
)
def test_sizes_are_read_from_text_and_numbers(text, size):
    assert parse_bytes(text) == size


@pytest.mark.parametrize("bad", ["lots", "GB", "2 parsecs", "", True, 1.5])
def test_other_sizes_are_refused(bad):
    with pytest.raises(InvalidArgument, match="a size is a number of bytes"):
        parse_bytes(bad)


def test_sizes_are_shown_in_powers_of_ten():
    assert [show_bytes(size) for size in (12, 1500, 2_000_000, 3_210_000_000)] == ["12 bytes", "1.5 kB", "2.0 MB", "3.2 GB"]


def test_a_budget_too_small_to_work_with_is_refused():
    with pytest.raises(InvalidArgument, match=r"at least 16.8 MB"):
        MemoryBudget(LIMIT_MIN - 1)


def test_without_a_limit_everything_is_allowed():
    budget = MemoryBudget()
    with budget.reserve(10**15, "a dream"):
        assert budget.available() is None


def test_reservations_count_while_they_last():
    budget = MemoryBudget(LIMIT_MIN)
    with budget.reserve(1000, "a write"):
        assert budget.used() == 1000
    assert budget.used() == 0


def test_what_is_tracked_counts():
    budget = MemoryBudget(LIMIT_MIN)
    budget.track("shard", lambda: 4000)
    assert budget.available() == LIMIT_MIN - 4000
    budget.untrack("shard")
    assert budget.available() == LIMIT_MIN


def test_what_can_be_made_again_is_given_up_before_anything_is_refused():
    budget, held = MemoryBudget(LIMIT_MIN), [LIMIT_MIN - 500]
    budget.track("shard", lambda: held[0], lambda: held.__setitem__(0, 1000))
    with budget.reserve(500, "a write"):
        assert held == [LIMIT_MIN - 500]
        with budget.reserve(600, "another write"):
            assert held == [1000]


def test_there_is_plenty_while_half_of_the_limit_is_free():
    budget = MemoryBudget(LIMIT_MIN)
    with budget.reserve(LIMIT_MIN // 2, "a write"):
        assert budget.has_plenty()
    with budget.reserve(LIMIT_MIN // 2 + 1, "a write"):
        assert not budget.has_plenty()
    assert MemoryBudget().has_plenty()


def test_the_refusal_states_the_exact_shortfall():
    budget = MemoryBudget(LIMIT_MIN)
    budget.track("shard", lambda: LIMIT_MIN - 500)
    with (
        pytest.raises(MemoryLimitError, match=r"a write needs 1.5 kB.*leaves 500 bytes: 1.0 kB short") as caught,
        budget.reserve(1500, "a write"),
    ):
        pass
    assert (caught.value.needed, caught.value.available) == (1500, 500)


def test_a_failed_allocation_says_what_is_counted():
    budget = MemoryBudget(LIMIT_MIN)
    with budget.reserve(10**6, "a write"):
        told = budget.shortage(MemoryError(), "this search")
    assert isinstance(told, MemoryLimitError)
    assert told.available == LIMIT_MIN - 10**6
    assert str(told).startswith("this search got no more memory from the system, with 1.0 MB counted of a memory_limit of 16.8 MB")


def test_without_a_limit_a_failed_allocation_is_the_systems():
    error = MemoryError()
    assert MemoryBudget().shortage(error, "this search") is error


@pytest.mark.parametrize("table", ["to_arrow", "to_pandas", "to_polars"])
def test_a_table_that_does_not_fit_is_refused(table):
    pytest.importorskip({"to_arrow": "pyarrow", "to_pandas": "pandas", "to_polars": "polars"}[table])
    with vicino.open(memory_limit=LIMIT_MIN) as db:
        docs = db.create_collection("docs", dim=2)
        for start in range(0, 60, 10):
            docs.upsert([{"id": n, "vector": [1, n], "text": "x" * 50_000} for n in range(start, start + 10)])
        few, many = docs.search([1, 2], limit=2), docs.search([1, 2], limit=60)
        assert len(getattr(few, table)()) == 2
        with pytest.raises(MemoryLimitError, match=rf"{table}\(\) of 60 hits needs 3"):
            getattr(many, table)()


def test_an_interrupt_at_any_step_leaves_nothing_reserved():
    budget = MemoryBudget(LIMIT_MIN)

    def reserve():
        with budget.reserve(1000, "a test"):
            pass

    for step in itertools.count(1):
        was_struck = struck_at(step, reserve)
        assert budget.used() == 0, step
        if not was_struck:
            break
    assert step > 10
