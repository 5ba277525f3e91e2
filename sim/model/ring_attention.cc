#include "sim/model/ring_attention.h"

#include <utility>

#include "sim/base/check.h"

namespace simulate {
namespace {

constexpr DType kWide = DType::kFp32;

Bytes Half(Bytes bytes) { return Bytes(bytes.value() / 2); }

// Writes one direction of a ring attention: its kernels, and what goes round between them.
class RingWriter {
 public:
  RingWriter(const Numerics& numerics, const AttentionDims& d, DType type, const RingOptions& options, Kernel attention, bool backward)
      : numerics_(numerics), options_(options), attention_(std::move(attention)), type_(type), backward_(backward) {
    const int64_t heads = options.megatron ? d.key_value_heads : d.query_heads;
    rows_ = d.batch * d.query_length;
    query_columns_ = d.query_heads * d.head_dim;
    result_columns_ = d.query_heads * d.values();
    key_columns_ = heads * d.head_dim;
    value_columns_ = heads * d.values();
    sum_rows_ = d.batch * d.query_heads;
    sum_columns_ = d.query_length;
  }

  [[nodiscard]] Bytes KeysAndValues(DType type) const { return Of(both_columns(), type); }

  // Step `i`: the first is the causal square, the others all queries by half of the keys.
  void Attend(int64_t i) {
    Kernel step = attention_;
    if (i > 0) {
      AttentionShape& shape = step.work.attention;
      shape.causal = false;
      shape.key_length /= 2;
      step.work.read = step.work.read - Half(KeysAndValues(type_));
    }
    kernels.push_back(std::move(step));
  }

  void Pass(RingPayload what, Bytes bytes) { Act(RingAction::Kind::kPass, what, bytes); }
  void Wait(RingPayload what) { Act(RingAction::Kind::kWait, what, Bytes(0)); }

  // Keys and values for step i + 1 set out.
  void SendKeysAndValues(int64_t i) {
    if (i + 1 == options_.ranks || (options_.gathers && i > 0 && compiled())) return;
    const Bytes bytes = KeysAndValues(type_);
    if (!options_.megatron) Add("ring.pack", MemoryAccess::kElementwise, type_, both_columns(), bytes, bytes);
    if (options_.gathers && i > 0) return;  // packed all the same, and dropped
    Act(options_.gathers ? RingAction::Kind::kGather : RingAction::Kind::kPass, RingPayload::kKeysAndValues,
        options_.gathers ? options_.ranks * bytes : bytes);
    if (compiled()) Wait(RingPayload::kKeysAndValues);
  }
  void AwaitKeysAndValues(int64_t i) {
    if (i > 0 && !compiled()) Wait(RingPayload::kKeysAndValues);
  }

  // `columns` of the rank's rows; bytes as given.
  void Add(const std::string& name, MemoryAccess access, DType type, int64_t columns, Bytes read, Bytes written) {
    kernels.push_back(MemoryKernel(name, access, type, rows_, columns, read, written, host()));
  }
  // One number per row and head, several small calls.
  void AddSums(const std::string& name, int calls) {
    const Bytes bytes = SizeOf(DType::kFp32, sum_rows_ * sum_columns_);
    for (int i = 0; i < calls; ++i)
      kernels.push_back(MemoryKernel(name, MemoryAccess::kElementwise, DType::kFp32, sum_rows_, sum_columns_, 2 * bytes, bytes, host()));
  }

  [[nodiscard]] bool compiled() const { return numerics_.compiled; }
  // Of the rank's rows, `columns` numbers each.
  [[nodiscard]] Bytes Of(int64_t columns, DType type) const { return SizeOf(type, rows_ * columns); }
  [[nodiscard]] Bytes Queries(DType type) const { return Of(query_columns_, type); }
  [[nodiscard]] Bytes Results(DType type) const { return Of(result_columns_, type); }
  [[nodiscard]] int64_t query_columns() const { return query_columns_; }
  [[nodiscard]] int64_t result_columns() const { return result_columns_; }
  [[nodiscard]] int64_t key_columns() const { return key_columns_; }
  [[nodiscard]] int64_t value_columns() const { return value_columns_; }
  [[nodiscard]] int64_t both_columns() const { return key_columns_ + value_columns_; }
  [[nodiscard]] DType type() const { return type_; }

