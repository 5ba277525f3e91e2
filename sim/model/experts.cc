#include "sim/base/check.h"
#include "sim/model/families.h"

namespace simulate {

Value ExpertFeedForward(LayerBuilder&, const Plan&, const Value&) { SIM_CHECK(false, "not built yet"); return {}; }
Value LatentAttention(LayerBuilder&, const Plan&, const Value&) { SIM_CHECK(false, "not built yet"); return {}; }

}  // namespace simulate
