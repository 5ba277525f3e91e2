// The names that accelerator files, measurements and execution traces give to kernels and host calls.
#pragma once

#include <array>
#include <utility>

#include "sim/spec/kernel_work.h"

namespace simulate {

inline constexpr std::array<std::pair<const char*, MemoryAccess>, kMemoryAccesses> kAccessNames = {{
    {"elementwise", MemoryAccess::kElementwise}, {"broadcast", MemoryAccess::kBroadcast},
    {"mixed_types", MemoryAccess::kMixedTypes}, {"transpose", MemoryAccess::kTranspose},
    {"row_reduction", MemoryAccess::kRowReduction}, {"row_reduction_backward", MemoryAccess::kRowReductionBackward},
    {"column_reduction", MemoryAccess::kColumnReduction}, {"gather", MemoryAccess::kGather},
    {"scatter_add", MemoryAccess::kScatterAdd}, {"loss", MemoryAccess::kLoss},
    {"multi_tensor", MemoryAccess::kMultiTensor}, {"activation", MemoryAccess::kActivation},
    {"dropout", MemoryAccess::kDropout}, {"strided", MemoryAccess::kStrided},
    {"transpose_inner", MemoryAccess::kTransposeInner}, {"layer_norm", MemoryAccess::kLayerNorm},
    {"softmax", MemoryAccess::kSoftmax}, {"norm_weight_gradient", MemoryAccess::kNormWeightGradient},
    {"optimizer", MemoryAccess::kOptimizer}, {"apex_norm", MemoryAccess::kApexNorm},
    {"apex_norm_backward", MemoryAccess::kApexNormBackward},
    {"apex_norm_weight_gradient", MemoryAccess::kApexNormWeightGradient}}};

inline constexpr std::array<std::pair<const char*, HostCall>, kHostCalls> kHostCallNames = {{
    {"none", HostCall::kNone}, {"inner", HostCall::kInner}, {"operator", HostCall::kOperator},
    {"autograd_node", HostCall::kAutogradNode}, {"cast", HostCall::kCast}, {"view", HostCall::kView},
    {"autograd_view", HostCall::kAutogradView}, {"module", HostCall::kModule}, {"fsdp1_unit", HostCall::kFsdp1Unit},
    {"fsdp2_unit", HostCall::kFsdp2Unit}, {"ddp_hook", HostCall::kDdpHook}, {"collective", HostCall::kCollective}, {"dtensor", HostCall::kDtensor},
    {"compiled", HostCall::kCompiled},
    {"optimizer_step", HostCall::kOptimizerStep}, {"zero_grad", HostCall::kZeroGrad},
    {"iteration", HostCall::kIteration}}};

inline constexpr std::array<const char*, kCalibratedAttentionKernels> kAttentionNames = {"flash", "memory_efficient", "flash2"};

}  // namespace simulate
