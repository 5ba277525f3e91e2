// Folding: who is alike, and that simulating one of each kind changes nothing.
#include "sim/engine/fold.h"

#include <catch2/catch.hpp>

#include "sim/engine/simulate_ranks.h"
#include "tests/engine/random_program.h"

namespace simulate {
namespace {

void CheckSame(const Timeline& folded, const Timeline& unfolded) {
  CHECK(folded.end == unfolded.end);
  CHECK(folded.entry_of_rank == unfolded.entry_of_rank);
  REQUIRE(folded.ranks.size() == unfolded.ranks.size());
  for (size_t r = 0; r < folded.ranks.size(); ++r) {
    const RankTimeline& a = folded.ranks[r];
    const RankTimeline& b = unfolded.ranks[r];
    CHECK(a.rank == b.rank);
    CHECK(a.weight == b.weight);
    CHECK(a.end == b.end);
    CHECK(a.host_end == b.host_end);
    CHECK(a.memory.peak_reserved == b.memory.peak_reserved);
    CHECK(a.memory.peak_allocated == b.memory.peak_allocated);
    REQUIRE(a.spans.size() == b.spans.size());
    bool same = true;
    for (size_t s = 0; s < a.spans.size(); ++s) {
      const Span &x = a.spans[s], &y = b.spans[s];
      same = same && x.instruction == y.instruction && x.enqueued == y.enqueued && x.ready == y.ready &&
             x.start == y.start && x.end == y.end && x.alone == y.alone;
    }
    CHECK(same);
  }
  REQUIRE(folded.links.size() == unfolded.links.size());
  for (size_t l = 0; l < folded.links.size(); ++l) {
    CHECK(folded.links[l].link == unfolded.links[l].link);
    CHECK(folded.links[l].bytes == Approx(unfolded.links[l].bytes).epsilon(1e-12));
  }
}

TEST_CASE("folded and unfolded runs are identical") {
  for (uint64_t seed = 0; seed < 150; ++seed) {
    INFO("seed " << seed);
    const Program program = RandomProgram(seed);
    const FakeCosts costs = RandomCosts(seed);
    CheckSame(RunWith(costs, program), RunWith(costs, program, {.unfold = true}));
  }
}

TEST_CASE("they are identical with stragglers, too") {
  for (uint64_t seed = 0; seed < 150; ++seed) {
    INFO("seed " << seed);
    const Program program = RandomProgram(seed);
    const FakeCosts costs = RandomCosts(seed);
    Random random(seed, 3);
    RunOptions options;
    for (uint64_t n = 0; n <= random.Below(2); ++n) {
      const auto rank = static_cast<RankId>(random.Below(program.world_size()));
      options.slow_ranks.push_back({rank, 0.5 + 0.1 * static_cast<double>(random.Below(5))});
    }
    const Timeline folded = RunWith(costs, program, options);
    options.unfold = true;
    CheckSame(folded, RunWith(costs, program, options));
  }
}

// `tensor` x `data` ranks that gather over data and reduce over tensor.
Program TwoLevels(uint32_t tensor, uint32_t data) {
  ProgramBuilder program;
  const StreamId stream = program.AddStream("network", StreamKind::kCommunication);
  std::vector<std::vector<RankId>> rows(data), columns(tensor);
  for (uint32_t r = 0; r < tensor * data; ++r) {
    rows[r / tensor].push_back(r);
    columns[r % tensor].push_back(r);
  }
  const CommunicatorId tp = program.AddCommunicator("tensor", rows);
  const CommunicatorId dp = program.AddCommunicator("data", columns);
  RankProgramBuilder rank(program);
  rank.BeginStep();
  rank.Collective(stream, "reduce", {.communicator = tp, .bytes = Bytes(1000)});
  rank.Collective(stream, "gather", {.communicator = dp, .bytes = Bytes(1000)});
  const uint32_t index = program.AddRankProgram(std::move(rank).Build());
  program.AssignRanks(std::vector<uint32_t>(tensor * data, index));
  return std::move(program).Build();
}

size_t Classes(const Program& program, const FakeCosts& costs, const std::vector<double>& compute) {
  return Fold(program, MembershipsOf(program), costs, compute).classes.size();
}

TEST_CASE("equal ranks in equal places are one class") {
  const Program program = TwoLevels(8, 16);
  CHECK(Classes(program, FakeCosts{}, std::vector<double>(128, 1.0)) == 1);
}

TEST_CASE("a straggler unfolds those whom it touches differently") {
  const Program program = TwoLevels(8, 16);
  std::vector<double> compute(128, 1.0);
  compute[3] = 0.8;
  // The straggler; its tensor group (and node); its data group; everyone else.
  CHECK(Classes(program, FakeCosts{}, compute) == 4);
}

TEST_CASE("a slow link slows those who use it, when told that links differ") {
  // Pairs of ranks, each reducing 1000 bytes (1 us); the link of rank 5 has half its bandwidth. Placement
  // cannot tell, so nothing is folded: ranks 4 and 5 take 2 us, the others 1.
  const Program program = TwoLevels(2, 4);
  FakeCosts costs;
  costs.link_scale[5] = 0.5;
  const Timeline timeline = RunWith(costs, program, {.asymmetric = true});
  CHECK(timeline.stats.simulated_ranks == 8);
  REQUIRE(timeline.ranks.size() > 1);
  for (RankId r = 0; r < 8; ++r) {
    const RankTimeline& entry = timeline.ranks[timeline.entry_of_rank[r]];
    REQUIRE(entry.spans.size() == 2);
    CHECK(entry.spans[0].end.picoseconds() == (r / 2 == 2 ? 2000000 : 1000000));
  }
  CHECK(timeline.ranks.size() < 8);  // those that fared alike share an entry
}

TEST_CASE("weights count every rank once and the copies of a group every group") {
  const Program program = TwoLevels(4, 8);
  std::vector<double> compute(32, 1.0);
  compute[9] = 0.5;
  const Folding folding = Fold(program, MembershipsOf(program), FakeCosts{}, compute);
  uint32_t ranks = 0;
  for (const RankClass& c : folding.classes) ranks += c.weight;
  CHECK(ranks == 32);
  size_t groups = 0;
  for (const GroupClass& g : folding.groups) groups += g.copies.size();
  CHECK(groups == 8 + 4);
}

TEST_CASE("groups that are placed differently are not alike") {
  // Nodes of 3: tensor groups of 2 lie within a node or across two.
  FakeCosts costs;
  costs.per_node = 3;
  CHECK(Classes(TwoLevels(2, 6), costs, std::vector<double>(12, 1.0)) > 1);
}

}  // namespace
}  // namespace simulate
