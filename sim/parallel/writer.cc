#include "sim/parallel/writer.h"

#include <algorithm>

namespace simulate {

StepWriter::StreamState& StepWriter::State(StreamId stream) {
  if (streams_.size() <= stream) streams_.resize(stream + 1);
  return streams_[stream];
}

TaskRef StepWriter::Launched(StreamId stream, TaskRef task) {
  StreamState& state = State(stream);
  state.last = task;
  state.pending.clear();
  return task;
}

TaskRef StepWriter::Kernel(StreamId stream, std::string_view name, const KernelWork& work, HostCall host) {
  return Kernel(stream, program_.Intern(name, work), host);
}

TaskRef StepWriter::Kernel(StreamId stream, KernelHandle kernel, HostCall host) {
  return Launched(stream, rank_.Kernel(stream, kernel, host, State(stream).pending));
}

TaskRef StepWriter::CollectiveFrom(StreamId from, StreamId communicator_stream, std::string_view name,
                                   const CollectiveCall& call, HostCall host) {
  if (from != communicator_stream) WaitStream(communicator_stream, from);
  return Launched(communicator_stream,
                  rank_.Collective(communicator_stream, name, call, State(communicator_stream).pending, host));
}

TaskRef StepWriter::ExchangeFrom(StreamId from, StreamId communicator_stream, std::string_view name,
                                 const Transfer& transfer, HostCall host) {
  if (from != communicator_stream) WaitStream(communicator_stream, from);
  return Launched(communicator_stream,
                  rank_.Exchange(communicator_stream, name, transfer, State(communicator_stream).pending, host));
}

Event StepWriter::Record(StreamId stream) const {
  if (streams_.size() <= stream) return {};
  const StreamState& state = streams_[stream];
  Event event = state.pending;
  if (state.last.valid()) event.push_back(state.last);
  return event;
}

void StepWriter::Synchronize() {
  Event all;
  for (const StreamState& state : streams_) {
    if (state.last.valid()) all.push_back(state.last);
  }
  rank_.HostWait(all);
}

void StepWriter::Wait(StreamId stream, const Event& event) {
  for (const TaskRef task : event) Wait(stream, task);
}

void StepWriter::Wait(StreamId stream, TaskRef task) {
  if (!task.valid()) return;
  const StreamId of = rank_.StreamOf(task);
  if (of == stream) return;
  for (TaskRef& other : State(stream).pending) {
    if (rank_.StreamOf(other) != of) continue;
    other.instruction = std::max(other.instruction, task.instruction);
    return;
  }
  State(stream).pending.push_back(task);
}

}  // namespace simulate
