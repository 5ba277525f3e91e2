#include "sim/cli/interrupt.h"

#include <unistd.h>

#include <atomic>
#include <csignal>

#include "sim/study/write_file.h"

namespace simulate {
namespace {

// What a signal handler may read: flags without locks.
std::atomic<bool> stop_instead{false};
std::atomic<int> asked_by{0};

void OnSignal(int signal) {
  if (stop_instead.load() && asked_by.exchange(signal) == 0) {
    constexpr char kSaid[] = "\nstopping when the points that are running are done; once more stops at once\n";
    if (isatty(STDERR_FILENO) != 0) (void)!::write(STDERR_FILENO, kSaid, sizeof kSaid - 1);
    return;
  }
  if (const char* half = FileBeingWritten(); half != nullptr) ::unlink(half);
  ::_exit(128 + signal);
}

}  // namespace

void HandleInterrupts() {
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    struct sigaction now {};
    ::sigaction(signal, nullptr, &now);
    if (now.sa_handler == SIG_IGN) continue;  // nohup, or a job in the background of a script
    struct sigaction action {};
    action.sa_handler = OnSignal;
    ::sigemptyset(&action.sa_mask);
    action.sa_flags = SA_RESTART;
    ::sigaction(signal, &action, nullptr);
  }
}

StopOnInterrupt::StopOnInterrupt() {
  asked_by = 0;
  stop_instead = true;
}
StopOnInterrupt::~StopOnInterrupt() { stop_instead = false; }
bool StopOnInterrupt::Asked() { return asked_by.load() != 0; }
int StopOnInterrupt::ExitCode() { return 128 + asked_by.load(); }

}  // namespace simulate
