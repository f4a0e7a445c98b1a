#include "bind/bind.h"

namespace vicino::bind {

void bind_filter(nanobind::module_&) {}

}  // namespace vicino::bind
