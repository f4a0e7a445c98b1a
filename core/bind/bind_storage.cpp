#include "bind/bind.h"

namespace vicino::bind {

void bind_storage(nanobind::module_&) {}

}  // namespace vicino::bind
