"""Every error class can be produced through the public face, with a message that states values and a next step."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vicino
from vicino import F, _core, errors, models
from vicino.collection.limits import Limits
from vicino.collection.settings import Settings
from vicino.config import Config, ModelSettings
from vicino.env import RealEnv
from vicino.errors import Error
from vicino.models.rerank_hosted import HostedReranker

Produce = Callable[[Path, pytest.MonkeyPatch], Any]


def small(folder: Path | None = None, **options: Any) -> Any:
    """A collection with the records "a" and "b"."""
    db = vicino.open(folder, **options)
    docs = db.create_collection("docs", dim=2, exist_ok=True)
    docs.upsert([{"id": "a", "vector": [1, 0], "year": 2000}, {"id": "b", "vector": [0, 1]}])
    return db, docs


class OtherModel:
    """An embedder that is not the one of the collection."""

    name, dim = "other", 2

    def __init__(self, revision: str) -> None:
        self.revision = revision

    def identity(self) -> dict[str, Any]:
        return {"name": self.name, "revision": self.revision, "dim": self.dim}

    def embed_documents(self, texts: list[str]) -> Any:
        return np.ones((len(texts), 2), np.float32)

    def embed_query(self, text: str) -> Any:
        return np.ones(2, np.float32)


def locked(folder: Path, _: pytest.MonkeyPatch) -> None:
    db, _docs = small(folder / "data")
    with db:
        vicino.open(folder / "data", _env=RealEnv())  # as another process would


def corrupt(folder: Path, _: pytest.MonkeyPatch) -> None:
    small(folder / "data")[0].close()
    current = folder / "data" / "catalog" / "CURRENT"
    content = bytearray(current.read_bytes())
    content[-1] ^= 1
    current.write_bytes(content)
    vicino.open(folder / "data")


def refused_by_the_file_system(folder: Path, _: pytest.MonkeyPatch) -> None:
    vicino.open("/proc/version/data")


def read_only(folder: Path, _: pytest.MonkeyPatch) -> None:
    small(folder / "data")[0].close()
    with vicino.open(folder / "data", mode="r") as db:
        db["docs"].upsert({"id": "c"})


def closed(folder: Path, _: pytest.MonkeyPatch) -> None:
    db, _docs = small()
    db.close()
    db.names()


def without_pyarrow(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    small()[1].search([1, 0]).to_arrow()


def over_memory(folder: Path, _: pytest.MonkeyPatch) -> None:
    small(memory_limit="16MiB")[1].upsert({"id": "big", "text": "x" * 20_000_000})


def other_model(folder: Path, _: pytest.MonkeyPatch) -> None:
    models.check_identity(OtherModel("1").identity(), OtherModel("2"))  # type: ignore[arg-type]


def missing_model(folder: Path, _: pytest.MonkeyPatch) -> None:
    models.load("minilm", config=Config(models=ModelSettings(folder=str(folder / "models"))))


def unreachable_service(_folder: Path, _: pytest.MonkeyPatch) -> None:
    # Nothing listens at the discard port, and a connection to this machine is refused at once.
    reranker = HostedReranker("cohere", "some-model", key="a key", url="http://127.0.0.1:9/rerank", env=PatientEnv())
    reranker.scores("query", ["text"])


class PatientEnv(RealEnv):
    """Waits without taking time."""

    def sleep(self, seconds: float) -> None: ...


def beam_too_small(_folder: Path, _: pytest.MonkeyPatch) -> Any:
    with vicino.open(limits=Limits(graph_rows_min=256)) as db:
        docs = db.create_collection("docs", dim=32)
        vectors = np.random.default_rng(1).normal(size=(1000, 32)).astype(np.float32)
        docs.upsert(ids=list(range(1000)), vectors=vectors)
        docs.optimize()
        docs.search(vectors[0], recall=0.999, ef=2)


def index_being_built(_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _db, docs = small()
    docs.add_text("title").wait()
    monkeypatch.setattr(_core.Snapshot, "n_uncovered", lambda *_: 2)  # as it is while the job runs
    docs.search("cats", mode="text")


def contradiction(_folder: Path, _: pytest.MonkeyPatch) -> None:
    raise errors.InternalError("a commit ended without a result; please report this")  # nothing a caller does may lead here


PRODUCERS: dict[type[Error], Produce] = {
    errors.NotFoundError: lambda _folder, _: small()[0]["dosc"],
    errors.ExistsError: lambda _folder, _: small()[0].create_collection("docs"),
    errors.DuplicateIdError: lambda _folder, _: small()[1].add({"id": "a"}),
    errors.InvalidArgument: lambda _folder, _: small()[1].search([1, 0], limit=0),
    errors.DimensionError: lambda _folder, _: small()[1].upsert({"id": "c", "vector": [1, 2, 3]}),
    errors.SchemaError: lambda _folder, _: vicino.open().create_collection("c", schema={"year": "integer"}).upsert({"id": 1, "year": "x"}),
    errors.FilterError: lambda _folder, _: small()[1].count(where=10 < F.year < 50),
    errors.ConflictError: lambda _folder, _: small()[1].upsert({"id": "a"}, if_version=7),
    errors.LockedError: locked,
    errors.ModelMismatchError: other_model,
    errors.ModelNotFound: missing_model,
    errors.MemoryLimitError: over_memory,
    errors.TimeoutError: lambda _folder, _: small()[1].search([1, 0], where=F.year > 1, timeout=1e-9),
    errors.CorruptionError: corrupt,
    errors.FormatError: lambda _folder, _: Settings.from_json({**Settings().to_json(), "sparkle": 1}),
    errors.StorageError: refused_by_the_file_system,
    errors.ServiceError: unreachable_service,
    errors.RecallUnreachable: beam_too_small,
    errors.NotReadyError: index_being_built,
    errors.ReadOnlyError: read_only,
    errors.ClosedError: closed,
    errors.MissingExtraError: without_pyarrow,
    errors.InternalError: contradiction,
}


def test_every_error_class_has_a_way_to_it() -> None:
    classes = {found for found in vars(errors).values() if isinstance(found, type) and issubclass(found, Error)}
    assert classes - {Error} == PRODUCERS.keys()


@pytest.mark.parametrize("error", PRODUCERS, ids=lambda error: error.__name__)
def test_error_can_be_produced_and_says_what_to_do(error: type[Error], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(error) as raised:
        PRODUCERS[error](tmp_path, monkeypatch)
    assert type(raised.value) is error
    message = str(raised.value)
    assert len(message) > 25, "a message states values, place and next step"
    assert not message[0].isspace()
    assert raised.value.url == f"reference/errors.md#{error.code}"
