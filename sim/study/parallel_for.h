// Runs independent jobs on a few threads. Which thread runs which job has no influence on any result.
#pragma once

#include <cstddef>
#include <functional>

namespace simulate {

// Calls job(0) .. job(count - 1), each once. The first exception (by index) is thrown again here, after all
// threads have ended. `progress(done, count)` is called under a lock. threads <= 0: one per processor.
void ParallelFor(size_t count, int threads, const std::function<void(size_t)>& job,
                 const std::function<void(size_t, size_t)>& progress = {});

}  // namespace simulate
