"""What other databases call things, so that an error can say what they are called here.

Nothing is accepted under two names: a wrong name stays an error of the usual Python kind, and only its text gets longer by the name that
was probably meant. Costs nothing until there is an error.
"""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

from vicino.errors import close_match, did_you_mean

P = ParamSpec("P")
R = TypeVar("R")

_ARGUMENTS = {
    **dict.fromkeys(("k", "top_k", "topk", "n", "n_results", "num_results", "size"), "limit"),
    **dict.fromkeys(("filter", "filters", "query_filter", "expr", "prefilter"), "where"),
    **dict.fromkeys(("efsearch", "ef_search", "hnsw_ef", "beam"), "ef"),
    **dict.fromkeys(("nprobes", "n_probe", "n_probes"), "nprobe"),
    **dict.fromkeys(("oversampling", "oversample", "refine_factor", "rescoring"), "rescore"),
    **dict.fromkeys(("with_payload", "output_fields", "include", "columns"), "select"),
    **dict.fromkeys(("with_vectors", "include_vectors", "embeddings"), "vectors"),
    **dict.fromkeys(("using", "anns_field", "vector_name", "vector_column_name"), "vector"),
    **dict.fromkeys(("score_threshold", "threshold"), "min_score"),
    **dict.fromkeys(("dims", "dimension", "dimensions", "ndim", "vector_size"), "dim"),
    **dict.fromkeys(("distance", "space", "metric_type", "distance_type"), "metric"),
    **dict.fromkeys(("type", "index_type"), "kind"),
    **dict.fromkeys(("m", "max_connections", "connectivity"), "m"),
    **dict.fromkeys(("efconstruction", "ef_construction", "expansion_add"), "ef_construct"),
    **dict.fromkeys(("n_lists", "n_list", "num_partitions", "n_partitions"), "nlist"),
    **dict.fromkeys(("num_sub_vectors", "n_subvectors", "subquantizers"), "subvectors"),
    **dict.fromkeys(("nbits", "num_bits", "n_bits"), "bits"),
    **dict.fromkeys(("quantization", "quantizer", "quantization_config"), "codes"),
    **dict.fromkeys(("embedding_function", "embedder"), "model"),
    **dict.fromkeys(("metadatas", "metadata", "payload", "payloads"), "fields"),
    **dict.fromkeys(("documents", "points", "data"), "records"),
}
"""Argument elsewhere, case folded -> here."""

_OF_INDEX = ("m", "ef_construct", "nlist", "nprobe", "subvectors", "bits", "copies", "codes", "rescore", "layout", "ef")
"""What is said with an `IndexSpec`."""

_VERBS = {
    **dict.fromkeys(("query", "query_points", "knn", "similarity_search", "find", "search_points"), "search(query, limit=10)"),
    **dict.fromkeys(("query_batch", "query_batch_points", "search_batch"), "search_many(queries)"),
    **dict.fromkeys(("insert", "add_documents", "add_with_ids"), "add(records), which refuses ids that exist, or upsert(records)"),
    **dict.fromkeys(("put", "merge_insert", "add_or_update", "upload_points"), "upsert(records)"),
    **dict.fromkeys(("set_payload", "overwrite_payload", "modify_fields"), "update(ids, set={...})"),
    "delete_payload": "update(ids, unset=[...])",
    **dict.fromkeys(("remove", "remove_ids", "delete_points", "delete_where"), "delete(ids), or delete(where=...)"),
    **dict.fromkeys(("retrieve", "fetch", "get_by_id"), "get(ids)"),
    **dict.fromkeys(("scroll", "scan", "iterate"), "iter(where=...)"),
    **dict.fromkeys(("ntotal", "count_rows", "num_entities", "size"), "count(), or len() of it"),
    **dict.fromkeys(("create_payload_index", "create_scalar_index"), "create_index(field)"),
    **dict.fromkeys(("create_fts_index", "create_text_index"), "add_text(name)"),
    **dict.fromkeys(("set_ef", "set_nprobe", "change_index", "create_vector_index"), "set_index(vicino.IndexSpec(...))"),
    **dict.fromkeys(("compact", "compact_files", "vacuum", "flush", "train"), "optimize(); nothing needs it"),
    **dict.fromkeys(("metric", "dim", "dtype"), 'settings.specs["vector"]; it stays as it was declared'),
    **dict.fromkeys(("set_metric", "set_dim", "set_dtype"), "add_vector(name, ...); a vector stays as it was declared"),
    **dict.fromkeys(("get_collection", "open_table", "open_collection", "get_table"), "collection(name)"),
    **dict.fromkeys(("create_table", "create_index_on"), "create_collection(name, dim=...)"),
    "get_or_create_collection": "create_collection(name, exist_ok=True, ...)",
    **dict.fromkeys(("list_collections", "get_collections", "table_names", "list_tables"), "names(), or collections() with their sizes"),
    **dict.fromkeys(("drop_table", "drop_collection"), "delete_collection(name)"),
    **dict.fromkeys(("persist", "commit", "save"), "nothing: a write is durable when its call returns"),
}  # fmt: skip
"""Method or attribute elsewhere -> here."""

