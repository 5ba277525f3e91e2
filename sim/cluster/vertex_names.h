// How the kinds of vertices are called in pictures and listings.
#pragma once

#include "sim/cluster/topology.h"

namespace simulate {

[[nodiscard]] constexpr const char* Name(VertexKind kind) {
  switch (kind) {
    case VertexKind::kAccelerator: return "accelerator";
    case VertexKind::kSwitch: return "switch";
    case VertexKind::kNic: return "NIC";
    case VertexKind::kHost: return "host";
  }
  return "";
}

}  // namespace simulate
