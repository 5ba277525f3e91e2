#include "sim/collective/timing.h"

namespace simulate {

Seconds ChainTime(const Chain& chain, const ProtocolSpec& protocol, Seconds slice) {
  return chain.scale_up_hops * protocol.scale_up_hop + chain.scale_up_latency +
         chain.network_hops * (protocol.network_hop + slice) + chain.network_latency * protocol.network_latency_factor;
}

Seconds ExposedChain(Seconds chain, Seconds transfer) {
  if (chain.value() <= 0.0) return Seconds();
  return chain * (2.0 * chain.value() / (2.0 * chain.value() + transfer.value()));
}

Seconds Ramp(Seconds full, Seconds transfer) {
  if (full.value() <= 0.0) return Seconds();
  return full * (transfer.value() / (full.value() + transfer.value()));
}

}  // namespace simulate
