"""What no true row can be: a check on the reading of the tables, not on the simulator.

Small models on many devices are bound by their host and reach 1 % of peak (a 125M model at batch 1; vTrain's TP 8 at
micro-batch 1), so the lower bound only catches slips of a factor.
"""

import re

LOWEST, HIGHEST = 0.005, 0.75
PEAK = {  # dense bf16 or fp16, TFLOPS per accelerator of the hardware file
    "dgx-h100": 989, "hgx-h200": 989, "ibm-h100-800g": 989, "grand-teton-h100-96gb": 989, "dgx-b200": 2250,
    "gb200-nvl72": 2450, "aws-trn1": 95}


def Number(row, shared, key, default=1):
    text = row.settings.get(key, shared.get(key, ""))
    match = re.search(r"[\d.]+", text)
    return float(match.group(0)) if match else default


def Utilisation(row, shared):
    """Model FLOPs over peak, by 6 N + 12 l h s per token; None where the row has no plain decoder."""
    get = lambda key, default=1: Number(row, shared, key, default)
    hidden = get("model.hidden_size", 0)
    if not hidden or row.settings.get("model.model_type", shared.get("model.model_type")) == "deepseek_v3":
        return None
    layers, heads = get("model.num_hidden_layers"), get("model.num_attention_heads")
    kv_heads = get("model.num_key_value_heads", heads)
    head_dim = get("model.head_dim", hidden / heads)
    family = row.settings.get("model.model_type", shared.get("model.model_type"))
    gated = family in ("llama", "mixtral") and row.settings.get("model.gated_mlp") != "false"
    mlp = (3 if gated else 2) * hidden * get("model.intermediate_size") * get("model.num_experts_per_tok")
    attention = 2 * hidden * head_dim * (heads + kv_heads)
    weights = layers * (mlp + attention) + hidden * get("model.vocab_size")
    seq = get("training.sequence_length")
    per_token = 6 * weights + 12 * layers * heads * head_dim * seq
    ways = get("parallelism.tensor") * get("parallelism.pipeline.stages") * get("parallelism.context")
    sequences = (get("cluster.gpus") / ways * get("training.micro_batch_size")
                 * get("training.gradient_accumulation_steps"))
    peak = PEAK.get(row.settings.get("cluster.hardware", shared.get("cluster.hardware")), 312) * 1e12
    if "fp8" in row.settings.get("training.precision", shared.get("training.precision", "")):
        peak *= 2
    seconds = float(row.expect["step_time_s"])
    return sequences * seq * per_token / (seconds * get("cluster.gpus") * peak)


def Problems(table):
    seen, problems = set(), []
    for row in table.rows:
        if row.id in seen:
            problems.append(f"{table.name}: {row.id} appears twice")
        seen.add(row.id)
        if row.exclude:
            continue
        if not row.expect:
            problems.append(f"{table.name}: {row.id} expects nothing")
        if "step_time_s" not in row.expect:
            continue
        share = Utilisation(row, table.shared)
        if share is not None and not LOWEST < share < HIGHEST:
            problems.append(f"{table.name}: {row.id} implies {share:.1%} of peak")
    return problems
