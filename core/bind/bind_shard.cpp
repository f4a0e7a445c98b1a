#include "bind/bind.h"

namespace vicino::bind {

void bind_shard(nanobind::module_&) {}

}  // namespace vicino::bind
