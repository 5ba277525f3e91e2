#include "sim/parallel/boundary.h"

namespace simulate {

namespace {

TaskRef Start(Environment& env, const Channel& channel, const char* name, CollectiveOp op, Bytes bytes) {
  if (channel.size == 1) return {};
  const CollectiveCall call{.op = op, .communicator = channel.communicator, .bytes = bytes,
                            .dtype = env.precision().compute};
  const TaskRef task = env.writer.CollectiveFrom(env.wiring.compute, channel.stream, name, call);
  if (env.scenario.training.host_waits >= HostWaits::kCollectives) env.writer.HostWait({task});
  return task;
}

}  // namespace

TaskRef StartBoundary(Environment& env, const Operator& op, bool backward) {
  const Wiring& wires = env.wiring;
  const bool sequence = env.scenario.parallelism.sequence_parallel;
  const Bytes bytes = op.boundary_bytes;
  const auto gather = [&] { return Start(env, wires.tensor, "tensor all_gather", CollectiveOp::kAllGather, op.gathered()); };
  const auto reduce = [&] {
    return sequence ? Start(env, wires.tensor, "tensor reduce_scatter", CollectiveOp::kReduceScatter, bytes)
                    : Start(env, wires.tensor, "tensor all_reduce", CollectiveOp::kAllReduce, bytes);
  };
  switch (op.boundary) {
    case Boundary::kNone: return {};
    case Boundary::kTensorEnter:
      if (backward) return reduce();
      return sequence ? gather() : TaskRef{};
    case Boundary::kTensorLeave:
      if (!backward) return reduce();
      return sequence ? gather() : TaskRef{};
    case Boundary::kVocabReduce:
      return backward ? TaskRef{} : Start(env, wires.tensor, "vocabulary all_reduce", CollectiveOp::kAllReduce, bytes);
    case Boundary::kVocabGather:
      return backward ? TaskRef{} : Start(env, wires.tensor, "logits all_gather", CollectiveOp::kAllGather, bytes);
    case Boundary::kContextKeyValue:
      return backward ? Start(env, wires.context, "context reduce_scatter", CollectiveOp::kReduceScatter, bytes)
                      : Start(env, wires.context, "context all_gather", CollectiveOp::kAllGather, bytes);
    case Boundary::kContextHeads:
      return Start(env, wires.context, "context heads", CollectiveOp::kAllToAll, bytes);
    case Boundary::kExpertDispatch:
      return Start(env, wires.expert, "expert dispatch", CollectiveOp::kAllToAll, bytes);
    case Boundary::kExpertCombine:
      return Start(env, wires.expert, "expert combine", CollectiveOp::kAllToAll, bytes);
  }
  return {};
}

void EmitBoundary(Environment& env, const Operator& op, bool backward) {
  env.writer.Wait(env.wiring.compute, StartBoundary(env, op, backward));
}

TaskRef StartExchange(Environment& env, const Channel& channel, const char* name, Bytes bytes) {
  if (channel.size == 1) return {};
  const Transfer pass{.communicator = channel.communicator, .send_offset = 1, .send_bytes = bytes, .receive_offset = -1,
                      .receive_bytes = bytes};
  const TaskRef task = env.writer.ExchangeFrom(env.wiring.compute, channel.stream, name, pass);
  if (env.scenario.training.host_waits >= HostWaits::kCollectives) env.writer.HostWait({task});
  return task;
}

TaskRef StartRing(Environment& env, const RingAction& action) {
  const Channel& channel = env.wiring.context;
  if (action.kind == RingAction::Kind::kGather) return Start(env, channel, "context all_gather", CollectiveOp::kAllGather, action.bytes);
  const char* const name = action.what == RingPayload::kKeysAndValues ? "context keys and values" : "context gradients";
  return StartExchange(env, channel, name, action.bytes);
}

TaskRef StartGatherAgain(Environment& env, const Operator& op) {
  return Start(env, env.wiring.tensor, "tensor all_gather again", CollectiveOp::kAllGather, op.gathered());
}

}  // namespace simulate
