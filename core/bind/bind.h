// One function per bind_<noun>.cpp; module.cpp calls each once. Bindings check, release the GIL, call and convert; they hold no algorithm.
#pragma once
#include <nanobind/nanobind.h>

namespace vicino::bind {

void bind_errors();                       // the core's exceptions as Python's
void bind_storage(nanobind::module_& m);  // blobs, checksums, containers, log scanning
void bind_kernels(nanobind::module_& m);  // kernels and their dispatch, for tests and benchmarks
void bind_index(nanobind::module_& m);    // exact scan and graph over arrays
void bind_ivf(nanobind::module_& m);      // inverted lists over arrays, k-means
void bind_hnsw(nanobind::module_& m);     // hierarchical graphs over arrays, for tests and benchmarks
void bind_codes(nanobind::module_& m);     // codes of dense vectors, for tests and benchmarks
void bind_flat_codes(nanobind::module_& m);  // scans over them
void bind_maxsim(nanobind::module_& m);   // multi-vectors: index, search, pooling, fixed encodings
void bind_fields(nanobind::module_& m);   // documents: encode, decode
void bind_filter(nanobind::module_& m);   // conditions, field indexes
void bind_sparse(nanobind::module_& m);   // text queries, sparse vectors; after bind_shard
void bind_shard(nanobind::module_& m);    // shard state, snapshots, search, rewrite
void bind_text(nanobind::module_& m);     // analyzers; after bind_sparse

}  // namespace vicino::bind
