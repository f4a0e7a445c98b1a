#include "bind/bind.h"

namespace vicino::bind {

void bind_kernels(nanobind::module_&) {}

}  // namespace vicino::bind
