"""The core's shard against a dict: commits, freezes, seals, merges and replacements in any order. The model is in shard_model.py."""

from __future__ import annotations

import pytest

from tests.property.shard_model import ShardModel


def live(seed: int, steps: int) -> None:
    model = ShardModel(seed)
    for _ in range(steps):
        model.step()
    model.check_all()


@pytest.mark.parametrize("first", range(0, 60, 10))
def test_a_shard_holds_what_was_committed_whatever_is_rewritten_meanwhile(first: int) -> None:
    for seed in range(first, first + 10):
        live(seed, 60)


@pytest.mark.long
@pytest.mark.parametrize("first", range(1_000, 11_000, 100))
def test_many_shards_hold_what_was_committed(first: int) -> None:
    for seed in range(first, first + 100):
        live(seed, 120)
