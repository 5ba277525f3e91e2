#include "sim/parallel/buckets.h"

#include <algorithm>
#include <utility>

#include "sim/model/liveness.h"

namespace simulate {

std::vector<uint32_t> GradientOrder(const Environment& env) {
  std::vector<uint32_t> order;
  std::vector<int> seen(env.parameters.all().size(), 0);
  for (auto use = env.uses.rbegin(); use != env.uses.rend(); ++use) {
    const Layer& layer = env.LayerOf(*use);
    for (auto op = layer.operators.rbegin(); op != layer.operators.rend(); ++op) {
      for (const uint32_t index : op->parameters) {
        const uint32_t parameter = env.parameters.Id(*use, index);
        if (++seen[parameter] == env.parameters.all()[parameter].contributions) order.push_back(parameter);
      }
    }
  }
  return order;
}

std::vector<std::vector<uint32_t>> AssignBuckets(const std::vector<uint32_t>& order, const std::vector<Bytes>& sizes,
                                                 const BucketCaps& caps) {
  std::vector<std::vector<uint32_t>> buckets;
  Bytes filled;
  bool open = false;
  for (const uint32_t parameter : order) {
    if (!open) {
      buckets.emplace_back();
      filled = Bytes(0);
      open = true;
    }
    buckets.back().push_back(parameter);
    filled += sizes[parameter];
    const int64_t cap = buckets.size() == 1 ? caps.first_bytes : caps.bytes;
    if (filled >= Bytes(cap)) open = false;
  }
  return buckets;
}

std::vector<std::vector<uint32_t>> BucketsByCopies(const Environment& env, const std::vector<Bytes>& sizes, const BucketCaps& caps) {
  std::vector<std::vector<uint32_t>> buckets;
  std::vector<uint32_t> order = GradientOrder(env);
  const auto dense = [&](uint32_t p) { return !env.parameters.all()[p].expert; };
  const auto experts = std::stable_partition(order.begin(), order.end(), dense);  // clang 14 knows no std::ranges::subrange
  const std::vector<uint32_t> of_experts(experts, order.end());
  order.erase(experts, order.end());
  for (const auto& kind : {order, of_experts}) {
    for (auto& bucket : AssignBuckets(kind, sizes, caps)) buckets.push_back(std::move(bucket));
  }
  return buckets;
}

int64_t DividedElements(const Environment& env) {
  return DivCeil(env.parameters.elements(false), env.wiring.Copies(false).size) +
         DivCeil(env.parameters.elements(true), env.wiring.Copies(true).size);
}

}  // namespace simulate
