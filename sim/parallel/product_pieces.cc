#include "sim/parallel/product_pieces.h"

#include "sim/parallel/boundary.h"

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

}  // namespace simulate
