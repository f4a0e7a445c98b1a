"""The awaited twin of the public face: same names, same arguments, for event loops.

    async with vicino.aio.open("data") as db:
        docs = await db.collection("docs")
        hits = await docs.search([1, 0, 0], limit=3)

Each call runs in one of a few threads that all calls of one database share; the core lets go of the interpreter while it works, so
searches run beside each other and beside the loop. When all threads are busy a call waits its turn, which bounds memory and load however
many tasks there are. A task that is cancelled stops waiting; a call that has begun ends by itself (`timeout=` bounds it), because half a
write is worse than a late one.

The methods below are made from those of `Database` and `Collection`, so signatures and docstrings cannot drift apart.
"""

from __future__ import annotations

import asyncio
import functools
import os
from collections.abc import AsyncIterator, Callable, Coroutine, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar, cast

from vicino import database as blocking
from vicino.collection.collection import Collection
from vicino.collection.schema import Schema
from vicino.collection.settings import Settings
from vicino.database import Database
from vicino.database.database import Mode
from vicino.elsewhere import TellsOurNames
from vicino.errors import ClosedError, InvalidArgument
from vicino.query.hit import RecordView
from vicino.query.results import Results

__all__ = ["AsyncCollection", "AsyncDatabase", "open", "restore"]

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

MAX_CALLS = 8
"""Calls of one database that run at once, unless `max_calls=` says otherwise."""


class _Calls:
    """The threads that the calls of one database share."""

    def __init__(self, size: int) -> None:
        if size < 1:
            raise InvalidArgument(f"max_calls must be at least 1, got {size}")
        self._threads = ThreadPoolExecutor(size, thread_name_prefix="vicino-aio")
        self._closed = False

    async def run(self, call: Callable[..., R], *arguments: Any, **options: Any) -> R:
        if self._closed:
            raise ClosedError("the database is closed; open it again")
        return await asyncio.get_running_loop().run_in_executor(self._threads, functools.partial(call, *arguments, **options))

    def close(self) -> None:
        self._closed = True
        self._threads.shutdown(wait=False)


def _awaited_collection(method: Callable[Concatenate[Any, P], R]) -> Callable[Concatenate[Any, P], Coroutine[Any, Any, R]]:
    """The twin of a method of Collection."""

    @functools.wraps(method)
    async def call(self: AsyncCollection[Any], *arguments: P.args, **options: P.kwargs) -> R:
        return await self._calls.run(method, self._collection, *arguments, **options)

    return call


def _awaited_database(method: Callable[Concatenate[Any, P], R]) -> Callable[Concatenate[Any, P], Coroutine[Any, Any, R]]:
    """The twin of a method of Database."""

    @functools.wraps(method)
    async def call(self: AsyncDatabase, *arguments: P.args, **options: P.kwargs) -> R:
        return await self._calls.run(method, self._database, *arguments, **options)

    return call


class AsyncCollection(TellsOurNames, Generic[T]):
    """A collection whose verbs are awaited; facts that cost nothing are plain attributes. See `vicino.Collection`."""

    def __init__(self, collection: Collection[T], calls: _Calls) -> None:
        self._collection, self._calls = collection, calls

    @property
    def name(self) -> str:
        """The name now; it follows a rename."""
        return self._collection.name

    @property
    def settings(self) -> Settings:
        """Everything the collection was created with, as it is now."""
        return self._collection.settings

    @property
    def schema(self) -> Schema:
        return self._collection.schema

    @property
    def version(self) -> int:
        """Number of commits so far."""
        return self._collection.version

    add = _awaited_collection(Collection.add)
    upsert = _awaited_collection(Collection.upsert)
    update = _awaited_collection(Collection.update)
    delete = _awaited_collection(Collection.delete)
    load = _awaited_collection(Collection.load)
    get = _awaited_collection(Collection.get)
    peek = _awaited_collection(Collection.peek)
    count = _awaited_collection(Collection.count)
    estimate = _awaited_collection(Collection.estimate)
    facet = _awaited_collection(Collection.facet)
    search = _awaited_collection(Collection.search)
    search_many = _awaited_collection(Collection.search_many)
    explain = _awaited_collection(Collection.explain)
    aggregate = _awaited_collection(Collection.aggregate)
    distance_matrix = _awaited_collection(Collection.distance_matrix)
    create_index = _awaited_collection(Collection.create_index)
    drop_index = _awaited_collection(Collection.drop_index)
    add_vector = _awaited_collection(Collection.add_vector)
    drop_vector = _awaited_collection(Collection.drop_vector)
    why = _awaited_collection(Collection.why)
    verify = _awaited_collection(Collection.verify)
    set_index = _awaited_collection(Collection.set_index)
    set_recall = _awaited_collection(Collection.set_recall)
    add_text = _awaited_collection(Collection.add_text)
    drop_text = _awaited_collection(Collection.drop_text)
    optimize = _awaited_collection(Collection.optimize)
    purge_expired = _awaited_collection(Collection.purge_expired)
    stats = _awaited_collection(Collection.stats)
    export = _awaited_collection(Collection.export)
    refresh = _awaited_collection(Collection.refresh)

    @functools.wraps(Collection.at)
    async def at(self, version: Any) -> AsyncCollection[T]:
        return AsyncCollection(await self._calls.run(self._collection.at, version), self._calls)

    @functools.wraps(Collection.iter)
    async def iter(self, **options: Any) -> AsyncIterator[RecordView[T]]:
        async for view in _each(self._calls, await self._calls.run(self._collection.iter, **options), int(options.get("batch", 1000))):
            yield view

    @functools.wraps(Collection.search_pages)
    async def search_pages(self, query: Any, **options: Any) -> AsyncIterator[Results[T]]:
        async for page in _each(self._calls, self._collection.search_pages(query, **options), 1):
            yield page

    def __repr__(self) -> str:
        return f"<Async{repr(self._collection)[1:]}"


