// The programs of the ranks while files are read one by one: those that are the same are kept once.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "sim/chakra/agreement.h"
#include "sim/program/program.h"

namespace simulate {

class ProgramTable {
 public:
  [[nodiscard]] NameId Intern(const std::string& name);
  // The number of `code`, which is new or that of an equal one.
  [[nodiscard]] uint32_t Add(RankProgram code, ProgramSource source);

  [[nodiscard]] const std::vector<ProgramSource>& sources() const { return sources_; }
  // Moves names and programs into `program`.
  void MoveInto(Program& program);

 private:
  std::vector<std::string> names_;
  std::vector<RankProgram> programs_;
  std::vector<ProgramSource> sources_;
  absl::flat_hash_map<std::string, NameId> name_ids_;             // look-up only
  absl::flat_hash_map<uint64_t, std::vector<uint32_t>> by_hash_;  // look-up only
};

}  // namespace simulate
