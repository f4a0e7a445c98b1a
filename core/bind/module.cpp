#include "bind/bind.h"

NB_MODULE(_core, m) {
  // A program may end without closing its database: nothing is lost then, and what is still alive at that moment is no leak.
  nanobind::set_leak_warnings(false);
  m.doc() = "vicino's native core: kernels, documents, filters, segments, graph. Use it through the vicino package.";
  vicino::bind::bind_errors();
  vicino::bind::bind_storage(m);
  vicino::bind::bind_kernels(m);
  vicino::bind::bind_index(m);
  vicino::bind::bind_ivf(m);
  vicino::bind::bind_hnsw(m);
  vicino::bind::bind_codes(m);
  vicino::bind::bind_flat_codes(m);
  vicino::bind::bind_maxsim(m);
  vicino::bind::bind_fields(m);
  vicino::bind::bind_filter(m);
  vicino::bind::bind_shard(m);
  vicino::bind::bind_sparse(m);
  vicino::bind::bind_text(m);
}
