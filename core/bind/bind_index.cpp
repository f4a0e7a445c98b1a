#include "bind/bind.h"

namespace vicino::bind {

void bind_index(nanobind::module_&) {}

}  // namespace vicino::bind
