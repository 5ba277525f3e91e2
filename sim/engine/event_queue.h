// The engine's calendar: events in the order (time, priority, sequence).
//
// Symmetric ranks do the same things at the same instants, so events are kept in buckets of equal
// (time, priority), appended in sequence; only buckets go through the binary heap. A bucket for the
// instant is found through a small direct-mapped cache; when it was evicted, a second bucket of the same
// instant is opened behind the first, and since only the newest one is ever appended to, the order of
// events is exactly (time, priority, sequence).
//
// Events are small typed values. Nothing is cancelled: whoever reschedules raises a generation, and an
// event whose generation is no longer current is skipped by its reader.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "sim/base/check.h"
#include "sim/base/sim_time.h"

namespace simulate {

// The order of kinds is their priority at one instant: what ends is seen before what begins.
enum class EventKind : uint8_t { kKernelEnd, kFlowPhase, kWake };

struct Event {
  uint32_t subject = 0;  // a rank or a flow
  uint32_t generation = 0;
  uint32_t stream = 0;  // a whole word: a byte and its padding stall when copied
};

class EventQueue {
 public:
  EventQueue() { cache_.fill(kNone); }

  void Push(SimTime time, EventKind kind, Event event) {
    const uint64_t slot = (static_cast<uint64_t>(time.picoseconds()) * 0x9E3779B97F4A7C15ULL >> 56) ^
                          static_cast<uint64_t>(kind);
    uint32_t bucket = cache_[slot];
    if (bucket == kNone || buckets_[bucket].time != time || buckets_[bucket].kind != kind) {
      bucket = Open(time, kind);
      cache_[slot] = bucket;
    }
    buckets_[bucket].events.push_back(event);
    ++pushed_;
  }

  [[nodiscard]] bool empty() const { return heap_.empty(); }
  [[nodiscard]] SimTime next_time() const { return heap_.front().time; }
  [[nodiscard]] uint64_t pushed() const { return pushed_; }

  struct Batch {
    SimTime time;
    EventKind kind = EventKind::kKernelEnd;
    std::span<const Event> events;
  };
  // The earliest bucket. It is valid until the next call; events pushed meanwhile never join it.
  // REQUIRES: not empty.
  [[nodiscard]] Batch Pop() {
    if (current_ != kNone) Recycle(current_);
    std::pop_heap(heap_.begin(), heap_.end(), Later);
    current_ = heap_.back().bucket;
    heap_.pop_back();
    Bucket& bucket = buckets_[current_];
    const SimTime time = bucket.time;
    if (time < SimTime()) throw TimeOverflow();  // a sum has wrapped round
    SIM_CHECK(time >= now_, "time goes back");
    now_ = time;
    bucket.time = SimTime(-1);  // closes it
    reading_.swap(bucket.events);
    return {time, bucket.kind, reading_};
  }

 private:
  static constexpr uint32_t kNone = 0xFFFFFFFF;
  struct Bucket {
    SimTime time;
    EventKind kind = EventKind::kKernelEnd;
    std::vector<Event> events;
  };
  struct Entry {
    SimTime time;
    uint64_t order = 0;  // priority, then sequence
    uint32_t bucket = 0;
  };
  static bool Later(const Entry& a, const Entry& b) {
    return a.time != b.time ? a.time > b.time : a.order > b.order;
  }

  uint32_t Open(SimTime time, EventKind kind) {
    uint32_t bucket = 0;
    if (free_.empty()) {
      bucket = static_cast<uint32_t>(buckets_.size());
      buckets_.emplace_back();
    } else {
      bucket = free_.back();
      free_.pop_back();
    }
    buckets_[bucket].time = time;
    buckets_[bucket].kind = kind;
    heap_.push_back({time, (static_cast<uint64_t>(kind) << 56) | sequence_++, bucket});
    std::push_heap(heap_.begin(), heap_.end(), Later);
    return bucket;
  }
  void Recycle(uint32_t bucket) {
    reading_.clear();
    reading_.swap(buckets_[bucket].events);
    free_.push_back(bucket);
  }

  std::vector<Bucket> buckets_;
  std::vector<uint32_t> free_;
  std::vector<Entry> heap_;
  std::vector<Event> reading_;
  std::array<uint32_t, 256> cache_;
  uint32_t current_ = kNone;
  SimTime now_;
  uint64_t sequence_ = 0;
  uint64_t pushed_ = 0;
};

}  // namespace simulate
