# Written by scripts/make_core_stub.py; change core/bind/ and run that again.
"""
vicino's native core: kernels, documents, filters, segments, graph. Use it through the vicino package.
"""

from collections.abc import Callable, Mapping, Sequence
import enum
from typing import Any, Annotated

import numpy
from numpy.typing import NDArray


class Blob:
    def __buffer__(self, flags: int, /) -> memoryview: ...
    """
    Immutable bytes that keep their owner alive; supports the buffer protocol.
    """

    def __init__(self, data: object) -> None: ...

    def __len__(self) -> int: ...

    @property
    def size(self) -> int: ...

    def part(self, offset: int, size: int) -> Blob:
        """A part of this blob, sharing its owner."""

def map_file(path: str) -> Blob:
    """Map a file read-only."""

def crc32c(data: object, value: int = 0) -> int:
    """CRC32C of a buffer, continuing from `value`."""

def crc32c_portable(data: object, value: int = 0) -> int:
    """CRC32C without the processor's instruction."""

def crc32c_reference(data: object, value: int = 0) -> int:
    """CRC32C one byte at a time, for tests."""

class Container:
    """An opened immutable file: named, checksummed sections."""

    @staticmethod
    def open(blob: Blob, name: str) -> Container: ...

    @property
    def name(self) -> str: ...

    @property
    def kind(self) -> str: ...

    @property
    def size(self) -> int: ...

    @property
    def sections(self) -> list[tuple[str, int, int]]:
        """(name, offset, size) of every section, in the order of the file."""

    def section(self, name: str) -> Blob: ...

    def find(self, name: str) -> Blob | None: ...

    def expect_kind(self, kind: str) -> None: ...

    def verify(self) -> None:
        """Check all checksums."""

def encode_container_header(kind: str) -> bytes: ...

def encode_container_end(sections: Sequence[tuple[str, int, int, Sequence[int]]], table_offset: int) -> bytes:
    """
    Section table and trailer for sections given as (name, offset, size, checksums).
    """

SECTION_ALIGNMENT: int = 4096

CHECKSUM_BLOCK: int = 1048576

def encode_log_file_header(number: int, nonce: int, previous_size: int, previous_version: int) -> bytes: ...

def encode_log_header(nonce: int, type: int, version: int, time_us: int, durable: int, payload: Sequence) -> bytes:
    """The bytes before a payload that is given as a sequence of buffers."""

class LogReader:
    """Reads one log file front to back."""

    def __init__(self, blob: Blob, offset: int, name: str) -> None: ...

    def next(self) -> Any:
        """
        The next (type, version, time_us, durable, payload, start, end), or None.
        """

    def skip_to_end(self) -> int:
        """Check all remaining records and return how many there were."""

    @property
    def end(self) -> int: ...

    @property
    def torn(self) -> bool: ...

    @property
    def proven(self) -> int: ...

    @property
    def marked(self) -> bool: ...

    @property
    def version(self) -> int: ...

    @property
    def number(self) -> int: ...

    @property
    def nonce(self) -> int: ...

    @property
    def previous_size(self) -> int: ...

LOG_FILE_HEADER_SIZE: int = 64

LOG_RECORD_HEADER_SIZE: int = 36

LOG_MARK: int = 0

def kernel_sets() -> list[str]:
    """Names of the kernel sets this machine can run, simplest first."""

def active_kernels() -> list[tuple[str, str]]:
    """(kernel, set it comes from) for the kernels in use."""

def pairwise_distances(queries: Annotated[NDArray, dict(order='C', device='cpu', writable=False)], vectors: Annotated[NDArray, dict(order='C', device='cpu', writable=False)], metric: str, kernel_set: str = '') -> Annotated[NDArray[numpy.float32], dict(shape=(None, None))]:
    """
    Public distances of every query to every vector, (n queries, n vectors) float32, by the kernels of one set or those in use.
    """

def encode_rows(vectors: Annotated[NDArray, dict(order='C', device='cpu', writable=False)]) -> bytes:
    """
    Rows of floats in 8 bits a number, as segments keep them without raw vectors.
    """

def decode_rows(rows: bytes, dim: int) -> Annotated[NDArray[numpy.float32], dict(shape=(None, None))]:
    """What `encode_rows` kept of them."""

def coded_distances(queries: Annotated[NDArray, dict(order='C', device='cpu', writable=False)], vectors: Annotated[NDArray, dict(order='C', device='cpu', writable=False)], metric: str, kernel_set: str = '') -> Annotated[NDArray[numpy.float32], dict(shape=(None, None))]:
    """As pairwise_distances, to the rows after they were coded."""

def first_non_finite(vectors: Annotated[NDArray, dict(order='C', device='cpu', writable=False)]) -> Any:
    """(row, position) of the first NaN or infinity, or None."""