_VALUES = {
    "metric": {
        **dict.fromkeys(("ip", "inner_product", "innerproduct", "dot_product", "dotproduct"), '"dot"'),
        **dict.fromkeys(("euclid", "euclidean", "euclidean_distance"), '"l2"'),
        **dict.fromkeys(("l2sq", "squared_l2", "sqeuclidean"), '"l2", which gives the root'),
        **dict.fromkeys(("manhattan", "taxicab", "cityblock"), '"l1"'),
        **dict.fromkeys(("cos", "angular", "cosine_similarity", "cosinesimil"), '"cosine"'),
    },
    "dtype": {
        **dict.fromkeys(("f32", "float", "single", "<class 'numpy.float32'>", "<class 'float'>"), '"float32"'),
        **dict.fromkeys(("f16", "half", "<class 'numpy.float16'>"), '"float16"'),
        **dict.fromkeys(("i8", "<class 'numpy.int8'>"), '"int8"'),
        **dict.fromkeys(("u8", "byte", "<class 'numpy.uint8'>"), '"uint8"'),
        **dict.fromkeys(("bit", "bits", "bool", "<class 'bool'>"), '"binary"'),
    },
    "index": {
        **dict.fromkeys(("vamana", "nsg", "nndescent", "cagra"), '"graph"'),
        **dict.fromkeys(("diskann", "spann"), 'vicino.IndexSpec("graph", layout="disk")'),
        **dict.fromkeys(("exact", "brute_force", "bruteforce", "linear"), '"flat"'),
        **dict.fromkeys(("ivfflat", "ivf-flat"), '"ivf_flat"'),
        **dict.fromkeys(("ivf_sq", "ivf_sq8", "ivfsq8"), '"ivf_flat" of a vector declared with keep_raw=False'),
        **dict.fromkeys(("ivf_rabitq", "rabitq", "scann"), '"ivf"'),
    },
    "codes": {
        **dict.fromkeys(("sq8", "int8", "8", "uint8", "scalar"), '"8bit"'),
        **dict.fromkeys(("sq4", "int4", "4"), '"4bit"'),
        **dict.fromkeys(("binary", "bbq", "rabitq", "1"), '"1bit"'),
        **dict.fromkeys(("product", "opq"), '"pq"'),
        **dict.fromkeys(("raw", "flat", "off", "false", "float32"), '"none"'),
    },
}
"""What is chosen -> its name elsewhere, case folded -> what to write here."""


_CONDITIONS = {
    **dict.fromkeys(("in_", "isin", "one_of", "match_any"), "is_in(values)"),
    **dict.fromkeys(("notin", "nin", "not_in_"), "not_in(values)"),
    **dict.fromkeys(("match_except", "except_"), "has_other_than(values)"),
    **dict.fromkeys(("isnull", "isna", "is_none"), "== None"),
    **dict.fromkeys(("notnull", "notna", "is_not_null", "is_not_none"), "!= None"),
    **dict.fromkeys(("starts_with", "prefix"), "startswith(text)"),
    **dict.fromkeys(("like", "includes", "str_contains"), "contains(text)"),
    **dict.fromkeys(("ilike", "icontains"), "contains(text, ignore_case=True)"),
    **dict.fromkeys(("match", "match_text", "search", "fulltext"), "matches(words)"),
    **dict.fromkeys(("has", "array_contains", "list_contains"), "contains_any(values)"),
    **dict.fromkeys(("array_contains_all", "list_has_all"), "contains_all(values)"),
    **dict.fromkeys(("len", "length", "size", "values_count"), "count()"),
    **dict.fromkeys(("geo_radius", "near", "within", "distance"), "within_km(lat, lon, km)"),
    **dict.fromkeys(("geo_bounding_box", "bbox"), "within_box(north=, west=, south=, east=)"),
    "range": "between(low, high)",
    "eq": "== value",
    "ne": "!= value",
    "gt": "> value",
    **dict.fromkeys(("gte", "ge"), ">= value"),
    "lt": "< value",
    **dict.fromkeys(("lte", "le"), "<= value"),
}
"""Condition on a field elsewhere -> here."""

