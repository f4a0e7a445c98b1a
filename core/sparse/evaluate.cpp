#include "sparse/evaluate.h"

#include <algorithm>
#include <cmath>

#include "sparse/expand.h"
#include "util/errors.h"

namespace vicino {

namespace {

constexpr std::uint32_t kWindow = 1u << 14;

/// What a clause says of the rows of one window.
struct Verdict {
  std::vector<double> scores = std::vector<double>(kWindow);
  std::vector<std::uint8_t> met = std::vector<std::uint8_t>(kWindow);
};

struct Window {
  std::size_t entry;
  std::uint32_t first, end;
};

/// A clause made ready for all entries; evaluated window by window, entries and windows in order.
class Node {
 public:
  virtual ~Node() = default;
  /// Adds to `out`, which is zero.
  virtual void evaluate(const Window& window, Verdict& out) = 0;
};

/// Walks one term through the windows of one entry after the other.
class TermWalk {
 public:
  explicit TermWalk(const ResolvedTerm& resolved, std::span<const SparseEntry> entries, std::uint32_t field)
      : resolved_(&resolved), entries_(entries), field_(field) {}

  const TermIndex& index() const { return *entries_[entry_].fields[field_]; }
  PostingCursor& cursor() { return *cursor_; }

  /// Calls visit(row, payload, place in the block) for every posting of the window.
  template <class Visit>
  void each(const Window& window, Visit&& visit) {
    if (entry_ != window.entry) {
      entry_ = window.entry;
      const auto& info = resolved_->infos[entry_];
      cursor_ = info ? entries_[entry_].fields[field_]->postings(*info) : nullptr;
      block_.count = at_ = 0;
    }
    while (cursor_) {
      if (at_ == block_.count) {
        at_ = 0;
        if (!cursor_->next(window.first, block_)) {
          block_.count = 0;
          cursor_ = nullptr;
          return;
        }
      }
      for (; at_ < block_.count; ++at_) {
        if (block_.rows[at_] >= window.end) return;
        if (block_.rows[at_] >= window.first) visit(block_.rows[at_], block_, at_);
      }
    }
  }

 private:
  const ResolvedTerm* resolved_;
  std::span<const SparseEntry> entries_;
  std::uint32_t field_;
  std::size_t entry_ = ~std::size_t{0};
  std::unique_ptr<PostingCursor> cursor_;
  PostingBlock block_;
  std::uint32_t at_ = 0;
};

/// One term of one field inside a group: its boosted, length-normalized frequencies.
struct FieldTerm {
  TermWalk walk;
  const TextField* field;
  double average, weight;

  double normalized(double tf, std::uint32_t length) const {
    return weight * field->boost * tf / (1 - field->b + field->b * static_cast<double>(length) / average);
  }
};

/// Terms that count as one: the same term in several fields, or the expansions of one word. weight * idf * x / (k1 + x).
struct Group {
  std::vector<FieldTerm> terms;
  double weight = 0, k1 = 1.2;

  /// Adds the share of every row to `shares`, which is zero, and marks the row.
  void evaluate(const Window& window, std::vector<double>& x, std::vector<double>& scores, std::vector<std::uint8_t>& met) {
    for (FieldTerm& term : terms)
      term.walk.each(window, [&](std::uint32_t row, const PostingBlock& block, std::uint32_t i) {
        std::uint32_t length;
        term.walk.index().lengths(&row, 1, &length);
        x[row - window.first] += term.normalized(block.tf[i], length);
      });
    for (std::uint32_t i = 0; i < window.end - window.first; ++i) {
      if (x[i] == 0) continue;
      scores[i] += weight * x[i] / (k1 + x[i]);
      met[i] = 1;
      x[i] = 0;
    }
  }
};

class Maker {
 public:
  Maker(const TextQuery& query, CollectionTerms& terms) : query_(query), terms_(terms) {}
  std::unique_ptr<Node> make(const TextClause& clause);

  std::unique_ptr<Node> words(const TextClause& clause);
  std::unique_ptr<Node> expanded(const TextClause& clause);
  std::unique_ptr<Node> phrase(const TextClause& clause);
  std::unique_ptr<Node> boolean(const TextClause& clause);
  std::unique_ptr<Node> scored(const TextClause& clause);

 private:
  /// terms: (field, term, weight inside the group)
  Group group(std::span<const TextTerm> terms, double weight) {
    Group made;
    std::uint64_t n = 0, df = 0;
    for (const TextTerm& term : terms) {
      const ResolvedTerm& resolved = terms_.term(term.field, term.term);
      const auto& totals = terms_.field(term.field);
      const TextField& field = query_.fields[term.field];
      if (made.terms.empty()) made.k1 = field.k1;
      made.terms.push_back({TermWalk(resolved, terms_.entries(), term.field), &field, totals.average, term.weight});
      n = std::max(n, totals.n);
      df = std::max(df, resolved.df);
    }
    made.weight = weight * CollectionTerms::idf(n, df);
    return made;
  }

