"""Tables of Megatron-style runs: Hagemann, vTrain, Korthikanti, Narayanan, SimuMax."""

import re

import flops
from common import (BF16_GRADIENTS, GIB, MEGATRON_BF16, MEGATRON_FP16, Accumulation, CheckRanks, Int, ModelOf,
                    PaddedVocabulary)
from table import Row, Table


def Layout(row, strategy, accumulation=None, **more):
    """The parallelism columns, checked to multiply to the GPU count."""
    tp, pp, cp, dp = (Int(row, key, 1) for key in ("tp", "pp", "cp", "dp"))
    CheckRanks(row, tp=tp, pp=pp, cp=cp, dp=dp)
    settings = {
        "cluster.gpus": row["gpus"], "training.micro_batch_size": row["micro_batch"],
        "training.gradient_accumulation_steps": accumulation or Accumulation(row),
        "training.sequence_length": row["seq"], "training.optimizer": "adamw", "training.optimizer_kernel": "fused",
        "training.clip_grad_norm": True, "training.runtime": "megatron",
        "parallelism.data.strategy": strategy, "parallelism.tensor": tp,
        "parallelism.sequence_parallel": row["sp"] == "1", "parallelism.pipeline.stages": pp,
        "parallelism.pipeline.virtual_stages": Int(row, "vpp", 1),
        "parallelism.pipeline.uneven": not Divides(row), "parallelism.context": cp,
        "parallelism.expert": Int(row, "ep", 1)}
    if cp > 1:
        settings["parallelism.context_implementation"] = "ring"  # Megatron-LM's default: cp_comm_type p2p
    settings.update({key.replace("__", "."): value for key, value in more.items()})
    return settings


def Divides(row):
    return Int(row, "layers") % (Int(row, "pp", 1) * Int(row, "vpp", 1)) == 0


# ---- Hagemann et al. 2023 -----------------------------------------------------------------------------------------

HAGEMANN_ATTENTION = {"torch": "eager", "fused": "fused_softmax", "flash_attention": "flash1",
                      "flash_attentionv1.0.8": "flash1", "flash_attention2": "flash2"}


def HagemannRow(row):
    kernel = re.search(r'kernel field="([^"]+)"', row["notes"]).group(1)
    outcome = re.search(r"OUTCOME=([^;]+)", row["notes"]).group(1)
    settings = ModelOf(row, "llama", name=row["model"].lower())
    settings.update(Layout(row, "zero1", model__fused_qkv=True, parallelism__data__reduce_scatter=False,
                           parallelism__tensor_implementation="plain", parallelism__gather_logits=True,
                           parallelism__pipeline__partition="parameters",
                           parallelism__pipeline__kept_outputs=2))
    del settings["parallelism.pipeline.uneven"]
    settings.update({
        "cluster.hardware": "a100-80gb-ib-200", "training.dropout": 0, "training.runtime": "eager",
        "training.norm_arithmetic": "mixed",
        "training.precision": BF16_GRADIENTS.replace("}", ", gradient_reduction: fp32}"), "training.rotary": "rotate_half",
        "training.activation_checkpointing.policy": row["recompute"], "training.activation_checkpointing.head": True,
        "training.activation_checkpointing.early_stop": False,
        "training.attention": HAGEMANN_ATTENTION[kernel.removesuffix(" + RMS kernel")],
        "training.fused_norm": kernel.endswith("RMS kernel")})
    expect = {"status": {"ran": "ok", "OOM Error": "out_of_memory"}.get(outcome, "")}
    if row["value"]:
        expect["step_time_s"] = float(row["value"])
    exclude = {"Kernel not available": "not run: the fused softmax kernel does not cover this shape"}.get(outcome, "")
    trial = re.search(r"(\S+)\.xlsx.* trial (\d+)", row["citation"])
    source = f"{trial.group(1).split('/')[-1]}.xlsx, trial {trial.group(2)}"
    return Row(row["id"], settings, expect, kernel + ("" if row["sp"] else "; sequence parallelism not stated"), exclude,
               source)