_COMMANDS = {
    **dict.fromkeys(("query", "find", "ask", "knn"), "search"),
    **dict.fromkeys(("import", "insert", "add", "upsert", "upload", "ingest"), "load"),
    **dict.fromkeys(("drop", "rm", "remove"), "delete"),
    **dict.fromkeys(("ls", "collections", "tables"), "list"),
    **dict.fromkeys(("info", "status", "describe", "count", "size"), "stats"),
    **dict.fromkeys(("check", "fsck", "repair", "health"), "doctor"),
    **dict.fromkeys(("dump", "scroll"), "export"),
    **dict.fromkeys(("backup", "copy"), "snapshot"),
    **dict.fromkeys(("evaluate", "relevance"), "eval"),
    **dict.fromkeys(("benchmark", "perf"), "bench"),
    **dict.fromkeys(("reindex", "set-index"), "index"),
    **dict.fromkeys(("fetch", "retrieve", "show"), "get"),
    **dict.fromkeys(("recall", "calibrate"), "verify"),
    **dict.fromkeys(("pull", "download"), "models pull"),
    "aggregate": "facet",
}
"""Command elsewhere, case folded -> here."""


def command_hint(name: str, known: Sequence[str]) -> str:
    """What to write instead of a command that there is not: ` Write "stats".`, ` Did you mean "search"?`, or what there is."""
    ours = _COMMANDS.get(name.casefold())
    is_here = ours is not None and ours.split()[0] in known
    return f' Write "{ours}".' if is_here else did_you_mean(name, known)


def condition_hint(field: str, name: str, known: Sequence[str]) -> str:
    """What to write instead of a method that fields lack: ` Write F.n.is_in(values).`, ` Did you mean "is_in"?`, or what there is."""
    ours = _CONDITIONS.get(name.casefold())
    if ours is None:
        return did_you_mean(name, known)
    return f" Write {field}{'.' if ours[0].isalpha() else ' '}{ours}."


def value_hint(what: str, given: object, choices: Sequence[str]) -> str:
    """What to write instead of a value that is none of `choices`: ` Write "dot".`, ` Did you mean "dot"?`, or an empty string.

    what: "metric", "dtype", "index" or "codes".
    """
    ours = _VALUES[what].get(str(given).casefold(), "")
    is_choice = ours.split('"')[1:2] and ours.split('"')[1] in choices
    return f" Write {ours}." if is_choice else close_match(str(given), choices)


def argument_hint(name: str, known: Sequence[str]) -> str:
    """What to write instead of an argument that a call does not have: ` Write limit=.`, or an empty string."""
    ours = _ARGUMENTS.get(name.casefold(), name)
    if ours in known:
        return f" Write {ours}=."
    if ours in _OF_INDEX and "index" in known:
        return f" It is said of the index: index=vicino.IndexSpec(kind, {ours}=...)."
    if ours in ("keep_raw", "metric", "dtype", "dim") and "index" in known and "vector" in known:
        return " It is decided when a vector is declared: add_vector(name, ...) declares another."
    if name == "device" and "limit" in known:
        return " It goes with search_many(queries, exact=True, device=...)."
    return close_match(name, known)


def unknown_argument(call: str, name: str, known: Sequence[str]) -> TypeError:
    """The error of Python for an argument that a call does not have, for calls that take `**options`."""
    return TypeError(f"{call} got an unexpected keyword argument {name!r}.{argument_hint(name, known)}")


def add_hint(error: TypeError, function: Callable[..., Any]) -> None:
    """Notes what was probably meant on the error that Python raises when a call does not fit the signature of `function`."""
    names = list(inspect.signature(function).parameters)
    if found := re.search(r"unexpected keyword argument '(\w+)'", str(error)):
        note = argument_hint(found[1], names).strip()
    elif "positional argument" in str(error) and "takes" in str(error):
        parameters = inspect.signature(function).parameters.values()
        by_name = [parameter.name for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY]
        note = f"What follows is given by name: {', '.join(f'{name}=' for name in by_name[:3])} and so on." if by_name else ""
    else:
        note = ""
    if note:
        error.add_note(note)


def hinted(function: Callable[P, R]) -> Callable[P, R]:
    """The function, whose calls with arguments it does not have say which were probably meant."""

    @functools.wraps(function)
    def call(*arguments: P.args, **options: P.kwargs) -> R:
        try:
            return function(*arguments, **options)
        except TypeError as error:
            if is_of_call(error):
                add_hint(error, function)
            raise

    return call


def is_of_call(error: TypeError) -> bool:
    """Whether the call itself raised it, for its arguments, and nothing that was called: asked where it is caught first."""
    return error.__traceback__ is not None and error.__traceback__.tb_next is None


def hinted_init(kind: type[R]) -> type[R]:
    """The class, whose constructor says what was probably meant; for dataclasses, whose constructors are not written."""
    anything = cast(Any, kind)
    anything.__init__ = hinted(anything.__init__)
    return kind


class TellsOurNames:
    """For classes whose users may look for the methods and attributes of other databases.

    Not for hits and results: `__getattr__` makes each look at an attribute some nanoseconds slower.
    """

    __slots__ = ()

    if not TYPE_CHECKING:  # a checker would otherwise take any name for an attribute

        def __getattr__(self, name: str) -> Any:
            meant = _VERBS.get(name)
            hint = "" if meant is None else f"; here it is {meant}"
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}{hint}", name=name, obj=self)
