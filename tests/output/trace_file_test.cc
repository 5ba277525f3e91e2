#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>
#include <streambuf>
#include <string>
#include <vector>

#include "sim/output/trace_file.h"
#include "sim/program/builder.h"

namespace simulate {
namespace {

// Two ranks: a GEMM, then rank 0 sends 1 MB to rank 1.
Program TwoRanks() {
  ProgramBuilder builder;
  const StreamId compute = builder.AddStream("compute", StreamKind::kCompute);
  const StreamId wire = builder.AddStream("pipeline", StreamKind::kCommunication);
  const CommunicatorId pair = builder.AddCommunicator("pipeline", {{0, 1}});
  KernelWork gemm;
  gemm.kind = KernelKind::kGemm;
  gemm.gemm = {1, 128, 256, 512, GemmPass::kForward};
  gemm.flops = Flops(2.0 * 128 * 256 * 512);
  std::vector<uint32_t> assignment;
  for (const bool sender : {true, false}) {
    RankProgramBuilder rank(builder);
    rank.BeginStep();
    rank.SetPhase(Phase::kForward);
    const TaskRef done = rank.Kernel(compute, "q_proj", gemm, HostCall::kOperator);
    Transfer transfer;
    transfer.communicator = pair;
    (sender ? transfer.send_offset : transfer.receive_offset) = 1;
    (sender ? transfer.send_bytes : transfer.receive_bytes) = Bytes(1'000'000);
    rank.Exchange(wire, "activations", transfer, {&done, 1});
    assignment.push_back(builder.AddRankProgram(std::move(rank).Build()));
  }
  builder.AssignRanks(assignment);
  return std::move(builder).Build();
}

Timeline Record(const Program& program) {
  Timeline timeline;
  for (RankId rank = 0; rank < 2; ++rank) {
    RankTimeline entry;
    entry.rank = rank;
    uint32_t index = 0;
    for (const Instruction& instruction : program.programs[program.program_of_rank[rank]].instructions) {
      Span span;
      span.instruction = index++;
      const bool kernel = instruction.kind == InstructionKind::kKernel;
      if (!kernel && instruction.kind != InstructionKind::kTransfer) continue;
      span.enqueued = SimTime(kernel ? 1'000'000 : 2'000'000);
      span.start = SimTime(kernel ? 1'000'000 : 5'000'000);
      span.end = SimTime(kernel ? 5'000'000 : 9'000'000);
      span.alone = SimTime(4'000'000);
      entry.spans.push_back(span);
    }
    entry.memory.samples.push_back({SimTime(0), Bytes(512), Bytes(2 << 20)});
    timeline.ranks.push_back(entry);
    timeline.entry_of_rank.push_back(rank);
  }
  timeline.kernels.resize(program.kernels.size());
  timeline.collectives.resize(program.collectives.size());
  return timeline;
}

TEST_CASE("Chrome trace: every slice on its track, the transfer's arrow from sender to receiver") {
  const Program program = TwoRanks();
  std::ostringstream out;
  WriteChromeTrace(program, Record(program), false, out);
  const auto trace = nlohmann::json::parse(out.str());
  std::map<std::string, int> slices;
  std::map<std::string, uint64_t> flow;  // phase -> id
  std::map<std::string, int> flow_pid;
  for (const auto& event : trace["traceEvents"]) {
    if (event["ph"] == "X" && event["cat"] == "forward") ++slices[event["name"]];
    if (event["ph"] == "s" || event["ph"] == "f") {
      flow[event["ph"]] = event["id"];
      flow_pid[event["ph"]] = event["pid"];
    }
    if (event["ph"] == "X" && event["name"] == "q_proj" && event["cat"] == "forward") {
      CHECK(event["ts"] == 1.0);
      CHECK(event["dur"] == 4.0);
      CHECK(event["args"]["shape"] == "[128, 256, 512]");
      CHECK(event["args"]["flops"] == 2.0 * 128 * 256 * 512);
    }
  }
  CHECK(slices == std::map<std::string, int>{{"q_proj", 2}, {"activations", 2}});
  CHECK(flow.at("s") == flow.at("f"));
  CHECK(flow_pid.at("s") == 1);
  CHECK(flow_pid.at("f") == 2);
}

TEST_CASE("counters add up what overlaps, in the busier direction, and end at zero") {
  const Program program = TwoRanks();
  Timeline timeline = Record(program);
  std::ostringstream out;
  WriteChromeTrace(program, timeline, false, out);
  std::map<std::string, std::vector<std::pair<double, double>>> counters;
  const auto trace = nlohmann::json::parse(out.str());
  for (const auto& event : trace["traceEvents"]) {
    if (event["ph"] == "C" && event["pid"] == 1) counters[event["name"]].emplace_back(event["ts"], event["args"]["value"]);
  }
  // 2 * 128 * 256 * 512 FLOPs in 4 us from 1 us on; then 1 MB in 4 us.
  REQUIRE(counters.at("achieved TFLOPS").size() == 2);
  CHECK(counters.at("achieved TFLOPS")[0].first == 1.0);
  CHECK(counters.at("achieved TFLOPS")[0].second == Approx(2.0 * 128 * 256 * 512 / 4e-6 * 1e-12));
  CHECK(counters.at("achieved TFLOPS")[1] == std::pair(5.0, 0.0));
  const auto& use = counters.at("link use GB/s");
  REQUIRE(use.size() == 2);
  CHECK(use[0].first == 5.0);
  CHECK(use[0].second == Approx(250.0));
  CHECK(use[1] == std::pair(9.0, 0.0));
  CHECK(counters.at("memory allocated")[0] == std::pair(0.0, 512.0));
  CHECK(counters.at("memory reserved")[0] == std::pair(0.0, 2097152.0));
}

TEST_CASE("with a process for every rank those that fared alike are written out, arrows between neighbours") {
  const Program program = TwoRanks();
  Timeline timeline = Record(program);
  timeline.ranks.pop_back();  // rank 1 fared as rank 0, here
  timeline.ranks[0].weight = 2;
  timeline.entry_of_rank = {0, 0};
  const auto processes = [&](bool every_rank) {
    std::ostringstream out;
    WriteChromeTrace(program, timeline, every_rank, out);
    std::vector<std::string> names;
    const auto trace = nlohmann::json::parse(out.str());
    for (const auto& event : trace["traceEvents"]) {
      if (event["name"] == "process_name") names.push_back(event["args"]["name"]);
    }
    return names;
  };
  CHECK(processes(false) == std::vector<std::string>{"rank 0 (stands for 2)"});
  CHECK(processes(true) == std::vector<std::string>{"rank 0", "rank 1"});
}

// Counts what a writer hands on at once, and keeps none of it.
class CountingBuffer : public std::streambuf {
 public:
  std::streamsize xsputn(const char*, std::streamsize n) override {
    largest = std::max(largest, n);
    total += n;
    return n;
  }
  int overflow(int c) override {
    ++total;
    return c;
  }
  std::streamsize largest = 0, total = 0;
};

TEST_CASE("a trace streams: what is handed on at once does not grow with the ranks") {
  const Program program = TwoRanks();
  Timeline timeline = Record(program);
  for (const auto write : {WritePerfettoTrace, WriteChromeTrace}) {
    std::streamsize largest_of_two = 0, total_of_two = 0;
    for (const size_t ranks : {2, 2000}) {
      Timeline many = timeline;
      Program wide = program;
      many.entry_of_rank.clear();
      wide.program_of_rank.clear();
      wide.communicators[0].groups.clear();
      for (size_t r = 0; r < ranks; ++r) {
        many.entry_of_rank.push_back(static_cast<uint32_t>(r % 2));
        wide.program_of_rank.push_back(static_cast<uint32_t>(r % 2));
        if (r % 2 == 1) wide.communicators[0].groups.push_back({static_cast<RankId>(r - 1), static_cast<RankId>(r)});
      }
      CountingBuffer counted;
      std::ostream out(&counted);
      write(wide, many, true, out);
      if (ranks == 2) {
        largest_of_two = counted.largest;
        total_of_two = counted.total;
        continue;
      }
      CHECK(counted.total > 900 * total_of_two);
      CHECK(counted.largest < largest_of_two + 64);  // longer numbers
      CHECK(counted.largest < 1024);
    }
  }
}

// A reader of protobuf's wire format that knows nothing of our .proto: fields by number.
struct Wire {
  std::string bytes;
  size_t at = 0;
  bool More() const { return at < bytes.size(); }
  uint64_t Varint() {
    uint64_t value = 0;
    for (int shift = 0;; shift += 7) {
      const auto byte = static_cast<unsigned char>(bytes.at(at++));
      value |= uint64_t{byte & 0x7fU} << shift;
      if (byte < 0x80) return value;
    }
  }
  std::string Take(size_t n) { at += n; return bytes.substr(at - n, n); }
};
struct Field { uint32_t number; uint64_t value; std::string bytes; };
std::vector<Field> Fields(const std::string& message) {
  std::vector<Field> result;
  Wire wire{message};
  while (wire.More()) {
    const uint64_t key = wire.Varint();
    Field field{static_cast<uint32_t>(key >> 3), 0, ""};
    switch (key & 7) {
      case 0: field.value = wire.Varint(); break;
      case 1: field.bytes = wire.Take(8); break;
      case 2: field.bytes = wire.Take(wire.Varint()); break;
      case 5: field.bytes = wire.Take(4); break;
      default: FAIL("unknown wire type");
    }
    result.push_back(field);
  }
  return result;
}
const Field* Find(const std::vector<Field>& fields, uint32_t number) {
  for (const Field& f : fields) {
    if (f.number == number) return &f;
  }
  return nullptr;
}

TEST_CASE("Perfetto trace: packets by the format's field numbers; slices balance; flows pair") {
  const Program program = TwoRanks();
  std::ostringstream out;
  WritePerfettoTrace(program, Record(program), false, out);
  std::map<uint64_t, int> open;         // track -> begun and not ended
  std::map<std::string, int> flow_out;  // flow id bytes -> times
  std::map<std::string, int> flow_in;
  int begins = 0;
  int tracks = 0;
  for (const Field& outer : Fields(out.str())) {
    REQUIRE(outer.number == 1);  // Trace.packet
    const auto packet = Fields(outer.bytes);
    if (Find(packet, 60) != nullptr) ++tracks;
    const Field* event_field = Find(packet, 11);
    if (event_field == nullptr) continue;
    const auto event = Fields(event_field->bytes);
    const uint64_t type = Find(event, 9)->value;
    const uint64_t track = Find(event, 11)->value;
    if (type == 1) {
      ++begins;
      ++open[track];
      REQUIRE(Find(event, 10) != nullptr);
    }
    if (type == 2) --open[track];
    for (const Field& f : event) {  // an arrow leaves where a slice begins and arrives where one ends
      if (f.number == 47) ++flow_out[f.bytes];
      if (f.number == 48) ++flow_in[f.bytes];
      if (f.number == 47) CHECK(type == 1);
      if (f.number == 48) CHECK(type == 2);
    }
  }
  CHECK(begins == 8);   // per rank: two host slices, a kernel, a transfer
  CHECK(tracks == 2 * (2 + 2 + 4));
  for (const auto& [track, count] : open) CHECK(count == 0);
  CHECK(flow_out.size() == 1);
  CHECK(flow_out == flow_in);
}

}  // namespace
}  // namespace simulate
