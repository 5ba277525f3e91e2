"""The project's own measurements on one and two GPUs: measured/training_steps.csv, and measured_variants.csv beside this."""

import csv
import pathlib

from common import FSDP_FP32_REDUCE, Model
from table import Row, Table

SOURCE = "measured for this project, PyTorch 2.11, CUDA 13, NCCL 2.28.9, eager, fused AdamW"
ABOUT = """\
{what}
Whole optimizer steps, median time, and the allocator's peaks. Models: GPT (separate q, k, v; biases, LayerNorm, GELU,
learned positions) and Llama (RMSNorm, SwiGLU, no rotary) with untied heads and the loss in fp32."""
HARDWARE = {"h100": "dgx-h100", "h200": "hgx-h200"}
SHAPES = {  # layers, hidden, heads, kv heads, intermediate, vocabulary
    "gpt-125m": (12, 768, 12, 12, 3072, 50304), "gpt-350m": (24, 1024, 16, 16, 4096, 50304),
    "gpt-1.3b": (24, 2048, 16, 16, 8192, 50304), "gpt-2.7b": (32, 2560, 20, 20, 10240, 50304),
    "gpt-6.7b": (32, 4096, 32, 32, 16384, 50304), "llama-1b": (16, 2048, 32, 8, 8192, 128256),
    "llama-3b": (28, 3072, 24, 8, 8192, 128256), "llama-8b": (32, 4096, 32, 8, 14336, 128256)}
T5 = {  # layers, d_model, heads, d_kv, d_ff: Hugging Face's t5-large, t5-3b, t5-11b
    "t5-large": (24, 1024, 16, 64, 4096), "t5-3b": (24, 1024, 32, 128, 16384), "t5-11b": (24, 1024, 128, 128, 65536)}
PRECISION = {"bf16": "bf16", "autocast": "bf16_autocast", "mixed": "bf16_mixed", "fp32": "bf16_mixed"}


def DecoderModel(row, shapes=None):
    layers, hidden, heads, kv_heads, ffn, vocab = (shapes or SHAPES)[row["model"]]
    keys = dict(name=row["model"], hidden_size=hidden, num_hidden_layers=layers, num_attention_heads=heads,
                num_key_value_heads=kv_heads, intermediate_size=ffn, vocab_size=vocab, fused_qkv=False,
                tie_word_embeddings=False)
    if row["model"].startswith("llama"):
        return Model("llama", positions="none", **keys)
    return Model("gpt2", max_position_embeddings=row["S"], hidden_act="gelu", **keys)


def T5Model(name):
    layers, d_model, heads, d_kv, d_ff = T5[name]
    return Model("t5", name=name, d_model=d_model, num_layers=layers, num_decoder_layers=layers, num_heads=heads,
                 d_kv=d_kv, d_ff=d_ff, vocab_size=32128)


def Layout(row):
    """Data, tensor or pipeline parallelism, as the strategy column names it."""
    strategy = row["strategy"]
    if strategy.startswith("fsdp"):
        shard_grad_op = row["sharding"] == "SHARD_GRAD_OP"
        return {"parallelism.data.strategy": "fsdp", "parallelism.data.version": strategy[-1],
                "parallelism.data.sharding": "shard_grad_op" if shard_grad_op else "full_shard"}
    if strategy == "ddp":
        return {"parallelism.data.strategy": "ddp"}
    if strategy == "tp2":
        return {"parallelism.tensor": 2, "parallelism.vocabulary_parallel": False}
    if strategy.startswith("pp2_"):
        return {"parallelism.pipeline.stages": 2, "parallelism.pipeline.schedule": strategy[4:],
                "parallelism.vocabulary_parallel": False}
    return {}


def Identity(row):
    parts = [row["device"], row["strategy"], row["model"]]
    parts += [f"b{row['B']}"] if row["B"] else [f"mb{row['mb']}x{row['n_mb']}"]
    parts += [f"s{row['S']}"] if row["S"] else [row["attn"]]
    parts += [row["mode"]]
    parts += ["ckpt"] if row["ckpt"] == "True" else []
    parts += [row["sharding"].lower()] if row["sharding"] in ("SHARD_GRAD_OP", "fp32reduce") else []
    parts += [f"dropout{row['dropout']}"] if row["dropout"] else []
    return "-".join(parts)


def StepRow(row):
    t5 = row["model"].startswith("t5")
    settings = T5Model(row["model"]) if t5 else DecoderModel(row)
    settings.update({
        "cluster.hardware": HARDWARE[row["device"]], "cluster.gpus": row["gpus"],
        "training.micro_batch_size": row["B"] or row["mb"],
        "training.gradient_accumulation_steps": row["n_mb"] or 1,
        "training.precision": FSDP_FP32_REDUCE if row["sharding"] == "fp32reduce" else PRECISION[row["mode"]],
        "training.sequence_length": row["S"] or "{encoder: %s, decoder: %s}" % (row["S_enc"], row["S_dec"]),
        "training.activation_checkpointing": "full" if row["ckpt"] == "True" else "none",
        "training.attention": row["attn"] or "flash",
        "training.dropout": float(row["dropout"] or 0),
        "training.optimizer": "adamw", "training.optimizer_kernel": "fused", "training.runtime": "eager"})
    settings.update(Layout(row))
    expect = {"step_time_s": float(row["ms"]) / 1e3, "peak_allocated_bytes": row["peak_alloc"],
              "peak_reserved_bytes": row["peak_reserved"]}
    spread = (float(row["max"]) - float(row["min"])) / float(row["ms"])
    note = f"{row['min']} to {row['max']} ms" if spread > 0.2 else ""
    return Row(Identity(row), settings, expect, "; ".join(filter(None, (row["note"], note))))


