#include "sim/base/check.h"

namespace simulate {

void FailCheck(const char* file, int line, const char* condition, const std::string& message) {
  throw InternalError(absl::StrCat(file, ":", line, ": check failed: ", condition,
                                   message.empty() ? "" : ": ", message));
}

}  // namespace simulate
