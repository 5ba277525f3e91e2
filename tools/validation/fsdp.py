"""Tables of FSDP and ZeRO runs: the FSDP paper, llm-foundry, torchtitan, IBM and AWS, DeepSpeed ZeRO."""

import re

import flops
from common import FSDP_FP32_REDUCE, GB, GIB, Accumulation, CheckRanks, Int, Llama, Model, ModelOf
from table import Row, Table


# ---- Zhao et al., PyTorch FSDP, VLDB 2023 -------------------------------------------------------------------------

def T5Step(row):
    """The paper states neither formula nor decoder length. Read as 6 N per token of encoder and decoder (512 each): the
    reading whose step time an A100 can reach with unfused attention (docs/T5_11B_READINGS.md)."""
    parameters = 11307321344
    return 6 * parameters * 1024 * Int(row, "micro_batch") / (float(row["value"]) * 1e12)


def MinGptStep(row):
    """96 B s l h^2 (1 + s/6h + V/16lh), the formula of the authors' AWS post (see flops.Narayanan)."""
    work = flops.Narayanan(Int(row, "micro_batch"), Int(row, "seq"), Int(row, "layers"), Int(row, "hidden"),
                           Int(row, "vocab"))
    return work / (float(row["value"]) * 1e12)


# torch.utils.checkpoint before PyTorch 2.1 recomputes a block to its end.
WHOLE_BLOCKS = "{policy: full, early_stop: false}"


def PaperRow(row):
    note = "digitised from the figure, +-0.05 TFLOPS" if "fig7c" in row["id"] else "digitised, +-0.2 TFLOPS"
    t5 = "t5-11b" in row["id"]
    settings = {"model": "t5-11b"} if t5 else ModelOf(
        row, "gpt2", name="mingpt-175b", max_position_embeddings=row["seq"], hidden_act="gelu", fused_qkv=False,
        tie_word_embeddings=False, causal_mask_buffer="bf16")
    settings.update({
        "cluster.hardware": "a100-80gb-roce", "cluster.gpus": row["gpus"],
        "training.micro_batch_size": row["micro_batch"],
        "training.sequence_length": "{encoder: 512, decoder: 512}" if t5 else row["seq"],
        "training.precision": "bf16_mixed", "training.activation_checkpointing": WHOLE_BLOCKS,
        "training.attention": "eager", "training.dropout": 0.1, "training.optimizer": "adamw",
        "training.optimizer_kernel": "fused" if t5 else "foreach", "training.runtime": "eager",
        "parallelism.data.strategy": "fsdp", "parallelism.data.sharding": "full_shard",
        "parallelism.data.version": 1, "parallelism.data.backward_prefetch": "pre",
        "parallelism.data.limit_all_gathers": True, "training.record_streams": True})
    if not t5:  # docs/T5_11B_READINGS.md
        settings["training.set_to_none"] = False
    expect = {"step_time_s": T5Step(row) if t5 else MinGptStep(row)}
    note = f"{row['value']} TFLOPS per GPU, {note}"
    allocated, active, reserved = (float(x) * GB for x in row["second_value"].split("/"))
    if t5:
        settings["training.use_cache"] = True
    if t5 and Int(row, "gpus") < 64:  # docs/T5_11B_READINGS.md
        note += (f"; peak memory printed as {row['second_value']} GB, left out: over few GPUs it lacks the state of fp32 Adam")
    else:
        expect.update({"peak_allocated_bytes": allocated, "peak_active_bytes": active, "peak_reserved_bytes": reserved})
    return Row(row["id"], settings, expect, note)


