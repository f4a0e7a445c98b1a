"""The awaited face does what the blocking one does."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from vicino import aio
from vicino.collection.collection import Collection
from vicino.database import Database
from vicino.errors import ClosedError, InvalidArgument, NotFoundError

RECORDS = [{"id": number, "vector": [number, 1.0], "even": number % 2 == 0} for number in range(10)]


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(work)


async def filled() -> tuple[aio.AsyncDatabase, aio.AsyncCollection[Any]]:
    db = await aio.open()
    docs = await db.create_collection("docs", dim=2, metric="l2")
    await docs.upsert(RECORDS)
    return db, docs


def public_verbs(blocking_class: type) -> set[str]:
    return {name for name, member in inspect.getmembers(blocking_class, inspect.isfunction) if not name.startswith("_")}


@pytest.mark.parametrize(
    ("twin", "original"), [(aio.AsyncCollection, Collection), (aio.AsyncDatabase, Database)], ids=["collection", "database"]
)
def test_twins_have_every_verb_with_its_docstring(twin: type, original: type) -> None:
    for name in public_verbs(original) - {"close"}:
        assert inspect.signature(getattr(twin, name)).parameters.keys() == inspect.signature(getattr(original, name)).parameters.keys()
        assert getattr(twin, name).__doc__ == getattr(original, name).__doc__
    assert public_verbs(twin) - public_verbs(original) == set()


def test_search_finds_what_was_written() -> None:
    async def work() -> list[Any]:
        db, docs = await filled()
        async with db:
            return (await docs.search([3, 1], where="even == True", limit=2)).ids

    assert run(work()) == [2, 4]


def test_open_can_be_entered_without_await(tmp_path: Path) -> None:
    async def work() -> list[str]:
        async with aio.open(tmp_path / "data") as db:
            await db.create_collection("docs", dim=2)
            return await db.names()

    assert run(work()) == ["docs"]


def test_iteration_reads_one_snapshot() -> None:
    async def work() -> list[int]:
        db, docs = await filled()
        async with db:
            seen = []
            async for view in docs.iter(where="even == True", batch=2):
                seen.append(view.id)
                await docs.delete([8])
            return seen

    assert run(work()) == [0, 2, 4, 6, 8]


def test_pages_end_with_the_matches() -> None:
    async def work() -> list[int]:
        db, docs = await filled()
        async with db:
            return [len(page) async for page in docs.search_pages([0, 1], page=4)]

    assert run(work()) == [4, 4, 2]


def test_calls_run_beside_each_other_and_never_more_than_allowed() -> None:
    async def work() -> int:
        async with aio.open(max_calls=2) as db:
            running, most, guard = 0, 0, threading.Lock()
            both = threading.Barrier(2, timeout=10)

            def call() -> None:
                nonlocal running, most
                with guard:
                    running += 1
                    most = max(most, running)
                both.wait()
                with guard:
                    running -= 1

            await asyncio.gather(*(db._calls.run(call) for _ in range(6)))
            return most

    assert run(work()) == 2


def test_errors_come_through_unchanged() -> None:
    async def work() -> None:
        db, _ = await filled()
        async with db:
            await db.collection("dosc")

    with pytest.raises(NotFoundError, match='Did you mean "docs"'):
        run(work())


def test_past_versions_are_awaited_too() -> None:
    async def work() -> int:
        async with aio.open(retain=10) as db:
            docs = await db.create_collection("docs", dim=2)
            await docs.upsert(RECORDS[:3])
            await docs.upsert(RECORDS[3:])
            return await (await docs.at(1)).count()

    assert run(work()) == 3


def test_closed_database_refuses_calls() -> None:
    async def work() -> None:
        db, docs = await filled()
        await db.close()
        await docs.count()

    with pytest.raises(ClosedError, match="open it again"):
        run(work())


def test_restore_opens_the_copy(tmp_path: Path) -> None:
    async def work() -> int:
        async with aio.open(tmp_path / "data") as db:
            await (await db.create_collection("docs", dim=2)).upsert(RECORDS)
            await db.snapshot(tmp_path / "copy")
        async with await aio.restore(tmp_path / "copy", tmp_path / "again") as db:
            return await (await db.collection("docs")).count()

    assert run(work()) == 10


def test_max_calls_is_at_least_one() -> None:
    with pytest.raises(InvalidArgument, match="max_calls must be at least 1, got 0"):
        aio.open(max_calls=0)


