#include "sim/chakra/survey.h"

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <numeric>
#include <optional>
#include <set>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace simulate {
namespace {

using Json = nlohmann::json;

// A list of ranks, sorted; nullopt: not one, or a rank that is not below `world` or comes twice.
std::optional<std::vector<RankId>> RankList(const Json& list, uint32_t world) {
  if (!list.is_array()) return std::nullopt;
  std::vector<RankId> ranks;
  for (const Json& entry : list) {
    if (!entry.is_number_integer() || entry.get<int64_t>() < 0 || entry.get<int64_t>() >= world) return std::nullopt;
    ranks.push_back(entry.get<RankId>());
  }
  std::sort(ranks.begin(), ranks.end());
  if (std::adjacent_find(ranks.begin(), ranks.end()) != ranks.end()) return std::nullopt;
  return ranks;
}

std::string Text(const Json& value) { return value.is_string() ? value.get<std::string>() : value.dump(); }

// Numbers before texts, by value.
std::tuple<int, int64_t, std::string> NameOrder(const std::string& name) {
  int64_t number = 0;
  if (absl::SimpleAtoi(name, &number)) return {0, number, ""};
  return {1, 0, name};
}

}  // namespace

Survey::Survey(const TraceFolder& folder, Diagnostics& diagnostics)
    : world_(folder.files.back().first + 1), diagnostics_(diagnostics) {
  everybody_.resize(world_);
  std::iota(everybody_.begin(), everybody_.end(), 0U);
  if (!folder.comm_groups.empty()) ReadGroupFile(folder.comm_groups);
}

// {"1": [0, 1], "2": [2, 3]}, as ASTRA-sim's --comm-group-configuration.
void Survey::ReadGroupFile(const std::string& path) {
  std::ifstream in(path);
  const Json groups = Json::parse(in, nullptr, false);
  if (!groups.is_object()) {
    Diagnostic& d = diagnostics_.Error("expected a JSON object of process groups", {path});
    d.help.push_back("for example {\"1\": [0, 1, 2, 3], \"2\": [4, 5, 6, 7]}");
    return;
  }
  for (const auto& [name, list] : groups.items()) {
    const auto ranks = RankList(list, world_);
    if (ranks && !ranks->empty()) {
      shared_groups_[name] = *ranks;
    } else if (!Enough("group file")) {
      diagnostics_.Error(absl::StrCat("the process group `", name, "` is no list of different ranks below ", world_), {path});
    }
  }
}

// Metadata nodes of PyTorch hold ["[{\"pg_name\": \"0\", \"ranks\": [...], ...}, ...]"]; no ranks: everybody.
void Survey::ReadProcessGroups(const TraceFile& file) {
  for (const TraceNode& node : file.nodes) {
    if (node.kind != TraceNodeKind::kMetadata || node.values.find("pg_name") == std::string::npos) continue;
    const size_t begin = node.values.find("[{");
    const size_t end = node.values.rfind("}]");
    Json list;
    if (begin != std::string::npos && end != std::string::npos && begin < end) {
      list = Json::parse(node.values.substr(begin, end + 2 - begin), nullptr, false);
    }
    bool good = list.is_array();
    for (const Json& group : list.is_array() ? list : Json::array()) {
      const bool named = group.is_object() && group.contains("pg_name") && group.contains("ranks");
      auto ranks = named ? RankList(group["ranks"], world_) : std::nullopt;
      if (!ranks) {
        good = false;
        continue;
      }
      if (ranks->empty()) ranks = everybody_;
      rank_groups_[file.rank][Text(group["pg_name"])] = *ranks;
    }
    if (good || Enough("metadata")) continue;
    Diagnostic& d = diagnostics_.Error(absl::StrCat(NodeText(node), " does not list process groups of ranks below ", world_), {file.path});
    d.help.push_back("its inputs should hold [{\"pg_name\": \"1\", \"ranks\": [0, 1]}]");
  }
}

const std::vector<RankId>* Survey::Members(const TraceFile& file, const TraceNode& node) const {
  if (node.group.empty()) return &everybody_;
  const auto own = rank_groups_.find(file.rank);
  if (own != rank_groups_.end()) {
    const auto found = own->second.find(node.group);
    if (found != own->second.end()) return &found->second;
  }
  const auto shared = shared_groups_.find(node.group);
  if (shared != shared_groups_.end()) return &shared->second;
  return node.group == "0" ? &everybody_ : nullptr;  // as ASTRA-sim has it
}

CommunicatorId Survey::CommunicatorOf(const std::string& name, const std::vector<RankId>& members) const {
  return groups_.at({name, members});
}

void Survey::Take(const TraceFile& file) {
  path_of_rank_[file.rank] = file.path;
  ReadProcessGroups(file);
  for (const uint32_t n : file.order) {
    const TraceNode& node = file.nodes[n];
    if (node.cpu) continue;
    if (node.kind == TraceNodeKind::kCollective) TakeCollective(file, node);
    if (node.kind == TraceNodeKind::kSend || node.kind == TraceNodeKind::kReceive) TakeMessage(file, node);
  }
}

