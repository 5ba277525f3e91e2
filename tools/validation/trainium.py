"""AWS Neuron's training tables: Llama and GPT-3 on trn1.32xlarge."""

import re

from common import LLAMA, Accumulation, CheckRanks, Int, Llama, Model
from table import Row, Table

CORES = 32  # NeuronCores of a trn1.32xlarge
GPT3 = {  # layers, hidden, heads; 23B and 46B from the printed compute cost, 72 l h^2 s + 12 l h s^2 a sequence
    "GPT3-6.7B": (32, 4096, 32), "GPT3-23B": (28, 8192, 64), "GPT3-46B": (56, 8192, 64), "GPT3-175B": (96, 12288, 96)}
LLAMAS = {"Llama2-7B": "llama-2-7b", "Llama2-13B": "llama-2-13b", "Llama2-70B": "llama-2-70b",
          "Llama-3.1-8B": "llama-3-8b", "Llama-3.1-70B": "llama-3-70b"}


def NeuronModel(name, seq):
    if name in LLAMAS:
        return Llama(LLAMAS[name])
    layers, hidden, heads = GPT3[name]
    return Model("gpt2", name=name.lower(), hidden_size=hidden, num_hidden_layers=layers, num_attention_heads=heads,
                 num_key_value_heads=heads, intermediate_size=4 * hidden, vocab_size=50304 if name != "GPT3-175B" else 51200,
                 max_position_embeddings=seq)


def Exclusion(row, name):
    if name not in LLAMAS and name not in GPT3:
        return "neither a GPT nor a Llama (BERT, ViT, CLIP, Perceiver)"
    if "INCONSISTENT" in row["notes"]:
        return "inconsistent as printed: TP x DP x PP is not the number of cores"
    if "SUSPECT" in row["notes"]:
        return "suspect topology: the same value is printed with a pipeline elsewhere"
    return ""


def NeuronRow(row):
    name = row["model"].split(" ")[0]
    exclude = Exclusion(row, name)
    rate = float(row["value"])
    sdk = re.search(r"Neuron SDK ([\d.]+)", row["notes"])
    notes = [f"{row['value']} sequences/s", row["precision"], f"SDK {sdk.group(1)}" if sdk else ""]
    source = row["citation"].split(";")[0]
    if exclude:
        return Row(row["id"], {}, {}, "; ".join(filter(None, [row["model"]] + notes)), exclude, source)
    cores = Int(row, "nodes") * CORES
    llama = name in LLAMAS
    seq = Int(row, "seq", 2048)
    notes += [] if row["seq"] else ["sequence length not printed: 2048, as in the source's other GPT-3 rows"]
    CheckRanks(dict(row, gpus=cores), tp=Int(row, "tp"), dp=Int(row, "dp"), pp=Int(row, "pp"))
    settings = NeuronModel(name, seq)
    settings.update({
        "cluster.hardware": "aws-trn1", "cluster.gpus": cores, "training.micro_batch_size": row["micro_batch"],
        "training.gradient_accumulation_steps": Accumulation(row), "training.sequence_length": seq,
        "training.precision": "bf16_mixed" if "FP32Optimizer" in row["precision"] else "bf16",
        "training.activation_checkpointing": "selective" if llama else "full",
        "training.attention": "flash" if name.startswith("Llama-3") else "eager",
        "training.dropout": 0, "training.optimizer": "adamw", "training.clip_grad_norm": True,
        "training.runtime": "neuron",
        "parallelism.data.strategy": "zero1" if llama else "ddp", "parallelism.tensor": row["tp"],
        "parallelism.sequence_parallel": True, "parallelism.pipeline.stages": row["pp"]})
    return Row(row["id"], settings, {"step_time_s": Int(row, "global_batch") / rate}, "; ".join(filter(None, notes)), "",
               source)


def Tables(source):
    rows = [NeuronRow(row) for row in source.Published("trainium_runs")]
    return [Table("trainium", "AWS Neuron's tables: Llama and GPT-3 on trn1.32xlarge",
                  "aws-neuron/aws-neuron-sdk benchmark tables, general/benchmarks/trn1", """\
Pre-training on trn1.32xlarge (the source lists trn1n beside it and does not say which was used).
cluster.gpus counts NeuronCores, 32 an instance, as the source's TP, DP and PP do.
step time = global batch / (sequences per second). BF16+SR: everything in bf16 with stochastic rounding.
Recomputation is not printed: selective for Llama with ZeRO-1 and sequence parallelism, as neuronx-distributed's tutorials
for these models have it; full for GPT-3 as in neuronx-nemo-megatron's examples. Presumed, and worth up to a third.
Attention is not printed either: the same tutorials use the fused kernel for Llama 3 (use_flash_attention in
tp_zero1_llama3_8B_hf_pretrain.sh and run_llama3_70B_tp_pp.sh since July 2024) and not for Llama 2.""",
                  rows, {"cluster.hardware": "trn1.32xlarge, 32 NeuronCores each"}, "20%")]
