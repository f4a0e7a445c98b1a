// New arrays made by numpy's own C function, for calls that take a few microseconds in all: an array that reaches numpy as a buffer costs
// 0.6 us, since numpy asks, parses and checks what it holds; made by numpy itself it costs a tenth of that.
//
// Of numpy's C interface two things are used that have not changed since its version 1.7 and hold in 2: the function PyArray_New in its place
// of the table that numpy publishes for other modules, and that an array object begins with the address of its elements. numpy's headers are
// not needed, as the extension would otherwise have to be built against one of its versions.
#pragma once
#include <nanobind/nanobind.h>

#include <algorithm>
#include <cstdint>
#include <type_traits>

namespace vicino::bind {

namespace numpy {

enum class Element { int64, float32 };

/// A new matrix that is not filled, and where its elements are.
nanobind::object make_matrix(std::size_t rows, std::size_t columns, Element element, void** data);

}  // namespace numpy

/// A new matrix of numpy's, filled with one value.
template <class T>
class NumpyMatrix {
  static_assert(std::is_same_v<T, std::int64_t> || std::is_same_v<T, float>);

 public:
  NumpyMatrix(std::size_t rows, std::size_t columns, T fill) {
    void* data = nullptr;
    array_ = numpy::make_matrix(rows, columns, std::is_same_v<T, float> ? numpy::Element::float32 : numpy::Element::int64, &data);
    data_ = static_cast<T*>(data);
    std::fill_n(data_, rows * columns, fill);
  }
  T* data() const { return data_; }
  const nanobind::object& array() const { return array_; }

 private:
  nanobind::object array_;
  T* data_;
};

}  // namespace vicino::bind
