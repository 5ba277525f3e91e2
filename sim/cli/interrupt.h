// Ctrl-C and its relatives (SIGINT, SIGTERM, SIGHUP), so that nothing half-written stays behind.
//
// Ordinarily a signal removes the temporary file that is being written (study/write_file.h) and ends the program with
// exit code 128 + signal, 130 for Ctrl-C. While a StopOnInterrupt lives the first signal only asks to stop, so that a
// sweep can keep what it has; the second ends the program.
#pragma once

namespace simulate {

void HandleInterrupts();  // once, at the start

class StopOnInterrupt {
 public:
  StopOnInterrupt();
  ~StopOnInterrupt();
  StopOnInterrupt(const StopOnInterrupt&) = delete;
  StopOnInterrupt& operator=(const StopOnInterrupt&) = delete;
  [[nodiscard]] static bool Asked();
  [[nodiscard]] static int ExitCode();  // REQUIRES: Asked()
};

}  // namespace simulate