class SearchableGraph:
    """A graph with its vectors, opened once; for measurements."""

    def __init__(self, graph: bytes, vectors: Annotated[NDArray, dict(order='C', device='cpu', writable=False)], metric: str) -> None: ...

    def search(self, queries: Annotated[NDArray, dict(order='C', device='cpu', writable=False)], k: int, ef: int, allowed: Annotated[NDArray[numpy.bool_], dict(shape=(None,), order='C', device='cpu', writable=False)] | None = None, share: float = 0.0, scored_max: int | None = None) -> tuple:
        """
        Rows and public distances as exact_search; rows scored, of these exactly, and nodes expanded, for all queries together; how many walks gave up because their filter was opposed (`share`, of matching rows, 0: not watched), and because of `scored_max`.
        """

    def search_two_hop(self, queries: Annotated[NDArray, dict(order='C', device='cpu', writable=False)], k: int, ef: int, allowed: Annotated[NDArray[numpy.bool_], dict(shape=(None,), order='C', device='cpu', writable=False)]) -> tuple:
        """The same by a walk over matching rows."""

    def scan(self, queries: Annotated[NDArray, dict(order='C', device='cpu', writable=False)], k: int, allowed: Annotated[NDArray[numpy.bool_], dict(shape=(None,), order='C', device='cpu', writable=False)] | None = None) -> tuple:
        """The same by the codes of all allowed rows."""

    @property
    def hot_bytes(self) -> int:
        """What a walk reads."""

def exact_search(vectors: Annotated[NDArray, dict(order='C', device='cpu', writable=False)], queries: Annotated[NDArray, dict(order='C', device='cpu', writable=False)], k: int, metric: str, allowed: Annotated[NDArray[numpy.bool_], dict(shape=(None,), order='C', device='cpu', writable=False)] | None = None, timeout_s: float | None = None) -> tuple:
    """
    Rows (n, k) int64 and public distances (n, k) float32, nearest first; padded with -1 and +inf.
    """

def build_graph(vectors: Annotated[NDArray, dict(order='C', device='cpu', writable=False)], metric: str, threads: int = 1, seed: int = 0, links: int = 32, present: Annotated[NDArray[numpy.bool_], dict(shape=(None,), order='C', device='cpu', writable=False)] | None = None, timeout_s: float | None = None) -> bytes:
    """
    The graph over the vectors whose `present` is true (default: all), as bytes.
    """

def graph_search(graph: bytes, vectors: Annotated[NDArray, dict(order='C', device='cpu', writable=False)], queries: Annotated[NDArray, dict(order='C', device='cpu', writable=False)], k: int, ef: int, metric: str, allowed: Annotated[NDArray[numpy.bool_], dict(shape=(None,), order='C', device='cpu', writable=False)] | None = None, timeout_s: float | None = None) -> tuple:
    """
    As exact_search, and the number of rows scored for all queries together.
    """

def graph_stats(graph: bytes, n_rows: int) -> dict:
    """Checks every byte of a graph and counts; raises CorruptionError."""

def graph_build_bytes(n_rows: int, dim: int, dtype: str, threads: int = 1) -> int:
    """
    Upper bound of the memory a build allocates, its result included, the vectors not.
    """

class IvfIndex:
    """
    Inverted lists with their vectors, opened once; for tests and measurements.
    """

    def __init__(self, buffer: bytes, vectors: Annotated[NDArray, dict(order='C', device='cpu', writable=False)], metric: str) -> None: ...

    def search(self, queries: Annotated[NDArray, dict(order='C', device='cpu', writable=False)], k: int, nprobe: int, rescore: int = 0, allowed: Annotated[NDArray[numpy.bool_], dict(shape=(None,), order='C', device='cpu', writable=False)] | None = None, timeout_s: float | None = None) -> tuple:
        """
        Rows and public distances as exact_search, and counts for all queries together: rows_scored, rescored, lists.
        """

    def verify(self) -> None:
        """Checks every byte; raises CorruptionError."""

    @property
    def kind(self) -> str: ...

    @property
    def nlist(self) -> int: ...

    @property
    def n_entries(self) -> int:
        """Rows in lists, those in two lists twice."""

    @property
    def has_graph(self) -> bool: ...

    @property
    def size_bytes(self) -> int: ...

    @property
    def hot_bytes(self) -> int:
        """What scans read, the vectors apart."""

    @property
    def nprobe(self) -> int:
        """
        Lists to probe for a recall of 0.95 at 10, as measured when it was built; 0: not measured.
        """

    @property
    def imbalance(self) -> float:
        """1 when all lists are equally long."""

    @property
    def trained_distance(self) -> float:
        """
        Mean squared distance from the centroid when the centroids were trained.
        """

    @property
    def mean_distance(self) -> float:
        """The same of the rows that are there now."""

def build_ivf(vectors: Annotated[NDArray, dict(order='C', device='cpu', writable=False)], metric: str, kind: str = 'flat', nlist: int = 0, graph: bool | None = None, subvectors: int = 0, bits: int = 4, copies: int = 0, seed: int = 0, threads: int = 1, present: Annotated[NDArray[numpy.bool_], dict(shape=(None,), order='C', device='cpu', writable=False)] | None = None, trained: bytes | None = None, trained_rows: int = 0, timeout_s: float | None = None) -> bytes:
    """
    Inverted lists over the vectors whose `present` is true (default: all), as bytes. `trained` is such an index over `trained_rows` rows that lends its centroids.
    """

def write_ivf(vectors: Annotated[NDArray, dict(order='C', device='cpu', writable=False)], metric: str, write: Callable, kind: str = 'flat', nlist: int = 0, graph: bool | None = None, subvectors: int = 0, bits: int = 4, copies: int = 0, seed: int = 0, threads: int = 1) -> None:
    """Calls `write` with these bytes, piece by piece."""