def Paper(source):
    """One template for T5 and one for minGPT; figures that lack a configuration go to the first as excluded rows."""
    t5, gpt = [], []
    for row in source.Published("fsdp_paper"):
        if "fig7c" in row["id"]:
            t5.append(PaperRow(row))
        elif "fig7b" in row["id"]:
            gpt.append(PaperRow(row))
        else:
            reason = ("not a training step: an all-gather micro-benchmark without GPU count or network"
                      if "microbenchmark" in row["model"] else
                      "GPU count, machine or batch not stated, or not a transformer of known shape")
            t5.append(Row(row["id"], {}, {}, f"{row['metric']} {row['value']}", reason))
    cite = "Zhao et al., PyTorch FSDP, PVLDB 16(12) 2023, arXiv:2304.11277, figure "
    comments = {
        "cluster.hardware": "section 5: A100 80 GB, 2 Tb/s RoCE",
        "training.precision": "section 5.4: BF16, FSDP native mixed precision",
        "training.activation_checkpointing": "section 5.4; per block presumed; PyTorch before 2.1",
        "training.dropout": "the models' own configurations; the paper does not say",
        "training.use_cache": "Transformers' default; figure 8c holds it",
        "training.set_to_none": "PyTorch's default before 2.0, which is younger than the runs",
        "training.record_streams": "PyTorch before 2.8",
        "parallelism.data.limit_all_gathers": "section 5.4: rate limiter on",
        "parallelism.data.backward_prefetch": "section 5.4"}
    return [
        Table("fsdp_paper_t5", "PyTorch FSDP, figure 7c: T5-11B on 8 to 512 A100", cite + "7(c)", """\
T5-11B under FSDP, TFLOPS per GPU as digitised from the figure.
The paper leaves unsaid decoder length, attention implementation and FLOPs formula. Read here as 512 + 512 tokens,
unfused attention (the relative position bias leaves no flash kernel in the PyTorch of its time) and 6 N per token:
step time = 6 x 11307321344 x 1024 x batch / TFLOPS. docs/T5_11B_READINGS.md has the other readings.""", t5, comments, "13%"),
        Table("fsdp_paper_gpt175b", "PyTorch FSDP, figure 7b: minGPT-175B on 128 to 512 A100", cite + "7(b) and 8(b)",
              """\
minGPT with 175 billion parameters under FSDP: separate q, k, v, unfused attention with dropout, untied head.
Every block keeps its causal mask (mrshenli/ptd_benchmark@62f8c89, models.py, by authors of the paper).
step time = 96 B s l h^2 (1 + s/6h + V/16lh) / TFLOPS: hardware FLOPs, recomputation counted.""", gpt, comments)]


# ---- MosaicML llm-foundry ----------------------------------------------------------------------------------------

FOUNDRY_HARDWARE = {"A100-40GB": "a100-40gb-roce-1600", "A100-80GB": "a100-80gb-roce-1600",
                    "H100-80GB (SXM peak used)": "dgx-h100"}


def FoundryRow(row, older=False):
    CheckRanks(row, dp=Int(row, "dp"))
    precision = "bf16_mixed" if "mixed_precision=PURE" in row["notes"] else FSDP_FP32_REDUCE
    if row["precision"] == "amp_fp8":
        precision = "{preset: fp8_mixed, gradient_reduction: fp32}"
    settings = ModelOf(row, "mpt", name=row["model"].lower(), max_position_embeddings=row["seq"], no_bias=False)
    settings.update({
        "cluster.hardware": FOUNDRY_HARDWARE[row["accelerator"]], "cluster.gpus": row["gpus"],
        "training.micro_batch_size": row["micro_batch"],
        "training.gradient_accumulation_steps": Accumulation(row), "training.sequence_length": row["seq"],
        "training.precision": precision, "training.activation_checkpointing": row["recompute"],
        "training.attention": "triton", "training.dropout": 0, "training.optimizer": "adamw",
        "training.optimizer_kernel": "for_loop", "training.clip_grad_norm": True, "training.runtime": "eager",
        "training.loss_metrics": 2, "training.record_streams": True, "parallelism.data.strategy": "fsdp", "parallelism.data.version": 1,
        "parallelism.data.sharding": {"fsdp_full": "full_shard", "fsdp_grad_op": "shard_grad_op"}[row["strategy"]],
        "parallelism.data.limit_all_gathers": True, "parallelism.data.backward_prefetch": "post"})
    if older or row["accelerator"] == "A100-40GB":  # PyTorch 1.13
        settings["parallelism.data.pads_gradients"] = True
        if row["recompute"] == "full":
            settings["training.activation_checkpointing"] = WHOLE_BLOCKS
    rate = float(row["value"])
    step = Int(row, "global_batch") * Int(row, "seq") / (rate * Int(row, "gpus"))
    section = re.search(r'section "([^"]+)"', row["citation"]).group(1)
    return Row(row["id"], settings, {"step_time_s": step}, f"{rate:g} tokens/s per GPU; {section}")