  const TextQuery& query_;
  CollectionTerms& terms_;
};

/// Words: the sum of their shares, where enough of them are met.
class Words final : public Node {
 public:
  Words(std::vector<std::vector<Group>> words, std::uint32_t minimum) : words_(std::move(words)), minimum_(minimum) {}

  void evaluate(const Window& window, Verdict& out) override {
    std::vector<std::uint16_t> counts(kWindow);
    std::vector<std::uint8_t> met(kWindow);
    for (auto& groups : words_) {
      std::ranges::fill(met, 0);
      for (Group& group : groups) group.evaluate(window, x_, out.scores, met);
      for (std::uint32_t i = 0; i < kWindow; ++i) counts[i] = static_cast<std::uint16_t>(counts[i] + met[i]);
    }
    for (std::uint32_t i = 0; i < kWindow; ++i) out.met[i] = counts[i] > 0 && counts[i] >= minimum_;
  }

 private:
  std::vector<std::vector<Group>> words_;
  std::uint32_t minimum_;
  std::vector<double> x_ = std::vector<double>(kWindow);
};

/// A phrase in each field by itself: how often it occurs is a frequency like that of a term; its idf is the sum of its words'.
class Phrase final : public Node {
 public:
  struct Place {
    std::vector<TermWalk> forms;
    std::uint32_t gap;
  };
  struct InField {
    std::vector<Place> places;
    const TextField* field;
    double average;
  };
  Phrase(std::vector<InField> fields, double weight, std::uint32_t slop) : fields_(std::move(fields)), weight_(weight), slop_(slop) {}

  void evaluate(const Window& window, Verdict& out) override {
    std::vector<double> x(kWindow);
    for (InField& field : fields_) add_field(window, field, x);
    for (std::uint32_t i = 0; i < window.end - window.first; ++i) {
      if (x[i] == 0) continue;
      const double k1 = fields_[0].field->k1;
      out.scores[i] = weight_ * x[i] / (k1 + x[i]);
      out.met[i] = 1;
    }
  }

 private:
  using Positions = std::vector<std::uint32_t>;

  void add_field(const Window& window, InField& field, std::vector<double>& x) {
    // Positions of each place by row, of the rows that have had all places so far.
    std::map<std::uint32_t, std::vector<Positions>> rows;
    for (std::size_t place = 0; place < field.places.size(); ++place) {
      for (TermWalk& walk : field.places[place].forms)
        walk.each(window, [&](std::uint32_t row, const PostingBlock&, std::uint32_t i) {
          const auto found = place == 0 ? rows.try_emplace(row).first : rows.find(row);
          if (found == rows.end() || found->second.size() < place) return;
          if (found->second.size() == place) found->second.emplace_back();
          Positions positions;
          walk.cursor().positions(i, positions);
          Positions& all = found->second[place];
          all.insert(all.end(), positions.begin(), positions.end());
        });
      std::erase_if(rows, [&](const auto& row) { return row.second.size() <= place; });
    }
    for (auto& [row, places] : rows) {
      for (Positions& positions : places) {
        std::ranges::sort(positions);
        positions.erase(std::unique(positions.begin(), positions.end()), positions.end());
      }
      const double frequency = frequency_of(places, field);
      if (frequency == 0) continue;
      std::uint32_t length;
      index_of(field, window).lengths(&row, 1, &length);
      x[row - window.first] += field.field->boost * frequency / (1 - field.field->b + field.field->b * static_cast<double>(length) / field.average);
    }
  }

  static const TermIndex& index_of(InField& field, const Window&) { return field.places[0].forms[0].index(); }

  /// For every occurrence of the first word, 1 / (1 + d), d being how far the others stand from where they should, if that is not too far.
  double frequency_of(const std::vector<Positions>& places, const InField& field) const {
    double frequency = 0;
    for (const std::uint32_t start : places[0]) {
      std::uint64_t distance = 0;
      for (std::size_t i = 1; i < places.size() && distance <= slop_; ++i) {
        const std::int64_t wanted = std::int64_t{start} + field.places[i].gap;
        const auto next = std::ranges::lower_bound(places[i], wanted, {}, [](std::uint32_t position) { return std::int64_t{position}; });
        std::uint64_t nearest = ~std::uint64_t{0};
        if (next != places[i].end()) nearest = static_cast<std::uint64_t>(*next - wanted);
        if (next != places[i].begin()) nearest = std::min(nearest, static_cast<std::uint64_t>(wanted - *(next - 1)));
        distance += std::min<std::uint64_t>(nearest, 1u << 31);
      }
      if (distance <= slop_) frequency += 1.0 / (1.0 + static_cast<double>(distance));
    }
    return frequency;
  }

