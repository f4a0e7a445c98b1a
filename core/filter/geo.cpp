#include "filter/geo.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace vicino::filter {

namespace {

constexpr double kEarthRadius_m = 6371008.8;

double radians(double degrees) { return degrees * (std::numbers::pi / 180); }

std::optional<double> coordinate(const Object& place, std::string_view name) {
  const auto value = place.find(name);
  if (!value) return std::nullopt;
  if (value->type() == ValueType::number) return value->as_float();
  if (value->type() == ValueType::integer) return static_cast<double>(value->as_int());
  return std::nullopt;
}

enum class Side { outside, border, inside };

bool on_edge(GeoPoint a, GeoPoint b, GeoPoint place) {
  if ((b.lon - a.lon) * (place.lat - a.lat) - (b.lat - a.lat) * (place.lon - a.lon) != 0) return false;
  return place.lon >= std::min(a.lon, b.lon) && place.lon <= std::max(a.lon, b.lon) && place.lat >= std::min(a.lat, b.lat) &&
         place.lat <= std::max(a.lat, b.lat);
}

bool crosses(GeoPoint a, GeoPoint b, GeoPoint place) {
  return (a.lat > place.lat) != (b.lat > place.lat) && place.lon < (b.lon - a.lon) * (place.lat - a.lat) / (b.lat - a.lat) + a.lon;
}

/// The ring is closed whether or not its last corner repeats the first.
Side side_of(const std::vector<GeoPoint>& ring, GeoPoint place) {
  bool inside = false;
  for (std::size_t i = 0; i < ring.size(); ++i) {
    const GeoPoint a = ring[i];
    const GeoPoint b = ring[(i + 1) % ring.size()];
    if (on_edge(a, b, place)) return Side::border;
    if (crosses(a, b, place)) inside = !inside;
  }
  return inside ? Side::inside : Side::outside;
}

}  // namespace

std::optional<GeoPoint> place_of(const Value& value) {
  if (value.type() == ValueType::geo) return value.as_geo();
  if (!value.is_object()) return std::nullopt;
  const auto lat = coordinate(value.as_object(), "lat");
  const auto lon = coordinate(value.as_object(), "lon");
  if (!lat || !lon) return std::nullopt;
  return GeoPoint{*lat, *lon};
}

double distance_m(GeoPoint a, GeoPoint b) {
  const double half_lat = std::sin(radians(b.lat - a.lat) / 2);
  const double half_lon = std::sin(radians(b.lon - a.lon) / 2);
  const double h = half_lat * half_lat + std::cos(radians(a.lat)) * std::cos(radians(b.lat)) * half_lon * half_lon;
  return 2 * kEarthRadius_m * std::asin(std::min(1.0, std::sqrt(h)));  // rounding can carry opposite points past 1
}

bool contains(const GeoRadius& circle, GeoPoint place) { return distance_m(circle.center, place) < circle.radius_m; }

bool contains(const GeoBox& box, GeoPoint place) {
  if (!(place.lat < box.top_left.lat && place.lat > box.bottom_right.lat)) return false;
  const double west = box.top_left.lon;
  const double east = box.bottom_right.lon;
  return west > east ? place.lon > west || place.lon < east : place.lon > west && place.lon < east;
}

bool contains(const GeoPolygon& polygon, GeoPoint place) {
  return side_of(polygon.exterior, place) == Side::inside &&
         std::ranges::all_of(polygon.interiors, [&](const auto& ring) { return side_of(ring, place) == Side::outside; });
}

}  // namespace vicino::filter
