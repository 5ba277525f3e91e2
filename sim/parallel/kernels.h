// Work that the framework launches beside the model: copies, casts, sums.
#pragma once

#include "sim/spec/kernel_work.h"

namespace simulate {

[[nodiscard]] inline KernelWork MemoryWork(MemoryAccess access, DType widest, int64_t elements, Bytes read,
                                           Bytes written) {
  KernelWork work;
  work.kind = KernelKind::kMemory;
  work.dtype = widest;
  work.access = access;
  work.rows = 1;
  work.columns = elements;
  work.read = read;
  work.written = written;
  return work;
}

[[nodiscard]] inline DType Widest(DType a, DType b) { return SizeOf(a, 8) < SizeOf(b, 8) ? b : a; }

// dst = src, cast where the types differ; dst *= factor where they are one. Widening is not vectorised.
[[nodiscard]] inline KernelWork CopyWork(int64_t elements, DType destination, DType source,
                                         MemoryAccess access = MemoryAccess::kElementwise) {
  const bool widens = SizeOf(source, 8) < SizeOf(destination, 8);
  return MemoryWork(widens && access == MemoryAccess::kElementwise ? MemoryAccess::kMixedTypes : access,
                    Widest(destination, source), elements, SizeOf(source, elements), SizeOf(destination, elements));
}

// dst += src
[[nodiscard]] inline KernelWork AddWork(int64_t elements, DType destination, DType source) {
  return MemoryWork(destination == source ? MemoryAccess::kElementwise : MemoryAccess::kMixedTypes,
                    Widest(destination, source), elements,
                    SizeOf(source, elements) + SizeOf(destination, elements), SizeOf(destination, elements));
}

}  // namespace simulate