def Foundry(source):
    about = """\
MPT under PyTorch FSDP, complete configurations as printed{which}.
step time = global batch x sequence / (tokens per second and GPU x GPUs); the rate is printed truncated to an integer.
mixed_precision PURE: bf16 parameters, gradients and reduction (bf16_mixed); DEFAULT: reduction in fp32.
MPT: biases, learned positions as long as the sequence, tied head. The benchmark's yamls clip the gradient norm at 1 and
use decoupled_adamw, which walks the tensors one by one. Attention is FlashAttention 1 in Triton,
a little over half as fast as version 2 (Dao, FlashAttention-2, arXiv:2307.08691, benchmarks on A100). The model's train
metrics, LanguageCrossEntropy and LanguagePerplexity, each evaluate the loss again for every micro-batch (Composer's
trainer calls update_metric under autocast). PyTorch 1.13 (setup.py of May 2023) pads every gradient into a copy and
recomputes checkpointed blocks to their end{later}."""
    comments = {"parallelism.data.limit_all_gathers": "limit_all_gathers: true in the yamls",
                "parallelism.data.backward_prefetch": "Composer's default (trainer/dist_strategy.py), which no yaml changes",
                "training.clip_grad_norm": "scripts/train/yamls/pretrain: gradient_clipping, norm, 1.0",
                "training.loss_metrics": "modeling_mpt.py: train_metrics",
                "training.record_streams": "PyTorch before 2.8",
                "training.attention": "submit_benchmarks.py: --attn_impl defaults to triton"}
    h100 = ". H100: the node and its network are not stated, a DGX H100 is presumed"
    later = ("; the 40 GB table is that of May 2023, digit by digit, the others were measured anew for October 2023 and January "
             "2024, when setup.py admitted PyTorch 2.1")
    repo = "MosaicML llm-foundry, scripts/train/benchmarking/README.md, github mosaicml/llm-foundry@"
    return [
        Table("llmfoundry_head", "llm-foundry: MPT 125M to 70B on A100 and H100", repo + "8c8dd48f7",
              about.format(which=h100, later=later), [FoundryRow(r) for r in source.Published("llmfoundry_head")], comments),
        Table("llmfoundry_older", "llm-foundry, May 2023: MPT 125M to 30B on A100 80 GB", repo + "1ef7b4d21",
              about.format(which=" in 2023", later=""),
              [FoundryRow(r, older=True) for r in source.Published("llmfoundry_older")],
              {**comments, "parallelism.data.pads_gradients": "setup.py at that commit: torch==1.13.1"})]


# ---- torchtitan ---------------------------------------------------------------------------------------------------

TITAN_HARDWARE = {"H100-96GB HBM2e (2.4 TB/s, 500 W limit)": "grand-teton-h100-96gb",
                  "H100-94/95GB HBM2e low-TDP SXM": "grand-teton-h100-96gb",
                  "A100-80GB": "dgx-a100-80gb", "H200": "hgx-h200"}


def TitanExclusion(row):
    if row["pp"] != "1":
        return "size of the pipeline's micro-batches and virtual stages not stated"
    if "rowwise" in row["precision"]:
        return "float8 with a scale per row: its slow kernels of that time are not modelled"
    return ""


def TitanCheckpointing(row):
    if "every other layer" in row["recompute"]:
        return "{policy: full, every: 2}"
    return row["recompute"].split(" ")[0].replace("selective", "selective_operators")


