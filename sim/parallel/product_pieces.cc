#include "sim/parallel/product_pieces.h"

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
  const Bytes bytes = DivCeil(activation, static_cast<int64_t>(channel.size));
  const Transfer pass{.communicator = channel.communicator, .send_offset = 1, .send_bytes = bytes, .receive_offset = -1,
                      .receive_bytes = bytes};
  return env.writer.ExchangeFrom(env.wiring.compute, channel.stream, "tensor pass", pass);
}

}  // namespace simulate
