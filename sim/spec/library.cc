#include "sim/spec/library.h"

namespace simulate {
namespace {

LibrarySpec Nccl() {
  LibrarySpec library;
  library.kind = LibraryKind::kNccl;
  // baseLat Ring: LL 6.6, LL128 14, Simple 8.4 us. hwLat NVLink: 0.6 / 1.9 / 3.4 us, of which 0.5 us is the link's.
  // hwLat NET: 5 (Tree LL) / 8.5 / 14 us, of which 2.7 us is InfiniBand's.
  library.protocols[0] = {Microseconds(6.6), Microseconds(0.1), Microseconds(2.3), 1.0, 0.5, 0.38};
  library.protocols[1] = {Microseconds(14.0), Microseconds(1.4), Microseconds(5.8), 1.0, 120.0 / 128.0, 0.92};
  library.protocols[2] = {Microseconds(8.4), Microseconds(2.9), Microseconds(11.3), 2.0, 1.0, 1.0};
  library.nvls_base = Microseconds(25.0);  // hwLat NVLink NVLS
  library.pipeline = MiB(16);
  library.tree_efficiency = 0.92;
  library.copy_share = 0.3;
  library.message_network_share = 0.78;
  return library;
}

}  // namespace

LibrarySpec DefaultLibrary(LibraryKind kind) {
  LibrarySpec library = Nccl();
  library.kind = kind;
  return library;
}

}  // namespace simulate