def build_ivf_in_order(vectors: Annotated[NDArray, dict(order='C', device='cpu', writable=False)], metric: str, kind: str = 'flat', nlist: int = 0, graph: bool | None = None, subvectors: int = 0, bits: int = 4, copies: int = 0, seed: int = 0, threads: int = 1, timeout_s: float | None = None) -> tuple:
    """
    Inverted lists over the vectors in the order of the lists, as bytes, and (n, 1) int64: which vector each row is.
    """

def ivf_build_bytes(n_rows: int, dim: int, dtype: str, metric: str, kind: str = 'flat', nlist: int = 0, graph: bool | None = None, subvectors: int = 0, bits: int = 4, copies: int = 0, threads: int = 1) -> int:
    """
    Upper bound of the memory that writing an index allocates; neither the vectors nor what is written.
    """

def kmeans(vectors: Annotated[NDArray, dict(order='C', device='cpu', writable=False)], k: int, metric: str = 'l2', seed: int = 0, threads: int = 1, timeout_s: float | None = None) -> tuple:
    """
    About k centroids (k, dim) float32, unit vectors' means for cosine, and the centroid of each vector (n, 1) int64.
    """

class SearchableHnsw:
    """
    A hierarchical graph with its vectors, opened once; for tests and measurements.
    """

    def __init__(self, hnsw: bytes, vectors: Annotated[NDArray, dict(order='C', device='cpu', writable=False)], metric: str) -> None: ...

    def search(self, queries: Annotated[NDArray, dict(order='C', device='cpu', writable=False)], k: int, ef: int, allowed: Annotated[NDArray[numpy.bool_], dict(shape=(None,), order='C', device='cpu', writable=False)] | None = None, timeout_s: float | None = None) -> tuple:
        """
        Rows and public distances as exact_search; rows scored, of these exactly, and nodes expanded, for all queries together.
        """

    def links(self, layer: int) -> list:
        """Of each node of a layer the nodes it links to; layer 0 is the base."""

    def verify(self) -> None:
        """Checks every byte; raises CorruptionError."""

    @property
    def layer_nodes(self) -> list:
        """Nodes of each layer, the base first."""

    @property
    def hot_bytes(self) -> int:
        """What a search reads."""

def build_hnsw(vectors: Annotated[NDArray, dict(order='C', device='cpu', writable=False)], metric: str, m: int = 16, ef_construct: int = 200, seed: int = 0, threads: int = 1, present: Annotated[NDArray[numpy.bool_], dict(shape=(None,), order='C', device='cpu', writable=False)] | None = None, timeout_s: float | None = None) -> bytes:
    """
    The hierarchical graph over the vectors whose `present` is true (default: all), as bytes.
    """

def hnsw_build_bytes(n_rows: int, dim: int, dtype: str, m: int = 16, ef_construct: int = 200, threads: int = 1) -> int:
    """
    Upper bound of the memory a build allocates, its result included, the vectors not.
    """

class CodedRows:
    """Rows as codes, made by CodeLadder.encode."""

    @property
    def factor_format(self) -> str: ...

    def plane(self, name: str) -> bytes:
        """
        The bytes of one plane: high, low, factors, fine or blocks; empty when it was not made.
        """

    def estimates(self, queries: Annotated[NDArray, dict(order='C', device='cpu', writable=False)], bits: int) -> tuple[Annotated[NDArray[numpy.float32], dict(shape=(None, None))], Annotated[NDArray[numpy.float32], dict(shape=(None, None))]]:
        """
        (distances, bounds): two (n queries, n rows) float32 matrices; l2 distances are squared.
        """

    def timings(self, queries: Annotated[NDArray, dict(order='C', device='cpu', writable=False)], repeats: int) -> tuple[float, float]:
        """
        Mean seconds of preparing a query, and of one row in a scan of the 4-bit codes.
        """

class CodeLadder:
    """The nested code of 1, 4 and 8 bits, trained on a sample."""

    @staticmethod
    def train(sample: Annotated[NDArray, dict(order='C', device='cpu', writable=False)], metric: str, *, blocks: bool = False, low: bool = False, nav_dims: int = 0, seed: int = 0, threads: int = 1) -> CodeLadder:
        """
        Rotation, mean and error bounds from float32 or float16 rows. nav_dims: leading principal dimensions to code; 0 decides, dim codes all.
        """

    @staticmethod
    def from_bytes(data: bytes) -> CodeLadder:
        """What to_bytes wrote; CorruptionError for anything else."""

    def to_bytes(self) -> bytes:
        """The trained numbers, without any row."""

    def encode(self, vectors: Annotated[NDArray, dict(order='C', device='cpu', writable=False)], *, threads: int = 1) -> CodedRows:
        """Codes of all rows."""

    @property
    def code_dims(self) -> int: ...

    @property
    def energy(self) -> float: ...

    @property
    def stride(self) -> int: ...

    @property
    def block_bytes(self) -> int: ...

def build_flat_codes(vectors: Annotated[NDArray, dict(order='C', device='cpu', writable=False)], metric: str, bits: int = 4, threads: int = 1, present: Annotated[NDArray[numpy.bool_], dict(shape=(None,), order='C', device='cpu', writable=False)] | None = None) -> bytes:
    """
    The codes of all vectors up to so many bits, as bytes; trained on those that are `present`.
    """

