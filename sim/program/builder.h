// Writes a Program: interns kernels, names and calls, and gives tasks handles to wait for.
//
//   ProgramBuilder program;
//   const StreamId compute = program.AddStream("compute", StreamKind::kCompute);
//   RankProgramBuilder rank(program);
//   const TaskRef gather = rank.Collective(communication, "all_gather block 0", call);
//   rank.Kernel(compute, "block 0 qkv", work, HostCall::kOperator, {{gather}});
//   program.AssignRanks(std::vector<uint32_t>(8, program.AddRankProgram(std::move(rank).Build())));
//   Program result = std::move(program).Build();   // throws InternalError if an invariant is broken
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "absl/container/flat_hash_map.h"
#include "sim/program/program.h"

namespace simulate {

// A launched piece of work of the rank program being written; other streams can wait for it.
// A TaskRef that is not valid stands for work that is long done: waiting for it is waiting for nothing.
struct TaskRef {
  static constexpr uint32_t kNone = 0xFFFFFFFF;
  uint32_t instruction = kNone;
  [[nodiscard]] bool valid() const { return instruction != kNone; }
};

// Hashes of the interned structs, for look-up only.
struct WorkHash {
  [[nodiscard]] size_t operator()(const KernelWork& work) const;
  [[nodiscard]] size_t operator()(const CollectiveCall& call) const;
  [[nodiscard]] size_t operator()(const Transfer& transfer) const;
};

// A kernel and its name, looked up once.
struct KernelHandle {
  NameId name = 0;
  KernelId kernel = 0;
};

// Shared tables of one Program.
class ProgramBuilder {
 public:
  StreamId AddStream(std::string name, StreamKind kind);
  // Groups of one member are kept: calls on them are free.
  CommunicatorId AddCommunicator(std::string name, std::vector<std::vector<RankId>> groups);
  NameId Intern(std::string_view name);
  KernelId Intern(const KernelWork& work);
  KernelHandle Intern(std::string_view name, const KernelWork& work);
  CollectiveId Intern(const CollectiveCall& call);
  TransferId Intern(const Transfer& transfer);
  // Adds a rank program and returns its index.
  uint32_t AddRankProgram(RankProgram program);
  // Program index of every rank.
  void AssignRanks(std::vector<uint32_t> program_of_rank);
  void SetTotals(const StepTotals& totals);
  void SetExpandableSegments(bool expandable);
  [[nodiscard]] Program Build() &&;  // validates
  // Without names and programs that the caller keeps itself; he validates.
  [[nodiscard]] Program Release() && { return std::move(program_); }

 private:
  Program program_;
  absl::flat_hash_map<std::string, NameId> name_ids_;
  absl::flat_hash_map<KernelWork, KernelId, WorkHash> kernel_ids_;
  absl::flat_hash_map<CollectiveCall, CollectiveId, WorkHash> collective_ids_;
  absl::flat_hash_map<Transfer, TransferId, WorkHash> transfer_ids_;
};

// Appends to one rank's instruction list, in the order in which its host enqueues.
class RankProgramBuilder {
 public:
  explicit RankProgramBuilder(ProgramBuilder& program) : program_(program) {}

  // Context of the instructions that follow.
  void SetPhase(Phase phase) { phase_ = phase; }
  void SetLayer(uint32_t layer) { layer_ = layer; }

  TaskRef Kernel(StreamId stream, std::string_view name, const KernelWork& work, HostCall host,
                 std::span<const TaskRef> waits = {});
  TaskRef Kernel(StreamId stream, KernelHandle kernel, HostCall host, std::span<const TaskRef> waits = {});
  TaskRef Collective(StreamId stream, std::string_view name, const CollectiveCall& call,
                     std::span<const TaskRef> waits = {}, HostCall host = HostCall::kCollective);
  TaskRef Exchange(StreamId stream, std::string_view name, const Transfer& transfer,
                   std::span<const TaskRef> waits = {}, HostCall host = HostCall::kCollective);
  BufferId Allocate(Bytes bytes, MemoryCategory category, StreamId stream, std::string_view name);
  void SetLife(BufferId buffer, Life life) { result_.buffers[buffer].life = life; }
  void HoldOnHost(Bytes bytes) { result_.host_memory += bytes; }
  // `used_by`: work of other streams that still reads it (record_stream).
  void Free(BufferId buffer, std::span<const TaskRef> used_by = {});
  [[nodiscard]] StreamId StreamOf(TaskRef task) const { return result_.instructions[task.instruction].stream; }
  void HostWait(std::span<const TaskRef> waits);
  void HostWork(HostCall call, int count = 1);
  void BeginStep();  // what came before is setup
  // What follows, up to EndPiece, is one piece of a pipeline's schedule.
  void BeginPiece(PieceKind kind, int32_t micro_batch, int32_t chunk);
  void EndPiece();

  [[nodiscard]] RankProgram Build() &&;

 private:
  uint32_t Append(Instruction instruction, std::span<const TaskRef> waits);
  TaskRef Launch(Instruction instruction, std::string_view name, std::span<const TaskRef> waits);

  ProgramBuilder& program_;
  RankProgram result_;
  Phase phase_ = Phase::kSetup;
  uint32_t layer_ = 0;
};

}  // namespace simulate
