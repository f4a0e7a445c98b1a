// Many searches of lists of product codes of 4 bits, list by list: a block of codes is taken from memory and made indexes of once for several
// queries, and the rotation and the means of lists are read once for many. What is found is what single queries find, to the bit.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "ivf/coded_shortlist.h"
#include "ivf/list_batch.h"
#include "ivf/product_code.h"

namespace vicino {

class ProductBatch final : public IvfBatch {
 public:
  explicit ProductBatch(const Task& task);
  std::size_t together() const override { return together_; }
  void plan(std::size_t first, std::size_t count, std::span<const float> scored, Probing& probing) override;
  void run() override;

 private:
  /// One query between plan and run.
  struct Planned {
    std::size_t query;
    ProductTerms terms;
    ProductScan scan;
    CodedShortlist shortlist;
  };
  void scan(std::uint32_t list, std::span<const std::uint32_t> queries);
  void scan_together(std::size_t begin, std::span<const std::uint32_t> rows, std::span<const std::uint32_t> queries,
                     const float* products_of_mean);

  std::size_t vector_size_, table_size_;
  std::size_t together_;
  std::size_t n_planned_ = 0;
  std::vector<Planned> planned_;
  // Of the planned queries, one after the other.
  std::vector<float> vectors_;
  std::vector<std::uint8_t> tables_;
  // Of a group of them while it is planned.
  std::vector<float> turned_;
  ProductQuery products_;
  // Of the list that is scanned.
  std::vector<std::uint32_t> entries_, wanted_;
  std::vector<const std::uint8_t*> visitors_;
  std::vector<float> of_mean_;
};

}  // namespace vicino
