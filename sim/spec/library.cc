#include "sim/spec/library.h"

namespace simulate {
namespace {

LibrarySpec Nccl() {
  LibrarySpec library;
  library.kind = LibraryKind::kNccl;
  // baseLat Ring: LL 6.6, LL128 14, Simple 8.4 us. hwLat NVLink: 0.6 / 1.9 / 3.4 us, of which 0.5 us is the link's.
  // hwLat NET: 5 (Tree LL) / 8.5 / 14 us, of which 2.7 us is InfiniBand's.
  library.protocols[0] = {Microseconds(6.6), Microseconds(0.1), Microseconds(4.3), 1.0, 0.5};
  library.protocols[1] = {Microseconds(14.0), Microseconds(1.4), Microseconds(5.8), 1.0, 120.0 / 128.0};
  library.protocols[2] = {Microseconds(8.4), Microseconds(2.9), Microseconds(11.3), 2.0, 1.0};
  library.nvls_base = Microseconds(9.0);    // with 2 us a member 25 us on 8, NCCL's hwLat NVLink NVLS,
  library.nvls_member = Microseconds(2.0);  // and the 184 us of 8 bytes on 2 x 64 GB200
  library.ring_ramp = Microseconds(100.0);
  library.nvls_ramp = Microseconds(7.5);   // 60 us on 8 H100, 550 us on the 72 GB200 of a rack
  library.slice = Bytes(512 << 10);        // NCCL_BUFFSIZE 4 MiB / NCCL_STEPS 8
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
