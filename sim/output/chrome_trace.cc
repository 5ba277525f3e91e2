// Chrome's trace event format: one JSON object a line inside "traceEvents".
#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>

#include "sim/output/trace_events.h"
#include "sim/output/trace_file.h"

namespace simulate {
namespace {

using Json = nlohmann::ordered_json;

class ChromeSink : public TraceSink {
 public:
  explicit ChromeSink(std::ostream& out) : out_(out) { out_ << "{\"displayTimeUnit\":\"ms\",\"traceEvents\":["; }
  void Finish() { out_ << "\n]}\n"; }

  void Process(uint64_t track, int32_t pid, const std::string& name) override {
    tracks_[track] = {pid, 0, name};
    Write({{"ph", "M"}, {"name", "process_name"}, {"pid", pid}, {"args", {{"name", name}}}});
  }
  void Thread(uint64_t track, uint64_t, int32_t pid, int32_t tid, const std::string& name) override {
    tracks_[track] = {pid, tid, name};
    Write({{"ph", "M"}, {"name", "thread_name"}, {"pid", pid}, {"tid", tid}, {"args", {{"name", name}}}});
    Write({{"ph", "M"}, {"name", "thread_sort_index"}, {"pid", pid}, {"tid", tid}, {"args", {{"sort_index", tid}}}});
  }
  void CounterTrack(uint64_t track, uint64_t, int32_t pid, const std::string& name, CounterUnit) override {
    tracks_[track] = {pid, 0, name};
  }

  void Slice(const TraceSlice& slice) override {
    const Track& track = tracks_[slice.track];
    Json arguments = Json::object();
    for (const auto& [name, value] : slice.arguments) {
      std::visit([&, key = name](const auto& v) { arguments[key] = v; }, value);
    }
    Write({{"ph", "X"}, {"name", slice.name}, {"cat", slice.category}, {"pid", track.pid}, {"tid", track.tid},
           {"ts", Micros(slice.begin_ns)}, {"dur", Micros(slice.end_ns - slice.begin_ns)}, {"args", arguments}});
    for (const uint64_t id : slice.flows_out) Flow("s", id, slice.begin_ns, track);
    // Just inside the slice: an event at its very end would belong to what follows.
    for (const uint64_t id : slice.flows_in) Flow("f", id, std::max(slice.begin_ns, slice.end_ns - 1), track);
  }

  void Counter(uint64_t id, int64_t at_ns, double value) override {
    const Track& track = tracks_[id];
    Write({{"ph", "C"}, {"name", track.name}, {"pid", track.pid}, {"ts", Micros(at_ns)}, {"args", {{"value", value}}}});
  }

 private:
  struct Track {
    int32_t pid = 0;
    int32_t tid = 0;
    std::string name;
  };

  static double Micros(int64_t ns) { return static_cast<double>(ns) / 1000.0; }

  void Flow(const char* phase, uint64_t id, int64_t at_ns, const Track& track) {
    Write({{"ph", phase}, {"name", "transfer"}, {"cat", "transfer"}, {"id", id}, {"pid", track.pid}, {"tid", track.tid},
           {"ts", Micros(at_ns)}, {"bp", "e"}});
  }

  void Write(const Json& event) {
    out_ << (first_ ? "\n" : ",\n") << event.dump();
    first_ = false;
  }

  std::ostream& out_;
  bool first_ = true;
  std::map<uint64_t, Track> tracks_;
};

}  // namespace

void WriteChromeTrace(const Program& program, const Timeline& timeline, bool every_rank, std::ostream& out) {
  ChromeSink sink(out);
  EmitTrace(program, timeline, every_rank, sink);
  sink.Finish();
}

}  // namespace simulate
