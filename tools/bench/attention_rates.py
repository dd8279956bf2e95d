#!/usr/bin/env python3
"""The attention operators of LibTorch that a C++ program can call, one against the other, and a token decoded.

    attention_rates.py [--device cuda]      flash attention 2 and cuDNN's, TFLOP/s
    attention_rates.py --device cpu         the CPU's flash attention and the definition, on small shapes: a dry run

Causal, bfloat16. Wants a Python with torch.
"""

import argparse
import sys
import time

try:
    import torch
except ImportError:
    sys.exit("attention_rates.py: this Python has no torch; tools/test.sh makes one that has: .venv-test/bin/python")

ATEN = torch.ops.aten
# Rows, heads, key/value heads, tokens, head_dim: S2 of 7B at 98,304 tokens, full at 32K and 64K, SmolLM2.
SHAPES = {
    "cuda": [(4, 16, 16, 24576, 128), (1, 32, 32, 32768, 128), (1, 32, 8, 65536, 128), (1, 9, 3, 8192, 64)],
    "cpu": [(1, 4, 4, 256, 64), (1, 4, 4, 512, 64)],
}


def seconds(device, work, times=5):
    work()
    if device == "cpu":
        start = time.perf_counter()
        for _ in range(times):
            work()
        return (time.perf_counter() - start) / times
    torch.cuda.synchronize()
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    for _ in range(times):
        work()
    end.record()
    torch.cuda.synchronize()
    return start.elapsed_time(end) / times * 1e-3


def flash(q, k, v):
    """Forward, and backward of what forward kept."""
    if not q.is_cuda:
        return (
            lambda: ATEN._scaled_dot_product_flash_attention_for_cpu(q, k, v, 0.0, True),
            lambda kept, grad: ATEN._scaled_dot_product_flash_attention_for_cpu_backward(
                grad, q, k, v, kept[0], kept[1], 0.0, True
            ),
        )
    length = q.size(2)
    none = torch.zeros(2, dtype=torch.long, device=q.device)  # the state of a dropout of 0
    return (
        lambda: ATEN._scaled_dot_product_flash_attention(q, k, v, 0.0, True),
        lambda kept, grad: ATEN._scaled_dot_product_flash_attention_backward(
            grad, q, k, v, kept[0], kept[1], None, None, length, length, 0.0, True, none, none
        ),
    )


def other(q, k, v):
    """cuDNN's on a GPU, the definition by autograd on a CPU."""
    if not q.is_cuda:
        inputs = [x.detach().requires_grad_(True) for x in (q, k, v)]
        return (
            lambda: ATEN._scaled_dot_product_attention_math(*inputs, None, 0.0, True),
            lambda kept, grad: torch.autograd.grad(kept[0], inputs, grad, retain_graph=True),
        )
    length = q.size(2)
    return (
        lambda: ATEN._scaled_dot_product_cudnn_attention(q, k, v, None, True, 0.0, True, False),
        lambda kept, grad: ATEN._scaled_dot_product_cudnn_attention_backward(
            grad, q, k, v, kept[0], kept[1], kept[6], kept[7], None, None, None, length, length, 0.0, True
        ),
    )


def compare(device, shape):
    rows, heads, key_value_heads, length, head_dim = shape

    def random(count):
        return torch.randn(rows, length, count, head_dim, device=device, dtype=torch.bfloat16).transpose(1, 2)

    q, k, v, grad = random(heads), random(key_value_heads), random(key_value_heads), random(heads)
    tflop = 2e-12 * rows * heads * length * length * head_dim  # half of the scores are masked
    results, line = [], f"{shape}"
    for name, (forward, backward) in (("flash", flash(q, k, v)), ("other", other(q, k, v))):
        try:
            kept = forward()
            results.append([kept[0], *backward(kept, grad)[:3]])
            rates = tflop / seconds(device, forward), 2.5 * tflop / seconds(device, lambda: backward(kept, grad))
        except RuntimeError as error:  # a kernel takes no such shape
            line += f"  {name} refused ({str(error).splitlines()[0]})"
            continue
        line += f"  {name} {rates[0]:.3g} / {rates[1]:.3g}"
    if len(results) == 2:
        differ = [((a.float() - b.float()).norm() / a.float().norm()).item() for a, b in zip(*results)]
        line += "  differ " + " ".join(f"{x:.1e}" for x in differ)
    print(line, flush=True)


def decode(device, keys):
    """Each new length in turn: a library that builds a graph for each is slow at every token."""
    heads, key_value_heads, head_dim = 32, 8, 128
    q = torch.randn(1, heads, 1, head_dim, device=device, dtype=torch.bfloat16)
    kv = torch.randn(1, key_value_heads, keys + 8, head_dim, device=device, dtype=torch.bfloat16)
    for length in range(keys, keys + 8):
        if device == "cuda":
            torch.cuda.synchronize()
        start = time.perf_counter()
        torch.nn.functional.scaled_dot_product_attention(q, kv[:, :, :length], kv[:, :, :length], enable_gqa=True)
        if device == "cuda":
            torch.cuda.synchronize()
        print(f"a token behind {length} keys: {1e3 * (time.perf_counter() - start):.2f} ms")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    device = parser.parse_args().device
    print("torch", torch.__version__, torch.cuda.get_device_name() if device == "cuda" else device)
    print("rows, heads, key/value heads, tokens, head_dim; TFLOP/s forward / backward; relative differences")
    for shape in SHAPES[device]:
        compare(device, shape)
    decode(device, 8192 if device == "cuda" else 512)


if __name__ == "__main__":
    main()
