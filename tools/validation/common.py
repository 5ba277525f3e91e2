"""What the sources share: reading the reference tables, precisions, models, counts."""

import csv

# Precisions that no preset of the scenario format names.
# FSDP MixedPrecision with reduce_dtype fp32 (Composer's mixed_precision: DEFAULT; fully_shard with reduce_dtype=fp32).
FSDP_FP32_REDUCE = "{preset: bf16_mixed, gradient_reduction: fp32}"
# Megatron-LM --bf16: gradients are accumulated and all-reduced in fp32 (megatron/training/arguments.py turns on
# accumulate_allreduce_grads_in_fp32).
MEGATRON_BF16 = "{preset: bf16_mixed, gradients: fp32, gradient_reduction: fp32}"
# NeMo's performance recipes (grad_reduce_in_fp32: false; distributed_fused_adam with grad_sync_dtype bf16) and Aleph
# Alpha's library.
BF16_GRADIENTS = "{preset: bf16_mixed, gradients: bf16}"
# Megatron-LM of 2022 under fp16: 18 bytes a parameter (2 weight, 4 main gradient, 12 master weight and Adam).
MEGATRON_FP16 = "{preset: fp16_mixed, gradients: fp32, gradient_reduction: fp32}"

GIB = 2**30
GB = 10**9


class Source:
    """The reference folder."""

    def __init__(self, folder):
        self.folder = folder

    def Read(self, name):
        with open(self.folder / name, encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))

    def Published(self, name):
        return self.Read(f"published/{name}.csv")


def Int(row, key, default=None):
    return int(float(row[key])) if row[key] != "" else default


def Accumulation(row, dp=None):
    """Micro-steps per optimizer step; refuses a batch that does not divide."""
    dp = dp or Int(row, "dp")
    per_step = Int(row, "micro_batch") * dp
    batch = Int(row, "global_batch")
    if batch % per_step:
        raise ValueError(f"{row['id']}: global batch {batch} is not a multiple of {per_step}")
    steps = batch // per_step
    if row["grad_accum"] and Int(row, "grad_accum") != steps:
        raise ValueError(f"{row['id']}: {row['grad_accum']} micro-steps printed, {steps} derived")
    return steps


def CheckRanks(row, **degrees):
    product = 1
    for degree in degrees.values():
        product *= degree
    if product != Int(row, "gpus"):
        raise ValueError(f"{row['id']}: {degrees} is {product} ranks, not {row['gpus']}")


def Model(family, **keys):
    settings = {"model.model_type": family}
    settings.update({f"model.{key}": value for key, value in keys.items()})
    return settings


def ModelOf(row, family, **more):
    """The columns of a published row as model keys."""
    keys = {"hidden_size": row["hidden"], "num_hidden_layers": row["layers"], "num_attention_heads": row["heads"],
            "num_key_value_heads": row["kv_heads"] or row["heads"], "intermediate_size": row["ffn"],
            "vocab_size": row["vocab"]}
    keys.update(more)
    return Model(family, **keys)


def PaddedVocabulary(vocab, tensor):
    """Megatron's --make-vocab-size-divisible-by 128, times the tensor-parallel size."""
    multiple = 128 * tensor
    return -(-vocab // multiple) * multiple


LLAMA2_VOCAB = 32000
LLAMA = {  # Meta's config.json files: layers, hidden, heads, kv heads, intermediate, vocabulary
    "llama-2-7b": (32, 4096, 32, 32, 11008, LLAMA2_VOCAB),
    "llama-2-13b": (40, 5120, 40, 40, 13824, LLAMA2_VOCAB),
    "llama-2-70b": (80, 8192, 64, 8, 28672, LLAMA2_VOCAB),
    "llama-3-8b": (32, 4096, 32, 8, 14336, 128256),
    "llama-3-70b": (80, 8192, 64, 8, 28672, 128256),
}


def Llama(name, **more):
    layers, hidden, heads, kv_heads, ffn, vocab = LLAMA[name]
    return Model("llama", name=name, hidden_size=hidden, num_hidden_layers=layers, num_attention_heads=heads,
                 num_key_value_heads=kv_heads, intermediate_size=ffn, vocab_size=vocab, **more)
