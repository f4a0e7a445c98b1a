// Places on the globe: which lie within a circle, a box or a polygon. Borders do not belong, as in Qdrant.
#pragma once
#include <optional>

#include "filter/condition.h"

namespace vicino::filter {

/// A geo point, or an object with numbers under `lat` and `lon`.
std::optional<GeoPoint> place_of(const Value& value);

/// Great-circle distance by the haversine formula, on a sphere with Qdrant's radius of 6,371,008.8 m.
double distance_m(GeoPoint a, GeoPoint b);

bool contains(const GeoRadius& circle, GeoPoint place);
/// A box whose west is greater than its east crosses the 180° line.
bool contains(const GeoBox& box, GeoPoint place);
/// Strictly inside the exterior (even-odd rule in degrees), and neither in nor on the border of an interior.
bool contains(const GeoPolygon& polygon, GeoPoint place);

}  // namespace vicino::filter