void Survey::TakeCollective(const TraceFile& file, const TraceNode& node) {
  const auto fail = [&](const char* kind, const std::string& what, const std::string& help) {
    if (Enough(kind)) return;
    Diagnostic& d = diagnostics_.Error(absl::StrCat(NodeText(node), what), {file.path});
    if (!help.empty()) d.help.push_back(help);
  };
  if (!node.comm_type) return fail("type", " is a collective without `comm_type`", "0 all-reduce, 2 all-gather, 6 all-to-all, 7 reduce-scatter");
  if (*node.comm_type < 0 || *node.comm_type > 9) {
    return fail("type", absl::StrCat(" has the unknown `comm_type` ", *node.comm_type), "Chakra's collectives are 0 to 9");
  }
  constexpr int64_t kBarrier = 9;
  if (!node.comm_size && *node.comm_type != kBarrier) return fail("size", " is a collective without `comm_size`", "");
  if (node.comm_size && (*node.comm_size < 0 || *node.comm_size > int64_t{1} << 50)) {
    return fail("size", absl::StrCat(" has the `comm_size` ", *node.comm_size), "");
  }
  if (node.partial_dimensions) {
    return fail("dimensions", " leaves dimensions of ASTRA-sim's network out (`involved_dim`)",
                "which ranks that means is not known here: name a process group (`pg_name`)");
  }
  const std::vector<RankId>* members = Members(file, node);
  if (members == nullptr) {
    return fail("group", absl::StrCat(" is of the process group `", node.group, "`, which nothing describes"),
                "put comm_groups.json beside the traces: {\"1\": [0, 1], ...}");
  }
  if (!std::binary_search(members->begin(), members->end(), file.rank)) {
    return fail("member", absl::StrCat(" is of the process group `", node.group, "`, which does not have rank ", file.rank), "");
  }
  groups_.try_emplace({node.group, *members}, 0);
}

void Survey::TakeMessage(const TraceFile& file, const TraceNode& node) {
  const bool sends = node.kind == TraceNodeKind::kSend;
  const std::optional<int64_t>& peer = sends ? node.comm_dst : node.comm_src;
  const auto fail = [&](const std::string& what) {
    if (!Enough("message")) diagnostics_.Error(absl::StrCat(NodeText(node), what), {file.path});
  };
  if (!peer) return fail(sends ? " is a send without `comm_dst`" : " is a receive without `comm_src`");
  if (*peer < 0 || *peer >= world_) return fail(absl::StrCat(sends ? " sends to rank " : " receives from rank ", *peer, " of ", world_));
  if (!node.comm_size || *node.comm_size < 0 || *node.comm_size > int64_t{1} << 50) return fail(" has no `comm_size`, or no sensible one");
  const auto other = static_cast<RankId>(*peer);
  const std::pair<RankId, RankId> key = sends ? std::pair(file.rank, other) : std::pair(other, file.rank);
  const Message message{node.id, node.comm_tag.value_or(0), *node.comm_size};
  (sends ? channels_[key].sends : channels_[key].receives).push_back(message);
}

// The k-th receive of a tag belongs with the k-th send of that tag.
void Survey::Match(RankId from, RankId to, TraceChannel& channel) {
  std::map<int64_t, std::vector<uint32_t>> sends;  // by tag, last first
  for (size_t s = channel.sends.size(); s-- > 0;) sends[channel.sends[s].tag].push_back(static_cast<uint32_t>(s));
  for (const Message& receive : channel.receives) {
    std::vector<uint32_t>& open = sends[receive.tag];
    if (open.empty()) {
      channel.send_of_receive.push_back(0);
      if (Enough("match")) continue;
      diagnostics_.Error(absl::StrCat("node ", receive.node, " receives ", receive.bytes, " bytes with tag ", receive.tag, " from rank ", from,
                                      ", which does not send them"), {path_of_rank_[to]});
      continue;
    }
    const Message& send = channel.sends[open.back()];
    channel.send_of_receive.push_back(open.back());
    open.pop_back();
    if (send.bytes == receive.bytes || Enough("match")) continue;
    Diagnostic& d = diagnostics_.Error(absl::StrCat("node ", receive.node, " receives ", receive.bytes, " bytes from rank ", from, ", which sends ", send.bytes),
                                       {path_of_rank_[to]});
    d.notes.push_back({absl::StrCat("node ", send.node, " sends them"), {path_of_rank_[from]}});
  }
  for (const auto& [tag, open] : sends) {
    for (const uint32_t s : open) {
      if (Enough("match")) continue;
      diagnostics_.Error(absl::StrCat("node ", channel.sends[s].node, " sends ", channel.sends[s].bytes, " bytes with tag ", tag, " to rank ", to,
                                      ", which does not receive them"), {path_of_rank_[from]});
    }
  }
}

void Survey::Finish() {
  for (auto& [pair, channel] : channels_) Match(pair.first, pair.second, channel);
  std::vector<std::pair<std::tuple<int, int64_t, std::string>, const GroupKey*>> ordered;
  for (const auto& [key, unused] : groups_) ordered.emplace_back(NameOrder(key.first), &key);
  std::sort(ordered.begin(), ordered.end(), [](const auto& a, const auto& b) {
    return std::tie(a.first, a.second->second) < std::tie(b.first, b.second->second);
  });
  std::vector<std::vector<uint8_t>> taken;
  for (const auto& [order, key] : ordered) {
    const std::vector<RankId>& members = key->second;
    size_t c = 0;
    for (; c < communicators_.size(); ++c) {
      if (communicators_[c].groups[0].size() != members.size()) continue;
      if (std::none_of(members.begin(), members.end(), [&](RankId r) { return taken[c][r] != 0; })) break;
    }
    if (c == communicators_.size()) {
      communicators_.push_back({absl::StrCat("`", key->first.empty() ? "0" : key->first, "`"), {}});
      taken.emplace_back(world_, 0);
    }
    communicators_[c].groups.push_back(members);
    for (const RankId r : members) taken[c][r] = 1;
    groups_[*key] = static_cast<CommunicatorId>(c);
  }
}

}  // namespace simulate
