"""Tables of NVIDIA's performance recipes: DGX Cloud benchmarking, Megatron-Bridge, NeMo AutoModel."""

import re

from common import BF16_GRADIENTS, Int, ModelOf
from megatron import Divides, Layout
from table import Row, Table

UNEVEN = "embedding and head count as layers of the pipeline, so its stages are uneven"


def Precision(row):
    return BF16_GRADIENTS if row["precision"].lower().startswith("bf16") else "{preset: fp8_mixed, gradients: bf16}"


def RecipeModel(row):
    """The families behind the names, where config.json's llama keys do not cover them."""
    name = row["model"]
    if name.startswith("Nemotron4"):  # squared ReLU without gate, LayerNorm, rotary, no biases
        return ModelOf(row, "llama", name=name.lower(), gated_mlp=False, hidden_act="relu", norm="layer_norm")
    if name.startswith("GPT3"):
        return ModelOf(row, "gpt2", name=name.lower(), max_position_embeddings=row["seq"])
    if name.startswith("Grok1"):
        return ModelOf(row, "mixtral", name=name.lower(), num_local_experts=row["experts"],
                       num_experts_per_tok=row["topk"])
    return ModelOf(row, "llama", name=name.lower())


def EndsCount(row):
    """Layers that do not divide: NeMo's account_for_embedding_in_pipeline_split and account_for_loss_in_pipeline_split."""
    return {} if Divides(row) else {"parallelism__pipeline__partition": "ends"}


def Segment(row):
    """GB200: the launcher (dgxc-benchmarking cli/llmb-run/CHANGELOG.md, SBATCH_SEGMENT_SIZE) takes of each NVL72 the greatest
    divisor of the number of nodes of 4 GPUs that fits its 18; Megatron-Bridge's 128 GB200 run with --segment=16, too."""
    nodes = Int(row, "gpus") // 4
    if nodes <= 18:
        return {}
    return {"cluster.gpus_per_node": 4 * max(n for n in range(1, 19) if nodes % n == 0)}


# ---- DGX Cloud ----------------------------------------------------------------------------------------------------

def DgxcExclusion(row):
    if "JAX" in row["strategy"]:
        return "JAX (MaxText, Paxml): how data and fsdp axes share the GPUs is not stated"
    if "finetune" in row["model"]:
        return "fine-tuning: micro-batch and what is trained (all weights or LoRA) not stated"
    return ""


def DgxcRow(row):
    exclude = DgxcExclusion(row)
    expect = {"step_time_s": float(row["value"])}
    tag = re.search(r"(\S+) @tag (\S+)", row["citation"])
    source = f"{tag.group(1)} @{tag.group(2)}"
    note = f"{row['layers']} layers of the full model" if "truncated" in row["notes"] else ""
    if exclude:
        return Row(row["id"], {}, {}, f"{row['model']}, {row['gpus']} GPUs, {row['value']} s", exclude, source)
    note = "; ".join(filter(None, (note, "" if Divides(row) else UNEVEN)))
    settings = RecipeModel(row)
    row = dict(row, sp="1" if row["tp"] != "1" else "0", ep=row["ep"] if row["experts"] else "1")
    settings.update(Layout(row, "zero1", **EndsCount(row)))
    settings.update({
        "cluster.hardware": "dgx-h100" if row["accelerator"].startswith("H100") else "gb200-nvl72",
        "training.precision": Precision(row), "training.activation_checkpointing": "none",
        "training.attention": "flash", "training.dropout": 0, "training.transformer_engine": True})
    if row["accelerator"].startswith("GB200"):
        settings.update(Segment(row))
    if row["tp"] != "1" and not row["experts"]:
        settings["parallelism.tensor_overlap"] = True
    return Row(row["id"], settings, expect, note, exclude, source)


def Dgxc(source):
    rows = [DgxcRow(row) for row in source.Published("dgxc_benchmarking")]
    return [Table("dgxc", "NVIDIA DGX Cloud recipes: Llama 3.1, Nemotron 4, Grok 1 and GPT-3 on H100 and GB200",
                  "NVIDIA DGX Cloud Benchmarking, github.com/NVIDIA/dgxc-benchmarking", """\
NeMo recipes, iteration time as printed; distributed optimizer. Recomputation is unstated (none presumed), and so is
sequence parallelism (on with tensor parallelism, NeMo's habit). Grok: dropless, balanced experts presumed. The recipes of
dense models switch tp_comm_overlap on (NeMo nemo/collections/llm/recipes/tp_overlap_configs/userbuffers.py).""", rows,
                  {"training.attention": "Transformer Engine"})]