def TitanRow(row):
    CheckRanks(row, dp=Int(row, "dp"), tp=Int(row, "tp"), pp=Int(row, "pp"), cp=Int(row, "cp"))
    seq = Int(row, "seq", 8192)
    settings = ModelOf(row, "llama", name=row["model"].lower())
    fp8 = "float8" in row["precision"]
    compiled = "compile" in row["precision"]
    recent = "asynctp-" in row["id"] or "h200" in row["id"]  # of June 2025
    settings.update({
        "cluster.hardware": TITAN_HARDWARE[row["accelerator"]], "cluster.gpus": row["gpus"],
        "training.micro_batch_size": row["micro_batch"], "training.sequence_length": seq,
        "training.precision": "{preset: fp8_mixed, gradient_reduction: fp32}" if fp8 else FSDP_FP32_REDUCE,
        "training.activation_checkpointing": TitanCheckpointing(row), "training.attention": "flash2",
        "training.dropout": 0, "training.optimizer": "adamw",
        "training.optimizer_kernel": "fused" if recent else "foreach",
        "training.clip_grad_norm": True,
        "training.runtime": "compiled" if compiled or "old-405b" in row["id"] else "eager",
        "training.fused_norm": compiled or "old-405b" in row["id"],
        "training.loss": "fused" if compiled and recent else "composed",
        "parallelism.data.strategy": "fsdp", "parallelism.data.version": 2,
        "parallelism.data.sharding": {"fsdp_full": "full_shard", "fsdp_grad_op": "shard_grad_op"}[row["strategy"]],
        "parallelism.tensor": row["tp"], "parallelism.sequence_parallel": row["tp"] != "1",
        "parallelism.pipeline.stages": row["pp"], "parallelism.context": row["cp"]})
    if row["cp"] != "1":
        settings["parallelism.context_implementation"] = "ring"  # _attention.py of late 2024 passes keys and values on
    rate = float(row["value"])
    expect = {}
    if row["micro_batch"]:
        expect["step_time_s"] = Int(row, "micro_batch") * Int(row, "dp") * seq / (rate * Int(row, "gpus"))
    if row["second_metric"] == "peak_memory_gib":
        expect["peak_reserved_bytes"] = round(float(row["second_value"]) * GIB)
    notes = [f"{rate:g} tokens/s per GPU", row["precision"], f"recompute: {row['recompute']}"]
    notes += ["sequence length not printed, torchtitan's 8192"] if not row["seq"] else []
    asynchronous = "async" in row["precision"].lower() or row["id"].endswith("-asynctp")
    notes += ["asynchronous tensor parallelism"] if asynchronous else []
    if asynchronous and row["tp"] != "1":
        settings["parallelism.tensor_overlap"] = True
    table = re.search(r"Table \d", row["citation"])
    notes += [table.group(0)] if table else []
    cite = row["citation"].split(" Table")[0]
    return Row(row["id"], settings, expect, "; ".join(notes), TitanExclusion(row), cite)


def Titan(source):
    rows = [TitanRow(row) for row in source.Published("torchtitan")]
    return [Table("torchtitan", "torchtitan: Llama under FSDP2 with tensor and context parallelism",
                  "torchtitan benchmarks, github pytorch/torchtitan", """\
Llama 2, 3 and 3.1 under FSDP2, reduction in fp32 (torchtitan's default), tokens per second and GPU as printed.
step time = local batch x data-parallel ranks x sequence / (tokens per second and GPU x GPUs).
Peak memory is torchtitan's max_reserved. Its "selective" keeps attention and every second matmul of a block.
RMSNorm is elementwise calls unless compiled (torch's own is fused since 2.9). train.py compiles the loss, too, in June
2025; in late 2024 it does so for some weeks, and the memory printed says that these runs did not.
float8: fp8 matmuls. Optimizer: fused in 2025, torch's default foreach before. A100 rows: node and network not stated, a
DGX A100 is presumed.""", rows,
                  {"training.clip_grad_norm": "torchtitan's default max_norm 1.0",
                   "training.attention": "PyTorch's SDPA of 2024: FlashAttention-2"})]


# ---- IBM's fms-fsdp and the AWS posts -----------------------------------------------------------------------------