  std::vector<Kernel> kernels;
  std::vector<RingAction> ring;

 private:
  void Act(RingAction::Kind kind, RingPayload what, Bytes bytes) {
    ring.push_back({kind, what, static_cast<uint32_t>(kernels.size()), bytes});
  }
  // Both directions run below autograd, one operator called after the other.
  [[nodiscard]] HostCall host() const { return kernels.empty() && backward_ ? HostCall::kAutogradNode : HostCall::kOperator; }

  const Numerics& numerics_;
  const RingOptions& options_;
  Kernel attention_;
  DType type_;
  bool backward_;
  int64_t rows_ = 0, query_columns_ = 0, result_columns_ = 0, key_columns_ = 0, value_columns_ = 0, sum_rows_ = 0, sum_columns_ = 0;
};


// _SDPAMerger: out - sigmoid(lse' - lse) (out - out'), and the same of the log-sum-exp; five calls on one number per row.
void Merge(RingWriter& w, int64_t i, bool last) {
  const Bytes wide = w.Results(kWide), narrow = w.Results(w.type());
  const auto same = MemoryAccess::kElementwise, mixed = MemoryAccess::kMixedTypes, broadcast = MemoryAccess::kBroadcast;
  if (w.compiled()) {
    if (i > 0) w.Add("ring.merge", same, kWide, w.result_columns(), narrow + (i == 1 ? narrow : wide), last ? narrow : wide);
    return;
  }
  w.Add("ring.to_fp32", mixed, kWide, w.result_columns(), narrow, wide);
  if (i > 0) {
    w.AddSums("ring.merge_sums", 5);
    w.Add("ring.difference", same, kWide, w.result_columns(), 2 * wide, wide);
    w.Add("ring.weight", broadcast, kWide, w.result_columns(), wide, wide);
    w.Add("ring.update", same, kWide, w.result_columns(), 2 * wide, wide);
  }
  if (last) w.Add("ring.to_narrow", same, kWide, w.result_columns(), wide, narrow);
}

void TorchForward(RingWriter& w, int64_t ranks) {
  for (int64_t i = 0; i < ranks; ++i) {
    w.AwaitKeysAndValues(i);
    w.SendKeysAndValues(i);
    w.Attend(i);
    Merge(w, i, i + 1 == ranks);
  }
}

// Adds a step's gradients of keys and values to those that came round: of step 0 to zeros, later of half of the keys, whose
// chunk is added to and put together with the other again.
void AddKeyGradients(RingWriter& w, int64_t i) {
  const auto same = MemoryAccess::kElementwise, mixed = MemoryAccess::kMixedTypes;
  for (const auto& [name, columns] : {std::pair{"ring.key_gradient", w.key_columns()}, std::pair{"ring.value_gradient", w.value_columns()}}) {
    const Bytes wide = w.Of(columns, kWide), narrow = w.Of(columns, w.type());
    if (i == 0 || w.compiled()) {
      w.Add(name, mixed, kWide, columns, wide + (i == 0 ? narrow : Half(narrow)), wide);
    } else {
      w.Add(name, mixed, kWide, columns / 2, Half(wide + narrow), Half(wide));
      w.Add(std::string(name) + "_chunks", same, kWide, columns, wide, wide);
    }
  }
  if (!w.compiled()) w.Add("ring.pack_gradients", same, kWide, w.both_columns(), w.KeysAndValues(kWide), w.KeysAndValues(kWide));
}

void TorchBackward(RingWriter& w, int64_t ranks) {
  const Bytes wide = w.Queries(kWide), narrow = w.Queries(w.type()), passed = w.KeysAndValues(kWide);
  const auto same = MemoryAccess::kElementwise;
  if (!w.compiled()) w.Add("ring.zero", same, kWide, w.query_columns() + w.both_columns(), Bytes(0), wide + passed);
  for (int64_t i = 0; i < ranks; ++i) {
    w.AwaitKeysAndValues(i);
    w.SendKeysAndValues(i);
    w.Attend(i);
    if (i > 0 && !w.compiled()) w.Wait(RingPayload::kGradients);
    AddKeyGradients(w, i);
    w.Pass(RingPayload::kGradients, passed);
    if (w.compiled()) w.Wait(RingPayload::kGradients);
    w.Add("ring.query_gradient", MemoryAccess::kMixedTypes, kWide, w.query_columns(), wide + narrow, wide);
  }
  w.Add("ring.query_gradient_to_narrow", same, kWide, w.query_columns(), wide, narrow);
  if (!w.compiled()) w.Wait(RingPayload::kGradients);
  w.Add("ring.gradients_to_narrow", same, kWide, w.both_columns(), passed, w.KeysAndValues(w.type()));
}

// Results of all steps are kept, then weighted and added up.
void MegatronForward(RingWriter& w, int64_t ranks) {
  for (int64_t i = 0; i < ranks; ++i) {
    w.AwaitKeysAndValues(i);
    w.SendKeysAndValues(i);
    w.Attend(i);
    if (i > 0) w.AddSums("ring.merge_sums", 1);
  }
  for (int64_t i = 0; i < ranks; ++i)
    w.Add("ring.correct", MemoryAccess::kBroadcast, w.type(), w.result_columns(), (i == 0 ? 1 : 2) * w.Results(w.type()), w.Results(w.type()));
}

void MegatronBackward(RingWriter& w, int64_t ranks) {
  const Bytes both = w.KeysAndValues(w.type()), queries = w.Queries(w.type());
  const auto same = MemoryAccess::kElementwise;
  for (int64_t i = 0; i < ranks; ++i) {
    // The causal square comes last: the ring ends at the rank's own keys.
    if (ranks > 1) w.Pass(RingPayload::kGradients, (i > 0 && i + 1 < ranks ? 2 : 1) * both);
    w.Attend(ranks - 1 - i);
    w.Wait(RingPayload::kGradients);
    w.Add("ring.query_gradient", same, w.type(), w.query_columns(), 2 * queries, queries);
    w.Add("ring.gradients", same, w.type(), w.both_columns(), 2 * both, both);
  }
}

}  // namespace

Value RingAttention(LayerBuilder& b, const AttentionDims& d, const Value& q, const Value& k, const Value& v, AttentionKernel kernel,
                    double dropout, const RingOptions& options) {
  SIM_CHECK(d.causal && d.query_length == d.key_length && d.query_length % 2 == 0, "no ring of ", d.query_length, " positions");
  const Value out = FusedAttention(b, d, q, k, v, kernel, dropout);
  Operator& op = b.last();
  RingWriter forward(b.numerics(), d, q.dtype, options, op.forward.front(), false);
  RingWriter backward(b.numerics(), d, q.dtype, options, op.backward.front(), true);
  if (options.megatron) {
    MegatronForward(forward, options.ranks);
    MegatronBackward(backward, options.ranks);
  } else {
    TorchForward(forward, options.ranks);
    TorchBackward(backward, options.ranks);
  }
  const std::vector<Kernel> after(op.backward.begin() + 1, op.backward.end());  // sums over groups of heads, packing
  op.forward = std::move(forward.kernels);
  op.forward_ring = std::move(forward.ring);
  op.backward = std::move(backward.kernels);
  op.backward_ring = std::move(backward.ring);
  op.backward.insert(op.backward.end(), after.begin(), after.end());
  op.model_flops = static_cast<double>(options.ranks) * op.model_flops;
  const Bytes kv = forward.KeysAndValues(q.dtype), held = options.gathers ? options.ranks * kv : 2 * kv;
  if (options.megatron) {
    op.forward_workspace += held + options.ranks * out.bytes();
    op.backward_workspace += 2 * held;
  } else {
    op.forward_workspace += held + kv + 3 * forward.Results(kWide);
    op.backward_workspace += held + kv + 2 * forward.KeysAndValues(kWide) + forward.Queries(kWide);
  }
  return out;
}

}  // namespace simulate
