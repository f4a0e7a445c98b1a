"""Inverted lists: every kind against exact search, determinism, filters, degenerate data, errors. Damage is in test_ivf_damage.py."""

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vicino import _core
from vicino.errors import InvalidArgument, TimeoutError

KINDS = ["flat", "coded", "pq", "opq"]
EVERYTHING = 1 << 20  # lists to probe, rows to rescore: more than there are


def gaussians(n: int, dim: int = 64, seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    centers = rng.standard_normal((max(1, n // 100), dim))
    return (centers[rng.integers(0, len(centers), n)] + 0.5 * rng.standard_normal((n, dim))).astype(np.float32)


def bits(n: int, n_bytes: int = 16) -> np.ndarray:
    return np.random.default_rng(2).integers(0, 256, (n, n_bytes), dtype=np.uint8)


def opened(vectors: np.ndarray, metric: str, kind: str = "flat", **options: Any) -> _core.IvfIndex:
    index = _core.IvfIndex(_core.build_ivf(vectors, metric, kind, **options), vectors, metric)
    index.verify()
    return index


def recall(distances: np.ndarray, expected: np.ndarray) -> float:
    return float(np.mean(distances <= expected[:, -1:] + 1e-6))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("metric", ["cosine", "dot", "l2"])
@pytest.mark.parametrize("bits", [4, 8])
def test_probing_everything_and_rescoring_everything_is_exact(kind: str, metric: str, bits: int) -> None:
    vectors, queries = gaussians(2000), gaussians(5, seed=3)
    rows, distances, counts = opened(vectors, metric, kind, bits=bits).search(queries, 20, EVERYTHING, EVERYTHING)
    expected = _core.exact_search(vectors, queries, 20, metric)
    assert np.array_equal(rows, expected[0])
    assert np.array_equal(distances, expected[1])
    assert counts["rescored"] == (0 if kind == "flat" else 5 * 2000)


@pytest.mark.parametrize("kind", ["coded", "pq", "opq"])
@pytest.mark.parametrize("metric", ["cosine", "dot", "l2"])
@pytest.mark.parametrize("bits", [4, 8])
def test_the_error_bound_keeps_the_true_neighbors_and_rescores_few(kind: str, metric: str, bits: int) -> None:
    vectors, queries = gaussians(4000), gaussians(50, seed=3)
    _, distances, counts = opened(vectors, metric, kind, bits=bits).search(queries, 10, EVERYTHING)
    assert recall(distances, _core.exact_search(vectors, queries, 10, metric)[1]) > 0.97
    assert counts["rescored"] < 50 * (1000 if bits == 8 else 400)


@pytest.mark.parametrize("kind", KINDS)
def test_a_tenth_of_the_lists_finds_nearly_all_neighbors(kind: str) -> None:
    vectors, queries = gaussians(6000), gaussians(6000)[::60]
    index = opened(vectors, "l2", kind)
    _, distances, counts = index.search(queries, 10, index.nlist // 10)
    assert recall(distances, _core.exact_search(vectors, queries, 10, "l2")[1]) > 0.95
    assert counts["lists"] == len(queries) * (index.nlist // 10)


@pytest.mark.parametrize("metric", ["cosine", "dot", "l2", "l1", "hamming", "jaccard"])
@pytest.mark.parametrize("dtype", ["float32", "float16", "int8", "uint8"])
def test_flat_lists_take_every_metric_and_type(metric: str, dtype: str) -> None:
    if metric in ("hamming", "jaccard"):
        vectors = queries = bits(1500)
    else:
        vectors = (np.abs(gaussians(1500)) * 20).astype(dtype)
        queries = vectors.astype(np.float32) if dtype == "float16" else vectors
    index = opened(vectors, metric)
    rows, distances, _ = index.search(queries[:5], 7, EVERYTHING)
    expected = _core.exact_search(vectors, queries[:5], 7, metric)
    assert np.array_equal(rows, expected[0])
    assert np.array_equal(distances, expected[1])
    few = index.search(queries[:50], 1, 1)[0][:, 0]
    if metric != "dot":
        assert np.mean(few == np.arange(50)) > 0.95  # a row is in the list nearest to it


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("copies", [0, 1])
@pytest.mark.parametrize("metric", ["cosine", "dot", "l2"])
def test_one_and_two_threads_give_the_same_bytes(kind: str, copies: int, metric: str) -> None:
    vectors = gaussians(3000)
    vectors[100:400] = vectors[0]
    built = [_core.build_ivf(vectors, metric, kind, copies=copies, graph=True, threads=threads) for threads in (1, 2)]
    assert built[0] == built[1]


def test_another_seed_gives_other_lists() -> None:
    vectors = gaussians(3000)
    assert _core.build_ivf(vectors, "l2", seed=1) != _core.build_ivf(vectors, "l2", seed=2)


BUILD = """
import hashlib, numpy as np
from vicino import _core
vectors = np.random.default_rng(5).standard_normal((1500, 72), dtype=np.float32)
kinds = [("l2", "flat"), ("cosine", "coded"), ("dot", "flat")]
print(hashlib.sha256(b"".join(_core.build_ivf(vectors, metric, kind, copies=1) for metric, kind in kinds)).hexdigest())
"""


def test_every_instruction_set_gives_the_same_lists_and_codes() -> None:
    digests = set()
    for name in _core.kernel_sets():
        done = subprocess.run(
            [sys.executable, "-c", BUILD], env={"VICINO_KERNELS": name, "PYTHONPATH": ":".join(sys.path)}, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        digests.add(done.stdout)
    assert len(digests) == 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("graph", [False, True])
@pytest.mark.parametrize("n", [1, 2, 3, 31, 32, 33, 100])
def test_small_collections_are_found_whole(kind: str, graph: bool, n: int) -> None:
    vectors = gaussians(n)
    rows, distances, _ = opened(vectors, "l2", kind, graph=graph).search(vectors[:2], n + 3, 1, EVERYTHING)
    expected = _core.exact_search(vectors, vectors[:2], n + 3, "l2")
    assert np.array_equal(rows, expected[0])
    assert np.array_equal(distances, expected[1])


def test_no_rows_make_no_lists() -> None:
    vectors = np.zeros((0, 8), np.float32)
    index = opened(vectors, "l2")
    assert (index.nlist, index.n_entries, index.imbalance) == (0, 0, 1)
    assert np.all(index.search(np.zeros((2, 8), np.float32), 3, 5)[0] == -1)


def test_more_lists_than_rows_become_a_list_a_row() -> None:
    assert opened(gaussians(20), "l2", nlist=1000).nlist <= 20


DEGENERATE = {
    "all equal": np.ones((3000, 64), np.float32),
    "all zero": np.zeros((3000, 64), np.float32),
    "two values": np.repeat(np.eye(2, 64, dtype=np.float32), 1500, axis=0),
    "on a line": np.outer(np.arange(3000), np.ones(64)).astype(np.float32),
    "one far away": np.vstack([np.random.default_rng(5).random((2999, 64)), np.full((1, 64), 1e30)]).astype(np.float32),
    "extreme and tiny": (np.random.default_rng(6).standard_normal((3000, 64)) * np.logspace(-37, 36, 3000)[:, None]).astype(np.float32),
    "all at one distance": np.eye(500, dtype=np.float32),
    "equal but for one bit": np.nextafter(np.ones((3000, 64), np.float32), np.arange(3000)[:, None] % 2 * 2, dtype=np.float32),
    "thousands of one": np.vstack([np.ones((2500, 64)), np.random.default_rng(7).standard_normal((500, 64))]).astype(np.float32),
}


@pytest.mark.parametrize("metric", ["cosine", "dot", "l2"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", DEGENERATE)
def test_degenerate_rows_are_all_found(name: str, kind: str, metric: str) -> None:
    vectors = DEGENERATE[name]
    index = opened(vectors, metric, kind, nlist=60)
    rows, distances, _ = index.search(vectors[:2], len(vectors), EVERYTHING, EVERYTHING)
    expected = _core.exact_search(vectors, vectors[:2], len(vectors), metric)
    assert np.array_equal(np.sort(rows), np.sort(expected[0]))
    assert np.array_equal(distances, expected[1])
    index.search(vectors[:20], 10, 3)  # by bounds, of whatever estimates such rows make


@pytest.mark.parametrize("name", ["all equal", "thousands of one"])
def test_lists_of_rows_that_cannot_be_told_apart_are_cut(name: str) -> None:
    index = opened(DEGENERATE[name], "l2", nlist=30)
    assert index.nlist >= 30 * 2500 / 3000 / 4
    assert index.imbalance < 6


@pytest.mark.parametrize("dim", [1, 2, 3, 7])
@pytest.mark.parametrize("kind", ["flat", "pq", "opq"])
def test_few_dimensions(dim: int, kind: str) -> None:
    vectors = gaussians(1000, dim)
    _, distances, _ = opened(vectors, "l2", kind).search(vectors[:5], 5, EVERYTHING)
    assert recall(distances, _core.exact_search(vectors, vectors[:5], 5, "l2")[1]) > 0.9


def test_zero_vectors_under_cosine_are_at_distance_one() -> None:
    vectors = gaussians(1500)
    vectors[[3, 700]] = 0
    for kind in KINDS:
        index = opened(vectors, "cosine", kind)
        rows, distances, _ = index.search(vectors[:1], 1500, EVERYTHING, EVERYTHING)
        assert np.all(distances[0][np.isin(rows[0], [3, 700])] == 1)
        assert np.all(index.search(np.zeros((1, 64), np.float32), 10, 5)[1] == 1)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("copies", [0, 1])
@pytest.mark.parametrize("every", [2, 10, 100, 1000])
def test_a_filter_finds_as_many_as_asked_for_when_so_many_match(kind: str, copies: int, every: int) -> None:
    vectors, queries = gaussians(5000), gaussians(10, seed=4)
    allowed = np.arange(5000) % every == 1
    rows, _, _ = opened(vectors, "cosine", kind, copies=copies).search(queries, 5, 1, allowed=allowed)
    assert np.all(rows >= 0)
    assert np.all(allowed[rows])
    assert all(len(set(found)) == 5 for found in rows.tolist())


@pytest.mark.parametrize("kind", KINDS)
def test_a_filtered_search_of_everything_is_exact(kind: str) -> None:
    vectors, queries = gaussians(3000), gaussians(5, seed=4)
    allowed = np.random.default_rng(8).random(3000) < 0.1
    found = opened(vectors, "cosine", kind).search(queries, 10, EVERYTHING, EVERYTHING, allowed=allowed)
    expected = _core.exact_search(vectors, queries, 10, "cosine", allowed=allowed)
    assert np.array_equal(found[0], expected[0])
    assert np.array_equal(found[1], expected[1])


def test_nothing_allowed_finds_nothing() -> None:
    vectors = gaussians(1500)
    for kind in KINDS:
        assert np.all(opened(vectors, "l2", kind).search(vectors[:3], 5, 8, allowed=np.zeros(1500, bool))[0] == -1)


def test_lists_without_an_allowed_row_do_not_count() -> None:
    vectors = gaussians(3000)
    allowed = np.arange(3000) < 40
    _, _, counts = opened(vectors, "l2").search(vectors[2000:2001], 1, 10, allowed=allowed)
    assert counts["lists"] == 10
    assert counts["rows_scored"] <= 40


def test_rows_without_a_vector_are_never_found() -> None:
    vectors = gaussians(2000)
    present = np.arange(2000) % 3 != 0
    vectors[~present] = 0
    for kind in KINDS:
        rows, _, _ = opened(vectors, "l2", kind, present=present).search(vectors[:5], 2000, EVERYTHING, EVERYTHING)
        for found in rows:
            assert np.array_equal(np.sort(found[found >= 0]), np.flatnonzero(present))


@pytest.mark.parametrize("kind", KINDS)
def test_copies_put_rows_into_second_lists_and_give_each_row_once(kind: str) -> None:
    vectors = np.random.default_rng(9).standard_normal((3000, 64), dtype=np.float32)
    plain, copied = opened(vectors, "l2", kind), opened(vectors, "l2", kind, copies=1)
    assert plain.n_entries == 3000
    assert 3000 < copied.n_entries <= 6000
    queries = np.random.default_rng(10).standard_normal((100, 64), dtype=np.float32)
    rows, distances, _ = copied.search(queries, 10, 15)
    assert all(len(set(found)) == 10 for found in rows.tolist())
    expected = _core.exact_search(vectors, queries, 10, "l2")[1]
    assert recall(distances, expected) > recall(plain.search(queries, 10, 15)[1], expected) + 0.05


@pytest.mark.parametrize("metric", ["cosine", "dot", "l2"])
def test_a_graph_over_the_centroids_finds_what_scoring_all_of_them_finds(metric: str) -> None:
    vectors, queries = gaussians(6000), gaussians(100, seed=3)
    plain, walked = opened(vectors, metric, nlist=500, graph=False), opened(vectors, metric, nlist=500, graph=True)
    assert (plain.has_graph, walked.has_graph) == (False, True)
    same = [
        len(set(a) & set(b))
        for a, b in zip(plain.search(queries, 10, 30)[0].tolist(), walked.search(queries, 10, 30)[0].tolist(), strict=True)
    ]
    assert np.mean(same) > 9.5


def test_a_walk_over_centroids_goes_on_where_a_filter_asks_for_more() -> None:
    vectors = gaussians(6000)
    allowed = np.arange(6000) % 500 == 7
    rows, _, _ = opened(vectors, "l2", nlist=500, graph=True).search(vectors[:20], 12, 3, allowed=allowed)
    assert all(set(found) == set(range(7, 6000, 500)) for found in rows.tolist())


def test_lists_are_balanced() -> None:
    vectors = np.vstack([gaussians(4000), np.random.default_rng(3).standard_normal((1000, 64)) * 0.01 + 5]).astype(np.float32)
    index = opened(vectors, "l2", nlist=100)
    assert 80 <= index.nlist <= 150
    assert index.imbalance < 1.5


def test_more_neighbors_than_a_product_table_sums_in_16_bits() -> None:
    # 2,048 subvectors whose tables' entries are all of the largest byte overflow a 16-bit sum eightfold.
    rng = np.random.default_rng(11)
    vectors = rng.choice(np.array([-1, 1], np.float32), (600, 4096))
    index = opened(vectors, "l2", "pq", subvectors=2048, nlist=2)
    rows, _, counts = index.search(vectors[:20], 1, 2)
    assert np.array_equal(rows[:, 0], np.arange(20))
    assert counts["rescored"] < 20 * 100


@pytest.mark.parametrize("subvectors", [1, 3, 5, 30, 64])
@pytest.mark.parametrize("bits", [4, 8])
def test_subvectors_need_not_divide_the_dimensions(subvectors: int, bits: int) -> None:
    vectors = gaussians(1500)
    for kind in ("pq", "opq"):
        index = opened(vectors, "l2", kind, subvectors=subvectors, bits=bits, nlist=20)
        _, distances, _ = index.search(vectors[::100], 5, EVERYTHING)
        assert recall(distances, _core.exact_search(vectors, vectors[::100], 5, "l2")[1]) > 0.9


def test_a_rotation_loses_less_where_dimensions_go_together() -> None:
    # Energy falls from dimension to dimension, so the first subvectors have most to say and the last nothing.
    rng = np.random.default_rng(12)
    vectors = (rng.standard_normal((4000, 64)) * np.exp(-np.arange(64) / 6)).astype(np.float32)
    queries = (rng.standard_normal((100, 64)) * np.exp(-np.arange(64) / 6)).astype(np.float32)
    expected = _core.exact_search(vectors, queries, 10, "l2")[1]
    found = {
        kind: recall(opened(vectors, "l2", kind, nlist=10, subvectors=16).search(queries, 10, EVERYTHING, 20)[1], expected)
        for kind in ("pq", "opq")
    }
    assert found["opq"] > found["pq"] + 0.02


def test_trained_centroids_are_lent_to_rows_much_like_their_own() -> None:
    vectors = gaussians(6000)
    lender = _core.build_ivf(vectors[:3000], "cosine", nlist=100)
    later = np.ascontiguousarray(vectors[3000:])
    index = opened(later, "cosine", "coded", trained=lender, trained_rows=3000)
    own = opened(later, "cosine", "coded", nlist=100)
    assert index.trained_distance == opened(vectors[:3000], "cosine", nlist=100).trained_distance
    assert index.mean_distance < 1.2 * own.mean_distance
    expected = _core.exact_search(later, later[:100], 10, "cosine")[1]
    assert recall(index.search(later[:100], 10, 10)[1], expected) > recall(own.search(later[:100], 10, 10)[1], expected) - 0.03


def test_distance_from_the_centroids_shows_that_rows_have_drifted() -> None:
    vectors = gaussians(3000)
    lender = _core.build_ivf(vectors, "cosine")
    elsewhere = gaussians(3000, seed=50)
    index = opened(elsewhere, "cosine", trained=lender, trained_rows=3000)
    assert index.mean_distance > 1.5 * index.trained_distance


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "ivf"}, 'kind must be one of flat, coded, pq and opq, got "ivf"'),
        ({"copies": 2}, "copies must be 0 or 1, got 2"),
        ({"kind": "pq", "bits": 5}, "bits of a subvector must be 4 or 8, got 5"),
        ({"kind": "pq", "subvectors": 65}, "subvectors must be at most the number of dimensions, 64, got 65"),
        ({"nlist": 1 << 21}, "nlist must be at most 1048576, got 2097152"),
        (
            {"kind": "coded", "metric": "l1"},
            "ivf_coded needs float32 or float16 vectors under cosine, dot or l2, got float32 under l1; use ivf_flat",
        ),
        ({"metric": "hamming"}, "vectors must be|does not go with"),
    ],
)
def test_wrong_parameters_are_named(options: dict[str, Any], message: str) -> None:
    chosen: dict[str, Any] = {"metric": "l2", **options}
    with pytest.raises(InvalidArgument, match=message):
        _core.build_ivf(gaussians(100), **chosen)


def test_centroids_of_other_rows_are_refused() -> None:
    lender = _core.build_ivf(gaussians(100, 32), "l2")
    with pytest.raises(
        InvalidArgument, match="the centroids that were given are of 32 dimensions, float32 and l2; the rows are 64, float32 and cosine"
    ):
        _core.build_ivf(gaussians(100), "cosine", trained=lender, trained_rows=100)


def test_a_deadline_stops_build_and_search() -> None:
    vectors = gaussians(20_000)
    with pytest.raises(TimeoutError):
        _core.build_ivf(vectors, "l2", "opq", threads=2, timeout_s=0.02)
    with pytest.raises(TimeoutError):
        opened(vectors[:3000], "l2").search(vectors, 10, EVERYTHING, timeout_s=0.01)


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(1, 400),
    dim=st.integers(1, 40),
    nlist=st.integers(0, 50),
    copies=st.integers(0, 1),
    k=st.integers(1, 30),
    nprobe=st.integers(1, 60),
    metric=st.sampled_from(["cosine", "dot", "l2"]),
    kind=st.sampled_from(["flat", "pq", "opq"]),
    share=st.floats(0, 1),
    seed=st.integers(0, 1000),
)
def test_whatever_is_found_is_allowed_once_and_exactly_scored(
    n: int, dim: int, nlist: int, copies: int, k: int, nprobe: int, metric: str, kind: str, share: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    vectors = rng.integers(-3, 4, (n, dim)).astype(np.float32)  # with many equal rows
    allowed = rng.random(n) < share
    rows, distances, _ = opened(vectors, metric, kind, nlist=nlist, copies=copies).search(vectors[:1], k, nprobe, allowed=allowed)
    found = rows[0][rows[0] >= 0]
    assert len(found) == min(k, int(allowed.sum()))
    assert len(set(found.tolist())) == len(found)
    assert np.all(allowed[found])
    exact = _core.pairwise_distances(vectors[:1], vectors, metric)[0]
    assert np.allclose(distances[0][: len(found)], exact[found], atol=1e-5)
    assert np.all(np.diff(distances[0][: len(found)]) >= 0)


def test_kmeans_finds_clusters_that_lie_apart() -> None:
    centers = np.random.default_rng(13).standard_normal((8, 16)) * 20
    labels = np.arange(2000) % 8
    vectors = (centers[labels] + np.random.default_rng(14).standard_normal((2000, 16))).astype(np.float32)
    means, found = _core.kmeans(vectors, 8, seed=3)
    assert means.shape == (8, 16)
    assert np.mean(np.min(np.linalg.norm(centers[:, None] - means[None], axis=2), axis=1) < 1) >= 6 / 8
    assert np.mean(np.linalg.norm(vectors - means[found[:, 0]], axis=1)) < 12


# The peak of resident memory is reset before the build: a child inherits the peak of the process that started it.
MEMORY_SCRIPT = """
import re, sys
import numpy as np
from vicino import _core
def status(key):
    return 1024 * int(re.search(key + r":\\s+(\\d+)", open("/proc/self/status").read()).group(1))
vectors = np.random.default_rng(1).standard_normal((30000, 96), dtype=np.float32)
_core.build_ivf(vectors[:500], "l2", sys.argv[1])
before = status("VmRSS")
open("/proc/self/clear_refs", "w").write("5")
_core.write_ivf(vectors, "l2", len, sys.argv[1], copies=1, threads=2)
print(status("VmHWM") - before, _core.ivf_build_bytes(30000, 96, "float32", "l2", sys.argv[1], copies=1, threads=2))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize("kind", KINDS)
def test_a_build_stays_within_its_stated_memory(kind: str) -> None:
    command = [sys.executable, "-W", "ignore", "-c", MEMORY_SCRIPT, kind]
    used, stated = map(int, subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())
    assert stated / 6 < used <= stated


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("copies", [0, 1])
@pytest.mark.parametrize("options", [{}, {"graph": True, "nlist": 200}], ids=["scored", "walked"])
@pytest.mark.parametrize("every", [1, 7])
def test_a_batch_finds_what_its_queries_find_alone(kind: str, copies: int, options: dict[str, Any], every: int) -> None:
    vectors, queries = gaussians(3000), gaussians(37, seed=3)
    index = opened(vectors, "cosine", kind, copies=copies, **options)
    allowed = None if every == 1 else np.arange(3000) % every == 0
    rows, distances, counts = index.search(queries, 10, 6, allowed=allowed)
    alone = [index.search(query[None], 10, 6, allowed=allowed) for query in queries]
    assert np.array_equal(rows, np.concatenate([found[0] for found in alone]))
    assert np.array_equal(distances, np.concatenate([found[1] for found in alone]))
    for name, total in counts.items():
        assert total == sum(found[2][name] for found in alone)


@pytest.mark.parametrize("kind", ["pq", "opq"])
@pytest.mark.parametrize("metric", ["cosine", "dot", "l2"])
@pytest.mark.parametrize("rescore", [0, 25, EVERYTHING])
@pytest.mark.parametrize("every", [1, 40])
def test_a_batch_of_product_codes_finds_what_its_queries_find_alone(kind: str, metric: str, rescore: int, every: int) -> None:
    # More queries than are scanned for together, and blocks of 32 rows that belong to several lists.
    vectors, queries = gaussians(2500, 128), gaussians(701, 128, seed=3)
    index = opened(vectors, metric, kind, nlist=90)
    allowed = None if every == 1 else np.arange(2500) % every == 0
    rows, distances, counts = index.search(queries, 10, 5, rescore, allowed=allowed)
    alone = [index.search(query[None], 10, 5, rescore, allowed=allowed) for query in queries]
    assert np.array_equal(rows, np.concatenate([found[0] for found in alone]))
    assert np.array_equal(distances, np.concatenate([found[1] for found in alone]))
    for name, total in counts.items():
        assert total == sum(found[2][name] for found in alone)


@pytest.mark.parametrize("kind", KINDS)
def test_an_index_is_written_in_pieces_that_make_the_whole(kind: str) -> None:
    vectors = gaussians(40_000, 32)  # more than one piece of codes
    pieces: list[bytes] = []
    _core.write_ivf(vectors, "l2", pieces.append, kind, nlist=50)
    assert max(map(len, pieces)) <= 1 << 20
    assert b"".join(pieces) == _core.build_ivf(vectors, "l2", kind, nlist=50)