  std::vector<InField> fields_;
  double weight_;
  std::uint32_t slop_;
};

class Boolean final : public Node {
 public:
  Boolean(std::vector<std::unique_ptr<Node>> must, std::vector<std::unique_ptr<Node>> should, std::vector<std::unique_ptr<Node>> must_not,
          std::uint32_t minimum)
      : must_(std::move(must)), should_(std::move(should)), must_not_(std::move(must_not)), minimum_(minimum) {}

  void evaluate(const Window& window, Verdict& out) override {
    std::vector<std::uint16_t> n_must(kWindow), n_should(kWindow), n_not(kWindow);
    count(window, must_, n_must, &out.scores);
    count(window, should_, n_should, &out.scores);
    count(window, must_not_, n_not, nullptr);
    for (std::uint32_t i = 0; i < window.end - window.first; ++i) {
      const bool any = must_.empty() && minimum_ == 0 ? should_.empty() || n_should[i] > 0 : true;
      out.met[i] = n_must[i] == must_.size() && n_should[i] >= minimum_ && n_not[i] == 0 && any;
    }
  }

 private:
  static void count(const Window& window, std::vector<std::unique_ptr<Node>>& nodes, std::vector<std::uint16_t>& counts, std::vector<double>* scores) {
    for (const auto& node : nodes) {
      Verdict verdict;
      node->evaluate(window, verdict);
      for (std::uint32_t i = 0; i < kWindow; ++i) {
        if (!verdict.met[i]) continue;
        ++counts[i];
        if (scores) (*scores)[i] += verdict.scores[i];
      }
    }
  }

  std::vector<std::unique_ptr<Node>> must_, should_, must_not_;
  std::uint32_t minimum_;
};

/// A fixed score in place of the clause's own, or its own times a factor.
class Scored final : public Node {
 public:
  Scored(std::unique_ptr<Node> node, bool is_constant, double value) : node_(std::move(node)), is_constant_(is_constant), value_(value) {}
  void evaluate(const Window& window, Verdict& out) override {
    node_->evaluate(window, out);
    for (double& score : out.scores) score = is_constant_ ? value_ : score * value_;
  }