# Blocks recomputed, read off printed HFU / MFU = 1 + share / 3 where it is near a whole fraction.
IBM_EVERY = {"ibm-mar24-13B-h100": ("{policy: full, every: 2}", "HFU 0.40 / MFU 0.35: half of the blocks"),
             "fms-may24-13B-a100": ("{policy: full, every: 3}", "HFU 0.69 / MFU 0.61: a third of the blocks")}


def IbmExclusion(row):
    if "offload" in row["strategy"]:
        return "parameters and activations offloaded to the host, batch not restated"
    if row["metric"] in ("scaling_efficiency_percent_vs_1node", "total_train_time_days"):
        return "no step time, and model or sequence length not stated" if "scaling" in row["metric"] else \
            "a whole run's days, downtime included"
    if not row["gpus"]:
        return "batch, recomputation and GPU count not stated"
    if row["recompute"].startswith("selective") and row["id"] not in IBM_EVERY and "7B" not in row["id"]:
        return "share of blocks recomputed not stated, and printed HFU and MFU do not settle it"
    return ""


def IbmHardware(row):
    if "A100" in row["accelerator"]:
        return "ibm-a100-400g"
    return "ibm-h100-800g" if row["scale_out"].startswith("800") else "dgx-h100"


def IbmStep(row):
    tokens = Int(row, "global_batch") * Int(row, "seq")
    if row["metric"] == "tokens_per_s_per_gpu":
        return tokens / (float(row["value"]) * Int(row, "gpus"))
    # MFU = (6N + 12 l h s) x tokens/s / peak, peak 989e12: fms-fsdp's formula after nanoGPT.
    per_token = flops.Palm(float(row["params_b"]) * 1e9, Int(row, "layers"), Int(row, "hidden"), Int(row, "seq"))
    rate = float(row["value"]) * 989e12 / per_token
    return tokens / (rate * Int(row, "gpus"))


def IbmRow(row):
    exclude = IbmExclusion(row)
    shape = row["layers"] and row["vocab"] and row["kv_heads"]
    settings = {}
    if shape:
        settings = ModelOf(row, "llama", name=row["model"].split(" ")[0].lower())
    policy, why = IBM_EVERY.get(row["id"], ("full" if row["recompute"] == "full" else "none", ""))
    hybrid = "hybrid" in row["strategy"]
    settings.update({
        "cluster.hardware": IbmHardware(row), "cluster.gpus": row["gpus"],
        "training.micro_batch_size": row["micro_batch"], "training.sequence_length": row["seq"],
        "training.precision": "bf16_mixed", "training.activation_checkpointing": policy,
        "training.attention": "flash2", "training.dropout": 0, "training.optimizer": "adamw",
        "training.optimizer_kernel": "foreach", "training.clip_grad_norm": True,
        "training.runtime": "compiled" if "compile" in row["precision"] else "eager",
        "training.fused_norm": "compile" in row["precision"],
        "training.rotary": "" if "compile" in row["precision"] else "matrix", "training.record_streams": True,
        "parallelism.data.strategy": "fsdp", "parallelism.data.version": 1,
        "parallelism.data.sharding": "hybrid_shard" if hybrid else "full_shard"})
    if exclude:
        return Row(row["id"], {}, {}, f"{row['model']}, {row['metric']} {row['value']}; {row['notes']}", exclude,
                   row["citation"])
    step = IbmStep(row)
    notes = [f"{row['metric']} {row['value']}", why, "rounded by the source to 2 or 3 digits"]
    notes += ["MFU may be carried over from the 96-GPU table"] if "carried over" in row["notes"] else []
    notes += ["no recomputation, as in the source's other 7B runs"] if row["recompute"].startswith("selective/") else []
    return Row(row["id"], settings, {"step_time_s": step},
               "; ".join(filter(None, notes)), exclude, row["citation"])