async def _each(calls: _Calls, iterator: Iterator[R], batch: int) -> AsyncIterator[R]:
    """The elements of a blocking iterator, fetched a batch a call: one call each would cost more than the elements."""
    from itertools import islice

    while part := await calls.run(lambda: list(islice(iterator, batch))):
        for element in part:
            yield element


class AsyncDatabase(TellsOurNames):
    """A database whose verbs are awaited; an async context manager. Made by `vicino.aio.open`. See `vicino.Database`."""

    def __init__(self, database: Database, calls: _Calls) -> None:
        self._database, self._calls = database, calls

    @property
    def path(self) -> str:
        return self._database.path

    @property
    def mode(self) -> Mode:
        """How it was opened: "rw", "r" or "rescue"."""
        return self._database.mode

    @property
    def is_writable(self) -> bool:
        return self._database.is_writable

    names = _awaited_database(Database.names)
    collections = _awaited_database(Database.collections)
    delete_collection = _awaited_database(Database.delete_collection)
    rename_collection = _awaited_database(Database.rename_collection)
    alias = _awaited_database(Database.alias)
    aliases = _awaited_database(Database.aliases)
    snapshot = _awaited_database(Database.snapshot)
    stats = _awaited_database(Database.stats)
    check = _awaited_database(Database.check)
    refresh = _awaited_database(Database.refresh)

    @functools.wraps(Database.create_collection)
    async def create_collection(self, name: str, **settings: Any) -> AsyncCollection[Any]:
        return AsyncCollection(await self._calls.run(self._database.create_collection, name, **settings), self._calls)

    @functools.wraps(Database.collection)
    async def collection(self, name: str, *, schema: type[T] | None = None) -> AsyncCollection[T]:
        return AsyncCollection(await self._calls.run(self._database.collection, name, schema=schema), self._calls)

    async def close(self) -> None:
        """Waits for the calls that run, stops background work and lets go of the folder."""
        await self._calls.run(self._database.close)
        self._calls.close()

    async def __aenter__(self) -> AsyncDatabase:
        return self

    async def __aexit__(self, *_exception: object) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<Async{repr(self._database)[1:]}"


class _Opening:
    """What `open` gives: to be awaited, or entered with `async with`."""

    def __init__(self, start: Callable[[], Database], max_calls: int) -> None:
        self._start, self._calls = start, _Calls(max_calls)
        self._opened: AsyncDatabase | None = None

    async def _open(self) -> AsyncDatabase:
        try:
            self._opened = AsyncDatabase(await self._calls.run(self._start), self._calls)
        except BaseException:
            self._calls.close()
            raise
        return self._opened

    def __await__(self) -> Generator[Any, None, AsyncDatabase]:
        return self._open().__await__()

    async def __aenter__(self) -> AsyncDatabase:
        return await self._open()

    async def __aexit__(self, *_exception: object) -> None:
        if self._opened is not None:
            await self._opened.close()


def open(path: str | os.PathLike[str] | None = None, *, max_calls: int = MAX_CALLS, **options: Any) -> _Opening:
    """Opens a database for an event loop: `await` it, or enter it with `async with`. Arguments as in `vicino.open`.

    max_calls: how many calls run at once; the others wait.
    """
    return _Opening(functools.partial(blocking.open, path, **options), max_calls)


async def restore(
    snapshot: str | os.PathLike[str], to: str | os.PathLike[str], *, max_calls: int = MAX_CALLS, **options: Any
) -> AsyncDatabase:
    """Copies a snapshot to a new folder and opens it; see `vicino.restore`."""
    return await cast(Any, _Opening(functools.partial(blocking.restore, snapshot, to, **options), max_calls))
