#include "kernels/dispatch.h"

#include <cstdlib>

#if defined(__x86_64__) && defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include "kernels/codes.h"
#include "kernels/columns.h"
#include "kernels/distance.h"
#include "kernels/links.h"
#include "kernels/maxsim.h"
#include "kernels/postings.h"
#include "kernels/product_scan.h"
#include "kernels/products.h"
#include "kernels/sorting.h"
#include "util/errors.h"

namespace vicino {

#if defined(__x86_64__)
Kernels avx2_kernels();
Kernels avx512_kernels();
#elif defined(__aarch64__)
Kernels neon_kernels();
#endif

namespace {

struct KernelSet {
  const char* name;
  bool (*is_supported)();
  Kernels (*table)();
};

// The compiler's cpu_supports reads CPUID and, for wide registers, XCR0: a system that does not save them counts as unsupported.
#if defined(__x86_64__)
bool has_avx2() {
  __builtin_cpu_init();
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c") &&
         __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("popcnt");
}
bool has_avx512() {
  return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512vpopcntdq") &&
         __builtin_cpu_supports("avx512vbmi");
}
/// Linux keeps the matrix unit from a process until it asks: what the unit holds is 8 KiB, for which old programs' signal stacks are too
/// small. It refuses where one is.
bool has_amx() {
#if defined(__linux__)
  constexpr long request_permission = 0x1023, tile_data = 18;
  return has_avx512() && __builtin_cpu_supports("amx-tile") && __builtin_cpu_supports("amx-int8") &&
         syscall(SYS_arch_prctl, request_permission, tile_data) == 0;
#else
  return false;
#endif
}
Kernels no_kernels() { return {}; }
#endif

/// A table with the kernels of other units of the same set.
template <Kernels (*table)(), void (*... add)(Kernels&)>
Kernels with() {
  Kernels kernels = table();
  (add(kernels), ...);
  return kernels;
}

// Simplest first; a later set is preferred where it has a kernel.
const KernelSet kSets[] = {
    {"scalar", [] { return true; }, with<scalar_kernels, add_maxsim_scalar, add_codes_scalar, add_postings_scalar, add_links_scalar,
                                       add_sorting_scalar, add_columns_scalar>},
#if defined(__x86_64__)
    {"avx2", has_avx2, with<avx2_kernels, add_links_avx2, add_maxsim_avx2, add_codes_avx2, add_postings_avx2, add_sorting_scalar,
                              add_columns_avx2>},
    {"avx512", has_avx512, with<avx512_kernels, add_products_avx512, add_maxsim_avx512, add_codes_avx512, add_postings_avx512, add_links_avx512,
                                  add_sorting_avx512, add_product_scan_avx512, add_columns_avx512>},
    {"amx", has_amx, with<no_kernels, add_products_amx>},
#elif defined(__aarch64__)
    {"neon", [] { return true; }, with<neon_kernels, add_codes_neon, add_maxsim_neon, add_postings_neon, add_columns_neon>},
#endif
};

constexpr const char* kKnownNames[] = {"scalar", "avx2", "avx512", "amx", "neon", "auto"};
constexpr const char* kNumericNames[] = {"float32", "float16", "int8", "uint8", "coded"};

/// Calls visit(name, member of table, the same member of every other table) for each kernel.
template <class Visit>
void for_each_kernel(Kernels& table, Kernels& source, Visit&& visit) {
  for (std::size_t i = 0; i < std::size(kNumericNames); ++i) {
    visit(std::string("dot_") + kNumericNames[i], table.dot[i], source.dot[i]);
    visit(std::string("l2_") + kNumericNames[i], table.l2[i], source.l2[i]);
    visit(std::string("l1_") + kNumericNames[i], table.l1[i], source.l1[i]);
  }
  visit(std::string("hamming"), table.hamming, source.hamming);
  visit(std::string("jaccard"), table.jaccard, source.jaccard);
  visit(std::string("code_products"), table.code_products, source.code_products);
  visit(std::string("code_products_at"), table.code_products_at, source.code_products_at);
  visit(std::string("code_distances"), table.code_distances, source.code_distances);
  visit(std::string("count_at_most"), table.count_at_most, source.count_at_most);
  visit(std::string("collect_at_most"), table.collect_at_most, source.collect_at_most);
  visit(std::string("sort_keys"), table.sort_keys, source.sort_keys);
  visit(std::string("collect_keys"), table.collect_keys, source.collect_keys);
  visit(std::string("merge_keys"), table.merge_keys, source.merge_keys);
  visit(std::string("maxsim_codes"), table.maxsim_codes, source.maxsim_codes);
  visit(std::string("maxsim_floats"), table.maxsim_floats, source.maxsim_floats);
  visit(std::string("widen_halves"), table.widen_halves, source.widen_halves);
  visit(std::string("text_shares"), table.text_shares, source.text_shares);
  visit(std::string("weight_shares"), table.weight_shares, source.weight_shares);
  visit(std::string("take_sums"), table.take_sums, source.take_sums);
  visit(std::string("take_bounds"), table.take_bounds, source.take_bounds);
  visit(std::string("row_sums"), table.row_sums, source.row_sums);
  visit(std::string("code_scores_half"), table.code_scores_half, source.code_scores_half);
  visit(std::string("code_scores_packed_half"), table.code_scores_packed_half, source.code_scores_packed_half);
  visit(std::string("code_scores_packed_byte"), table.code_scores_packed_byte, source.code_scores_packed_byte);
  visit(std::string("code_scores_float"), table.code_scores_float, source.code_scores_float);
  visit(std::string("code_scores_byte"), table.code_scores_byte, source.code_scores_byte);
  visit(std::string("code_column_scores"), table.code_column_scores, source.code_column_scores);
  visit(std::string("code_block_sums"), table.code_block_sums, source.code_block_sums);
  visit(std::string("code_block_bounds"), table.code_block_bounds, source.code_block_bounds);
  visit(std::string("scan_products"), table.scan_products, source.scan_products);
  visit(std::string("take_unmet"), table.take_unmet, source.take_unmet);
  visit(std::string("rotate"), table.rotate, source.rotate);
  visit(std::string("encode_code"), table.encode_code, source.encode_code);
  visit(std::string("encode_signs"), table.encode_signs, source.encode_signs);
  visit(std::string("sum_vectors"), table.sum_vectors, source.sum_vectors);
  visit(std::string("combine_vectors"), table.combine_vectors, source.combine_vectors);
  visit(std::string("round_vector"), table.round_vector, source.round_vector);
  visit(std::string("codeword_products"), table.codeword_products, source.codeword_products);
  visit(std::string("nearest_codeword"), table.nearest_codeword, source.nearest_codeword);
}

struct Choice {
  Kernels table;
  std::vector<std::pair<std::string, std::string>> origin;
};

Choice choose(std::string_view name) {
  Choice choice;
  bool found = false;
  for (const KernelSet& set : kSets) {
    if (!set.is_supported()) continue;
    Kernels source = set.table();
    std::size_t position = 0;
    for_each_kernel(choice.table, source, [&](std::string kernel, auto& chosen, auto& offered) {
      if (choice.origin.size() <= position) choice.origin.emplace_back(std::move(kernel), "");
      if (offered) {
        chosen = offered;
        choice.origin[position].second = set.name;
      }
      ++position;
    });
    if (set.name == name) {
      found = true;
      break;
    }
  }
  if (found || name == "auto") return choice;

  std::string supported;
  for (const std::string& set : supported_kernel_sets()) supported += set + ", ";
  for (const char* known : kKnownNames)
    if (name == known)
      throw InvalidArgument("VICINO_KERNELS: this machine does not support \"" + std::string(name) + "\"; it runs " + supported + "or auto");
  throw InvalidArgument("VICINO_KERNELS must be one of scalar, avx2, avx512, amx, neon and auto, got \"" + std::string(name) +
                        "\"; this machine runs " + supported + "or auto");
}

const Choice& choice_in_use() {
  static const Choice choice = [] {
    const char* wanted = std::getenv("VICINO_KERNELS");
    return choose(wanted && *wanted ? wanted : "auto");
  }();
  return choice;
}

}  // namespace

const Kernels& kernels() { return choice_in_use().table; }
Kernels kernels_of(std::string_view name) { return choose(name).table; }
std::vector<std::pair<std::string, std::string>> active_kernels() { return choice_in_use().origin; }

std::vector<std::string> supported_kernel_sets() {
  std::vector<std::string> names;
  for (const KernelSet& set : kSets)
    if (set.is_supported()) names.emplace_back(set.name);
  return names;
}

}  // namespace vicino
