// The two ends of a model: table look-ups, and the loss over the vocabulary.
#include "sim/model/operators.h"

namespace simulate {

Value Embedding(LayerBuilder& b, const std::string& name, int64_t tokens, int64_t vocabulary, int64_t hidden, bool tied) {
  const DType type = b.numerics().stream;
  const uint32_t weight = b.AddParameter(name + ".weight", vocabulary * hidden);
  b.parameter(weight).tied = tied;
  const Value y = b.NewTensor(name, tokens, hidden, type);
  const Bytes indices = SizeOf(DType::kInt64, tokens);
  Operator& op = b.Add(name);
  op.outputs = {y.index};
  op.parameters = {weight};
  op.forward = {MemoryKernel(name, MemoryAccess::kGather, type, tokens, hidden, y.bytes() + indices, y.bytes(), HostCall::kOperator)};
  // embedding_dense_backward: the table's gradient is zeroed, indices are sorted (a dozen small kernels), rows are added.
  op.backward = {MemoryKernel(name + ".zero", MemoryAccess::kElementwise, type, vocabulary, hidden, Bytes(0),
                              SizeOf(type, vocabulary * hidden), HostCall::kAutogradNode),
                 MemoryKernel(name + ".sort", MemoryAccess::kElementwise, DType::kInt64, 8, tokens, 8 * indices, 8 * indices, HostCall::kInner),
                 MemoryKernel(name + ".scatter", MemoryAccess::kScatterAdd, type, tokens, hidden, y.bytes(), y.bytes(), HostCall::kInner)};
  for (Kernel& kernel : op.backward) kernel.parameter_gradient = true;
  op.backward_workspace = 6 * indices;
  op.backward_views = 1;
  return y;
}

Value AddPositions(LayerBuilder& b, const Value& x, int64_t samples, int64_t max_length) {
  const int64_t length = x.rows / samples;
  const uint32_t weight = b.AddParameter("positions.weight", max_length * x.columns);
  const Value y = b.NewTensor("positions", x.rows, x.columns, x.dtype);
  Operator& op = b.Add("positions");
  op.inputs = {x.index};
  op.outputs = {y.index};
  op.passes_gradient_to = {x.index};
  op.parameters = {weight};
  const Bytes table = SizeOf(x.dtype, max_length * x.columns), used = SizeOf(x.dtype, length * x.columns);
  op.forward = {MemoryKernel("positions", MemoryAccess::kBroadcast, x.dtype, x.rows, x.columns, x.bytes() + used, x.bytes(),
                             HostCall::kOperator)};
  op.forward_views = 1;
  // Sum over the samples, then into a zeroed table.
  op.backward = {MemoryKernel("positions.gradient", MemoryAccess::kColumnReduction, x.dtype, samples, length * x.columns, x.bytes(),
                              used, HostCall::kAutogradNode),
                 MemoryKernel("positions.zero", MemoryAccess::kElementwise, x.dtype, max_length, x.columns, Bytes(0), table,
                              HostCall::kAutogradNode),
                 MemoryKernel("positions.copy", MemoryAccess::kElementwise, x.dtype, length, x.columns, used, used, HostCall::kOperator)};
  for (Kernel& kernel : op.backward) kernel.parameter_gradient = true;
  op.backward_views = 1;
  return y;
}

Value GatherLogits(LayerBuilder& b, const Value& logits, int64_t vocabulary) {
  const Value y = b.NewTensor("gathered_logits", logits.rows, vocabulary, logits.dtype);
  b.tensor(y).logits = true;
  Operator& op = b.Add("gather_logits");
  op.inputs = {logits.index};
  op.outputs = {y.index};
  op.boundary = Boundary::kVocabGather;
  op.boundary_bytes = y.bytes();
  // ProcessGroupNCCL gathers a list into one buffer and copies that into the list's tensors; torch.cat interleaves them.
  op.forward = {ElementwiseKernel("gathered_to_list", y, 1, HostCall::kOperator),
                MemoryKernel("concatenate_logits", MemoryAccess::kBroadcast, y.dtype, y.rows, y.columns, y.bytes(), y.bytes(), HostCall::kOperator)};
  op.forward_workspace = 2 * y.bytes();
  op.backward = {MemoryKernel("logits_slice", MemoryAccess::kBroadcast, y.dtype, logits.rows, logits.columns, logits.bytes(), logits.bytes(),
                              HostCall::kAutogradNode)};
  return y;
}

namespace {

void ComposedLoss(LayerBuilder& b, const Value& logits, DType type) {
  const int64_t rows = logits.rows, columns = logits.columns;
  const Value wide = Cast(b, "logits_fp32", logits, type);
  b.tensor(wide).logits = true;
  const Value log_softmax = b.NewTensor("log_softmax", rows, columns, type);
  b.tensor(log_softmax).logits = true;
  Operator& softmax = b.Add("log_softmax");
  softmax.inputs = {wide.index};
  softmax.outputs = {log_softmax.index};
  softmax.saved = {log_softmax.index};
  softmax.forward = {MemoryKernel("log_softmax", MemoryAccess::kLoss, type, rows, columns, wide.bytes(), wide.bytes(),
                                  HostCall::kOperator)};
  softmax.backward = {MemoryKernel("log_softmax.backward", MemoryAccess::kLoss, type, rows, columns, 2 * wide.bytes(),
                                   wide.bytes(), HostCall::kAutogradNode)};
  const Value loss = b.NewTensor("loss", 1, 1, type);
  const Bytes picked = SizeOf(type, rows) + SizeOf(DType::kInt64, rows);
  Operator& nll = b.Add("nll_loss");
  nll.inputs = {log_softmax.index};
  nll.outputs = {loss.index};
  nll.saved = {log_softmax.index};
  nll.holds = {logits.index, wide.index};  // Python's names for them die when the loss returns
  nll.forward = {MemoryKernel("nll_loss", MemoryAccess::kGather, type, rows, 1, picked, Bytes(4), HostCall::kOperator)};
  nll.backward = {MemoryKernel("nll_loss.zero", MemoryAccess::kElementwise, type, rows, columns, Bytes(0), wide.bytes(),
                               HostCall::kAutogradNode),
                  MemoryKernel("nll_loss.backward", MemoryAccess::kScatterAdd, type, rows, 1, picked, SizeOf(type, rows),
                               HostCall::kInner)};
  b.Output(loss);
}

// One kernel each way over 16-bit logits.
void FusedLoss(LayerBuilder& b, const Value& logits) {
  const Value sums = b.NewTensor("logsumexp", logits.rows, 1, DType::kFp32, false);
  const Value loss = b.NewTensor("loss", 1, 1, DType::kFp32);
  Operator& op = b.Add("cross_entropy");
  op.inputs = {logits.index};
  op.outputs = {loss.index, sums.index};
  op.saved = {logits.index, sums.index};
  op.forward = {MemoryKernel("cross_entropy", MemoryAccess::kLoss, logits.dtype, logits.rows, logits.columns, logits.bytes(),
                             sums.bytes(), HostCall::kOperator)};
  op.backward = {MemoryKernel("cross_entropy.backward", MemoryAccess::kLoss, logits.dtype, logits.rows, logits.columns,
                              logits.bytes(), logits.bytes(), HostCall::kAutogradNode)};
  if (b.numerics().compiled || b.numerics().megatron) {  // one pass each way, bound by the exponentials
    op.forward[0].work.access = MemoryAccess::kSoftmax;
    op.backward[0].work.access = MemoryAccess::kActivation;
  }
  if (b.numerics().megatron) {
    // transformer_engine/common/triton/cross_entropy.py: maximum and sum first (gathered over the tensor-parallel ranks), then
    // the gradient in the logits' place; the backward multiplies it by the loss's.
    Kernel gradient = MemoryKernel("cross_entropy.gradient", MemoryAccess::kSoftmax, logits.dtype, logits.rows, logits.columns,
                                   logits.bytes(), logits.bytes(), HostCall::kOperator);
    op.forward.push_back(std::move(gradient));
    op.boundary = Boundary::kVocabReduce;
    op.boundary_bytes = SizeOf(DType::kFp32, 3 * logits.rows);
  }
  b.Output(loss);
}

// megatron/core/tensor_parallel/cross_entropy.py: every elementwise step is in place on the fp32 copy, which is
// saved as probabilities and becomes the gradient.
void VocabularyParallelLoss(LayerBuilder& b, const Value& logits) {
  const int64_t rows = logits.rows, columns = logits.columns;
  const Value wide = b.NewTensor("probabilities", rows, columns, DType::kFp32, false);
  b.tensor(wide).logits = true;
  const Value loss = b.NewTensor("loss", 1, 1, DType::kFp32);
  Operator& op = b.Add("cross_entropy");
  op.inputs = {logits.index};
  op.outputs = {loss.index, wide.index};
  op.saved = {wide.index};
  op.boundary = Boundary::kVocabReduce;
  op.boundary_bytes = SizeOf(DType::kFp32, 3 * rows);
  const auto pass = [&](const char* name, MemoryAccess access, bool reads, bool writes) {
    return MemoryKernel(name, access, DType::kFp32, rows, columns, reads ? wide.bytes() : Bytes(0), writes ? wide.bytes() : Bytes(0),
                        HostCall::kOperator);
  };
  op.forward = {CastKernel("logits_fp32", logits.dtype, DType::kFp32, logits.elements(), HostCall::kOperator),
                pass("max", MemoryAccess::kRowReduction, true, false), pass("subtract_max", MemoryAccess::kBroadcast, true, true),
                pass("exp", MemoryAccess::kElementwise, true, true), pass("sum", MemoryAccess::kRowReduction, true, false),
                pass("normalize", MemoryAccess::kBroadcast, true, true)};
  op.backward = {pass("loss.backward", MemoryAccess::kBroadcast, true, true),
                 CastKernel("logits_gradient_cast", DType::kFp32, logits.dtype, logits.elements(), HostCall::kAutogradNode)};
  if (b.numerics().fused) op.forward.erase(op.forward.begin() + 2, op.forward.begin() + 4);
  b.Output(loss);
}

// logits.float(), log_softmax, nll_loss, once the backward is over; only the number stays.
void LossMetric(LayerBuilder& b, const Value& logits) {
  const Value wide = b.NewTensor("loss_metric.logits", logits.rows, logits.columns, DType::kFp32, false);
  const Value log_softmax = b.NewTensor("loss_metric.log_softmax", logits.rows, logits.columns, DType::kFp32, false);
  Operator& op = b.AddAfterBackward("loss_metric");
  op.inputs = {logits.index};
  op.outputs = {wide.index, log_softmax.index};
  op.forward = {CastKernel("loss_metric.to_fp32", logits.dtype, DType::kFp32, logits.elements(), HostCall::kOperator),
                MemoryKernel("loss_metric.log_softmax", MemoryAccess::kLoss, DType::kFp32, logits.rows, logits.columns,
                             wide.bytes(), wide.bytes(), HostCall::kOperator),
                MemoryKernel("loss_metric.nll_loss", MemoryAccess::kGather, DType::kFp32, logits.rows, 1,
                             SizeOf(DType::kFp32, logits.rows), Bytes(4), HostCall::kOperator)};
}

}  // namespace

void CrossEntropy(LayerBuilder& b, const Value& logits, LossKernel kernel, int64_t metrics) {
  for (int64_t i = 0; i < metrics; ++i) LossMetric(b, logits);
  switch (kernel) {
    case LossKernel::kComposed: return ComposedLoss(b, logits, DType::kFp32);
    case LossKernel::kDirect: return ComposedLoss(b, logits, logits.dtype);
    case LossKernel::kFused: return FusedLoss(b, logits);
    case LossKernel::kVocabularyParallel: return VocabularyParallelLoss(b, logits);
  }
}

}  // namespace simulate
