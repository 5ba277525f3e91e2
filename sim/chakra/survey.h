// What the ranks of a foreign trace have to agree on before any of them can become a program: process groups and
// messages. Gathered file by file, so that no more than one is in memory.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "sim/base/diagnostics.h"
#include "sim/chakra/trace_file.h"

namespace simulate {

// Members in order of rank.
using GroupKey = std::pair<std::string, std::vector<RankId>>;  // name, members

struct Message {
  uint64_t node = 0;
  int64_t tag = 0;
  int64_t bytes = 0;
};

// All messages of one rank to another: in the order in which they are sent, and received.
struct TraceChannel {
  std::vector<Message> sends, receives;
  std::vector<uint32_t> send_of_receive;  // by receive: which send it belongs with
};

class Survey {
 public:
  Survey(const TraceFolder& folder, Diagnostics& diagnostics);

  void Take(const TraceFile& file);
  // Matches messages and lays groups out as communicators; reports what does not fit.
  void Finish();

  [[nodiscard]] uint32_t world_size() const { return world_; }
  // Disjoint groups of one size share a communicator, so that ranks that do alike can be folded.
  [[nodiscard]] const std::vector<Communicator>& communicators() const { return communicators_; }
  // Of a node that communicates; nullptr: nobody knows its group (reported by Take).
  [[nodiscard]] const std::vector<RankId>* Members(const TraceFile& file, const TraceNode& node) const;
  [[nodiscard]] CommunicatorId CommunicatorOf(const std::string& name, const std::vector<RankId>& members) const;
  [[nodiscard]] const std::map<std::pair<RankId, RankId>, TraceChannel>& channels() const { return channels_; }

 private:
  void ReadGroupFile(const std::string& path);
  void ReadProcessGroups(const TraceFile& file);
  void TakeCollective(const TraceFile& file, const TraceNode& node);
  void TakeMessage(const TraceFile& file, const TraceNode& node);
  void Match(RankId from, RankId to, TraceChannel& channel);
  [[nodiscard]] bool Enough(const std::string& kind) { return ++reports_[kind] > 10; }

  uint32_t world_;
  Diagnostics& diagnostics_;
  std::vector<RankId> everybody_;
  std::map<std::string, std::vector<RankId>> shared_groups_;                    // of comm_groups.json
  std::map<RankId, std::map<std::string, std::vector<RankId>>> rank_groups_;    // of a file's own metadata
  std::map<GroupKey, CommunicatorId> groups_;                                   // that collectives use
  std::vector<Communicator> communicators_;
  std::map<std::pair<RankId, RankId>, TraceChannel> channels_;
  std::map<RankId, std::string> path_of_rank_;
  std::map<std::string, size_t> reports_;
};

}  // namespace simulate
