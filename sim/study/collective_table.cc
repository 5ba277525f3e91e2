#include "sim/study/collective_table.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace simulate {

double BusFactor(CollectiveOp op, int64_t members) {
  const auto n = static_cast<double>(members);
  switch (op) {
    case CollectiveOp::kAllReduce: return 2.0 * (n - 1.0) / n;
    case CollectiveOp::kAllGather:
    case CollectiveOp::kReduceScatter:
    case CollectiveOp::kAllToAll: return (n - 1.0) / n;
    case CollectiveOp::kBroadcast:
    case CollectiveOp::kReduce:
    case CollectiveOp::kSendRecv: return 1.0;
  }
  return 1.0;
}

std::vector<CollectiveRow> CollectiveTable(const Topology& topology, const CollectiveModel& model, CollectiveOp op,
                                           int64_t members, const std::vector<Bytes>& sizes) {
  std::vector<uint32_t> group(static_cast<size_t>(members));
  std::iota(group.begin(), group.end(), 0u);
  std::vector<CollectiveRow> rows;
  for (const Bytes bytes : sizes) {
    const CollectiveCost cost = model.Cost({op, bytes, {group}});
    CollectiveRow row{op, bytes, cost.time, {}, {}, cost.algorithm, cost.protocol, cost.channels, "-", {}, 0};
    if (cost.time.value() > 0.0) row.algbw = bytes / cost.time;
    row.busbw = row.algbw * BusFactor(op, members);
    if (!cost.loads.empty()) row.bottleneck = topology.LinkName(cost.bottleneck);
    rows.push_back(row);
  }
  return rows;
}

std::string CollectiveTableText(const std::vector<CollectiveRow>& rows) {
  const bool replayed = std::any_of(rows.begin(), rows.end(), [](const CollectiveRow& r) { return r.messages > 0; });
  std::string text = absl::StrFormat("%13s  %14s  %11s  %8s  %8s  ", "# size", "operation", "time", "algbw", "busbw");
  if (replayed) absl::StrAppendFormat(&text, "%11s  %10s  ", "replayed", "messages");
  absl::StrAppendFormat(&text, "%-12s %-8s %8s  %s\n", "algorithm", "protocol", "channels", "bottleneck");
  absl::StrAppendFormat(&text, "%13s  %14s  %11s  %8s  %8s", "# (B)", "", "(us)", "(GB/s)", "(GB/s)");
  absl::StrAppend(&text, replayed ? "         (us)\n" : "\n");
  for (const CollectiveRow& r : rows) {
    absl::StrAppendFormat(&text, "%13d  %14s  %11.2f  %8.2f  %8.2f  ", r.bytes.value(), Name(r.op), r.time.value() * 1e6,
                          r.algbw.value() / 1e9, r.busbw.value() / 1e9);
    if (replayed) absl::StrAppendFormat(&text, "%11.2f  %10d  ", r.replayed.value() * 1e6, r.messages);
    absl::StrAppendFormat(&text, "%-12s %-8s %8d  %s\n", Name(r.algorithm), Name(r.protocol), r.channels, r.bottleneck);
  }
  return text;
}

std::string CollectiveTableJson(const std::vector<CollectiveRow>& rows) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const CollectiveRow& r : rows) {
    list.push_back({{"op", Name(r.op)}, {"bytes", r.bytes.value()}, {"time_s", r.time.value()},
                    {"algbw_bytes_per_s", r.algbw.value()}, {"busbw_bytes_per_s", r.busbw.value()},
                    {"algorithm", Name(r.algorithm)}, {"protocol", Name(r.protocol)}, {"channels", r.channels},
                    {"bottleneck", r.bottleneck}});
    if (r.messages > 0) {
      list.back()["replayed_time_s"] = r.replayed.value();
      list.back()["messages"] = r.messages;
    }
  }
  return nlohmann::ordered_json{{"rows", list}}.dump(2) + "\n";
}

}  // namespace simulate
