// Playing schedules in time, and finding zero-bubble schedules by list scheduling.
#pragma once

#include "sim/parallel/schedule.h"

namespace simulate {

// ZB-V: every stage, whenever it is free, takes the first that is possible of: the oldest backward (B), a forward if
// its memory limit allows, a delayed weight gradient (W). Unit times F = B = W.
[[nodiscard]] std::vector<StageSchedule> SearchSchedule(const PipelineShape& shape);

}  // namespace simulate