# ---- Megatron-Bridge ----------------------------------------------------------------------------------------------

BRIDGE_HARDWARE = {"H100": "dgx-h100", "B200": "dgx-b200", "GB200": "gb200-nvl72"}


def BridgeExclusion(row):
    if "LoRA" in row["notes"] or "SFT" in row["notes"]:
        return "fine-tuning, not pre-training"
    if row["accelerator"] not in BRIDGE_HARDWARE:
        return "B300 and GB300 have no hardware file"
    if "NVFP4" in row["precision"]:
        return "4-bit matmuls are not modelled"
    if row["model"].startswith("Nemotron"):
        return "hybrid of state-space and attention layers, shape not in the table"
    if not row["ffn"]:
        return "experts' width and dispatch not in the table; recomputation and offload unstated"
    if row["strategy"].startswith("fsdp"):
        return "Megatron-FSDP: recomputation and offload, which it leans on, not stated"
    if Int(row, "global_batch") != Int(row, "micro_batch") * Int(row, "dp") * Int(row, "grad_accum"):
        return "inconsistent as printed: the global batch is not micro-batch x accumulation x data-parallel ranks"
    return ""


def BridgeRow(row):
    exclude = BridgeExclusion(row)
    rate = float(row["second_value"])
    release = re.search(r'section "([^"]+)"', row["citation"]).group(1)
    note = f"{row['precision']}; {row['value']} TFLOPS per GPU by the source's model FLOPs"
    if exclude:
        return Row(row["id"], {}, {}, f"{row['model']}, {row['gpus']} {row['accelerator']}; {note}", exclude, release)
    note += "" if Divides(row) else "; " + UNEVEN
    row = dict(row, ep="1")
    settings = ModelOf(row, "llama", name=row["model"].lower())
    settings.update(Layout(row, "zero1", **EndsCount(row)))
    settings.update({
        "cluster.hardware": BRIDGE_HARDWARE[row["accelerator"]], "training.precision": Precision(row),
        "training.activation_checkpointing": "none", "training.attention": "flash", "training.dropout": 0,
        "training.transformer_engine": True})
    if row["tp"] != "1":
        settings["parallelism.tensor_overlap"] = True  # COMM_OVERLAP_CONFIG_MAP of its performance recipes
    if row["accelerator"] == "GB200":
        settings.update(Segment(row))
    if release >= "26.02":
        settings["training.expandable_segments"] = True
    step = Int(row, "global_batch") * Int(row, "seq") / (rate * Int(row, "gpus"))
    return Row(row["id"], settings, {"step_time_s": step}, f"{rate:g} tokens/s per GPU; {note}", exclude,
               release)


def Bridge(source):
    rows = [BridgeRow(row) for row in source.Published("megatron_bridge")]
    return [Table("megatron_bridge", "NVIDIA Megatron-Bridge: Llama 3 on H100, B200 and GB200",
                  "NVIDIA Megatron-Bridge performance summary, github.com/NVIDIA-NeMo/Megatron-Bridge @067f987", """\
step time = global batch x sequence / (tokens per second and GPU x GPUs). Recomputation and offload are set by recipes
that the page does not show: none presumed. MXFP8 and FP8 alike run as fp8_mixed. Expandable segments: set by the launch
scripts of 26.02 (utils/executors.py) and by the recipes since (perf_recipes).
""", rows, {"training.attention": "Transformer Engine"})]


# ---- NeMo AutoModel -----------------------------------------------------------------------------------------------

def AutoModelRow(row):
    if "LoRA" in row["citation"]:
        exclude = "LoRA fine-tuning"
    elif row["model"].startswith("Nemotron"):
        exclude = "hybrid of state-space and attention layers, shape not in the table"
    else:
        exclude = "recomputation not stated, and without it the run does not fit"
    note = f"{row['model']}, {row['gpus']} GPUs, {row['value']} s; {row['notes']}"
    return Row(row["id"], {}, {}, note, exclude, row["citation"])


def AutoModel(source):
    rows = [AutoModelRow(row) for row in source.Published("nemo_automodel")]
    return [Table("nemo_automodel", "NVIDIA NeMo AutoModel on H100", "NVIDIA NeMo AutoModel performance summary, "
                  "github.com/NVIDIA-NeMo/Automodel docs/performance-summary.mdx",
                  "No row states enough to be run; kept for the reasons.", rows)]


def Tables(source):
    return Dgxc(source) + Bridge(source) + AutoModel(source)
