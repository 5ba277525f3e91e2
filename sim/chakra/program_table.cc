#include "sim/chakra/program_table.h"

#include <tuple>

namespace simulate {
namespace {

auto Fields(const Instruction& i) {
  return std::tuple(i.kind, i.stream, i.phase, i.host, i.object, i.first_wait, i.wait_count, i.host_count, i.name, i.layer);
}

uint64_t Mix(uint64_t h, uint64_t value) {
  h = (h ^ value) * 0x9E3779B97F4A7C15ULL;
  return h ^ (h >> 29);
}

uint64_t HashOf(const RankProgram& code) {
  uint64_t h = code.waits.size();
  for (const Instruction& i : code.instructions) {
    h = Mix(h, (uint64_t{i.object} << 32) ^ (static_cast<uint64_t>(i.kind) << 16) ^ i.stream);
    h = Mix(h, (uint64_t{i.first_wait} << 32) ^ i.name);
  }
  for (const uint32_t wait : code.waits) h = Mix(h, wait);
  return h;
}

bool Equal(const RankProgram& a, const RankProgram& b) {
  if (a.waits != b.waits || a.instructions.size() != b.instructions.size()) return false;
  for (size_t i = 0; i < a.instructions.size(); ++i) {
    if (Fields(a.instructions[i]) != Fields(b.instructions[i])) return false;
  }
  return true;
}

}  // namespace

NameId ProgramTable::Intern(const std::string& name) {
  const auto [found, added] = name_ids_.try_emplace(name, static_cast<NameId>(names_.size()));
  if (added) names_.push_back(name);
  return found->second;
}

uint32_t ProgramTable::Add(RankProgram code, ProgramSource source) {
  std::vector<uint32_t>& same = by_hash_[HashOf(code)];
  for (const uint32_t known : same) {
    if (Equal(programs_[known], code)) return known;
  }
  same.push_back(static_cast<uint32_t>(programs_.size()));
  programs_.push_back(std::move(code));
  sources_.push_back(std::move(source));
  return same.back();
}

void ProgramTable::MoveInto(Program& program) {
  program.names = std::move(names_);
  if (program.names.empty()) program.names.emplace_back();
  program.programs = std::move(programs_);
}

}  // namespace simulate
