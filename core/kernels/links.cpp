#include "kernels/links.h"

#include "kernels/links_loops.h"

namespace vicino {

namespace {

LinksTaken take_unmet(const LinkSlots& slots, std::uint32_t* met, std::uint32_t* nodes, std::uint32_t* places) {
  return link_loops::take_slots(slots, 0, met, nodes, places, 0);
}

}  // namespace

void add_links_scalar(Kernels& table) { table.take_unmet = take_unmet; }

}  // namespace vicino
