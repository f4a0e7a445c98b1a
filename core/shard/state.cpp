#include "shard/state.h"

#include <algorithm>

#include "storage/log.h"
#include "util/byte_io.h"
#include "util/hash.h"

namespace vicino {

void ShardState::Working::kill(std::uint32_t row) {
  if (n_dead == 0) live = Bitmap(size(), true);
  else if (live.size() < size()) live.resize(size(), true);
  live.reset(row);
  ++n_dead;
  is_dirty = true;
}

void ShardState::Working::mark_updated(std::uint32_t row) {
  if (updated.size() < size()) updated.resize(size());
  if (!updated.test(row)) {
    updated.set(row);
    ++n_updated;
  }
  is_dirty = true;
}

ShardState::ShardState(std::uint64_t version, bool lenient) : version_(version), published_version_(version), lenient_(lenient) {
  working_.push_back(std::make_unique<Working>(make_head()));
  publish();
  base_ = snapshot_;
}

ShardState::Working ShardState::make_head() {
  head_ = std::make_shared<Head>(next_key_++);
  Working working;
  working.head = head_;
  working.entry.overlay = std::make_shared<Overlay>();
  working.is_dirty = true;
  return working;
}

void ShardState::add_segment(std::shared_ptr<const Segment> segment, const Container* tombstones, const Container* patch) {
  std::lock_guard guard(mutex_);
  welcome(*segment);
  auto working = std::make_unique<Working>();
  const std::uint32_t n = segment->size();
  for (const auto& other : working_)
    if (!other->head && other->entry.rows->key() == segment->key())
      throw CorruptionError("two segments have the key " + std::to_string(segment->key()) + "; restore the folder from a snapshot or a copy");
  if (segment->key() >= next_key_ || segment->key() == head_->key()) {
    // Keys tell sources apart: the head, empty so far, takes a new one beyond those of the segments.
    next_key_ = std::max(next_key_, segment->key() + 1);
    *working_.back() = make_head();
  }
  working->entry.rows = segment;
  working->entry.overlay = std::make_shared<Overlay>();
  if (tombstones) {
    Bitmap dead(n);
    const auto words = typed_section<std::uint64_t>(tombstones->section("words").bytes(), dead.n_words(), tombstones->name() + ", section words");
    std::copy(words.begin(), words.end(), dead.words());
    dead.resize(n);
    working->n_dead = static_cast<std::uint32_t>(dead.count());
    working->live = std::move(dead.flip());
  }
  if (patch) {
    working->entry.overlay->load(*patch, n);
    for (const auto& update : working->entry.overlay->between(0, version_)) working->mark_updated(update.row);
  }
  working->is_dirty = true;
  working_.insert(working_.end() - 1, std::move(working));
  publish();
  base_ = snapshot_;
}

ShardState::Place ShardState::find(Bytes id) const {
  const std::uint64_t hash = hash_bytes(id);
  for (auto working = working_.rbegin(); working != working_.rend(); ++working) {
    Working& candidate = **working;
    const auto row = candidate.head ? candidate.head->find_latest(id, hash) : candidate.entry.rows->find(id, hash);
    if (row && !candidate.is_dead(*row)) return {&candidate, *row};
  }
  return {};
}

std::uint64_t ShardState::live_version(Bytes id) const {
  std::lock_guard guard(mutex_);
  const Place place = find(id);
  if (!place.working) return 0;
  const Working& working = *place.working;
  if (working.n_updated && place.row < working.updated.size() && working.updated.test(place.row))
    if (const auto update = working.entry.overlay->find(place.row, version_)) return update->version;
  return working.head ? working.head->version(place.row) : working.entry.rows->version(place.row);
}

void ShardState::apply(RecordType type, Bytes payload, std::uint64_t version) {
  std::lock_guard guard(mutex_);
  if (version != version_ + 1)
    throw CorruptionError("a log record has version " + std::to_string(version) + ", expected " + std::to_string(version_ + 1));
  switch (type) {
    case RecordType::upsert: upsert(decode_upsert(payload), version); break;
    case RecordType::upsert_values: upsert(decode_upsert(payload, true), version); break;
    case RecordType::remove: {
      const DeleteBatch batch = decode_delete(payload);
      for (std::uint32_t i = 0; i < batch.ids.size(); ++i)
        if (const Place place = find(batch.ids[i]); place.working) place.working->kill(place.row);
      break;
    }
    case RecordType::fields: update_fields(decode_fields(payload), version); break;
    case RecordType::control: break;
    default: throw CorruptionError("a log record has the unknown type " + std::to_string(static_cast<int>(type)));
  }
  version_ = version;
}

void ShardState::upsert(const UpsertBatch& batch, std::uint64_t version) {
  head_->expect_shapes(batch);  // before anything is changed
  if (working_.size() > 1)
    for (std::uint32_t i = 0; i < batch.ids.size(); ++i)
      if (const Place place = find(batch.ids[i]); place.working && place.working->head != head_) place.working->kill(place.row);
  Working& working = *working_.back();
  const std::uint32_t first = head_->size();
  head_->append(batch, version);
  if (working.n_dead) working.live.resize(head_->size(), true);
  for (std::uint32_t row = first; row < head_->size(); ++row)
    if (const auto before = head_->previous(row); before && !working.is_dead(*before)) working.kill(*before);
  working.is_dirty = true;
}

void ShardState::update_fields(const FieldsBatch& batch, std::uint64_t version) {
  for (std::uint32_t i = 0; i < batch.ids.size(); ++i) {
    const Place place = find(batch.ids[i]);
    if (!place.working && lenient_) continue;
    if (!place.working) throw CorruptionError("a log record changes the fields of a record that does not exist");
    place.working->entry.overlay->put(place.row, version, batch.documents[i]);
    place.working->mark_updated(place.row);
  }
}

ReplayOutcome ShardState::replay(Bytes log, std::size_t offset, const std::string& name, std::uint64_t until) {
  std::lock_guard guard(mutex_);
  ReplayOutcome outcome;
  outcome.end = offset;
  LogReader reader(log, offset, name);
  LogRecord record;
  while (version_ < until) {
    if (!reader.next(record)) {
      outcome.end = reader.end();
      break;
    }
    apply(static_cast<RecordType>(record.type), record.payload, record.version);
    if (static_cast<RecordType>(record.type) == RecordType::control)
      outcome.controls.push_back({record.version, record.time_us, std::string(reinterpret_cast<const char*>(record.payload.data()), record.payload.size())});
    outcome.last_time_us = record.time_us;
    outcome.end = record.end;
  }
  publish();
  return outcome;
}

Entry ShardState::published(Working& working) {
  if (working.is_dirty) {
    if (working.head) working.entry.rows = working.head->view();
    const std::uint32_t n = working.size();
    if (working.n_dead) {
      working.live.resize(n, true);
      working.entry.live = std::make_shared<const Bitmap>(working.live);
      working.entry.statistics = std::make_shared<LiveStatistics>();
      working.entry.forms = std::make_shared<MatchForms>();
    }
    if (working.n_updated) {
      working.updated.resize(n);
      working.entry.updated = std::make_shared<const Bitmap>(working.updated);
    }
    working.entry.n_live = n - working.n_dead;
    working.entry.n_updated = working.n_updated;
    working.is_dirty = false;
  }
  return working.entry;
}

std::shared_ptr<const Snapshot> ShardState::publish() {
  std::lock_guard guard(mutex_);
  std::vector<Entry> entries;
  entries.reserve(working_.size());
  for (const auto& working : working_) entries.push_back(published(*working));
  auto snapshot = std::make_shared<const Snapshot>(version_, std::move(entries));
  published_version_ = version_;
  std::lock_guard lock(snapshot_mutex_);
  snapshot_ = snapshot;
  return snapshot;
}

std::shared_ptr<const Snapshot> ShardState::snapshot() const {
  std::lock_guard lock(snapshot_mutex_);
  return snapshot_;
}

void ShardState::expect_published(const char* what) const {
  if (version_ != published_version_) throw InvalidArgument(std::string(what) + ": commits are applied and not yet published");
}

std::shared_ptr<const Snapshot> ShardState::freeze() {
  std::lock_guard guard(mutex_);
  expect_published("freeze");
  frozen_.push_back(snapshot());
  working_.push_back(std::make_unique<Working>(make_head()));
  publish();
  return frozen_.back();
}

namespace {

std::size_t position_of(const std::vector<Entry>& entries, std::uint64_t key) {
  const auto found = std::ranges::find(entries, key, [](const Entry& entry) { return entry.rows->key(); });
  return static_cast<std::size_t>(found - entries.begin());
}

/// The output's entry in a state that is `version` old: what its inputs lost or changed after the rewrite's snapshot.
Entry carried_over(const Rewrite& rewrite, const std::shared_ptr<const Segment>& output, const std::shared_ptr<Overlay>& overlay,
                   const std::vector<Entry>& entries, std::uint64_t version) {
  Entry entry{output, nullptr, nullptr, overlay, output->size(), 0};
  Bitmap live(output->size(), true);
  for (std::size_t input = 0; input < rewrite.inputs().size(); ++input) {
    const Entry& before = rewrite.snapshot().entries()[rewrite.inputs()[input]];
    const Entry& now = entries[position_of(entries, before.rows->key())];
    for (std::uint32_t row = 0; row < before.rows->size(); ++row) {
      if (before.is_dead(row) || !now.is_dead(row)) continue;
      live.reset(rewrite.output_row(input, row));
      --entry.n_live;
    }
  }
  if (entry.n_live < output->size()) entry.live = std::make_shared<const Bitmap>(std::move(live));
  Bitmap updated(output->size());
  for (const auto& update : overlay->between(0, version)) {
    updated.set(update.row);
    ++entry.n_updated;
  }
  if (entry.n_updated) entry.updated = std::make_shared<const Bitmap>(std::move(updated));
  return entry;
}

}  // namespace

void ShardState::change_all(const EntryChange& change) {
  const auto changed = [&](const Snapshot& snapshot) {
    std::vector<Entry> entries = snapshot.entries();
    change(entries, snapshot.version());
    return std::make_shared<const Snapshot>(snapshot.version(), std::move(entries));
  };
  base_ = changed(*base_);
  for (auto& frozen : frozen_) frozen = changed(*frozen);
  std::vector<Entry> current = snapshot()->entries();
  change(current, version_);
  adopt(std::move(current));
  publish();
}

void ShardState::adopt(std::vector<Entry> entries) {
  std::vector<std::unique_ptr<Working>> adopted;
  for (Entry& entry : entries) {
    const auto old = std::ranges::find_if(working_, [&](const auto& working) { return working && working->entry.rows == entry.rows; });
    if (old != working_.end() && (*old)->entry.overlay == entry.overlay) {
      adopted.push_back(std::move(*old));
      continue;
    }
    auto working = std::make_unique<Working>();
    working->n_dead = entry.rows->size() - entry.n_live;
    if (entry.live) working->live = *entry.live;
    working->n_updated = entry.n_updated;
    if (entry.updated) working->updated = *entry.updated;
    working->entry = std::move(entry);
    adopted.push_back(std::move(working));
  }
  working_ = std::move(adopted);
}

void ShardState::install(const Rewrite& rewrite, std::shared_ptr<const Segment> output, bool advances_base) {
  std::lock_guard guard(mutex_);
  expect_published("install");
  if (output) welcome(*output);
  std::vector<std::uint64_t> keys;
  for (const std::size_t position : rewrite.inputs()) keys.push_back(rewrite.snapshot().entries()[position].rows->key());

  auto overlay = std::make_shared<Overlay>();
  const auto current = snapshot();
  for (std::size_t input = 0; input < keys.size(); ++input) {
    const std::size_t position = position_of(current->entries(), keys[input]);
    if (position == current->entries().size()) throw InvalidArgument("install: an input of the rewrite is gone");
    const std::uint64_t after = rewrite.snapshot().version();
    // Each state sees the updates up to its own version, so every one since the rewrite's snapshot is carried, not only the newest.
    for (const auto& update : current->entries()[position].overlay->since(after))
      if (const std::uint32_t row = rewrite.output_row(input, update.row); row != Rewrite::kDropped) overlay->put(row, update.version, update.document);
  }

  if (advances_base) {
    if (frozen_.empty()) throw InvalidArgument("install: there is no frozen state to become the base");
    base_ = frozen_.front();
    frozen_.pop_front();
  }
  change_all([&](std::vector<Entry>& entries, std::uint64_t version) {
    if (position_of(entries, keys[0]) == entries.size()) return;  // an older state that never had the inputs
    std::optional<Entry> entry;
    if (output) entry = carried_over(rewrite, output, overlay, entries, version);
    const std::size_t place = position_of(entries, keys[0]);
    // A sealed head keeps its key, so the output is told from its input by address.
    const auto is_input = [&](const Entry& candidate) {
      return candidate.rows != output && std::ranges::find(keys, candidate.rows->key()) != keys.end();
    };
    if (entry) entries[place] = std::move(*entry);
    std::erase_if(entries, is_input);
  });
}

void ShardState::replace(std::shared_ptr<const Segment> segment) {
  std::lock_guard guard(mutex_);
  expect_published("replace");
  welcome(*segment);
  change_all([&](std::vector<Entry>& entries, std::uint64_t) {
    if (const std::size_t at = position_of(entries, segment->key()); at < entries.size()) entries[at].rows = segment;
  });
}

void ShardState::replace_fields(std::shared_ptr<const Segment> segment, std::uint64_t bound) {
  std::lock_guard guard(mutex_);
  expect_published("replace_fields");
  welcome(*segment);
  const auto current = snapshot();
  const std::size_t position = position_of(current->entries(), segment->key());
  if (position == current->entries().size()) throw InvalidArgument("replace_fields: the segment is gone");
  auto overlay = std::make_shared<Overlay>();
  for (const auto& update : current->entries()[position].overlay->since(bound)) overlay->put(update.row, update.version, update.document);
  change_all([&](std::vector<Entry>& entries, std::uint64_t version) {
    const std::size_t at = position_of(entries, segment->key());
    if (at == entries.size()) return;
    Entry& entry = entries[at];
    entry.rows = segment;
    entry.overlay = overlay;
    entry.n_updated = 0;
    Bitmap updated(segment->size());
    for (const auto& update : overlay->between(0, version)) {
      updated.set(update.row);
      ++entry.n_updated;
    }
    entry.updated = entry.n_updated ? std::make_shared<const Bitmap>(std::move(updated)) : nullptr;
  });
}

void ShardState::welcome(const Segment& segment) const {
  if (keeps_graphs_) segment.keep_graphs_in_memory();
  if (has_room_) segment.ask_for_codes(has_room_);
}

void ShardState::keep_graphs_in_memory() {
  std::lock_guard guard(mutex_);
  keeps_graphs_ = true;
  for (const auto& segment : segments()) segment->keep_graphs_in_memory();
}

std::vector<std::shared_ptr<const Segment>> ShardState::segments() const {
  std::lock_guard guard(mutex_);
  std::vector<std::shared_ptr<const Segment>> found;
  for (const auto& working : working_)
    if (!working->head) found.push_back(std::static_pointer_cast<const Segment>(working->entry.rows));
  return found;
}

void ShardState::ask_for_codes(HasRoom has_room) {
  std::lock_guard guard(mutex_);
  has_room_ = std::move(has_room);
  for (const auto& segment : segments()) segment->ask_for_codes(has_room_);
}

void ShardState::give_up_codes(std::optional<std::uint32_t> slot) {
  // Without the lock: who makes codes may be asking for room, which asks what this state takes.
  for (const auto& segment : segments()) segment->give_up_codes(slot);
}

void ShardState::take_codes(const ShardState& before) {
  const auto earlier = before.segments();
  for (const auto& segment : segments()) {
    const auto found = std::ranges::find(earlier, segment->key(), [](const auto& other) { return other->key(); });
    if (found != earlier.end()) segment->take_codes(**found);
  }
}

std::size_t ShardState::memory_bytes() const {
  std::lock_guard guard(mutex_);
  std::size_t bytes = 0;
  for (const auto& working : working_) {
    bytes += working->head ? working->head->memory_bytes() : working->entry.rows->memory_bytes();
    bytes += working->entry.overlay->memory_bytes() + 2 * 8 * (working->live.n_words() + working->updated.n_words());
  }
  return bytes;
}

}  // namespace vicino
