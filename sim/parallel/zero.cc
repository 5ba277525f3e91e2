#include "sim/parallel/data_parallel.h"
namespace simulate {
std::unique_ptr<DataParallel> MakeZero(Environment& environment) { return MakeFsdp1(environment); }
std::unique_ptr<DataParallel> MakeMegatron(Environment& environment) { return MakeReplicated(environment); }
}  // namespace simulate
