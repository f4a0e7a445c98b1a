// The state machine of one shard. Live writes and log replay go through the same `apply`; snapshots appear only at `publish`.
//
// Three kinds of states are kept at once, all as lists of entries over the same rows: the *base* (what the manifest describes: the state at the log
// floor), a *frozen* state for every head that is full and not yet sealed, and the *current* state. Installing a rewrite (a seal or a
// merge) replaces its inputs by its output in all of them; rows that died or changed after the rewrite's snapshot are carried over by its
// row mapping, for each state as of that state's version.
//
// Every call is atomic by itself. Commits are decided by one writer at a time, which the caller sees to.
#pragma once
#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>

#include "shard/head.h"
#include "shard/rewrite.h"
#include "shard/segment.h"
#include "shard/snapshot.h"

namespace vicino {

/// A log record that the core does not interpret, met during replay.
struct ControlRecord {
  std::uint64_t version;
  std::uint64_t time_us;
  std::string payload;
};

struct ReplayOutcome {
  std::size_t end = 0;             // offset after the last valid record
  std::uint64_t last_time_us = 0;  // of the last record applied, 0: none
  std::vector<ControlRecord> controls;
};

class ShardState {
 public:
  /// An empty shard whose log continues after `version`. lenient: records that change what is not there are passed over, for
  /// reading the rest of a damaged folder.
  explicit ShardState(std::uint64_t version, bool lenient = false);

  /// Adds a sealed segment of the base; before the first apply. tombstones, patch: null when there are none.
  void add_segment(std::shared_ptr<const Segment> segment, const Container* tombstones, const Container* patch);

  /// Version of the last applied commit, published or not.
  std::uint64_t version() const { std::lock_guard guard(mutex_); return version_; }
  /// Applies one log record. version must be version() + 1. Throws CorruptionError for a record that does not fit the state.
  void apply(RecordType type, Bytes payload, std::uint64_t version);
  /// Applies the records of one log file from `offset` up to and including `until`, then publishes.
  ReplayOutcome replay(Bytes log, std::size_t offset, const std::string& name, std::uint64_t until);
  /// Makes all that was applied visible.
  std::shared_ptr<const Snapshot> publish();
  std::shared_ptr<const Snapshot> snapshot() const;

  /// Version of the live record with this id in the state with everything applied, 0: there is none.
  std::uint64_t live_version(Bytes id) const;

  /// The head is closed, a new one takes over. Everything applied must be published. Returns the frozen state.
  std::shared_ptr<const Snapshot> freeze();
  std::uint32_t head_rows() const { std::lock_guard guard(mutex_); return head_->size(); }
  std::size_t head_bytes() const { std::lock_guard guard(mutex_); return head_->memory_bytes(); }
  std::size_t n_frozen() const { std::lock_guard guard(mutex_); return frozen_.size(); }

  /// Replaces the rewrite's inputs by `output` (null: nothing was left of them). With `advances_base` the oldest frozen state becomes the base.
  void install(const Rewrite& rewrite, std::shared_ptr<const Segment> output, bool advances_base);
  /// Replaces a segment by one with the same rows and key: a graph or index was added or dropped.
  void replace(std::shared_ptr<const Segment> segment);
  /// The same, with new base documents that include every update up to `bound`.
  void replace_fields(std::shared_ptr<const Segment> segment, std::uint64_t bound);
  std::shared_ptr<const Snapshot> base() const { std::lock_guard guard(mutex_); return base_; }

  std::uint64_t next_key() { std::lock_guard guard(mutex_); return next_key_++; }
  /// Graphs of present and later segments are copied into memory when they are first searched.
  void keep_graphs_in_memory();
  /// Codes of segments without an index are asked for at has_room before they are made; without it, or null, there always is room.
  void ask_for_codes(HasRoom has_room);
  /// Those of one slot (none: of all) go, until there is room and searches made them anew.
  void give_up_codes(std::optional<std::uint32_t> slot);
  /// Goes on from codes of the segments that a state of the same shard had opened before.
  void take_codes(const ShardState& before);
  /// Anonymous memory of heads, bitmaps, overlays, codes and graphs copied.
  std::size_t memory_bytes() const;

 private:
  struct Working {
    Entry entry;                 // as last published
    std::shared_ptr<Head> head;  // null for a sealed segment
    Bitmap live, updated;        // latest; empty when there are no dead or updated rows
    std::uint32_t n_dead = 0, n_updated = 0;
    bool is_dirty = false;

    std::uint32_t size() const { return head ? head->size() : entry.rows->size(); }
    bool is_dead(std::uint32_t row) const { return n_dead && !live.test(row); }
    void kill(std::uint32_t row);
    void mark_updated(std::uint32_t row);
  };
  struct Place {
    Working* working = nullptr;
    std::uint32_t row = 0;
  };
  using EntryChange = std::function<void(std::vector<Entry>&, std::uint64_t version)>;

  Place find(Bytes id) const;
  Working make_head();
  void upsert(const UpsertBatch& batch, std::uint64_t version);
  void update_fields(const FieldsBatch& batch, std::uint64_t version);
  Entry published(Working& working);
  void adopt(std::vector<Entry> entries);
  void change_all(const EntryChange& change);
  void expect_published(const char* what) const;
  void welcome(const Segment& segment) const;
  std::vector<std::shared_ptr<const Segment>> segments() const;

  mutable std::recursive_mutex mutex_;
  std::uint64_t version_, published_version_;
  bool lenient_;
  bool keeps_graphs_ = false;
  HasRoom has_room_;
  std::uint64_t next_key_ = 1;
  std::shared_ptr<Head> head_;
  std::vector<std::unique_ptr<Working>> working_;  // the head's is the last one
  std::shared_ptr<const Snapshot> base_;
  std::deque<std::shared_ptr<const Snapshot>> frozen_;

  mutable std::mutex snapshot_mutex_;  // of its own, so that readers never wait for a commit
  std::shared_ptr<const Snapshot> snapshot_;
};

}  // namespace vicino