class ScannableCodes:
    """Codes of rows with the rows."""

    def __init__(self, codes: bytes, vectors: Annotated[NDArray, dict(order='C', device='cpu', writable=False)], metric: str) -> None: ...

    def search(self, queries: Annotated[NDArray, dict(order='C', device='cpu', writable=False)], k: int, oversampling: float = -1.0, allowed: Annotated[NDArray[numpy.bool_], dict(shape=(None,), order='C', device='cpu', writable=False)] | None = None) -> tuple:
        """
        Rows and public distances as exact_search; rows scored, and of these exactly. oversampling: times k candidates are scored by the rows; below 0 as many as the bound leaves, 0 none.
        """

    def verify(self) -> None: ...

def pool_tokens(tokens: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)], factor: int) -> Annotated[NDArray[numpy.float32], dict(shape=(None, None))]:
    """
    Means of ceil(n / factor) groups of near tokens, ordered by their first token.
    """

class FixedEncoding:
    """
    One dense vector per multi-vector, as MUVERA makes them; see vicino.models.multi.
    """

    def __init__(self, dim: int, repetitions: int, bits: int, projected_dim: int, final_dim: int, seed: int) -> None: ...

    @property
    def size(self) -> int: ...

    def document(self, tokens: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)]) -> Annotated[NDArray[numpy.float32], dict(shape=(None, None))]: ...

    def query(self, tokens: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)]) -> Annotated[NDArray[numpy.float32], dict(shape=(None, None))]: ...

def build_multi_index(tokens: Annotated[NDArray, dict(order='C', device='cpu', writable=False)], starts: Annotated[NDArray[numpy.int64], dict(shape=(None,), order='C', device='cpu', writable=False)], metric: str, lists_from_tokens: int = 16000000, seed: int = 0, threads: int = 1, timeout_s: float | None = None) -> bytes:
    """
    The multi index, as bytes, of rows of tokens: row i is tokens[starts[i]:starts[i + 1]].
    """

def search_multi(sources: list, query: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)], k: int, metric: str, exact: bool = False, probes: int = 16, shortlist: int = 0, kernel_set: str = '', timeout_s: float | None = None) -> tuple:
    """
    MaxSim over sources (tokens, starts, index or None, allowed or None): (source, row) (n, 2) int64, scores (1, n) float32, and (n, 1 + query
    tokens) int32: the token best for the query token that adds most, then the best for each; and what was done. Best first.
    """

def verify_multi_index(index: bytes, n_rows: int, dim: int, dtype: str, metric: str) -> None:
    """Raises CorruptionError for a damaged multi index."""

class FieldValueError(ValueError):
    index: int
    path: str
    reason: str
    """
    A field that no document can hold: `index` of the document in the call, `path` of the value, `reason`.
    """

def encode_documents(documents: object) -> tuple:
    """
    Encodes dicts as documents: (their bytes end to end, uint64 offsets of n + 1). Raises FieldValueError.
    """

def decode_document(document: object) -> Any:
    """
    The dict of one document's bytes. Datetimes are aware, in UTC. Raises CorruptionError.
    """

def validate_document(document: object) -> None:
    """
    Checks every byte of one document. Raises CorruptionError saying what is wrong and where.
    """

class Filter:
    """
    A condition tree, ready to be evaluated. Made by vicino.filter.compile; immutable.
    """

    def __init__(self, program: tuple) -> None: ...

    def matches(self, document: bytes, id: object, vector_names: Sequence[str] = []) -> bool:
        """
        Whether one record meets the condition: its encoded document, its id, the names of its vectors.
        """

class RecordList:
    """
    Records outside any collection: encoded documents, ids, and the names of each one's vectors.
    """

    def __init__(self, documents: bytes, offsets: Annotated[NDArray[numpy.uint64], dict(shape=(None,), order='C', device='cpu', writable=False)], ids: list, vector_names: list) -> None: ...

    def build_index(self, path: str, kind: str = 'auto') -> bytes:
        """The bytes of a field index over the current documents."""

    def index_build_bytes(self, path: str, kind: str = 'auto') -> int:
        """The memory that building it takes."""

    def add_index(self, path: str, index: bytes) -> None:
        """Lets these bytes answer for the path, but for updated rows."""

    def update(self, row: int, document: bytes) -> None:
        """Replaces one row's document; the indexes no longer know it."""

    def evaluate(self, filter: Filter) -> tuple:
        """
        The rows that meet the condition, ascending, and what it took: rows_scanned, paths_indexed, paths_scanned.
        """

    def estimate(self, filter: Filter) -> tuple:
        """
        (low, likely, high) number of rows that meet the condition, from indexes alone.
        """

    def facet(self, path: str) -> list:
        """
        (value, rows) for each distinct scalar value at the path, most frequent first.
        """

    def order_by(self, path: str, descending: bool = False, limit: int = 18446744073709551615) -> list[int]:
        """
        Rows by the number, datetime or string at the path; rows without one are left out.
        """

def canonical_path(path: str) -> str:
    """
    The one spelling of a path by which field indexes are known. Raises InvalidArgument for a malformed one.
    """

def words_of(text: str) -> list[str]:
    """The words of a text as text conditions see them, folded."""