# Cut to 8 blocks.
VARIANT_SHAPES = {**SHAPES, "llama-7b": (8, 4096, 32, 32, 11008, 32000), "llama-8b": (8, 4096, 32, 8, 14336, 128256)}


def VariantRow(row):
    """The same models with other norms, rotary embeddings and torch.compile; T5 steps measured a second time."""
    t5 = row["model"].startswith("t5")
    settings = T5Model(row["model"]) if t5 else DecoderModel(row, VARIANT_SHAPES)
    if row["rotary"] not in ("", "none"):
        settings["model.positions"] = "rotary"
    settings.update({
        "cluster.hardware": HARDWARE[row["device"]], "cluster.gpus": row["gpus"],
        "training.micro_batch_size": row["B"], "training.precision": PRECISION[row["mode"]],
        "training.sequence_length": "{encoder: 512, decoder: 512}" if t5 else row["S"],
        "training.activation_checkpointing": "full" if row["ckpt"] == "True" else "none",
        "training.attention": row["attn"] or "flash", "training.dropout": float(row["dropout"]),
        "training.optimizer": "adamw", "training.optimizer_kernel": "fused",
        "training.runtime": "compiled" if row["compile"] else "eager",
        "training.fused_norm": row["norm"] != "composed"})
    if t5:
        settings.update({"parallelism.data.strategy": "fsdp", "parallelism.data.version": 2,
                         "parallelism.data.sharding": "full_shard"})
    else:
        settings["training.loss"] = "fused" if row["compile"] == "model" else "composed"
    if row["rotary"] not in ("", "none") and not row["compile"]:
        settings["training.rotary"] = row["rotary"]
    expect = {"step_time_s": float(row["ms"]) / 1e3, "peak_allocated_bytes": row["peak_alloc"],
              "peak_reserved_bytes": row["peak_reserved"]}
    parts = [row["device"], row["model"], f"b{row['B']}", row["mode"], row["attn"], row["norm"], row["rotary"],
             f"compiled_{row['compile']}" if row["compile"] else "", f"dropout{row['dropout']}" if t5 else "", "again" if t5 else ""]
    return Row("-".join(p for p in parts if p), settings, expect, f"{row['min']} to {row['max']} ms")


def Variants():
    with open(pathlib.Path(__file__).with_name("measured_variants.csv"), encoding="utf-8", newline="") as file:
        return [VariantRow(row) for row in csv.DictReader(line for line in file if not line.startswith("#"))]


def Tables(source):
    rows = source.Read("measured/training_steps.csv")
    variants = Variants()

    def Of(keep):
        return [StepRow(row) for row in rows if keep(row)]

    t5 = lambda row: row["model"].startswith("t5")
    layout = lambda row: row["strategy"][:3]
    comments = {"training.attention": "torch's scaled_dot_product_attention, causal: the flash kernel",
                "training.precision": "weights, gradients and Adam state in bf16"}
    return [
        Table("measured_single", "Steps measured on one H100 and one H200", SOURCE,
              ABOUT.format(what="One GPU: H100 SXM and H200."), Of(lambda r: r["gpus"] == "1"), comments),
        Table("measured_ddp_fsdp", "DDP and FSDP steps measured on two H200", SOURCE,
              ABOUT.format(what="DDP, FullyShardedDataParallel (version 1) and fully_shard (version 2) on 2 x H200 "
                           "over NVLink.\nOne FSDP unit per block and one for the root."),
              Of(lambda r: r["gpus"] == "2" and not t5(r) and layout(r) in ("ddp", "fsd")), comments),
        Table("measured_t5", "T5 steps measured on two H200", SOURCE,
              "Hugging Face's T5ForConditionalGeneration on 2 x H200 over NVLink, encoder and decoder of 512 tokens.\n"
              "attention sdpa: with T5's relative position bias, so torch takes its unfused math path;\n"
              "eager: matmul, bias, softmax, dropout. Rows named `again` repeat such steps on another day and machine.",
              Of(t5) + [r for r in variants if r.id.endswith("again")]),
        Table("measured_variants", "Norms, rotary embeddings and torch.compile, measured on one H200", SOURCE, """\
One H200, weights, gradients and Adam state in bf16 (one row: autocast). RMSNorm as torch's fused kernel or as elementwise
calls in fp32; rotary as complex product (Meta's Llama), rotate_half (Hugging Face) or 2 x 2 matrices (fms); torch.compile of
each block, or of the whole model with its loss. 7B and 8B are cut to 8 blocks.""",
              [r for r in variants if not r.id.endswith("again")], comments),
        Table("measured_tp_pp", "Tensor- and pipeline-parallel steps measured on two H200", SOURCE,
              ABOUT.format(what="DTensor tensor parallelism (blocks split, embedding and head not) and torch's "
                           "pipelining on 2 x H200.\nPipeline rows: micro_batch_size sequences in each of "
                           "gradient_accumulation_steps micro-batches."),
              Of(lambda r: layout(r) in ("tp2", "pp2")), comments)]
