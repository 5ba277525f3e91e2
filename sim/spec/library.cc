#include "sim/spec/library.h"

namespace simulate {
namespace {

LibrarySpec Nccl() {
  LibrarySpec library;
  library.kind = LibraryKind::kNccl;
  // baseLat Ring: LL 6.6, LL128 14, Simple 8.4 us. hwLat NVLink: 0.6 / 1.9 / 3.4 us, of which 0.5 us is the link's.
  // hwLat NET: 5 (Tree LL) / 8.5 / 14 us, of which 2.7 us is InfiniBand's; LL's 2.3 us above it became 4.3 us by the
  // 8-byte all-reduces on two nodes: 28 us on A100, 36 us on B200 (dstack, vultr). Simple pays the network's latency
  // twice: data, then the flush that makes it visible (tuning.cc doubles net latency for Simple).
  library.protocols[0] = {Microseconds(6.6), Microseconds(0.1), Microseconds(4.3), 1.0, 0.5};
  library.protocols[1] = {Microseconds(14.0), Microseconds(1.4), Microseconds(5.8), 1.0, 120.0 / 128.0};
  library.protocols[2] = {Microseconds(8.4), Microseconds(2.9), Microseconds(11.3), 2.0, 1.0};
  library.nvls_base = Microseconds(9.0);    // with 2 us a member 25 us on 8, NCCL's hwLat NVLink NVLS,
  library.nvls_member = Microseconds(2.0);  // and the 184 us of 8 bytes on 2 x 64 GB200
  library.ring_ramp = Microseconds(100.0);  // fit: own 2 H200, 8 A100 (galvatron), 8 B200 (vultr) above 16 MiB
  library.nvls_ramp = Microseconds(7.5);   // 60 us on 8 H100, 550 us on the 72 GB200 of a rack
  library.slice = Bytes(512 << 10);        // NCCL_BUFFSIZE 4 MiB / NCCL_STEPS 8
  library.communicator_memory = Bytes(688 << 20);  // A100, NVLink (NVIDIA/nccl#964),
  library.pair_memory = Bytes(544 << 20);          // where a pair takes so much; own 2 H200 under NCCL 2.28: 484
  library.copy_share = 0.3;                // fit: all-to-all of 2 and 4 A100 466 GB/s, all-gather of 2 H200 1.4 TB/s
  library.message_network_share = 0.78;    // all-to-all of 32: 24 GB/s on 8 x 200 Gb/s, 48 on 8 x 400 (NVIDIA GTC25)
  return library;
}

// Neuron's collectives run on their own cores and DMA engines: no protocols. An all-gather of 1 KiB over 32 ranks of
// an instance takes 6.2 us on the device, a hop 1 to 2 us inside and about 15 us between instances
// (aws-neuron/aws-neuron-sdk@81ce03a: nccom-test examples, intranode- and internode-collective-comm.rst).
LibrarySpec Neuron() {
  LibrarySpec library;
  library.kind = LibraryKind::kNeuron;
  library.protocols[2].base = Microseconds(3.0);
  library.channels = 16;
  library.message_network_share = 0.78;  // as NCCL's
  return library;
}

}  // namespace

LibrarySpec DefaultLibrary(LibraryKind kind) {
  if (kind == LibraryKind::kNeuron) return Neuron();
  LibrarySpec library = Nccl();
  library.kind = kind;
  return library;
}

}  // namespace simulate