class Dtype(enum.Enum):
    """How the numbers of a vector are stored."""

    float32 = 0

    float16 = 1

    int8 = 2

    uint8 = 3

    binary = 4

    coded = 5

class Metric(enum.Enum):
    """How far apart two vectors are."""

    cosine = 0

    dot = 1

    l2 = 2

    l1 = 3

    hamming = 4

    jaccard = 5

class ValueKind(enum.Enum):
    """What a value column holds."""

    text = 1

    sparse = 2

    multi = 3

class Cancel:
    """
    Stops a long call: `cancel()` from another thread, a timeout in seconds, or Ctrl-C in the main thread.
    """

    def __init__(self, timeout: float | None = None, signals: bool = False) -> None: ...

    def cancel(self) -> None: ...

    def check(self) -> None:
        """Raise TimeoutError once the time has passed or the call was cancelled."""

    @property
    def cancelled(self) -> bool: ...

def row_bytes(dtype: Dtype, dim: int) -> int:
    """Bytes of one stored vector."""

def encode_upsert(ids: list, documents: bytes, offsets: Annotated[NDArray[numpy.uint64], dict(shape=(None,), order='C', device='cpu', writable=False)], columns: Sequence[tuple[int, int, Dtype, Metric, Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu', writable=False)], Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu', writable=False)] | None]], values: Sequence[tuple[int, ValueKind, int, Dtype, Metric, bytes, Annotated[NDArray[numpy.uint64], dict(shape=(None,), order='C', device='cpu', writable=False)]]] = []) -> bytes:
    """
    Log payload of an upsert; documents and offsets as encode_documents returns them.
    """

def encode_delete(ids: list) -> bytes: ...

def encode_fields(ids: list, documents: bytes, offsets: Annotated[NDArray[numpy.uint64], dict(shape=(None,), order='C', device='cpu', writable=False)]) -> bytes: ...

class Found:
    """
    The hits of every query of one search, nearest first, as rows of a snapshot. Each list is made when it is asked for.

    query: its number. Raises InvalidArgument where there is none of that number.
    """

    def __len__(self) -> int: ...

    def count(self, query: int) -> int:
        """How many hits this query has."""

    def ids(self, query: int) -> list: ...

    def distances(self, query: int) -> list:
        """As users know them: smaller is nearer."""

    def documents(self, query: int) -> list:
        """Encoded, see decode_document."""

    def versions(self, query: int) -> list: ...

    def locators(self, query: int) -> NDArray[numpy.int64]: ...

    def n_hits(self) -> int:
        """Of all queries together."""

    def document_bytes(self) -> int:
        """Of all encoded documents of all queries together."""

    def skip(self, n: int) -> None:
        """Drops the first n hits of every query."""

    def truncate(self, query: int, n: int) -> None:
        """Keeps the first n hits of one query."""

    def append(self, more: Found) -> None:
        """Adds the queries of another search of the same snapshot behind these."""

class SearchCounts:
    """What a search did, summed over its queries."""

    def entries(self) -> list:
        """One mapping per entry, the head last."""

class Matches:
    """Live rows of a snapshot that meet a condition."""

    @property
    def count(self) -> int: ...

    @property
    def counts(self) -> list[int]: ...

    def keep(self) -> None:
        """
        They are kept for searches to come: what these read of an index may be copied side by side, which counts as its memory.
        """

    @property
    def rows_scanned(self) -> int: ...

    @property
    def is_indexed(self) -> bool:
        """Whether no field had to be read from documents."""

    @property
    def memory_bytes(self) -> int: ...

    @property
    def paths_indexed(self) -> list[str]: ...

    @property
    def paths_scanned(self) -> list[str]: ...