def Hagemann(source):
    rows = [HagemannRow(row) for row in source.Published("hagemann2023_layouts")]
    return [Table("hagemann2023", "Hagemann et al.: LLaMA 13B, 30B and 65B over layouts, with what ran out of memory",
                  "Hagemann et al., Efficient Parallelization Layouts, arXiv:2311.05610; "
                  "github.com/Aleph-Alpha/NeurIPS-WANT-submission-efficient-parallelization-layouts @e13c2cb", """\
Step times and outcomes of LLaMA training on A100 80 GB over tensor and pipeline size, micro-batch, recomputation and
kernels. Global batch 2048 sequences of 2,048 tokens or 512 of 8,192; vocabulary 128k; ZeRO-1 (the paper).
The note names the kernels: "torch" is unfused attention, "fused" has Megatron's softmax; without "RMS kernel" RMSNorm is
a chain of elementwise calls. What else runs is read from the code base that the runs were made with, as it was published a
year later (github.com/Aleph-Alpha/scaling @01b9d21): eager PyTorch; rotate_half (nn/rotary.py); column-parallel layers
that each sum their input's gradient, a head whose logits are gathered, and F.cross_entropy on all of them in fp32
(nn/linear, losses/cross_entropy.py); stages of equally many weights, embedding, norm and head among them (the published
configuration's `balanced`; with the code's default, equally many layers, two stages of 13B and 30B come out 3 to 5 % too
fast); the logits of two micro-batches at a time in the engine's buffers (parallel_module.py, pipeline_schedule/train.py);
every layer checkpointed, the head too, and recomputed to its end (parallel_module/activation_checkpointing.py); gradients summed after the last micro-batch in fp32, whole (optimizer/allreduce.py).
The norm's chain is taken to be that of the time's LlamaRMSNorm (Transformers until 4.30), although the one published later
computes in 16 bits: 15.4 s lie between the same run (65B, TP 4, PP 4, micro-batch 1) with and without the kernel, of which
this chain explains 13.7 s and the 16-bit one 9; of what runs without the kernel and without checkpointing at the limit, it
tells more right than a chain that keeps no 16-bit copy.
Where the file does not state sequence parallelism it was off. The paper: nodes of 8 A100 80 GB, joined by 200 Gb/s HDR
InfiniBand, taken to be one such link a node. With a DGX A100's eight the steps come out 12 % too short, and what is missing
grows with the gradients that a node sends (0.034 s/GB on 128 and 256 GPUs, which one link explains).
""", rows, {"training.precision": "13B ran on 32 GPUs without model parallelism: fp32 gradients would not fit",
            "training.clip_grad_norm": "not stated; Megatron's default"})]


# What Megatron-LM did in fp16 until August and September 2022 (commits 77efccc and 07916bf).
BEFORE_AUGUST_2022 = {"training.host_waits": "passes", "training.fused_accumulation": False}
# PyTorch before TORCH_NCCL_AVOID_RECORD_STREAMS (2.1, 2023), Megatron-LM before overlap_p2p_comm (commit f9283c5, May 2023).
BEFORE_2023 = {"training.record_streams": True, "parallelism.pipeline.overlap_p2p": "none"}
EARLY = """\
Megatron-LM's timers waited for the device around every pass (until commit 77efccc, August 2022), and its products of fp16
weight gradients did not add into the gradient buffer yet (07916bf, September 2022)."""


# ---- vTrain -------------------------------------------------------------------------------------------------------

