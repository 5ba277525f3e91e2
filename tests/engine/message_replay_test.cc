// Collectives message by message, held to the closed forms.
#include "sim/engine/message_replay.h"

#include <catch2/catch.hpp>

#include "sim/base/check.h"

namespace simulate {
namespace {

double Microseconds(const MessageOutcome& outcome) {
  return static_cast<double>(outcome.end.picoseconds()) * 1e-6;
}

// A ring all-reduce over n members; member i sends over link i.
MessageSchedule Ring(uint32_t n, double bytes, Seconds latency) {
  MessageSchedule s;
  for (uint32_t i = 0; i < n; ++i) {
    s.channels.push_back({.messages = 2 * (n - 1),
                          .bytes = bytes / n,
                          .latency = latency,
                          .first_link = i,
                          .link_count = 1,
                          .first_dependency = i,
                          .dependency_count = 1});
    s.links.push_back(i);
    s.dependencies.push_back({(i + n - 1) % n, -1});
  }
  return s;
}

TEST_CASE("a ring all-reduce takes 2(n-1) steps of latency and S/n each") {
  // 8 members, 8000 bytes, 1000 bytes per microsecond, 3 us: 14 * (3 + 1).
  const MessageOutcome outcome = ReplayMessages(Ring(8, 8000, Seconds(3e-6)), std::vector<double>(8, 1e9));
  CHECK(Microseconds(outcome) == 56);
  CHECK(outcome.messages == 8 * 14);
}

TEST_CASE("one slow link sets the pace of a ring") {
  // Each of its 14 messages takes 2 us, and every chunk passes it; the last message over it is followed by
  // nothing slower, so the end is at least 14 * 2 and at most one ring trip later.
  std::vector<double> bandwidth(8, 1e9);
  bandwidth[5] = 0.5e9;
  const MessageOutcome outcome = ReplayMessages(Ring(8, 8000, Seconds(0)), bandwidth);
  CHECK(Microseconds(outcome) >= 28);
  CHECK(Microseconds(outcome) <= 28 + 8);
}

TEST_CASE("two rings over the same links take twice as long") {
  MessageSchedule two = Ring(4, 4000, Seconds(0));
  const MessageSchedule other = Ring(4, 4000, Seconds(0));
  for (MessageChannel channel : other.channels) {
    channel.first_dependency += 4;
    two.channels.push_back(channel);
  }
  for (MessageDependency d : other.dependencies) two.dependencies.push_back({d.channel + 4, d.offset});
  CHECK(Microseconds(ReplayMessages(two, std::vector<double>(4, 1e9))) == Approx(12));
}

TEST_CASE("a chain passes chunks on: n-1 hops and then a chunk per step") {
  // 4 hops, 10 chunks of 1 us: the last chunk arrives at 10 + 3.
  MessageSchedule s;
  for (uint32_t hop = 0; hop < 4; ++hop) {
    s.channels.push_back({.messages = 10,
                          .bytes = 1000,
                          .first_link = hop,
                          .link_count = 1,
                          .first_dependency = hop == 0 ? 0 : hop - 1,
                          .dependency_count = hop == 0 ? 0U : 1U});
    s.links.push_back(hop);
    if (hop > 0) s.dependencies.push_back({hop - 1, 0});
  }
  CHECK(Microseconds(ReplayMessages(s, std::vector<double>(4, 1e9))) == Approx(13));
}

TEST_CASE("messages on one link share it and speed up when alone") {
  // 3000 and 1000 bytes from the start: half speed until 2 us, then 2000 bytes alone: 4 us.
  MessageSchedule s;
  s.channels.push_back({.messages = 1, .bytes = 3000, .first_link = 0, .link_count = 1});
  s.channels.push_back({.messages = 1, .bytes = 1000, .first_link = 0, .link_count = 1});
  s.links = {0};
  CHECK(Microseconds(ReplayMessages(s, std::vector<double>{1e9})) == Approx(4));
}

TEST_CASE("a message is on its way while the next one leaves") {
  // 10 messages of 1 us, each 5 us on the way: the last arrives at 10 + 5.
  MessageSchedule s;
  s.channels.push_back({.messages = 10, .bytes = 1000, .latency = Seconds(5e-6), .first_link = 0, .link_count = 1});
  s.links = {0};
  CHECK(Microseconds(ReplayMessages(s, std::vector<double>{1e9})) == Approx(15));
  // The same where another channel shares the link: 20 us of bytes on it.
  s.channels.push_back(s.channels[0]);
  CHECK(Microseconds(ReplayMessages(s, std::vector<double>{1e9})) == Approx(25));
}

TEST_CASE("a whole chunk is waited for where phases divide it differently") {
  // 2 chunks of 3 messages of 1 us; the second phase passes each chunk on as 2 messages of 1 us: 3 + 2, 6 + 2.
  MessageSchedule s;
  s.channels.push_back({.messages = 6, .bytes = 1000, .first_link = 0, .link_count = 1});
  s.channels.push_back({.messages = 4, .bytes = 1000, .first_link = 1, .link_count = 1, .first_dependency = 0, .dependency_count = 1});
  s.links = {0, 1};
  s.dependencies = {{0, 2, 2, 3}};
  CHECK(Microseconds(ReplayMessages(s, std::vector<double>(2, 1e9))) == Approx(8));
}

TEST_CASE("a channel without links only waits, and its messages do not count") {
  MessageSchedule s;
  s.channels.push_back({.messages = 1, .bytes = 1000, .first_link = 0, .link_count = 1});
  s.channels.push_back({.messages = 1, .bytes = 3000, .first_link = 1, .link_count = 1});
  s.channels.push_back({.messages = 1, .first_dependency = 0, .dependency_count = 2});
  s.channels.push_back({.messages = 1, .bytes = 1000, .first_link = 2, .link_count = 1, .first_dependency = 2, .dependency_count = 1});
  s.links = {0, 1, 2};
  s.dependencies = {{0, 0}, {1, 0}, {2, 0}};
  const MessageOutcome outcome = ReplayMessages(s, std::vector<double>(3, 1e9));
  CHECK(Microseconds(outcome) == Approx(4));
  CHECK(outcome.messages == 3);
}

TEST_CASE("messages that wait for each other are our bug") {
  MessageSchedule s;
  s.channels.push_back(
      {.messages = 1, .bytes = 1, .link_count = 1, .first_dependency = 0, .dependency_count = 1});
  s.links = {0};
  s.dependencies = {{0, 0}};
  CHECK_THROWS_AS(ReplayMessages(s, std::vector<double>{1e9}), InternalError);
}

}  // namespace
}  // namespace simulate
