#include "sim/parallel/data_parallel.h"
namespace simulate {
std::unique_ptr<DataParallel> MakeZero(Environment& environment) { return MakeFsdp1(environment); }
}  // namespace simulate
