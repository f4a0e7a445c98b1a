#include "filter/path.h"

namespace vicino {

namespace {

[[noreturn]] void fail(std::string_view path, std::size_t at, const std::string& problem) {
  throw InvalidArgument("path `" + std::string(path) + "`, position " + std::to_string(at) + ": " + problem +
                        "; write a.b, a[].b, a[0].b, or \"a.b\" in quotes for a key that holds one of . [ ]");
}

bool is_special(char character) { return character == '.' || character == '[' || character == ']' || character == '"'; }

std::string parse_key(std::string_view text, std::size_t& at) {
  const std::size_t start = at;
  if (at < text.size() && text[at] == '"') {
    const std::size_t close = text.find('"', at + 1);
    if (close == std::string_view::npos) fail(text, at, "the quote is not closed");
    at = close + 1;
    return std::string(text.substr(start + 1, close - start - 1));
  }
  while (at < text.size() && !is_special(text[at])) ++at;
  if (at == start) fail(text, at, "a key is expected");
  return std::string(text.substr(start, at - start));
}

Path::Step parse_opening(std::string_view text, std::size_t& at) {
  const std::size_t start = at++;
  std::uint64_t index = 0;
  const std::size_t digits = at;
  for (; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at) {
    // No list is as long as this; a larger index only has to stay larger.
    if (index < 1'000'000'000'000) index = index * 10 + static_cast<std::uint64_t>(text[at] - '0');
  }
  if (at == text.size() || text[at] != ']') fail(text, start, "[ wants digits or nothing, then ]");
  const bool every = at++ == digits;
  return {every ? Path::Step::Kind::every : Path::Step::Kind::at, {}, index};
}

}  // namespace

std::string quoted_where_needed(const std::string& key) {
  for (const char character : key)
    if (is_special(character)) return '"' + key + '"';
  return key.empty() ? "\"\"" : key;
}

Path::Path(std::vector<Step> steps) : steps_(std::move(steps)) {
  for (const Step& step : steps_) {
    switch (step.kind) {
      case Step::Kind::key: text_ += (text_.empty() ? "" : ".") + quoted_where_needed(step.key); break;
      case Step::Kind::every: text_ += "[]"; break;
      case Step::Kind::at: text_ += "[" + std::to_string(step.index) + "]"; break;
    }
  }
}

Path Path::parse(std::string_view text) {
  std::vector<Step> steps;
  std::size_t at = 0;
  while (true) {
    steps.push_back({Step::Kind::key, parse_key(text, at)});
    while (at < text.size() && text[at] == '[') steps.push_back(parse_opening(text, at));
    if (at == text.size()) return Path(std::move(steps));
    if (text[at] != '.') fail(text, at, "a dot or the end is expected");
    ++at;
  }
}

Path Path::without_last_every() const {
  std::vector<Step> steps = steps_;
  if (steps.back().kind == Step::Kind::every) steps.pop_back();
  return Path(std::move(steps));
}

}  // namespace vicino
