// Number formats, by the names used in YAML files.
#pragma once

#include <cstdint>

#include "sim/base/units.h"

namespace simulate {

enum class DType : uint8_t { kFp64, kFp32, kTf32, kFp16, kBf16, kFp8, kInt8, kInt4, kInt64, kBool };

// Bytes that `count` elements take in memory (tf32 is stored as fp32; int4 packs two in a byte).
[[nodiscard]] constexpr Bytes SizeOf(DType type, int64_t count) {
  switch (type) {
    case DType::kFp64:
    case DType::kInt64: return Bytes(8 * count);
    case DType::kFp32:
    case DType::kTf32: return Bytes(4 * count);
    case DType::kFp16:
    case DType::kBf16: return Bytes(2 * count);
    case DType::kFp8:
    case DType::kInt8:
    case DType::kBool: return Bytes(count);
    case DType::kInt4: return Bytes(DivCeil(count, int64_t{2}));
  }
  return Bytes(0);
}

[[nodiscard]] constexpr const char* Name(DType type) {
  switch (type) {
    case DType::kFp64: return "fp64";
    case DType::kFp32: return "fp32";
    case DType::kTf32: return "tf32";
    case DType::kFp16: return "fp16";
    case DType::kBf16: return "bf16";
    case DType::kFp8: return "fp8";
    case DType::kInt8: return "int8";
    case DType::kInt4: return "int4";
    case DType::kInt64: return "int64";
    case DType::kBool: return "bool";
  }
  return "";
}

}  // namespace simulate
