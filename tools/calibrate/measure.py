#!/usr/bin/env python3
"""Measures what the operator model needs to know about one GPU, in a few minutes.

    python3 measure.py --output my_gpu.json          # needs PyTorch with CUDA (or ROCm)
    simulate calibrate my_gpu.json --accelerator h100-sxm --output my_gpu.yaml   # fits, prints the fit error; my_gpu.yaml
                                                     # is a copy of an accelerator file, whose datasheet stays

Every row is one kernel (or one aten call that launches one or two), timed in two ways:

  isolated  CUDA events around one call, the L2 cache flushed before it, median of the repetitions.
            Holds the event's own overhead; the device runs at its burst clock.
  stream    many calls back to back inside a CUDA graph, over buffers that exceed the L2 cache together.
            What a step sees: no launch gap but the device's own, and the clock that the power limit allows.
            For attention, whose backward cannot be captured so, the kernels' own durations from the profiler.

Host rows are microseconds of one Python thread per call, enqueued without waiting.
"""
import argparse
import datetime
import json
import statistics
import time

import torch
import torch.nn.functional as F

aten = torch.ops.aten
ROWS = []
DEVICE = "cuda"


def flush_buffer():
    if not hasattr(flush_buffer, "data"):
        flush_buffer.data = torch.empty(1 << 28, dtype=torch.uint8, device=DEVICE)
    flush_buffer.data.zero_()


def isolated(call, repetitions=15):
    for _ in range(3):
        call()
    times = []
    for _ in range(repetitions):
        flush_buffer()
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        call()
        end.record()
        end.synchronize()
        times.append(begin.elapsed_time(end) * 1e3)
    return statistics.median(times)


