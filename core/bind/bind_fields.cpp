#include "bind/bind.h"

namespace vicino::bind {

void bind_fields(nanobind::module_&) {}

}  // namespace vicino::bind
