"""What maintenance does next, decided from sizes alone."""

from vicino.collection.limits import Limits
from vicino.collection.policy import (
    BuildIndex,
    BuildVectorIndex,
    Checkpoint,
    Merge,
    RewriteFields,
    SegmentState,
    is_soon_merged,
    next_action,
    packed,
    size_class,
)
from vicino.segment.files import SegmentFiles

LIMITS = Limits(head_rows_max=100, merge_fan_in=4, graph_rows_min=50, indexed_per_s=100)


def segment(key, rows=100, *, live=None, live_now=None, updated=0, updated_now=None, graphs=True, indexes=()):
    files = SegmentFiles(
        key=key,
        rows=rows,
        ids="i",
        fields="f",
        vectors={0: "v"},
        graphs={0: "g"} if graphs else {},
        indexes=dict.fromkeys(indexes, ("scalar", "x")),
    )
    live = rows if live is None else live
    return SegmentState(files, live, updated, live if live_now is None else live_now, updated if updated_now is None else updated_now)


def decide(*segments, slots=(0,), indexes=None, failed=frozenset()):
    return next_action(segments, indexed_slots=slots, indexes=indexes or {}, limits=LIMITS, failed=failed)


def test_size_classes_grow_by_the_fan_in():
    assert [size_class(rows, LIMITS) for rows in (1, 100, 101, 400, 401, 1600)] == [0, 0, 1, 1, 2, 2]


def test_nothing_is_done_when_all_is_well():
    assert decide(segment(1), segment(2)) is None


def test_a_full_size_class_is_merged():
    assert decide(*(segment(key) for key in range(1, 5))) == Merge((1, 2, 3, 4))


def test_all_segments_are_packed_into_one_where_that_may_be():
    assert [[s.files.key for s in group] for group in packed([segment(1, 300), segment(2, 100)], 400)] == [[2, 1]]


def test_segments_are_packed_smallest_first_up_to_the_rows_that_one_may_have():
    groups = packed([segment(1, 300), segment(2, 100), segment(3, 250), segment(4, 100)], 500)
    assert [[s.files.key for s in group] for group in groups] == [[2, 4, 3], [1]]


def test_segments_of_different_classes_are_not_merged():
    assert decide(segment(1), segment(2), segment(3), segment(4, rows=400)) is None


def test_merging_goes_before_building_graphs():
    assert decide(*(segment(key, graphs=False) for key in range(1, 5))) == Merge((1, 2, 3, 4))


def test_the_largest_segment_gets_its_graph_first():
    assert decide(segment(1, graphs=False), segment(2, rows=300, graphs=False)) == BuildVectorIndex(2, 0)


def test_small_segments_get_no_graph():
    assert decide(segment(1, rows=49, graphs=False)) is None


def test_flat_vectors_get_no_graph():
    assert decide(segment(1, graphs=False), slots=()) is None


def test_a_segment_with_many_dead_rows_is_rewritten():
    assert decide(segment(1, live=79)) == Merge((1,))


def test_rows_that_died_after_the_base_need_a_checkpoint_first():
    assert decide(segment(1, live_now=10)) == Checkpoint()


def test_many_updates_are_folded_into_a_new_fields_file():
    assert decide(segment(1, rows=5000, updated=1000)) == RewriteFields(1)


def test_updates_after_the_base_need_a_checkpoint_first():
    assert decide(segment(1, rows=5000, updated_now=1000)) == Checkpoint()


def test_wanted_indexes_are_built():
    assert decide(segment(1, indexes=["year"]), indexes={"year": "scalar", "title": "text"}) == BuildIndex(1, "title", "text")


def test_an_index_of_another_kind_is_built_anew():
    assert decide(segment(1, indexes=["title"]), indexes={"title": "text"}) == BuildIndex(1, "title", "text")


def test_what_was_refused_is_not_tried_again():
    assert decide(segment(1, graphs=False), failed=frozenset([BuildVectorIndex(1, 0)])) is None


def test_segments_of_the_largest_size_are_left_alone():
    limits = Limits(head_rows_max=100, merge_fan_in=4, segment_rows_max=400)
    states = [segment(key, rows=300) for key in range(1, 9)]
    assert next_action(states, indexed_slots=(), indexes={}, limits=limits) is None


def soon_merged(*segments, unsealed=0, rows_per_s=0.0):
    return is_soon_merged(segments, segments[0].files.key, unsealed=unsealed, rows_per_s=rows_per_s, limits=LIMITS)


def test_a_writer_that_fills_the_tier_within_two_builds_is_waited_for():
    # Two builds of 100 rows take two seconds; 300 rows are missing from the tier.
    assert [soon_merged(segment(1), rows_per_s=rate) for rate in (149, 151)] == [False, True]


def test_what_is_written_already_is_not_missing_from_the_tier():
    assert soon_merged(segment(1), unsealed=250, rows_per_s=50)


def test_every_segment_of_the_tier_brings_the_merge_nearer():
    assert [soon_merged(*map(segment, range(1, n + 1)), rows_per_s=60) for n in (1, 2, 3)] == [False, False, True]


def test_nothing_is_waited_for_when_nobody_writes():
    assert not soon_merged(segment(1), unsealed=1000)


def test_larger_segments_are_indexed_whoever_writes():
    assert not soon_merged(segment(1, rows=400), rows_per_s=1e9)