def VtrainRow(row, hardware, composed):
    tp = Int(row, "tp")
    settings = ModelOf(row, "gpt2", name="gpt", max_position_embeddings=row["seq"],
                       vocab_size=50257 // tp * tp if composed else PaddedVocabulary(50257, tp))
    settings.update(Layout(row, "ddp", parallelism__data__overlap=False))
    settings.update({
        "cluster.hardware": hardware, "training.precision": "fp16_mixed", "training.dropout": 0.1,
        "training.activation_checkpointing": "none" if composed else "full", "training.attention": "eager"})
    if composed:
        # predictor.py sets the default type to float16; trainer.py gives the model's weights to apex's FusedAdam
        settings.update({"training.host_waits": "layers", "training.traced_kernels": True, "training.loss": "direct",
                         "training.clip_grad_norm": False, "training.precision": "{preset: fp16, optimizer: fp32}",
                         "training.norm_kernel": "apex", "parallelism.async_tensor_all_reduce": False})
    line = re.search(r"row (\d+)", row["citation"]).group(1)
    return Row(row["id"], settings, {"step_time_s": float(row["value"])}, f"row {line} of the source's file")


def Vtrain(source):
    cite = "Bang et al., vTrain, MICRO 2024, arXiv:2312.12391; github.com/VIA-Research/vTrain data/{} @f8dda84"
    comments = {"parallelism.data.overlap": "use_gradient_bucket=false in the source's configuration",
                "training.precision": "not stated; Megatron's fp16"}
    single = [VtrainRow(row, "dgx-a100-80gb", True) for row in source.Published("vtrain_single")]
    multi = [VtrainRow(row, "a100-80gb-ib-800", False) for row in source.Published("vtrain_multi")]
    return [
        Table("vtrain_single", "vTrain: GPTs on 2 to 8 A100 of one node", cite.format("ground_truth_single.csv"), """\
GPTs with Megatron-DeepSpeed's layers on one node of 8 A100, 1F1B. The source calls these times measured, but they cannot be:
within every class of hidden size, micro-batch and layout they are linear in layers and micro-batches to the last digit
(66 classes, 503 rows; the median class is off by 4 millionths). They are what vTrain's predictor composes (src/predictor.py,
src/trainer.py): one profile of one layer on one GPU, kernels and the gaps between them, repeated, with all-reduce times
from a table added in between. So it is read here: nothing is recomputed (the predictor's last stage does not, and a further
sequence costs a forward and a backward only: at hidden size 2,048 2.0 ms a layer, 167 TFLOPS; with recomputation it would
be 223, softmax and dropout included); each GPU has a vocabulary of 50,257 / TP, not padded (src/model/gpt_modeling.py),
hence an odd one without tensor parallelism; no gradient is clipped; at both ends of every layer the tracer reads its
buffers (profiler/cupti.cpp, timestamp), so that the host's lead ends there, and it stands still during collectives, which
the profile does not have. Kernels are traced with CUPTI_ACTIVITY_KIND_KERNEL, which serializes them. What that costs is
inferred: where kernels are long, a layer of 43 takes 1.3 to 1.6 ms beyond them whatever their length (20 us and the usual
gap each, on the device), and where they are short, the host's 3.1 ms: the larger of the two sums, not the sum of the larger.
Precision and attention are not stated: Megatron's fp16, its fused softmax and dropout of 0.1, as vTrain's model has them.
Each class hangs on one profiled step, so it carries that step's noise. vTrain's own mean error on these rows: 8.37 %.
""", single, dict(comments, **{"training.host_waits": "see above", "training.precision": "predictor.py: set_default_dtype(float16); trainer.py: apex's FusedAdam on the model's own weights", "training.traced_kernels": "see above", "training.clip_grad_norm": "see above",
                              "training.activation_checkpointing": "see above",
                              "training.norm_kernel": "src/model/gpt_modeling.py: apex.normalization",
                              "parallelism.async_tensor_all_reduce": "added in between, see above"})),
        Table("vtrain_multi", "vTrain: GPTs on 64 to 512 A100", cite.format("ground_truth_multi.csv"), """\
GPTs trained with microsoft/Megatron-DeepSpeed on up to 64 nodes of 8 A100, InfiniBand of 800 Gb/s a node: 1F1B, full
recomputation, no gradient buckets (the all-reduce follows the backward pass). Precision, attention and dropout are not
stated: Megatron's fp16, its fused softmax (vTrain's own model has no flash attention) and its 0.1. Vocabulary 50,257
(vTrain's default), padded as Megatron does. vTrain's own mean error on these rows: 14.73 %.""", multi, comments)]


# ---- Korthikanti et al. 2022 --------------------------------------------------------------------------------------

def KorthikantiRow(row):
    per_layer, memory = row["metric"].startswith("layer"), row["metric"].startswith("activation")
    settings = ModelOf(row, "gpt2", name=row["model"].lower().replace(" ", "-"), max_position_embeddings=row["seq"])
    settings.update(Layout(row, "ddp", 1 if per_layer else None))
    recompute = {"seqsel": "selective", "sel": "selective", "full": "full"}.get(row["id"].rsplit("_", 1)[-1], "none")
    settings.update({
        "cluster.hardware": "dgx-a100-80gb", "training.precision": MEGATRON_FP16, "training.dropout": 0.1,
        "training.activation_checkpointing": row["recompute"] or recompute, "training.attention": "eager"})
    settings["training.host_waits"] = "passes"
    settings.update(BEFORE_2023)
    if per_layer:
        note = f"forward {row['value']} ms, backward {row['second_value']} ms"
        return Row(row["id"], settings, {}, note, "times of one layer, not of a step", row["citation"])
    if memory:
        return Row(row["id"], settings, {}, f"{row['metric']} {row['value']}",
                   "activation memory alone, not a peak", row["citation"])
    peer = re.search(r"predicts ([\d.]+ s)", row["notes"]).group(1)
    return Row(row["id"], settings, {"step_time_s": float(row["value"])}, f"Calculon predicts {peer}", "",
               row["citation"])


def Korthikanti(source):
    rows = [KorthikantiRow(row) for row in source.Published("korthikanti2022")]
    return [Table("korthikanti2022", "Korthikanti et al.: 22B and 175B with full and with selective recomputation",
                  "Korthikanti et al., Reducing Activation Recomputation, arXiv:2205.05198", """\
Iteration times of GPT 22B (TP 8) and 175B (TP 8, PP 8, 3 virtual stages) on DGX A100: full recomputation without, and
selective recomputation with sequence parallelism ("present work"). Calculon's mean error on these rows: 3.65 %.
Per-layer times and activation memory stay as excluded rows: they are held elsewhere, not by a step.
Megatron-LM's timers waited for the device around every pass (until commit 77efccc, August 2022); weight gradients were added
into the fp32 buffer by their products (83b1e42, February 2022).""", rows,
                  {"training.dropout": "the paper's activation formula counts dropout masks",
                   "training.precision": "45.6 GiB of weights, gradients and optimizer (figure 1): 18 bytes a parameter"},
                  "5%")]


# ---- Narayanan et al. 2021 ----------------------------------------------------------------------------------------

def NarayananExclusion(row):
    if row["metric"] == "relative" or not row["gpus"]:
        return "a ratio or a figure without GPU count, batch and layout"
    if row["accelerator"] == "V100":
        return "16-GPU DGX-2 with V100 32 GB: no such hardware file"
    return ""


def NarayananRow(row):
    exclude = NarayananExclusion(row)
    if exclude:
        return Row(row["id"], {}, {}, f"{row['metric']} {row['value']}; {row['notes']}", exclude, row["citation"])
    readme = row["id"].startswith("mlm_readme")
    if readme:  # 96 B s l h^2 (1 + s/6h + V/16lh) / iteration time gives the printed TFLOPS at s = 1024, and at no other
        row = dict(row, seq="1024", vocab="51200", micro_batch=str(Int(row, "global_batch") // Int(row, "dp")),
                   kv_heads=row["heads"], recompute="full")
    zero3 = row["strategy"].startswith("zero3")
    settings = ModelOf(row, "gpt2", name="gpt-%sb" % row["params_b"], max_position_embeddings=row["seq"],
                       intermediate_size=4 * Int(row, "hidden"))
    settings.update(Layout(row, "zero3" if zero3 else "ddp",
                           parallelism__data__overlap=zero3 or "overlapped" in row["strategy"]))
    settings.update({
        "cluster.hardware": "dgx-a100-40gb" if readme else "dgx-a100-80gb", "training.precision": "fp16_mixed",
        "training.dropout": 0.1, "training.activation_checkpointing": "full", "training.attention": "eager"})
    if zero3:  # the paper is of April 2021, DeepSpeed then at 0.3.13
        settings["parallelism.data.zero3_implementation"] = "synchronous"
    else:
        settings.update(BEFORE_AUGUST_2022 | BEFORE_2023)
        settings["parallelism.async_tensor_all_reduce"] = False
    settings["training.norm_kernel"] = "apex"
    batch, seq, layers, hidden = (Int(row, key) for key in ("global_batch", "seq", "layers", "hidden"))
    work = flops.Narayanan(batch, seq, layers, hidden, Int(row, "vocab")) / Int(row, "gpus")
    if readme:
        expect = {"step_time_s": float(row["value"])}
        note = (f"sequence length 1024 and full recomputation follow from the printed {row['second_value']} TFLOPS; "
                "the whole batch of a replica in one micro-batch is presumed")
    else:
        rate = float(row["value"])
        expect = {"step_time_s": work / (rate * 1e12)}
        note = f"{rate:g} TFLOPS per GPU" + ("" if row["vpp"] or zero3 else "; virtual stages not stated, 1 presumed")
    return Row(row["id"], settings, expect, note, "", row["citation"])


def Narayanan(source):
    rows = [NarayananRow(row) for row in source.Published("narayanan2021_megatron")]
    return [Table("narayanan2021", "Narayanan et al.: Megatron-LM from 1.7B to 530B, and ZeRO-3 beside it",
                  "Narayanan et al., Efficient Large-Scale Language Model Training, arXiv:2104.04473", """\
GPTs on DGX A100 with tensor, pipeline and data parallelism, full recomputation, fp16; ZeRO-3 (DeepSpeed) beside it.
step time = 96 B s l h^2 (1 + s/6h + V/16lh) / (TFLOPS per GPU x GPUs), the paper's formula, recomputation counted.
The first pipeline-free runs use torch's DDP, which overlaps its all-reduces; the others Megatron's, which does not.
The README's table is of September 2020 (commit 5281919), when an A100 had 40 GB; the paper's had 80.
ZeRO-3 is DeepSpeed's first version (0.3.13 when the paper appeared), with its default settings, as none are stated.
""" + EARLY + """
Nor did its backward all-reduces run beside the weight gradients yet (16c9044, September 2021), and its LayerNorm was Apex's
first (the persistent one came with a2fdcdf, October 2021).""", rows, {"training.dropout": "Megatron's default"}, "10%")]


# ---- SimuMax ------------------------------------------------------------------------------------------------------

DEEPSEEK = {  # config.json of DeepSeek-V2 and -V3
    "deepseekv2": dict(num_key_value_heads=128, intermediate_size=12288, moe_intermediate_size=1536, vocab_size=102400,
                       n_shared_experts=2, q_lora_rank=1536, kv_lora_rank=512, qk_nope_head_dim=128,
                       qk_rope_head_dim=64, v_head_dim=128, first_k_dense_replace=1, capacity_factor=1),
    "deepseekv3": dict(num_key_value_heads=128, intermediate_size=18432, moe_intermediate_size=2048, vocab_size=129280,
                       n_shared_experts=1, q_lora_rank=1536, kv_lora_rank=512, qk_nope_head_dim=128,
                       qk_rope_head_dim=64, v_head_dim=128, first_k_dense_replace=1, capacity_factor=1)}


def SimuMaxRow(row):
    if row["accelerator"] != "B200":
        return Row(row["id"], {}, {}, f"{row['metric']} {row['value']}",
                   "only the error of SimuMax's own prediction is printed", row["citation"])
    name = row["model"].split(" ")[0]
    note = re.search(r"SimuMax predicts [^;]+", row["notes"]).group(0)
    if name in DEEPSEEK:
        settings = ModelOf(row, "deepseek_v3", **dict(DEEPSEEK[name], name=name, num_local_experts=row["experts"],
                                                      num_experts_per_tok=row["topk"]))
        note += "; one dense layer presumed, as the printed peak allocation implies"
    else:
        settings = ModelOf(row, "llama", name=name)
    settings.update(Layout(row, "zero1", parallelism__data__overlap=False))
    if name in DEEPSEEK:
        settings["training.fused_permutation"] = True
    if name == "llama3_405b":
        settings["model.num_key_value_heads"] = 16
    settings.update({
        "cluster.hardware": "dgx-b200", "training.precision": MEGATRON_BF16, "training.dropout": 0,
        "training.activation_checkpointing": "none", "training.attention": "flash", "training.loss": "fused",
        "training.transformer_engine": True, "training.host_waits": "loss"})
    if settings.get("parallelism.context", 1) != 1:
        settings["parallelism.context_implementation"] = "all_to_all"
    expect = {"step_time_s": float(row["value"]), "peak_allocated_bytes": round(float(row["second_value"]) * GIB)}
    return Row(row["id"], settings, expect, note, "", row["citation"])


def SimuMax(source):
    rows = [SimuMaxRow(row) for row in source.Published("simumax")]
    return [Table("simumax", "SimuMax: Llama 3 and DeepSeek layers on 8 B200",
                  "SimuMax v1.2, github.com/MooreThreads/SimuMax docs/b200 @4dcaae5", """\
Truncated models under Megatron-LM 0.14 on one node of 8 B200: step time and peak allocation, distributed optimizer, no
recomputation. The launch scripts (simu_tools/megatron_scripts/scripts) reduce gradients after the last micro-batch, give
Llama 3 405B 16 groups of queries, fuse permutations (--moe-permute-fusion) and split contexts by heads (--cp-comm-type
a2a). The cases' suffix cef stands for the fused cross-entropy of Transformer Engine. Micro-batch 1 and sequence 4096 where the
case name says nothing. SimuMax's mean error on these rows:
5.62 % in time, 0.46 % in memory; its prediction stands in each note.""", rows,
                  {"training.precision": "Megatron-LM --bf16: fp32 main gradients", "training.attention":
                   "Transformer Engine"}, "10%")]


def Tables(source):
    return Hagemann(source) + Vtrain(source) + Korthikanti(source) + Narayanan(source) + SimuMax(source)
