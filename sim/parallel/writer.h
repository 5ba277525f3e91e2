// StepWriter - CUDA's stream semantics on top of RankProgramBuilder.
//
// Framework code says "this stream waits for that one" and then launches; the builder wants the list of
// waits at each launch. StepWriter keeps, per stream, the last launch and the waits that the next launch
// inherits, so that the builders in this room read like the framework they describe:
//
//   torch.cuda.Stream.wait_stream(other)   Wait(stream, other)
//   torch.cuda.Event.record / wait_event   Record(stream) / Wait(stream, event)
//   event.synchronize()                    HostWait(event)
//   torch.cuda.synchronize()               Synchronize()
//   dist.all_gather(...) on `stream`       CollectiveFrom(stream, ...): the communicator's own stream waits
//                                          for `stream`, and the event of the call is returned (Work)
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "sim/program/builder.h"

namespace simulate {

// A recorded point of a stream: everything launched on it so far and everything it was told to wait for.
using Event = std::vector<TaskRef>;

class StepWriter {
 public:
  explicit StepWriter(ProgramBuilder& program) : program_(program), rank_(program) {}

  [[nodiscard]] ProgramBuilder& program() { return program_; }
  void SetPhase(Phase phase) { phase_ = phase; rank_.SetPhase(phase); }
  [[nodiscard]] Phase phase() const { return phase_; }
  void SetLayer(uint32_t layer) { rank_.SetLayer(layer); }
  void BeginStep() { rank_.BeginStep(); }
  void BeginPiece(PieceKind kind, int32_t micro_batch, int32_t chunk) { rank_.BeginPiece(kind, micro_batch, chunk); }
  void EndPiece() { rank_.EndPiece(); }

  TaskRef Kernel(StreamId stream, std::string_view name, const KernelWork& work, HostCall host);
  TaskRef Kernel(StreamId stream, KernelHandle kernel, HostCall host);
  // Issued while `from` is the current stream; runs on the communicator's stream.
  TaskRef CollectiveFrom(StreamId from, StreamId communicator_stream, std::string_view name,
                         const CollectiveCall& call, HostCall host = HostCall::kCollective);
  TaskRef ExchangeFrom(StreamId from, StreamId communicator_stream, std::string_view name, const Transfer& transfer,
                       HostCall host = HostCall::kCollective);

  BufferId Allocate(Bytes bytes, MemoryCategory category, StreamId stream, std::string_view name) {
    return rank_.Allocate(bytes, category, stream, name);
  }
  // A setup buffer that not every step knows.
  BufferId Allocate(Bytes bytes, MemoryCategory category, StreamId stream, std::string_view name, Life life) {
    const BufferId buffer = rank_.Allocate(bytes, category, stream, name);
    rank_.SetLife(buffer, life);
    return buffer;
  }
  void HoldOnHost(Bytes bytes) { rank_.HoldOnHost(bytes); }
  void Free(BufferId buffer) { rank_.Free(buffer); }
  // record_stream: the block may be reused only after what `event` covers.
  void Free(BufferId buffer, const Event& event) { rank_.Free(buffer, event); }

  [[nodiscard]] Event Record(StreamId stream) const;
  void Wait(StreamId stream, const Event& event);
  void Wait(StreamId stream, TaskRef task);
  void WaitStream(StreamId stream, StreamId other) { Wait(stream, Record(other)); }
  void HostWait(const Event& event) { rank_.HostWait(event); }
  void Synchronize();
  void HostWork(HostCall call, int count = 1) { rank_.HostWork(call, count); }

  [[nodiscard]] RankProgram Build() && { return std::move(rank_).Build(); }

 private:
  struct StreamState {
    TaskRef last;
    std::vector<TaskRef> pending;  // the next launch waits for these: the last of each other stream, which implies those before
  };
  StreamState& State(StreamId stream);
  TaskRef Launched(StreamId stream, TaskRef task);

  ProgramBuilder& program_;
  RankProgramBuilder rank_;
  Phase phase_ = Phase::kSetup;
  std::vector<StreamState> streams_;
};

}  // namespace simulate