def Ibm(source):
    rows = [IbmRow(row) for row in source.Published("pytorch_ibm_aws_blogs")]
    return [Table("ibm_aws", "IBM's Llama 2 under FSDP on A100 and H100, and AWS's posts",
                  "PyTorch blogs of IBM, Meta and AWS; fms-fsdp", """\
Llama 2 under FSDP (version 1) from IBM's blogs and the fms-fsdp README.
step time = global batch x sequence / (tokens per second and GPU x GPUs); where only MFU is printed, the rate is
MFU x 989e12 / (6 N + 12 l h s), fms-fsdp's own formula.
Hybrid sharding shards inside a node and replicates across nodes. Without torch.compile the norms are elementwise calls and
the rotary embedding is a product with 2 x 2 matrices (foundation-model-stack, fms/modules/layernorm.py and positions.py).""", rows,
                  {"training.clip_grad_norm": "fms-fsdp clips at 1.0", "training.record_streams": "PyTorch before 2.8", "training.attention": "SDPA, FlashAttention-2"}, "15%")]


# ---- DeepSpeed ----------------------------------------------------------------------------------------------------

def DeepSpeedRow(row):
    azure = row["id"].startswith("ds-azure")
    if not azure:
        return Row(row["id"], {}, {}, f"{row['model']}, {row['value']} TFLOPS per GPU; {row['notes']}",
                   "model shape, batch or model parallelism not stated", row["citation"])
    CheckRanks(row, dp=Int(row, "dp"))
    batch, seq, layers, hidden = (Int(row, key) for key in ("micro_batch", "seq", "layers", "hidden"))
    settings = Model("gpt2", name=row["model"].lower(), hidden_size=hidden, num_hidden_layers=layers,
                     num_attention_heads=row["heads"], intermediate_size=4 * hidden, vocab_size=51200,
                     max_position_embeddings=seq)
    settings.update({
        "cluster.hardware": "azure-nd-a100-v4", "cluster.gpus": row["gpus"],
        "training.micro_batch_size": batch, "training.sequence_length": seq, "training.precision": "fp16_mixed",
        "training.activation_checkpointing": "{policy: full, offload: true}", "training.attention": "eager",
        "training.dropout": 0.1, "training.optimizer": "adamw", "training.clip_grad_norm": True, "training.runtime": "megatron",
        "training.norm_kernel": "apex", "parallelism.data.strategy": "zero3", "parallelism.data.offload": "optimizer",
        "parallelism.data.max_live_parameters": 3000000000, "parallelism.data.max_reuse_distance": 3000000000,
        "parallelism.data.reduce_bucket_size": 90000000})
    step = flops.Narayanan(batch, seq, layers, hidden, 51200) / (float(row["value"]) * 1e12)
    exact = "EXACT" in row["notes"]
    figure = re.search(r"Fig \w+|text", row["citation"]).group(0)
    note = f"{row['value']} TFLOPS per GPU, {figure}, {'printed' if exact else 'digitised'}"
    return Row(row["id"], settings, {"step_time_s": step}, note)


def DeepSpeed(source):
    rows = [DeepSpeedRow(row) for row in source.Published("deepspeed_zero")]
    return [Table("deepspeed_zero", "DeepSpeed ZeRO-3 with offload on Azure, GPT 175B to 2T",
                  "DeepSpeed blog 2022-07-26, Azure; github microsoft/DeepSpeed docs/_posts", """\
ZeRO-3 with optimizer state and checkpointed activations offloaded to the host; batch per GPU, no accumulation.
step time = 96 B s l h^2 (1 + s/6h + V/16lh) / TFLOPS (the source's Megatron formula; V 51200, Megatron's padding).""",
                  rows, {"training.precision": "not stated; Megatron-DeepSpeed's fp16",
                         "training.norm_kernel": "microsoft/Megatron-DeepSpeed until July 2023",
                         **{"parallelism.data." + key: "microsoft/Megatron-DeepSpeed, examples_deepspeed/azure/run-175b.sh"
                            for key in ("max_live_parameters", "max_reuse_distance", "reduce_bucket_size")}})]


def Tables(source):
    return Paper(source) + Foundry(source) + Titan(source) + Ibm(source) + DeepSpeed(source)
