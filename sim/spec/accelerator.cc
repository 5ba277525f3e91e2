#include "sim/spec/accelerator.h"

namespace simulate {

FlopsPerSecond AcceleratorSpec::Peak(DType type) const {
  switch (type) {
    case DType::kFp32: return peak_fp32;
    case DType::kTf32: return peak_tf32;
    case DType::kFp16: return peak_fp16;
    case DType::kBf16: return peak_bf16;
    case DType::kFp8: return peak_fp8;
    case DType::kInt8: return peak_int8;
    case DType::kFp64:
    case DType::kInt4:
    case DType::kInt64:
    case DType::kBool: return FlopsPerSecond(0);
  }
  return FlopsPerSecond(0);
}

}  // namespace simulate
