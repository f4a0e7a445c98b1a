// How many lists a search should probe, measured when an index is built: some rows are asked for their own nearest neighbors, and the lists
// that hold these are ranked as a search would rank them. No search is run for it, one exact scan for all of them is.
#pragma once
#include "ivf/assignment.h"

namespace vicino {

/// Lists to probe for a mean recall@10 of 0.95, held by one standard error of the sample; 0 for too few rows or lists to tell.
std::uint32_t calibrate_nprobe(const ClusterSpace& space, const Lists& lists, const Points& centroids, const VectorBlock& block, unsigned threads,
                               const Cancel& cancel);

}  // namespace vicino
