#include "sim/parallel/boundary.h"

#include "sim/base/check.h"

namespace simulate {

namespace {

// A collective that the compute stream waits for, as Megatron's autograd functions issue it.
void Blocking(Environment& env, const Channel& channel, const char* name, CollectiveOp op, Bytes bytes) {
  if (channel.size == 1) return;
  StepWriter& writer = env.writer;
  const StreamId compute = env.wiring.compute;
  const CollectiveCall call{.op = op, .communicator = channel.communicator, .bytes = bytes,
                            .dtype = env.precision().compute};
  const TaskRef task = writer.CollectiveFrom(compute, channel.stream, name, call);
  writer.Wait(compute, task);
}

}  // namespace

void EmitBoundary(Environment& env, const Operator& op, bool backward) {
  const Wiring& wires = env.wiring;
  const bool sequence = env.scenario.parallelism.sequence_parallel;
  const Bytes bytes = op.boundary_bytes;
  switch (op.boundary) {
    case Boundary::kNone: return;
    case Boundary::kTensorEnter:
      if (!backward && sequence) Blocking(env, wires.tensor, "tensor all_gather", CollectiveOp::kAllGather, bytes);
      if (backward && op.boundary_again) {
        Blocking(env, wires.tensor, "tensor all_gather again", CollectiveOp::kAllGather, bytes);
      }
      if (backward) {
        Blocking(env, wires.tensor, sequence ? "tensor reduce_scatter" : "tensor all_reduce",
                 sequence ? CollectiveOp::kReduceScatter : CollectiveOp::kAllReduce, bytes);
      }
      return;
    case Boundary::kTensorLeave:
      if (!backward) {
        Blocking(env, wires.tensor, sequence ? "tensor reduce_scatter" : "tensor all_reduce",
                 sequence ? CollectiveOp::kReduceScatter : CollectiveOp::kAllReduce, bytes);
      } else if (sequence) {
        Blocking(env, wires.tensor, "tensor all_gather", CollectiveOp::kAllGather, bytes);
      }
      return;
    case Boundary::kVocabReduce:
      if (!backward) Blocking(env, wires.tensor, "vocabulary all_reduce", CollectiveOp::kAllReduce, bytes);
      return;
    case Boundary::kContextKeyValue:
      Blocking(env, wires.context, backward ? "context reduce_scatter" : "context all_gather",
               backward ? CollectiveOp::kReduceScatter : CollectiveOp::kAllGather, bytes);
      return;
    case Boundary::kExpertDispatch:
    case Boundary::kExpertCombine:
      Blocking(env, wires.expert, op.boundary == Boundary::kExpertDispatch ? "expert dispatch" : "expert combine",
               CollectiveOp::kAllToAll, bytes);
      return;
  }
}

}  // namespace simulate
