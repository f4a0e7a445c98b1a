"""What reads a query and a text together and says how well one answers the other, and how such a model is found by name.

    a folder              a cross-encoder on this machine (`rerank_local.py`)
    "cohere/rerank-v3.5"  a model of a service (`rerank_hosted.py`); the key comes from the environment
    "house"               what `register_reranker` was given, or the folder of this name among the models

Queries that come as JSON name their reranker, and may come from somebody else than who runs the program. For them only the last line
counts (`named_reranker`): no path outside the models' folder is read and no service is asked unless a program said so.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from vicino.config import Config, from_environment
from vicino.env import RealEnv
from vicino.errors import InvalidArgument, ModelNotFound, did_you_mean

if TYPE_CHECKING:
    from vicino.models.rerank_local import LocalReranker

_PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@runtime_checkable
class Reranker(Protocol):
    """Scores texts for a query. Any object with these members will do; they may be called from several threads at once.

    Under a time budget texts are given in batches of `batch_size` (an attribute of the object, 8 without it), and the clock is looked at
    between two of them. An object with `scores_within(query, texts, timeout_s)` is given all of them and the time that is left instead.
    """

    @property
    def name(self) -> str: ...
    @property
    def max_length(self) -> int:
        """Tokens of query and text together that are read; of what is longer the end of the text is cut off."""
        ...

    def scores(self, query: str, texts: Sequence[str]) -> Sequence[float]:
        """One finite number for each text, larger for better. Scores of different queries need not compare."""
        ...


_registered: dict[str, Reranker | Callable[[], Reranker]] = {}
_loaded: dict[str, LocalReranker] = {}
_lock = threading.Lock()


def register_reranker(name: str, reranker: Reranker | Callable[[], Reranker]) -> None:
    """Gives a reranker a name in this process, for `search(rerank=name)` and queries as JSON; an earlier one of the name is replaced.

    reranker: the object, or a function that makes it and is called once, when it is first needed.
    """
    if not isinstance(name, str) or not name:
        raise InvalidArgument(f"a reranker is registered under a name, got {name!r}")
    if not is_reranker(reranker) and not callable(reranker):
        raise InvalidArgument(f'reranker "{name}" must have scores(query, texts) or be a function that makes one, got {reranker!r}')
    with _lock:
        _registered[name] = reranker


def is_reranker(value: object) -> bool:
    """Whether an object can score texts."""
    return not isinstance(value, type) and callable(getattr(value, "scores", None))


def named_reranker(name: str, *, config: Config | None = None) -> Reranker:
    """The reranker of this name: registered in this process, or a folder of this name among the models. Raises ModelNotFound."""
    if (registered := _from_registry(name)) is not None:
        return registered
    config = config or from_environment()
    folder = os.path.join(config.models.folder, name)
    if _PLAIN_NAME.fullmatch(name) and RealEnv().files.exists(os.path.join(folder, "tokenizer.json")):
        with _lock:
            if folder not in _loaded:
                _loaded[folder] = _load_folder(folder, config, pins=None, threads=None)
            return _loaded[folder]
    raise ModelNotFound(
        f'no reranker is called "{name}".{did_you_mean(name, _registered)} Name one with vicino.models.register_reranker(name, reranker), '
        f"or put the folder of a cross-encoder into {config.models.folder}"
    )


def load_reranker(
    name_or_path: str | os.PathLike[str],
    *,
    pins: Mapping[str, str] | None = None,
    threads: int | None = None,
    config: Config | None = None,
) -> Reranker:
    """A reranker: "cohere/…", "voyage/…" or "jina/…" for a model of these services, a name as in `named_reranker`, or a folder.

    pins: SHA-256 in hexadecimal of files of the folder, by their path in it; other bytes raise CorruptionError. threads: how many threads
    score; default from the settings, else all cores. Nothing is downloaded. Raises ModelNotFound, InvalidArgument for what cannot be run
    and for a missing key, MissingExtraError without `vicino[embed]`.
    """
    from vicino.models.rerank_hosted import PROVIDERS, HostedReranker

    given = os.fspath(name_or_path)
    config = config or from_environment()
    if isinstance(name_or_path, str):
        if (registered := _from_registry(given)) is not None:
            return registered
        provider, slash, model = given.partition("/")
        if slash and provider in PROVIDERS:
            if pins or threads:
                raise InvalidArgument(f"pins= and threads= go with a folder; {given} is a model of {PROVIDERS[provider].title}")
            return HostedReranker(provider, model)
    files = RealEnv().files
    among_models = os.path.join(config.models.folder, given)
    is_among = bool(_PLAIN_NAME.fullmatch(given)) and files.is_dir(among_models)
    folder = among_models if is_among else os.path.abspath(os.path.expanduser(given))
    if not files.is_dir(folder):
        raise ModelNotFound(
            f"there is no reranker {given!r}: it is no registered name, no folder {folder}, and not of the form "
            f"{', '.join(f'{provider}/MODEL' for provider in PROVIDERS)}"
        )
    return _load_folder(folder, config, pins=pins, threads=threads)


def _load_folder(folder: str, config: Config, *, pins: Mapping[str, str] | None, threads: int | None) -> LocalReranker:
    from vicino.models.rerank_local import load_local_reranker

    return load_local_reranker(folder, pins=pins or {}, threads=threads or config.models.threads)


def _from_registry(name: str) -> Reranker | None:
    """A registered reranker, made if it was given as a function."""
    with _lock:
        given = _registered.get(name)
    if given is None or is_reranker(given):
        return given  # type: ignore[return-value]
    made = given()  # type: ignore[operator]
    if not is_reranker(made):
        raise InvalidArgument(
            f'the function registered for reranker "{name}" gave {type(made).__name__}, which has no scores(query, texts)'
        )
    with _lock:
        # Another thread may have made one meanwhile, or the name may mean another by now; this call keeps what it made.
        if _registered.get(name) is given:
            _registered[name] = made
    return made