 private:
  std::unique_ptr<Node> node_;
  bool is_constant_;
  double value_;
};

std::unique_ptr<Node> Maker::make(const TextClause& clause) {
  switch (clause.kind) {
    case TextClause::Kind::words: return words(clause);
    case TextClause::Kind::phrase: return phrase(clause);
    case TextClause::Kind::prefix:
    case TextClause::Kind::fuzzy: return expanded(clause);
    case TextClause::Kind::boolean: return boolean(clause);
    case TextClause::Kind::constant:
    case TextClause::Kind::boost: return scored(clause);
  }
  throw InvalidArgument("unknown kind of clause");
}

std::unique_ptr<Node> Maker::words(const TextClause& clause) {
  std::vector<std::vector<Group>> words;
  for (const auto& word : clause.words) {
    // The same form in several fields is one group.
    std::map<std::pair<std::string, float>, std::vector<TextTerm>> forms;
    for (const TextTerm& form : word) forms[{form.term, form.weight}].push_back({form.field, form.term, 1});
    std::vector<Group> groups;
    for (const auto& [key, terms] : forms) groups.push_back(group(terms, key.second));
    words.push_back(std::move(groups));
  }
  return std::make_unique<Words>(std::move(words), clause.minimum);
}

std::unique_ptr<Node> Maker::expanded(const TextClause& clause) {
  std::vector<TextTerm> terms;
  for (const auto& word : clause.words)
    for (const TextTerm& form : word) {
      const auto found = clause.kind == TextClause::Kind::prefix
                             ? expand_prefix(terms_, form.field, form.term, clause.expansions)
                             : expand_fuzzy(terms_, form.field, form.term, clause.edits, clause.prefix_length, clause.expansions);
      for (const Expansion& expansion : found) terms.push_back({form.field, expansion.term, expansion.weight * form.weight});
    }
  std::vector<Group> groups;
  if (!terms.empty()) groups.push_back(group(terms, 1));
  std::vector<std::vector<Group>> words;
  words.push_back(std::move(groups));
  return std::make_unique<Words>(std::move(words), 1);
}

std::unique_ptr<Node> Maker::phrase(const TextClause& clause) {
  std::vector<Phrase::InField> fields;
  double idf = 0;
  for (std::size_t place = 0; place < clause.words.size(); ++place) {
    double most = 0;
    for (const TextTerm& form : clause.words[place])
      most = std::max(most, form.weight * CollectionTerms::idf(terms_.field(form.field).n, terms_.term(form.field, form.term).df));
    idf += most;
  }
  for (std::uint32_t number = 0; number < query_.fields.size(); ++number) {
    for (const SparseEntry& entry : terms_.entries())
      if (entry.fields[number] && entry.fields[number]->n_valued() && !entry.fields[number]->has_positions())
        throw InvalidArgument("a phrase needs the positions of words, and this text index was made with positions=False");
    Phrase::InField field{{}, &query_.fields[number], terms_.field(number).average};
    for (std::size_t place = 0; place < clause.words.size(); ++place) {
      Phrase::Place forms{{}, clause.gaps[place]};
      for (const TextTerm& form : clause.words[place])
        if (form.field == number) forms.forms.emplace_back(terms_.term(number, form.term), terms_.entries(), number);
      if (!forms.forms.empty()) field.places.push_back(std::move(forms));
    }
    if (field.places.size() == clause.words.size() && !field.places.empty()) fields.push_back(std::move(field));
  }
  return std::make_unique<Phrase>(std::move(fields), idf, clause.slop);
}

std::unique_ptr<Node> Maker::boolean(const TextClause& clause) {
  const auto make_all = [&](const std::vector<TextClause>& clauses) {
    std::vector<std::unique_ptr<Node>> nodes;
    for (const TextClause& child : clauses) nodes.push_back(make(child));
    return nodes;
  };
  auto must = make_all(clause.must), should = make_all(clause.should), must_not = make_all(clause.must_not);
  return std::make_unique<Boolean>(std::move(must), std::move(should), std::move(must_not), clause.minimum);
}

std::unique_ptr<Node> Maker::scored(const TextClause& clause) {
  if (clause.must.size() != 1) throw InvalidArgument("a clause with a score of its own holds one other clause");
  return std::make_unique<Scored>(make(clause.must[0]), clause.kind == TextClause::Kind::constant, clause.value);
}

/// Offers the rows of all windows that `evaluate(window, verdict)` finds met.
template <class Evaluate>
std::vector<SparseHit> best_of(std::span<const SparseEntry> entries, std::size_t k, std::vector<SparseStats>& stats, const Cancel& cancel,
                               Evaluate&& evaluate) {
  TopK best(k);
  Verdict verdict;
  for (std::size_t entry = 0; entry < entries.size(); ++entry)
    for (std::uint32_t first = 0; first < entries[entry].n_rows;) {
      cancel.check();
      const Window window{entry, first, first + std::min(kWindow, entries[entry].n_rows - first)};
      std::ranges::fill(verdict.scores, 0);
      std::ranges::fill(verdict.met, 0);
      evaluate(window, verdict);
      const Bitmap* allowed = entries[entry].allowed;
      for (std::uint32_t row = first; row < window.end; ++row) {
        if (!verdict.met[row - first] || (allowed && !allowed->test(row))) continue;
        ++stats[entry].candidates;
        best.offer({-static_cast<float>(verdict.scores[row - first]), entries[entry].first_row + row});
      }
      first = window.end;
    }
  std::vector<SparseHit> hits;
  for (const Hit& hit : std::move(best).take_sorted()) hits.push_back({hit.row, -hit.distance});
  return hits;
}

}  // namespace

std::vector<SparseHit> search_clauses(const TextQuery& query, CollectionTerms& terms, std::size_t k, std::vector<SparseStats>& stats,
                                      const Cancel& cancel) {
  const std::unique_ptr<Node> root = Maker(query, terms).make(query.root);
  return best_of(terms.entries(), k, stats, cancel, [&](const Window& window, Verdict& verdict) { root->evaluate(window, verdict); });
}

std::vector<SparseHit> sum_weights(std::span<const WeightedTerm> terms, std::span<const SparseEntry> entries, std::size_t k, std::vector<SparseStats>& stats,
                                   const Cancel& cancel) {
  std::vector<TermWalk> walks;
  for (const WeightedTerm& term : terms) walks.emplace_back(*term.resolved, entries, 0u);
  return best_of(entries, k, stats, cancel, [&](const Window& window, Verdict& verdict) {
    for (std::size_t i = 0; i < terms.size(); ++i)
      walks[i].each(window, [&](std::uint32_t row, const PostingBlock& block, std::uint32_t at) {
        verdict.scores[row - window.first] += terms[i].weight * static_cast<double>(block.weights[at]);
        verdict.met[row - window.first] = 1;
      });
  });
}

}  // namespace vicino