class Snapshot:
    """One consistent state of a shard. Safe to use from any thread."""

    def matches_of(self, locators: Annotated[NDArray[numpy.int64], dict(shape=(None,), order='C', device='cpu', writable=False)]) -> Matches:
        """These rows, as what a search may be restricted to."""

    def match_within(self, filter: Filter, slots: Mapping[str, int], within: Matches | None, cancel: Cancel) -> Matches:
        """Those of `within` (None: all live rows) that meet the condition."""

    def search_rows(self, column: tuple[int, int, Dtype, Metric], queries: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu', writable=False)], k: int, ef: int, exact: bool, matches: Matches | None, cancel: Cancel, held_out: Annotated[NDArray[numpy.int64], dict(shape=(None,), order='C', device='cpu', writable=False)] | None = None, nprobe: int = 0, oversampling: float = -1.0) -> tuple:
        """
        As `search`, but only (locators, public distances) of every query, and the statistics of every entry. held_out: per query the locator of a row that walks do not meet on their way, -1 for none. oversampling: times k candidates by codes are scored by rows; below 0 as their bound says, 0 none.
        """

    def search_by_example(self, column: tuple[int, int, Dtype, Metric], examples: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu', writable=False)], rule: str, n_first: int, pairs: Sequence[tuple[int, int, float]], weight: float, k: int, matches: Matches | None, cancel: Cancel) -> tuple:
        """
        ((locators, minus scores), rows scored) by a rule over the similarities to all examples: best, sum, discover, context, feedback.
        """

    @property
    def version(self) -> int: ...

    @property
    def identity(self) -> int:
        """Another number for every snapshot of this process."""

    @property
    def n_records(self) -> int: ...

    @property
    def entries(self) -> list: ...

    def walked(self, slot: int) -> tuple:
        """
        (identity, rows, live rows) of every segment that has an index over a vector; another index over the same rows has another identity.
        """

    def costs(self, slot: int) -> list[tuple[float, float, float]]:
        """
        (ns of a row that a scan of codes scores, ns of one that a walk scores, rows a walk scores for each of its beam) of every segment that has an
        index over a vector, as they were measured or set; zeros where they were not.
        """

    def set_costs(self, slot: int, costs: Sequence[tuple[float, float, float]]) -> None:
        """
        Sets costs that were measured before, where none are known; in the order of `costs`.
        """

    def measure_costs(self, column: tuple[int, int, Dtype, Metric], queries: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu', writable=False)], clock: Callable, cancel: Cancel) -> None:
        """
        Measures by these queries what is not known of `costs`; searches under filters choose by it from now on. clock: tells the time in seconds.
        """

    def find(self, ids: list) -> NDArray[numpy.int64]:
        """Locator of each id, -1 where there is no live record."""

    def find_any(self, id: object) -> int:
        """
        Locator of the newest row written under an id, be it deleted; -1 when no segment has one any more.
        """

    def ids(self, locators: Annotated[NDArray[numpy.int64], dict(shape=(None,), order='C', device='cpu', writable=False)]) -> list: ...

    def documents(self, locators: Annotated[NDArray[numpy.int64], dict(shape=(None,), order='C', device='cpu', writable=False)]) -> list:
        """Encoded documents, see decode_document."""

    def document_sizes(self, locators: Annotated[NDArray[numpy.int64], dict(shape=(None,), order='C', device='cpu', writable=False)]) -> NDArray[numpy.uint64]:
        """Bytes of each encoded document."""

    def versions(self, locators: Annotated[NDArray[numpy.int64], dict(shape=(None,), order='C', device='cpu', writable=False)]) -> NDArray[numpy.uint64]: ...

    def vectors(self, column: tuple[int, int, Dtype, Metric], locators: Annotated[NDArray[numpy.int64], dict(shape=(None,), order='C', device='cpu', writable=False)]) -> tuple: ...

    def match(self, filter: Filter | None, slots: Mapping[str, int], cancel: Cancel) -> Matches: ...

    def estimate(self, filter: Filter, slots: Mapping[str, int]) -> tuple:
        """(low, likely, high) number of records that meet the condition."""

    def rows_of(self, entry: int, first: int, limit: int) -> NDArray[numpy.int64]:
        """Locators of the live rows of an entry, from row `first` on."""

    def value(self, slot: int, locators: Annotated[NDArray[numpy.int64], dict(shape=(None,), order='C', device='cpu', writable=False)]) -> list:
        """Stored bytes of a sparse or multi-vector, empty where there is none."""

    def n_uncovered(self, slot: int) -> int:
        """Live records that a text index does not hold yet."""

    def search(self, column: tuple[int, int, Dtype, Metric], queries: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu', writable=False)], k: int, ef: int, exact: bool, matches: Matches | None, cancel: Cancel, nprobe: int = 0, threads: int = 1, oversampling: float = -1.0) -> tuple:
        """
        What every query found, and the counts of all entries. Several queries are shared by so many threads.
        """

    def locators(self, matches: Matches | None, after: int, limit: int) -> NDArray[numpy.int64]: ...

    def spaced_records(self, slot: int, n: int) -> NDArray[numpy.int64]:
        """
        Locators of about n live records that have a vector, spread evenly over the rows.
        """

    def facet(self, path: str, matches: Matches | None, cancel: Cancel, bytes_max: int = 18446744073709551615) -> Any:
        """
        (value, rows) of every entry; None when all distinct values take more than `bytes_max`.
        """

    def ordered(self, path: str, matches: Matches | None, descending: bool, cancel: Cancel) -> NDArray[numpy.int64]: ...

    def tombstones(self, entry: int) -> bytes: ...

    def patch(self, entry: int) -> tuple: ...

    def write_vector_index(self, key: int, slot: int, threads: int, cancel: Cancel, write: Callable, kind: str, nlist: int = 0, subvectors: int = 0, bits: int = 4, copies: bool = False, m: int = 16, ef_construct: int = 200, codes: str = 'auto', layout: str = 'memory') -> None:
        """
        Calls `write` with the bytes of the index over one vector of a sealed segment, piece by piece.
        """

    def build_index(self, key: int, path: str, kind: str, cancel: Cancel) -> bytes: ...

    def verify(self, key: int) -> None:
        """Checks every checksum, offset, id and document of a sealed segment."""

    def search_text(self, query: TextQuery, k: int, matches: Matches | None, cancel: Cancel) -> tuple:
        """(locators, scores, stats) of the k best records, best first."""

    def search_multi(self, column: tuple[int, ValueKind, int, Dtype, Metric], query: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)], k: int, exact: bool, matches: Matches | None, cancel: Cancel) -> tuple:
        """
        (locators, scores, best tokens, stats) of the k records of the largest MaxSim, best first.
        """

    def search_sparse(self, slot: int, indices: Annotated[NDArray[numpy.uint32], dict(shape=(None,), order='C', device='cpu', writable=False)], weights: Annotated[NDArray[numpy.float32], dict(shape=(None,), order='C', device='cpu', writable=False)], idf: bool, k: int, matches: Matches | None, cancel: Cancel) -> tuple:
        """
        (locators, scores, stats) of the k records of the largest dot product, best first.
        """

def vector_index_section(kind: str) -> str:
    """Name of the section that holds an index of this kind."""

def vector_index_build_bytes(column: tuple[int, int, Dtype, Metric], rows: int, threads: int, kind: str, nlist: int = 0, subvectors: int = 0, bits: int = 4, copies: bool = False, m: int = 16, ef_construct: int = 200, codes: str = 'auto', layout: str = 'memory', sample: int = 64) -> int:
    """Upper bound of the memory that writing the index of a vector takes."""

class GraphPages:
    """
    The blocks of a graph that is to be walked from disk, made a part at a time.
    """

    def __init__(self, snapshot: Snapshot, key: int, slot: int, graph: bytes) -> None: ...

    @property
    def block_bytes(self) -> int: ...

    @property
    def n_nodes(self) -> int: ...

    def header(self) -> bytes:
        """What stands before the blocks."""

    def blocks(self, first: int, count: int) -> bytes: ...

class SearchablePages:
    """
    Blocks of a graph, with it and its vectors, opened once; for tests and measurements.
    """

    def __init__(self, graph: bytes, pages: bytes, vectors: Annotated[NDArray, dict(order='C', device='cpu', writable=False)], metric: str) -> None: ...

    def search(self, queries: Annotated[NDArray, dict(order='C', device='cpu', writable=False)], k: int, ef: int, allowed: Annotated[NDArray[numpy.bool_], dict(shape=(None,), order='C', device='cpu', writable=False)] | None = None, share: float = 0.0) -> tuple:
        """
        Rows and public distances as exact_search; rows scored, of these exactly, and nodes expanded, for all queries together; how many walks gave up because their filter was opposed (`share`, of matching rows, 0: not watched).
        """

    def verify(self) -> None:
        """
        Compares every block with what graph and vectors make; raises CorruptionError.
        """

def build_graph_pages(graph: bytes, vectors: Annotated[NDArray, dict(order='C', device='cpu', writable=False)], metric: str) -> bytes:
    """The blocks of a graph, as bytes."""

class Rewrite:
    """The live rows of some entries as the sections of new files."""

    def __init__(self, snapshot: Snapshot, inputs: Sequence[int], keep_rows: bool = False) -> None: ...

    @property
    def n_rows(self) -> int: ...

    def order_by_lists(self, column: tuple[int, int, Dtype, Metric], coded: bool, threads: int, cancel: Cancel, kind: str, nlist: int = 0, subvectors: int = 0, bits: int = 4, copies: bool = False, codes: str = 'auto', sample: int = 64) -> None:
        """
        Puts the rows into the order of inverted lists over one vector, before anything is written.
        """

    def write_lists(self, written: Segment, column: tuple[int, int, Dtype, Metric], threads: int, cancel: Cancel, write: Callable, kind: str, nlist: int = 0, subvectors: int = 0, bits: int = 4, copies: bool = False, codes: str = 'auto') -> None:
        """
        Calls `write` with the bytes of the index of these lists over the segment that was written, piece by piece.
        """

    def carry_codes(self, written: Segment, slots: Sequence[int]) -> None:
        """
        Codes of the one head that was sealed serve the segment that was written of it too.
        """

    def working_bytes(self, slice_bytes: int) -> int:
        """
        Upper bound of the memory that writing it takes, in slices of this size or one row.
        """

    def ids(self) -> tuple: ...

    def versions(self) -> bytes: ...

    def document_offsets(self) -> bytes: ...

    def documents(self, first: int, count: int) -> bytes: ...

    def has_column(self, column: tuple[int, int, Dtype, Metric]) -> bool: ...

    def column_meta(self, column: tuple[int, int, Dtype, Metric], coded: bool = False) -> bytes: ...

    def vectors(self, column: tuple[int, int, Dtype, Metric], first: int, count: int, coded: bool = False) -> bytes:
        """Rows as they were written, or in 8 bits a number."""

    def norms(self, column: tuple[int, int, Dtype, Metric], first: int, count: int, coded: bool = False) -> bytes: ...

    def presence(self, column: tuple[int, int, Dtype, Metric]) -> bytes: ...

    def has_values(self, column: tuple[int, ValueKind, int, Dtype, Metric]) -> bool: ...

    def value_meta(self, column: tuple[int, ValueKind, int, Dtype, Metric]) -> bytes: ...

    def value_offsets(self, column: tuple[int, ValueKind, int, Dtype, Metric]) -> bytes: ...

    def values(self, column: tuple[int, ValueKind, int, Dtype, Metric], first: int, count: int) -> bytes: ...

    def terms_bytes(self, column: tuple[int, ValueKind, int, Dtype, Metric]) -> int:
        """Upper bound of the memory that `terms` takes."""

    def multi_index(self, column: tuple[int, ValueKind, int, Dtype, Metric], threads: int, cancel: Cancel) -> bytes:
        """What makes search over a multi-vector fast."""

    def terms(self, column: tuple[int, ValueKind, int, Dtype, Metric], cancel: Cancel) -> list:
        """
        The inverted index of a text or sparse column: (name, bytes) of each section.
        """

class Segment:
    """A sealed segment, opened from its containers."""

    def finish_codes(self, cancel: Cancel) -> None:
        """Makes those of rows that codes which were carried over do not reach."""

def open_segment(key: int, ids: Container, fields: Container, vectors: Sequence[Container], graphs: Sequence[Container], indexes: Sequence[Container], values: Sequence[Container] = [], terms: Sequence[Container] = [], multis: Sequence[Container] = []) -> Segment: ...

class ShardState:
    """
    The state machine of one shard; one writer, any number of readers of its snapshots.
    """

    def __init__(self, version: int, lenient: bool = False) -> None: ...

    def add_segment(self, segment: Segment, tombstones: Container | None, patch: Container | None) -> None: ...

    @property
    def version(self) -> int: ...

    @property
    def head_rows(self) -> int: ...

    @property
    def head_bytes(self) -> int: ...

    @property
    def n_frozen(self) -> int: ...

    def apply(self, type: int, payload: bytes, version: int) -> None: ...

    def replay(self, log: Blob, offset: int, name: str, until: int) -> tuple: ...

    def publish(self) -> Snapshot: ...

    def snapshot(self) -> Snapshot: ...

    def base(self) -> Snapshot: ...

    def freeze(self) -> Snapshot: ...

    def live_versions(self, ids: list) -> NDArray[numpy.uint64]:
        """
        Version of the live record of each id with everything applied; 0 where there is none.
        """

    def install(self, rewrite: Rewrite, output: Segment | None, advances_base: bool) -> None: ...

    def drop_vector_index(self, key: int, slot: int) -> None: ...

    def attach_vector_index(self, key: int, index: Container) -> None: ...

    def attach_terms(self, key: int, terms: Container) -> None: ...

    def attach_index(self, key: int, index: Container) -> None: ...

    def drop_index(self, key: int, path: str) -> None: ...

    def drop_column(self, key: int, slot: int) -> None: ...

    def replace_fields(self, key: int, fields: Container, bound: int) -> None: ...

    def next_key(self) -> int: ...

    def keep_graphs_in_memory(self) -> None: ...

    def ask_for_codes(self, has_room: Callable) -> None:
        """
        Who says whether there is room for codes of segments without an index, which are counted by then.
        """

    def give_up_codes(self, slot: int | None = None) -> None:
        """Frees the codes of segments without an index."""

    def take_codes(self, before: ShardState) -> None:
        """
        Goes on from codes of segments that a state of the same shard had opened before.
        """

    @property
    def memory_bytes(self) -> int: ...

class TextQuery:
    """
    A query over text indexes, as a tree of clauses; vicino.collection.lexical makes them.
    """

    def __init__(self, fields: Sequence[tuple[int, float, float, float]], clause: tuple, filtered_statistics: bool = False) -> None:
        """fields: (slot, boost, k1, b)."""

class TermsBuilder:
    """The text index of a segment, from the values of its rows."""

    def __init__(self, slot: int, n_rows: int) -> None: ...

    def add(self, locators: Annotated[NDArray[numpy.int64], dict(shape=(None,), order='C', device='cpu', writable=False)], data: bytes, offsets: Annotated[NDArray[numpy.uint64], dict(shape=(None,), order='C', device='cpu', writable=False)]) -> None: ...

    @property
    def meta(self) -> bytes: ...

    def finish(self, cancel: Cancel) -> list: ...

class TextAnalyzer:
    """
    Texts to terms. Safe to call from several threads; vicino.text.Analyzer says what the settings mean.
    """

    def __init__(self, *, tokenizer: str, accents: str, possessives: bool, grams: tuple[int, int], languages: list, detects: bool, leaves_stop_words_out: bool, weights: tuple[float, float, float, float], stem: object | None) -> None: ...

    def analyze(self, texts: object, positions: bool) -> tuple:
        """
        (values end to end, uint64 offsets of n + 1, which texts are present, languages used) of texts: str, list of str or None.
        """

    def words_query(self, text: object, languages: Sequence[str], field: tuple[int, float, float, float]) -> Any:
        """
        The query for any of the words of a text in one field: (slot, boost, k1, b). None when no words are left of it.
        """

    def search_words(self, snapshot: Snapshot, text: object, languages: Sequence[str], field: tuple[int, float, float, float], k: int, matches: Matches | None, cancel: Cancel) -> tuple:
        """
        (ids, locators, minus the scores, number of records scored) of the k best records that a snapshot has for any of the words of a text in one field, best first.
        """

    def query(self, text: object, languages: Sequence[str]) -> list:
        """[(position, [(term, weight), ...]), ...] of a query's words."""

    def spans(self, text: object, languages: Sequence[str]) -> list:
        """
        [(start, end, terms), ...]: characters of the source and what they became.
        """

    def language_of(self, text: object) -> str:
        """The language a text is taken for; `und` for none."""

UNICODE_VERSION: str = '15.0.0'

def word_break(text: object) -> list[int]:
    """
    The ends of the segments of Unicode's default word break, in characters.
    """

def fold_text(text: object) -> str:
    """Unicode's NFKC_Casefold of a text."""

def without_accents(text: object) -> str:
    """
    A folded text without the accents that people leave out when they type.
    """
