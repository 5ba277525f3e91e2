#include "sim/parallel/product_pieces.h"

#include <utility>

#include "sim/parallel/boundary.h"
#include "sim/parallel/layer_runner.h"

namespace simulate {

KernelWork PieceOf(const KernelWork& product, int64_t pieces) {
  KernelWork piece = product;
  piece.gemm.m = DivCeil(product.gemm.m, pieces);
  piece.flops = Flops(product.flops.value() / static_cast<double>(pieces));
  piece.read = DivCeil(product.read, pieces);
  piece.written = DivCeil(product.written, pieces);
  return piece;
}

TaskRef StartPass(Environment& env, Bytes activation) {
  const Channel& channel = env.wiring.tensor;
  return StartExchange(env, channel, "tensor pass", DivCeil(activation, static_cast<int64_t>(channel.size)));
}

// Whether this operator of a block is such a boundary whose transfers run in pieces beside a product.
bool LayerRunner::OverlapsAt(uint32_t use, uint32_t op, Boundary boundary) const {
  const Layer& layer = env_.LayerOf(use);
  return env_.scenario.parallelism.tensor_overlap && env_.wiring.tensor.size > 1 && env_.model.uses[use].block &&
         op < layer.operators.size() && layer.operators[op].boundary == boundary;
}

void LayerRunner::AwaitPieces() {
  for (const TaskRef piece : std::exchange(pieces_, {})) env_.writer.Wait(env_.wiring.compute, piece);
}

// An all_gather's passes, all under way; what a product's pieces have sent is waited for. False: neither is in pieces here.
bool LayerRunner::StartPieces(uint32_t use, const LayerEvent& event) {
  const bool backward = event.kind == LayerEventKind::kBoundaryBackward;
  if (OverlapsAt(use, event.op, backward ? Boundary::kTensorLeave : Boundary::kTensorEnter)) {
    const Bytes bytes = env_.LayerOf(use).operators[event.op].gathered();
    for (int64_t pass = 1; pass < static_cast<int64_t>(env_.wiring.tensor.size); ++pass) pieces_.push_back(StartPass(env_, bytes));
    return true;
  }
  if (backward || pieces_.empty() || !OverlapsAt(use, event.op, Boundary::kTensorLeave)) return false;
  AwaitPieces();
  return true;
}

// The product that reads what is gathered, or makes what is reduced. False: this kernel runs whole.
bool LayerRunner::PlayInPieces(uint32_t use, const LayerEvent& event, const Kernel& kernel) {
  if (kernel.work.kind != KernelKind::kGemm) return false;
  if (kernel.parameter_gradient || !env_.LayerOf(use).operators[event.op].linear) {
    AwaitPieces();
    return false;
  }
  const bool reduces = !event.backward && OverlapsAt(use, event.op + 1, Boundary::kTensorLeave);
  if (pieces_.empty() && !reduces) return false;
  const auto count = static_cast<int64_t>(env_.wiring.tensor.size);
  const KernelWork piece = PieceOf(kernel.work, count);
  const std::vector<TaskRef> gathered = std::exchange(pieces_, {});
  for (int64_t i = 0; i < count; ++i) {
    if (!gathered.empty() && i > 0) env_.writer.Wait(env_.wiring.compute, gathered[static_cast<size_t>(i - 1)]);
    env_.writer.Kernel(env_.wiring.compute, kernel.name, piece, i == 0 ? kernel.host : HostCall::kInner);
    if (reduces && i + 1 < count) pieces_.push_back(StartPass(env_, env_.LayerOf(use).operators[event.op + 1].boundary_bytes));
  }
  return true;
}

}  // namespace simulate
