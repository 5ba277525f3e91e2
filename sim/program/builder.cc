#include "sim/program/builder.h"

#include <bit>
#include <limits>
#include <utility>

#include "sim/base/check.h"

namespace simulate {

namespace {

// Combines integer fields; multiplicative mixing as in FNV-1a, on whole words.
template <typename... Fields>
size_t Mix(Fields... fields) {
  uint64_t h = 0xCBF29CE484222325ULL;
  ((h = (h ^ static_cast<uint64_t>(fields)) * 0x9E3779B97F4A7C15ULL, h ^= h >> 29), ...);
  return static_cast<size_t>(h);
}

template <typename Key, typename Map>
uint32_t FindOrAdd(Map& ids, std::vector<Key>& table, const Key& key) {
  const auto [found, added] = ids.try_emplace(key, static_cast<uint32_t>(table.size()));
  if (added) table.push_back(key);
  return found->second;
}

}  // namespace

size_t WorkHash::operator()(const KernelWork& w) const {
  const GemmShape& g = w.gemm;
  const AttentionShape& a = w.attention;
  return Mix(w.kind, w.dtype, g.batch, g.m, g.n, g.k, g.pass, g.added_to, a.batch, a.query_heads, a.key_value_heads,
             a.query_length, a.key_length, a.head_dim, a.causal, a.backward, w.access, w.rows, w.columns,
             w.read.value(), w.written.value(), std::bit_cast<uint64_t>(w.recorded.value()),
             std::bit_cast<uint64_t>(w.flops.value()));
}
size_t WorkHash::operator()(const CollectiveCall& c) const {
  return Mix(c.op, c.communicator, c.bytes.value(), c.dtype);
}
size_t WorkHash::operator()(const Transfer& t) const {
  return Mix(t.communicator, t.send_offset, t.send_bytes.value(), t.receive_offset, t.receive_bytes.value());
}

StreamId ProgramBuilder::AddStream(std::string name, StreamKind kind) {
  SIM_CHECK(program_.streams.size() < 64, "too many streams at ", name);
  program_.streams.push_back({std::move(name), kind});
  return static_cast<StreamId>(program_.streams.size() - 1);
}

CommunicatorId ProgramBuilder::AddCommunicator(std::string name, std::vector<std::vector<RankId>> groups) {
  program_.communicators.push_back({std::move(name), std::move(groups)});
  return static_cast<CommunicatorId>(program_.communicators.size() - 1);
}

NameId ProgramBuilder::Intern(std::string_view name) {
  const auto found = name_ids_.find(absl::string_view(name.data(), name.size()));
  return found != name_ids_.end() ? found->second : FindOrAdd(name_ids_, program_.names, std::string(name));
}
KernelId ProgramBuilder::Intern(const KernelWork& work) {
  return FindOrAdd(kernel_ids_, program_.kernels, work);
}
KernelHandle ProgramBuilder::Intern(std::string_view name, const KernelWork& work) {
  const KernelId kernel = Intern(work);
  return {Intern(name), kernel};
}
CollectiveId ProgramBuilder::Intern(const CollectiveCall& call) {
  return FindOrAdd(collective_ids_, program_.collectives, call);
}
TransferId ProgramBuilder::Intern(const Transfer& transfer) {
  return FindOrAdd(transfer_ids_, program_.transfers, transfer);
}

uint32_t ProgramBuilder::AddRankProgram(RankProgram program) {
  program_.programs.push_back(std::move(program));
  return static_cast<uint32_t>(program_.programs.size() - 1);
}

void ProgramBuilder::AssignRanks(std::vector<uint32_t> program_of_rank) {
  program_.program_of_rank = std::move(program_of_rank);
}

void ProgramBuilder::SetTotals(const StepTotals& totals) { program_.totals = totals; }
void ProgramBuilder::SetExpandableSegments(bool expandable) { program_.expandable_segments = expandable; }

Program ProgramBuilder::Build() && {
  Validate(program_);
  return std::move(program_);
}

uint32_t RankProgramBuilder::Append(Instruction instruction, std::span<const TaskRef> waits) {
  instruction.phase = phase_;
  instruction.layer = layer_;
  instruction.first_wait = static_cast<uint32_t>(result_.waits.size());
  for (const TaskRef& wait : waits) {
    if (wait.valid()) result_.waits.push_back(wait.instruction);
  }
  const size_t count = result_.waits.size() - instruction.first_wait;
  SIM_CHECK(count <= std::numeric_limits<uint16_t>::max(), count, " waits on one instruction");
  instruction.wait_count = static_cast<uint16_t>(count);
  result_.instructions.push_back(instruction);
  return static_cast<uint32_t>(result_.instructions.size() - 1);
}

TaskRef RankProgramBuilder::Launch(Instruction instruction, std::string_view name,
                                   std::span<const TaskRef> waits) {
  instruction.name = program_.Intern(name);
  return TaskRef{Append(instruction, waits)};
}

TaskRef RankProgramBuilder::Kernel(StreamId stream, std::string_view name, const KernelWork& work,
                                   HostCall host, std::span<const TaskRef> waits) {
  return Kernel(stream, program_.Intern(name, work), host, waits);
}

TaskRef RankProgramBuilder::Kernel(StreamId stream, KernelHandle kernel, HostCall host, std::span<const TaskRef> waits) {
  return TaskRef{Append({.kind = InstructionKind::kKernel, .stream = stream, .host = host, .object = kernel.kernel, .name = kernel.name}, waits)};
}

TaskRef RankProgramBuilder::Collective(StreamId stream, std::string_view name, const CollectiveCall& call,
                                       std::span<const TaskRef> waits, HostCall host) {
  return Launch(
      {.kind = InstructionKind::kCollective, .stream = stream, .host = host, .object = program_.Intern(call)},
      name, waits);
}

TaskRef RankProgramBuilder::Exchange(StreamId stream, std::string_view name, const Transfer& transfer,
                                     std::span<const TaskRef> waits, HostCall host) {
  return Launch({.kind = InstructionKind::kTransfer,
                 .stream = stream,
                 .host = host,
                 .object = program_.Intern(transfer)},
                name, waits);
}

BufferId RankProgramBuilder::Allocate(Bytes bytes, MemoryCategory category, StreamId stream,
                                      std::string_view name) {
  const auto buffer = static_cast<BufferId>(result_.buffers.size());
  result_.buffers.push_back({bytes, category, stream, program_.Intern(name)});
  Launch({.kind = InstructionKind::kAllocate, .stream = stream, .object = buffer}, name, {});
  return buffer;
}

void RankProgramBuilder::Free(BufferId buffer, std::span<const TaskRef> used_by) {
  SIM_CHECK(buffer < result_.buffers.size(), "free of unknown buffer ", buffer);
  const Buffer& freed = result_.buffers[buffer];
  Append({.kind = InstructionKind::kFree, .stream = freed.stream, .object = buffer, .name = freed.name},
         used_by);
}

void RankProgramBuilder::HostWait(std::span<const TaskRef> waits) {
  Append({.kind = InstructionKind::kHostWait}, waits);
}

void RankProgramBuilder::HostWork(HostCall call, int count) {
  SIM_CHECK(count >= 0, "negative count of host calls");
  constexpr int kMost = std::numeric_limits<uint16_t>::max();
  for (; count > 0; count -= kMost) {
    Append({.kind = InstructionKind::kHostWork,
            .host = call,
            .host_count = static_cast<uint16_t>(count < kMost ? count : kMost)},
           {});
  }
}

void RankProgramBuilder::BeginStep() {
  result_.step_begin = static_cast<uint32_t>(result_.instructions.size());
}

void RankProgramBuilder::BeginPiece(PieceKind kind, int32_t micro_batch, int32_t chunk) {
  const auto here = static_cast<uint32_t>(result_.instructions.size());
  result_.pieces.push_back({kind, micro_batch, chunk, here, here});
}

void RankProgramBuilder::EndPiece() { result_.pieces.back().end = static_cast<uint32_t>(result_.instructions.size()); }

RankProgram RankProgramBuilder::Build() && { return std::move(result_); }

}  // namespace simulate
