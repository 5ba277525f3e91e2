#include <map>
#include <string>

#include "output/perfetto.pb.h"
#include "sim/output/trace_events.h"
#include "sim/output/trace_file.h"

namespace simulate {
namespace {

constexpr uint32_t kSequence = 1;
constexpr uint32_t kIncrementalStateCleared = 1;
constexpr uint32_t kNeedsIncrementalState = 2;

// Names are written once and referred to by number: a third of the file's size.
class InternTable {
 public:
  // The name's number, and whether it is new.
  std::pair<uint64_t, bool> Get(const std::string& name) {
    const auto [it, added] = ids_.try_emplace(name, ids_.size() + 1);
    return {it->second, added};
  }

 private:
  std::map<std::string, uint64_t> ids_;
};

class PerfettoSink : public TraceSink {
 public:
  explicit PerfettoSink(std::ostream& out) : out_(out) {
    perfetto::TracePacket first;
    first.set_sequence_flags(kIncrementalStateCleared);
    Write(first);
  }

  void Process(uint64_t track, int32_t pid, const std::string& name) override {
    perfetto::TracePacket packet;
    auto* descriptor = packet.mutable_track_descriptor();
    descriptor->set_uuid(track);
    descriptor->mutable_process()->set_pid(pid);
    descriptor->mutable_process()->set_process_name(name);
    Write(packet);
  }

  void Thread(uint64_t track, uint64_t process, int32_t pid, int32_t tid, const std::string& name) override {
    perfetto::TracePacket packet;
    auto* descriptor = packet.mutable_track_descriptor();
    descriptor->set_uuid(track);
    descriptor->set_parent_uuid(process);
    descriptor->mutable_thread()->set_pid(pid);
    descriptor->mutable_thread()->set_tid(pid * 100 + tid);  // thread ids are global in the viewer
    descriptor->mutable_thread()->set_thread_name(name);
    Write(packet);
  }

  void CounterTrack(uint64_t track, uint64_t process, int32_t, const std::string& name, CounterUnit unit) override {
    perfetto::TracePacket packet;
    auto* descriptor = packet.mutable_track_descriptor();
    descriptor->set_uuid(track);
    descriptor->set_parent_uuid(process);
    descriptor->set_name(name);
    descriptor->mutable_counter();
    if (unit == CounterUnit::kBytes) {
      descriptor->mutable_counter()->set_unit(perfetto::CounterDescriptor::UNIT_SIZE_BYTES);
    }
    Write(packet);
  }

  void Slice(const TraceSlice& slice) override {
    perfetto::TracePacket begin = Event(slice.track, slice.begin_ns, perfetto::TrackEvent::TYPE_SLICE_BEGIN);
    auto* event = begin.mutable_track_event();
    event->set_name_iid(EventName(slice.name, begin));
    event->add_category_iids(Category(slice.category, begin));
    for (const auto& [name, value] : slice.arguments) Annotate(name, value, begin);
    for (const uint64_t id : slice.flows_out) event->add_flow_ids(id);
    Write(std::move(begin));
    perfetto::TracePacket end = Event(slice.track, slice.end_ns, perfetto::TrackEvent::TYPE_SLICE_END);
    for (const uint64_t id : slice.flows_in) end.mutable_track_event()->add_terminating_flow_ids(id);
    Write(std::move(end));
  }

  void Counter(uint64_t track, int64_t at_ns, double value) override {
    perfetto::TracePacket packet = Event(track, at_ns, perfetto::TrackEvent::TYPE_COUNTER);
    packet.mutable_track_event()->set_double_counter_value(value);
    Write(packet);
  }

 private:
  static perfetto::TracePacket Event(uint64_t track, int64_t at_ns, perfetto::TrackEvent::Type type) {
    perfetto::TracePacket packet;
    packet.set_timestamp(static_cast<uint64_t>(at_ns));
    packet.set_sequence_flags(kNeedsIncrementalState);
    packet.mutable_track_event()->set_type(type);
    packet.mutable_track_event()->set_track_uuid(track);
    return packet;
  }

  uint64_t EventName(const std::string& name, perfetto::TracePacket& packet) {
    const auto [id, added] = names_.Get(name);
    if (added) Define(*packet.mutable_interned_data()->add_event_names(), id, name);
    return id;
  }
  uint64_t Category(const std::string& name, perfetto::TracePacket& packet) {
    const auto [id, added] = categories_.Get(name);
    if (added) Define(*packet.mutable_interned_data()->add_event_categories(), id, name);
    return id;
  }
  template <typename Entry>
  static void Define(Entry& entry, uint64_t id, const std::string& name) {
    entry.set_iid(id);
    entry.set_name(name);
  }

  void Annotate(const char* name, const TraceValue& value, perfetto::TracePacket& packet) {
    const auto [id, added] = arguments_.Get(name);
    if (added) Define(*packet.mutable_interned_data()->add_debug_annotation_names(), id, name);
    auto* annotation = packet.mutable_track_event()->add_debug_annotations();
    annotation->set_name_iid(id);
    if (const auto* i = std::get_if<int64_t>(&value)) annotation->set_int_value(*i);
    if (const auto* d = std::get_if<double>(&value)) annotation->set_double_value(*d);
    if (const auto* s = std::get_if<std::string>(&value)) annotation->set_string_value(*s);
  }

  // A Trace of one packet; concatenated Traces are one Trace, so the file streams. Its head is written by hand, since
  // a message of its own for every packet would cost most of the time.
  void Write(perfetto::TracePacket packet) {
    constexpr char kPacketField = perfetto::Trace::kPacketFieldNumber << 3 | 2;  // length-delimited
    packet.set_trusted_packet_sequence_id(kSequence);
    bytes_.assign(1, kPacketField);
    for (size_t size = packet.ByteSizeLong(); true; size >>= 7) {
      bytes_.push_back(static_cast<char>(size > 0x7F ? (size & 0x7F) | 0x80 : size));
      if (size <= 0x7F) break;
    }
    packet.AppendToString(&bytes_);
    out_.write(bytes_.data(), static_cast<std::streamsize>(bytes_.size()));
  }

  std::ostream& out_;
  std::string bytes_;  // of one packet
  InternTable names_;
  InternTable categories_;
  InternTable arguments_;
};

}  // namespace

void WritePerfettoTrace(const Program& program, const Timeline& timeline, bool every_rank, std::ostream& out) {
  PerfettoSink sink(out);
  EmitTrace(program, timeline, every_rank, sink);
}

}  // namespace simulate
