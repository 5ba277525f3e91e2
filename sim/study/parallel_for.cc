#include "sim/study/parallel_for.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace simulate {

void ParallelFor(size_t count, int threads, const std::function<void(size_t)>& job,
                 const std::function<void(size_t, size_t)>& progress) {
  const unsigned processors = std::max(1U, std::thread::hardware_concurrency());
  const size_t workers = std::min(count, threads > 0 ? static_cast<size_t>(threads) : processors);
  std::vector<std::exception_ptr> failed(count);
  std::atomic<size_t> next{0};
  std::mutex mutex;
  size_t done = 0;
  const auto work = [&] {
    for (size_t i = next++; i < count; i = next++) {
      try {
        job(i);
      } catch (...) {
        failed[i] = std::current_exception();
      }
      const std::lock_guard lock(mutex);
      ++done;
      if (progress) progress(done, count);
    }
  };
  std::vector<std::thread> pool;
  for (size_t w = 1; w < workers; ++w) pool.emplace_back(work);
  work();
  for (std::thread& thread : pool) thread.join();
  for (const std::exception_ptr& error : failed) {
    if (error) std::rethrow_exception(error);
  }
}

}  // namespace simulate
