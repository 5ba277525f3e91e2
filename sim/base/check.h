// SIM_CHECK: an always-on check for our own mistakes (never for bad input).
//
// Bad input is answered with diagnostics (base/diagnostics.h). A failed SIM_CHECK is
// a bug in the simulator: it throws InternalError, which cli/cli.cc turns into exit code 3.
#pragma once

#include <stdexcept>
#include <string>

#include "absl/strings/str_cat.h"

namespace simulate {

class InternalError : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};

[[noreturn]] void FailCheck(const char* file, int line, const char* condition, const std::string& message);

}  // namespace simulate

// SIM_CHECK(used <= capacity, "link ", id, " is oversubscribed");
#define SIM_CHECK(condition, ...)                                                              \
  do {                                                                                         \
    if (!(condition)) [[unlikely]] {                                                           \
      ::simulate::FailCheck(__FILE__, __LINE__, #condition, absl::StrCat("" __VA_OPT__(, ) __VA_ARGS__)); \
    }                                                                                          \
  } while (false)