def stream(calls, seconds=0.02):
    """Mean microseconds per call of a graph that runs every call in turn, again and again."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for call in calls:
            call()
    torch.cuda.synchronize()
    once = isolated(calls[0], 3)
    count = max(len(calls), min(200, int(seconds * 1e6 / max(once, 1.0) / 2)))
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for i in range(count):
            calls[i % len(calls)]()
    graph.replay()
    replays = max(2, int(seconds * 1e6 / max(once * count, 1.0)))
    begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    begin.record()
    for _ in range(replays):
        graph.replay()
    end.record()
    end.synchronize()
    result = begin.elapsed_time(end) * 1e3 / replays / count
    del graph
    return result


def record(kind, calls, **facts):
    """calls: equivalent calls over different buffers."""
    row = {"kind": kind, **facts}
    try:
        row["isolated_us"] = round(isolated(calls[0]), 3)
        row["stream_us"] = round(stream(calls), 3)
    except Exception as error:  # an unsupported type or too little memory must not end the run
        row["error"] = str(error).split("\n")[0][:160]
        torch.cuda.synchronize()
    ROWS.append(row)


def copies_for(byte_count, limit=8):
    """How many buffer sets exceed the cache several times over."""
    return max(1, min(limit, int(4e8 // max(byte_count, 1))))


# ---------------------------------------------------------------- matrix products

def gemm(layer, dtype_name, passes=("forward", "data_gradient", "weight_gradient")):
    m, n, k = layer
    dtype = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32, "tf32": torch.float32}[dtype_name]
    torch.backends.cuda.matmul.allow_tf32 = dtype_name == "tf32"
    sets = copies_for(dtype.itemsize * (m * k + n * k + m * n))
    x = [torch.randn(m, k, device=DEVICE, dtype=dtype) for _ in range(sets)]
    w = [torch.randn(n, k, device=DEVICE, dtype=dtype) for _ in range(sets)]
    y = [torch.randn(m, n, device=DEVICE, dtype=dtype) for _ in range(sets)]
    calls = {
        "forward": [lambda i=i: torch.mm(x[i], w[i].t()) for i in range(sets)],
        "data_gradient": [lambda i=i: torch.mm(y[i], w[i]) for i in range(sets)],
        "weight_gradient": [lambda i=i: torch.mm(y[i].t(), x[i]) for i in range(sets)],
    }
    shape = {"forward": (m, n, k), "data_gradient": (m, k, n), "weight_gradient": (n, k, m)}
    for name in passes:
        mm, nn, kk = shape[name]
        record("gemm", calls[name], dtype=dtype_name, **{"pass": name}, batch=1, m=mm, n=nn, k=kk)
    torch.backends.cuda.matmul.allow_tf32 = False


def batched_gemm(batch, m, n, k, dtype_name):
    dtype = {"bf16": torch.bfloat16, "fp32": torch.float32}[dtype_name]
    a = torch.randn(batch, m, k, device=DEVICE, dtype=dtype)
    b = torch.randn(batch, n, k, device=DEVICE, dtype=dtype)
    c = torch.randn(batch, m, n, device=DEVICE, dtype=dtype)
    record("gemm", [lambda: torch.bmm(a, b.transpose(1, 2))], dtype=dtype_name, **{"pass": "forward"},
           batch=batch, m=m, n=n, k=k)
    record("gemm", [lambda: torch.bmm(c, b)], dtype=dtype_name, **{"pass": "data_gradient"}, batch=batch, m=m, n=k, k=n)
    record("gemm", [lambda: torch.bmm(c.transpose(1, 2), a)], dtype=dtype_name, **{"pass": "weight_gradient"},
           batch=batch, m=n, n=k, k=m)


def fp8_gemm(m, n, k):
    a = torch.randn(m, k, device=DEVICE).to(torch.float8_e4m3fn)
    b = torch.randn(n, k, device=DEVICE).to(torch.float8_e4m3fn)
    one = torch.ones((), device=DEVICE)
    record("gemm", [lambda: torch._scaled_mm(a, b.t(), scale_a=one, scale_b=one, out_dtype=torch.bfloat16)],
           dtype="fp8", **{"pass": "forward"}, batch=1, m=m, n=n, k=k)


def measure_gemm():
    layers = [(t, n, k) for t in (2048, 8192) for n, k in
              ((768, 768), (3072, 768), (768, 3072), (1024, 1024), (4096, 1024), (2048, 2048), (8192, 2048), (2048, 8192),
               (4096, 4096), (16384, 4096), (4096, 16384), (5120, 5120))]
    layers += [(256, 4096, 4096), (512, 1024, 1024), (1024, 3072, 768), (4096, 12288, 12288), (32768, 768, 768),
               (32768, 3072, 768), (8192, 50304, 2048), (32768, 50304, 768), (16384, 2048, 2048), (16384, 8192, 2048)]
    for layer in layers:
        gemm(layer, "bf16")
    for layer in ((4096, 50257, 1024), (4096, 4097, 4096), (4096, 4098, 4096), (4096, 4100, 4096), (4096, 4104, 4096),
                  (4096, 4112, 4096)):
        gemm(layer, "bf16")
    for dtype in ("fp16", "fp32", "tf32"):
        for layer in ((2048, 4096, 1024), (4096, 4096, 4096)):
            gemm(layer, dtype)
    for shape in ((1024, 512, 512, 128), (64, 2048, 2048, 128), (128, 1024, 1024, 64), (512, 512, 512, 64)):
        for dtype in ("bf16", "fp32"):
            batched_gemm(*shape, dtype)
    for shape in ((2048, 4096, 4096), (8192, 4096, 4096), (8192, 8192, 8192), (4096, 14336, 4096)):
        fp8_gemm(*shape)


# ---------------------------------------------------------------- fused attention

def kernel_time(call, repetitions=6):
    """Microseconds of the kernels of one call alone, as the profiler sees them: no launch, no host."""
    from torch.profiler import ProfilerActivity, profile
    call()
    torch.cuda.synchronize()
    with profile(activities=[ProfilerActivity.CUDA]) as trace:
        for _ in range(repetitions):
            flush_buffer()
            call()
        torch.cuda.synchronize()
    events = [e for e in trace.profiler.kineto_results.events() if str(e.device_type()).endswith("CUDA")]
    kernels = [e for e in events if "Memset" not in e.name() and "FillFunctor<unsigned char>" not in e.name()]
    return sum(e.duration_ns() for e in kernels) / 1e3 / repetitions


def attention(kernel, causal, batch, heads, kv_heads, length, dim, layout="bshd"):
    """Queries as a model makes them, [batch, length, heads, dim] seen transposed; or `bhsd`, contiguous."""
    from torch.nn.attention import SDPBackend, sdpa_kernel
    backend = {"flash": SDPBackend.CUDNN_ATTENTION, "flash2": SDPBackend.FLASH_ATTENTION,
               "memory_efficient": SDPBackend.EFFICIENT_ATTENTION}[kernel]

    def make(count):
        shape = (batch, length, count, dim) if layout == "bshd" else (batch, count, length, dim)
        tensor = torch.randn(shape, device=DEVICE, dtype=torch.bfloat16)
        return (tensor.transpose(1, 2) if layout == "bshd" else tensor).requires_grad_()
    q, k, v = make(heads), make(kv_heads), make(kv_heads)
    facts = dict(kernel=kernel, causal=causal, batch=batch, query_heads=heads, key_value_heads=kv_heads, length=length,
                 head_dim=dim, dtype="bf16", layout=layout)
    grouped = heads != kv_heads

    def forward():
        return F.scaled_dot_product_attention(q, k, v, is_causal=causal, enable_gqa=grouped)
    for direction in ("forward", "backward"):
        row = dict(facts, direction=direction, kind="attention")
        try:
            with sdpa_kernel(backend):
                if direction == "forward":
                    with torch.no_grad():
                        row["isolated_us"] = round(isolated(forward, 9), 3)
                        row["stream_us"] = round(kernel_time(forward), 3)
                else:
                    out = forward()
                    grad = torch.randn_like(out)
                    run = lambda: torch.autograd.grad(out, (q, k, v), grad, retain_graph=True)
                    row["isolated_us"] = round(isolated(run, 9), 3)
                    row["stream_us"] = round(kernel_time(run), 3)
        except Exception as error:
            row["error"] = str(error).split("\n")[0][:160]
            torch.cuda.synchronize()
        ROWS.append(row)


def measure_attention():
    for kernel in ("flash", "flash2", "memory_efficient"):
        for causal in (True, False):
            for dim, heads in ((64, 32), (128, 16)):
                for batch, length in ((16, 512), (8, 1024), (4, 2048), (8, 2048), (2, 4096), (1, 8192)):
                    attention(kernel, causal, batch, heads, heads, length, dim)
    for layout in ("bshd", "bhsd"):
        attention("flash", True, 4, 16, 16, 2048, 128, layout)
        attention("flash", True, 4, 16, 16, 4096, 128, layout)
        attention("flash", True, 16, 16, 16, 1024, 64, layout)
    attention("flash", True, 32, 12, 12, 1024, 64)
    attention("flash", True, 2, 32, 8, 4096, 64)
    attention("flash", True, 2, 24, 8, 4096, 128)
    attention("flash2", True, 2, 32, 8, 4096, 64)


# ---------------------------------------------------------------- memory-bound operators

def memory(name, access, make, rows, columns, read, written, dtype, limit=8, **more):
    sets = copies_for(read + written, limit)
    calls = [make() for _ in range(sets)]
    record("memory", calls, name=name, access=access, rows=rows, columns=columns, read=int(read), written=int(written),
           dtype=dtype, **more)


def randn(*shape, dtype=torch.bfloat16):
    return torch.randn(*shape, device=DEVICE, dtype=dtype)


def bind(function, *tensors):
    """A factory of calls with fresh buffers: `tensors` are functions that make one each."""
    def make():
        arguments = [t() for t in tensors]
        return lambda: function(*arguments)
    return make


def measure_elementwise(rows, columns):
    n = rows * columns
    big = lambda: randn(rows, columns)
    fp32 = lambda: randn(rows, columns, dtype=torch.float32)
    memory("copy", "elementwise", bind(lambda a, b: b.copy_(a), big, big), rows, columns, 2 * n, 2 * n, "bf16")
    memory("add", "elementwise", bind(torch.add, big, big), rows, columns, 4 * n, 2 * n, "bf16")
    memory("add_fp32", "elementwise", bind(torch.add, fp32, fp32), rows, columns, 8 * n, 4 * n, "fp32")
    memory("cast_down", "elementwise", bind(lambda a: a.to(torch.bfloat16), fp32), rows, columns, 4 * n, 2 * n, "fp32")
    memory("cast_up", "mixed_types", bind(lambda a: a.to(torch.float32), big), rows, columns, 2 * n, 4 * n, "fp32")
    memory("add_mixed", "mixed_types", bind(torch.add, fp32, big), rows, columns, 6 * n, 4 * n, "fp32")
    memory("gelu", "activation", bind(F.gelu, big), rows, columns, 2 * n, 2 * n, "bf16")
    memory("gelu_backward", "activation", bind(lambda g, a: aten.gelu_backward(g, a), big, big), rows, columns, 4 * n, 2 * n, "bf16")
    memory("gelu_tanh", "activation", bind(lambda a: F.gelu(a, approximate="tanh"), big), rows, columns, 2 * n, 2 * n, "bf16")
    memory("relu", "elementwise", bind(F.relu, big), rows, columns, 2 * n, 2 * n, "bf16")
    memory("silu", "activation", bind(F.silu, big), rows, columns, 2 * n, 2 * n, "bf16")
    memory("silu_backward", "activation", bind(lambda g, a: aten.silu_backward(g, a), big, big), rows, columns, 4 * n, 2 * n, "bf16")
    memory("fill", "elementwise", bind(lambda a: a.zero_(), big), rows, columns, 0, 2 * n, "bf16")
    memory("dropout", "dropout", bind(lambda a: aten.native_dropout(a, 0.1, True), big), rows, columns, 2 * n, 3 * n, "bf16")
    mask = lambda: torch.rand(rows, columns, device=DEVICE) > 0.1
    memory("dropout_backward", "elementwise", bind(lambda g, m: aten.native_dropout_backward(g, m, 1.1), big, mask), rows, columns,
           3 * n, 2 * n, "bf16")


def measure_rows(rows, columns):
    n = rows * columns
    big = lambda: randn(rows, columns)
    fp32 = lambda: randn(rows, columns, dtype=torch.float32)
    weight = lambda: randn(columns)
    stats = lambda: randn(rows, 1, dtype=torch.float32).abs() + 1
    memory("layer_norm", "layer_norm", bind(lambda a, w, b: aten.native_layer_norm(a, [columns], w, b, 1e-5), big, weight, weight),
           rows, columns, 2 * n, 2 * n, "bf16")
    memory("layer_norm_backward_input", "row_reduction_backward",
           bind(lambda g, a, m, r, w, b: aten.native_layer_norm_backward(g, a, [columns], m, r, w, b, [True, False, False]),
                big, big, stats, stats, weight, weight), rows, columns, 4 * n, 2 * n, "bf16")
    memory("layer_norm_backward_weight", "norm_weight_gradient",
           bind(lambda g, a, m, r, w, b: aten.native_layer_norm_backward(g, a, [columns], m, r, w, b, [False, True, True]),
                big, big, stats, stats, weight, weight), rows, columns, 4 * n, 4 * columns, "bf16")
    weight32 = lambda: randn(columns, dtype=torch.float32)
    memory("layer_norm_fp32", "layer_norm",
           bind(lambda a, w, b: aten.native_layer_norm(a, [columns], w, b, 1e-5), fp32, weight32, weight32),
           rows, columns, 4 * n, 4 * n, "fp32")
    memory("layer_norm_backward_input_fp32", "row_reduction_backward",
           bind(lambda g, a, m, r, w, b: aten.native_layer_norm_backward(g, a, [columns], m, r, w, b, [True, False, False]),
                fp32, fp32, stats, stats, weight32, weight32), rows, columns, 8 * n, 4 * n, "fp32")
    memory("layer_norm_backward_weight_fp32", "norm_weight_gradient",
           bind(lambda g, a, m, r, w, b: aten.native_layer_norm_backward(g, a, [columns], m, r, w, b, [False, True, True]),
                fp32, fp32, stats, stats, weight32, weight32), rows, columns, 8 * n, 8 * columns, "fp32")
    if hasattr(aten, "_fused_rms_norm"):
        memory("rms_norm", "row_reduction", bind(lambda a, w: aten._fused_rms_norm(a, [columns], w, 1e-5), big, weight),
               rows, columns, 2 * n, 2 * n, "bf16")
        memory("rms_norm_backward_both", "",
               bind(lambda g, a, r, w: aten._fused_rms_norm_backward(g, a, [columns], r, w, [True, True]), big, big, stats, weight),
               rows, columns, 8 * n, 2 * n, "bf16", launches=2)
    memory("softmax_fp32", "softmax", bind(lambda a: torch.softmax(a, -1), fp32), rows, columns, 4 * n, 4 * n, "fp32")
    memory("softmax_backward_fp32_both", "",
           bind(lambda g, o: aten._softmax_backward_data(g, o, -1, torch.float32), fp32, fp32), rows, columns, 8 * n, 4 * n, "fp32")
    memory("softmax", "softmax", bind(lambda a: torch.softmax(a, -1), big), rows, columns, 2 * n, 2 * n, "bf16")
    memory("softmax_backward_both", "",
           bind(lambda g, o: aten._softmax_backward_data(g, o, -1, torch.bfloat16), big, big), rows, columns, 4 * n, 2 * n, "bf16")
    memory("row_mean_fp32", "row_reduction", bind(lambda a: a.mean(-1), fp32), rows, columns, 4 * n, 4 * rows, "fp32")
    memory("column_sum", "column_reduction", bind(lambda a: a.sum(0), big), rows, columns, 2 * n, 2 * columns, "bf16")
    memory("column_sum_fp32", "column_reduction", bind(lambda a: a.sum(0), fp32), rows, columns, 4 * n, 4 * columns, "fp32")


def measure_strided(batch, heads, length, dim):
    rows, columns, n = batch * length, heads * dim, batch * length * heads * dim
    hidden = lambda: randn(batch, length, heads * dim)
    split = lambda: randn(batch, heads, length, dim)
    memory("split_heads", "transpose", bind(lambda a: a.view(batch, length, heads, dim).transpose(1, 2).contiguous(), hidden),
           rows, columns, 2 * n, 2 * n, "bf16")
    memory("split_heads_scaled_fp32", "transpose",
           bind(lambda a: a.view(batch, length, heads, dim).transpose(1, 2).float(), hidden), rows, columns, 2 * n, 4 * n, "fp32")
    memory("merge_heads", "transpose", bind(lambda a: a.transpose(1, 2).reshape(batch, length, heads * dim), split),
           rows, columns, 2 * n, 2 * n, "bf16")
    memory("transpose_last", "transpose_inner", bind(lambda a: a.transpose(2, 3).contiguous(), split), rows, columns, 2 * n, 2 * n, "bf16")
    memory("add_column_vector", "broadcast", bind(lambda a, w: a * w, lambda: randn(rows, columns), lambda: randn(rows, 1)),
           rows, columns, 2 * n, 2 * n, "bf16")
    memory("add_row_vector", "broadcast", bind(torch.add, lambda: randn(rows, columns), lambda: randn(columns)),
           rows, columns, 2 * n, 2 * n, "bf16")
    memory("mul_fp32_column", "broadcast", bind(torch.mul, lambda: randn(rows, columns), lambda: randn(rows, 1, dtype=torch.float32)),
           rows, columns, 2 * n, 4 * n, "fp32")
    memory("slice_half", "broadcast", bind(lambda a: a[..., : dim // 2] * 2.0, split), rows, columns // 2, n, n, "bf16")


def measure_scores(batch, heads, length):
    rows, n = batch * heads * length, batch * heads * length * length
    scores = lambda: randn(batch, heads, length, length)
    bias = lambda: randn(1, heads, length, length)
    mask = lambda: randn(batch, 1, 1, length)
    memory("add_bias", "broadcast", bind(torch.add, scores, bias), rows, length, 2 * n + 2 * n // batch, 2 * n, "bf16", limit=2)
    memory("add_bias_expanded", "broadcast", bind(torch.add, scores, lambda: bias().expand(batch, -1, -1, -1)), rows, length,
           2 * n + 2 * n // batch, 2 * n, "bf16", limit=2)
    memory("add_bias_strided", "strided",
           bind(torch.add, scores, lambda: randn(1, length, length, heads).permute(0, 3, 1, 2)), rows, length,
           2 * n + 2 * n // batch, 2 * n, "bf16", limit=2)
    memory("add_mask", "broadcast", bind(torch.add, scores, mask), rows, length, 2 * n, 2 * n, "bf16", limit=2)
    memory("add_bias_mixed", "broadcast",
           bind(torch.add, lambda: randn(batch, heads, length, length, dtype=torch.float32), bias), rows, length,
           4 * n + 2 * n // batch, 4 * n, "fp32", limit=2)
    memory("bias_gradient", "column_reduction", bind(lambda g: g.sum(0, keepdim=True), scores), batch, n // batch, 2 * n,
           2 * n // batch, "bf16", limit=2)


def measure_vocabulary(tokens, vocabulary, hidden):
    n = tokens * vocabulary
    ids = lambda: torch.randint(0, vocabulary, (tokens,), device=DEVICE)
    logits = lambda: randn(tokens, vocabulary, dtype=torch.float32)
    table = lambda: randn(vocabulary, hidden)
    memory("embedding", "gather", bind(F.embedding, ids, table), tokens, hidden, 2 * tokens * hidden, 2 * tokens * hidden, "bf16")
    for dtype, name, size in ((torch.bfloat16, "embedding_backward", 2), (torch.float32, "embedding_backward_fp32", 4)):
        memory(name, "scatter_add",
               bind(lambda g, i: aten.embedding_dense_backward(g, i, vocabulary, -1, False), lambda: randn(tokens, hidden, dtype=dtype), ids),
               tokens, hidden, size * tokens * hidden, size * vocabulary * hidden, "bf16" if size == 2 else "fp32", vocabulary=vocabulary)
    memory("log_softmax", "loss", bind(lambda a: torch.log_softmax(a, -1), logits), tokens, vocabulary, 4 * n, 4 * n, "fp32", limit=1)
    memory("log_softmax_backward", "loss",
           bind(lambda g, o: aten._log_softmax_backward_data(g, o, -1, torch.float32), logits, logits), tokens, vocabulary, 8 * n, 4 * n,
           "fp32", limit=1, backward=True)
    weight = torch.ones((), device=DEVICE)
    memory("nll_loss", "gather", bind(lambda a, i: aten.nll_loss_forward(a, i, None, 1, -100), logits, ids), tokens, 1, 4 * tokens, 4,
           "fp32", limit=1)
    memory("nll_loss_backward", "elementwise",
           bind(lambda a, i: aten.nll_loss_backward(weight, a, i, None, 1, -100, weight), logits, ids), tokens, vocabulary, 0, 4 * n,
           "fp32", limit=1)


def measure_multi_tensor():
    for count, size in ((16, 1 << 22), (64, 1 << 22), (256, 1 << 18)):
        n = count * size
        for dtype, name, width in ((torch.float32, "fp32", 4), (torch.bfloat16, "bf16", 2)):
            parameters = [torch.nn.Parameter(randn(size, dtype=dtype)) for _ in range(count)]
            for p in parameters:
                p.grad = torch.randn_like(p)
            for fused in (True, False):
                optimizer = torch.optim.AdamW(parameters, lr=1e-4, fused=fused, foreach=not fused)
                row = {"kind": "memory", "name": "adamw_fused" if fused else "adamw_foreach", "access": "optimizer" if fused else "", "rows": count,
                       "columns": size, "dtype": name, "read": 4 * width * n, "written": 3 * width * n}
                row["isolated_us"] = round(isolated(optimizer.step, 5), 3)
                ROWS.append(row)
            grads = [p.grad for p in parameters]
            memory("foreach_norm", "multi_tensor", lambda: lambda: torch._foreach_norm(grads), count, size, width * n, 4 * count, name, limit=1)
            memory("foreach_mul", "multi_tensor", lambda: lambda: torch._foreach_mul_(grads, 0.5), count, size, width * n, width * n, name, limit=1)
            pieces = [g.view(-1) for g in grads]
            memory("flatten_cat", "multi_tensor", lambda: lambda: torch.cat(pieces), count, size, width * n, width * n, name, limit=1)


def measure_memory():
    for rows, columns in ((64, 1024), (512, 1024), (2048, 1024), (2048, 4096), (8192, 2048), (8192, 8192), (16384, 16384)):
        measure_elementwise(rows, columns)
    for rows, columns in ((512, 768), (2048, 2048), (8192, 768), (8192, 2048), (8192, 4096), (8192, 8192), (32768, 768), (65536, 512),
                          (262144, 512), (16384, 2048)):
        measure_rows(rows, columns)
    measure_strided(8, 16, 2048, 128)
    measure_strided(2, 12, 1024, 64)
    measure_strided(8, 128, 512, 128)
    measure_scores(8, 128, 512)
    measure_scores(8, 16, 512)
    measure_vocabulary(8192, 50304, 2048)
    measure_vocabulary(1024, 50304, 768)
    measure_vocabulary(4096, 32128, 1024)
    measure_vocabulary(4096, 128256, 2048)
    measure_multi_tensor()


# ---------------------------------------------------------------- the clock under load, and the host

def measure_sustained():
    a, b = randn(8192, 8192), randn(8192, 8192)
    torch.cuda.synchronize()
    for name, filler in (("gemm_only", 0), ("gemm_and_memory", 2), ("gemm_and_memory_half", 6)):
        x = randn(8192, 16384)
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        events, start = [], time.time()
        while time.time() - start < 2.0:
            for _ in range(8):
                first, last = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
                first.record()
                torch.mm(a, b)
                last.record()
                events.append((first, last))
                for _ in range(filler):
                    x.mul_(1.0)
            torch.cuda.synchronize()
        tail = [f.elapsed_time(l) for f, l in events[len(events) // 2:]]
        ROWS.append({"kind": "sustained", "name": name, "m": 8192, "n": 8192, "k": 8192, "dtype": "bf16",
                     "us": round(statistics.mean(tail) * 1e3, 2)})
        del begin, end


def host_time(call, count=400):
    for _ in range(20):
        call()
    torch.cuda.synchronize()
    start = time.perf_counter()
    for _ in range(count):
        call()
    elapsed = time.perf_counter() - start
    torch.cuda.synchronize()
    return elapsed / count * 1e6


def measure_host():
    x = randn(16, 64)
    linear, norm = torch.nn.Linear(64, 64, device=DEVICE, dtype=torch.bfloat16), torch.nn.LayerNorm(64, device=DEVICE, dtype=torch.bfloat16)
    linear32 = torch.nn.Linear(64, 64, device=DEVICE)
    gx = randn(16, 64).requires_grad_()

    def host(name, call, per=1, count=400):
        ROWS.append({"kind": "host", "name": name, "us": round(host_time(call, count) / per, 3)})
    with torch.no_grad():
        host("add", lambda: torch.add(x, x))
        host("view", lambda: x.view(64, 16))
        host("mm", lambda: torch.mm(x, x.t()))
        host("linear", lambda: linear(x))
        host("functional_linear", lambda: F.linear(x, linear.weight, linear.bias))
        host("gelu", lambda: F.gelu(x))
        host("layer_norm", lambda: norm(x))
        q = randn(2, 4, 128, 64)
        host("sdpa", lambda: F.scaled_dot_product_attention(q, q, q, is_causal=True))
    host("add_autograd", lambda: torch.add(gx, gx))
    host("linear_autograd", lambda: linear(gx))
    host("layer_norm_autograd", lambda: norm(gx))
    qg = randn(2, 4, 128, 64).requires_grad_()
    host("sdpa_autograd", lambda: F.scaled_dot_product_attention(qg, qg, qg, is_causal=True))
    with torch.autocast("cuda", dtype=torch.bfloat16):
        x32 = randn(16, 64, dtype=torch.float32).requires_grad_()
        host("linear_autocast_cached_weight", lambda: linear32(x32))
    host("cast_autograd", lambda: gx.float())

    def backward_chain(make, nodes, name):
        chain = []
        for _ in range(12):
            y = gx
            for _ in range(nodes):
                y = make(y)
            chain.append(y)
        g = torch.ones_like(chain[0])
        torch.cuda.synchronize()
        times = []
        for y in chain:
            start = time.perf_counter()
            y.backward(g)
            times.append(time.perf_counter() - start)
            torch.cuda.synchronize()
        ROWS.append({"kind": "host", "name": name, "us": round(statistics.median(times) / nodes * 1e6, 3)})
    backward_chain(lambda y: y * 1.5, 200, "backward_mul")
    backward_chain(F.gelu, 200, "backward_gelu")
    backward_chain(linear, 200, "backward_linear")
    backward_chain(norm, 200, "backward_layer_norm")
    backward_chain(lambda y: y.view(64, 16).view(16, 64), 200, "backward_two_views")
    for count in (100, 300):
        parameters = [torch.nn.Parameter(randn(64)) for _ in range(count)]
        for p in parameters:
            p.grad = torch.randn_like(p)
        for fused in (True, False):
            optimizer = torch.optim.AdamW(parameters, lr=1e-4, fused=fused, foreach=not fused)
            host(f"adamw_{'fused' if fused else 'foreach'}_{count}", optimizer.step, 1, 30)
        host(f"zero_grad_{count}", lambda: optimizer.zero_grad(), 1, 30)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", default="measurements.json")
    parser.add_argument("--only", default="gemm,attention,memory,sustained,host")
    options = parser.parse_args()
    properties = torch.cuda.get_device_properties(0)
    for part in options.only.split(","):
        start = time.time()
        globals()["measure_" + part]()
        torch.cuda.empty_cache()
        print(f"{part}: {time.time() - start:.0f} s, {len(ROWS)} rows", flush=True)
    document = {
        "schema": 1, "device": properties.name, "compute_units": properties.multi_processor_count, "memory_bytes": properties.total_memory,
        "l2_bytes": getattr(properties, "L2_cache_size", 0), "torch": torch.__version__, "cuda": torch.version.cuda,
        "date": datetime.date.today().isoformat(), "rows": ROWS}
    with open(options.output, "w") as file:
        file.write(json.dumps(document)[:-1].replace('{"kind"', '\n{"kind"') + "}\n")
    print("wrote", options.output)


if __name__ == "__main__":
    main()
