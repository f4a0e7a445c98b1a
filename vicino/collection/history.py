"""Reading a collection as it was: the newest base that is not younger, and the log up to the version asked for.

The files behind a view are held as long as it is open. Only versions that `retain=` keeps, and those since the last checkpoint, can be
rebuilt; the journal's history says which.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from vicino.collection.manifest import Manifest
from vicino.collection.read_shard import AnyShard, FrozenShard
from vicino.collection.replaying import Replay
from vicino.collection.shard import open_state
from vicino.errors import InvalidArgument, NotFoundError, ReadOnlyError
from vicino.storage.journal import Journal


@dataclass(frozen=True, slots=True)
class Base:
    """A manifest from which later versions can be rebuilt."""

    manifest: str
    floor: int
    version: int


def bases(journal: Journal) -> list[Base]:
    """All bases that are still there, oldest first."""
    kept = [Base(entry.manifest, entry.floor, entry.version) for entry in journal.history]
    return [*kept, Base(journal.manifest_name, journal.floor, journal.manifest["version"])]


def open_version(shard: AnyShard, wanted: int | dt.datetime) -> FrozenShard:
    """The shard as it was at a version or instant. Raises NotFoundError naming the oldest version that can be read."""
    if isinstance(shard, FrozenShard):
        raise ReadOnlyError(shard.read_only_reason)
    current = shard.snapshot().version
    found = bases(shard.journal)
    version = _version_at(shard, found, wanted) if isinstance(wanted, dt.datetime) else wanted
    if isinstance(version, bool) or not isinstance(version, int):
        raise InvalidArgument(f"at() takes a version number or a datetime, got {type(wanted).__name__} {wanted!r}")
    if version > current:
        raise NotFoundError(f'collection "{shard.name}" is at version {current}, version {version} does not exist yet')
    usable = [base for base in found if base.version <= version]
    if not usable:
        raise NotFoundError(
            f'version {version} of collection "{shard.name}" is gone; the oldest that can be read is {found[0].version}; '
            "open the database with retain=N to keep the last N versions"
        )
    return _rebuild(shard, usable[-1], version)


def newest(shard: AnyShard) -> FrozenShard:
    """The shard as its files say it is now, whichever version `shard` shows."""
    return _rebuild(shard, bases(shard.journal)[-1], 2**63)


def _rebuild(shard: AnyShard, base: Base, version: int) -> FrozenShard:
    hold = shard.journal.hold()
    try:
        manifest = Manifest.from_json(shard.journal.read_manifest(base.manifest))
        frozen = FrozenShard(shard, open_state(shard.journal, manifest, shard.budget), manifest.settings)
        replay = Replay(frozen.state, shard.budget, shard.name)
        for number, blob in shard.journal.log_blobs(base.floor):
            replay.log(number, blob, until=version)
            if frozen.state.version >= version:
                break
    finally:
        hold.release()  # the files are mapped by now: what is unlinked stays readable
    frozen.settings = replay.settings or manifest.settings
    return frozen


def _version_at(shard: AnyShard, found: list[Base], instant: dt.datetime) -> int:
    """The last version written at or before an instant; a naive one is UTC."""
    aware = instant if instant.tzinfo else instant.replace(tzinfo=dt.UTC)
    limit_us = int(aware.timestamp() * 1e6)
    oldest = shard.journal.read_manifest(found[0].manifest)
    if limit_us < oldest["time_us"]:
        since = dt.datetime.fromtimestamp(oldest["time_us"] / 1e6, tz=dt.UTC)
        raise NotFoundError(
            f'collection "{shard.name}" cannot be read as of {aware.isoformat()}; its history begins {since.isoformat()} with version '
            f"{found[0].version}; open the database with retain=N to keep the last N versions"
        )
    version = found[0].version
    for _type, record_version, time_us, _payload in shard.journal.records(found[0].floor):
        if time_us > limit_us:
            break
        version = record_version
    return version
