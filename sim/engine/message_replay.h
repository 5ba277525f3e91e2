// A collective, message by message: every step of a ring or a tree is a flow of its own.
//
// A message's bytes flow at a max-min fair share of the links on its route; it arrives its latency after they have
// left, while the channel already sends the next. The closed forms of collective/ must come out where nothing is
// shared: a ring all-reduce of S over n members takes 2(n-1) * (latency + S/n / bandwidth).
//
// A channel sends one message at a time, so a link that only one channel uses is never shared: it only
// limits the channel's speed and is not looked at again. Only the other links take part in the sharing.
// Cost where nothing is shared: O(1) per message, one event.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sim/base/sim_time.h"
#include "sim/collective/messages.h"

namespace simulate {

struct MessageOutcome {
  SimTime end;
  uint64_t messages = 0;
  uint64_t events = 0;
};

// `bandwidth[link]` of the topology. Throws InternalError if messages wait for each other in a circle.
[[nodiscard]] MessageOutcome ReplayMessages(const MessageSchedule& schedule,
                                            std::span<const double> bandwidth);

}  // namespace simulate
