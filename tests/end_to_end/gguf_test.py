"""SmolLM2-135M as GGUF of each type: gguf-py reads what `longspan convert` writes, llama.cpp computes the same; an
interrupted convert goes on.

    python gguf_test.py --longspan build/longspan
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "2")

try:
    import numpy as np
    import torch
    from gguf import GGUFReader
    from gguf.quants import quantize
    from safetensors.torch import load_file
    from transformers import AutoTokenizer

    from gguf_cases import STORY, TEXTS, our_logits
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

from llama_cpp_model import PACKAGE, WHY_NOT, LlamaCppModel, can_quantize, end_of_checks, llama_cpp_quantize
from program import checked, command_line, finish, run
from smollm2 import gguf_path

TYPES = ["F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_K_M"]


def loss(logits, ids):
    log_p = torch.log_softmax(torch.from_numpy(logits[:-1]).double(), -1)
    return -log_p[torch.arange(len(ids) - 1), torch.tensor(ids[1:])].mean().item()


def interleaved(weight, heads):
    """llama.cpp's LlamaModel.permute."""
    return weight.reshape(heads, 2, weight.shape[0] // heads // 2, -1).swapaxes(1, 2).reshape(weight.shape)


def check_blocks(file, weights, name):
    """Tensors are what gguf's own quantiser makes of the folder's: all, or those of every tenth layer if quantised."""
    layer = {
        "attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm", "attn_q": "self_attn.q_proj",
        "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj",
        "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj",
    }
    reader = GGUFReader(file)
    types, compared = set(), 0
    assert len(reader.tensors) == len(weights), (len(reader.tensors), len(weights))
    for tensor in reader.tensors:
        parts = tensor.name.split(".")
        inside = f"model.layers.{parts[1]}.{layer[parts[2]]}" if parts[0] == "blk" else None
        source = weights[(inside or {"token_embd": "model.embed_tokens", "output_norm": "model.norm"}[parts[0]])
                         + ".weight"].float().numpy()
        if parts[0] == "blk" and parts[2] in ("attn_q", "attn_k"):
            source = interleaved(source, 9 if parts[2] == "attn_q" else 3)
        types.add(tensor.tensor_type.name)
        if tensor.tensor_type.name.endswith("_K"):
            continue  # gguf-py reads these only
        if name[0] == "Q" and (int(parts[1]) % 10 if inside else name != "Q8_0"):
            continue
        compared += 1
        expected = quantize(np.ascontiguousarray(source), tensor.tensor_type)
        assert np.array_equal(tensor.data.view(np.uint8).ravel(), expected.view(np.uint8).ravel()), tensor.name
    print(f"{name}: {compared} of {len(reader.tensors)} tensors ({', '.join(sorted(types))}) equal gguf-py's bit for bit")
    checked("GGUF out", "gguf", "llama", detail=f"{name}, SmolLM2-135M")


def check_quantised_alike(files, work):
    for name in ("Q8_0", "Q4_0", "Q4_K_M"):
        llama_cpp_quantize(files["F32"], work / "theirs.gguf", name)
        ours, theirs = GGUFReader(files[name]), GGUFReader(work / "theirs.gguf")
        expected = {t.name: t for t in theirs.tensors}
        assert len(expected) == len(ours.tensors)
        for tensor in ours.tensors:
            other = expected[tensor.name]
            assert tensor.tensor_type == other.tensor_type, (tensor.name, tensor.tensor_type, other.tensor_type)
            assert np.array_equal(tensor.data, other.data), f"{name}: {tensor.name} differs"
        print(f"{name}: types and bytes of all tensors equal llama.cpp's llama_model_quantize")
        checked("GGUF blocks of Q8_0, Q4_0 and Q4_K_M as llama_model_quantize makes them", PACKAGE, detail=name)
    (work / "theirs.gguf").unlink()


def check_smollm2(binary, work):
    folder = work / "SmolLM2"
    run(binary, "convert", gguf_path(), folder, "--dtype", "bfloat16")
    weights = load_file(folder / "model.safetensors")
    files = {}
    for name in TYPES:
        files[name] = work / f"smollm2.{name}.gguf"
        run(binary, "convert", folder, files[name], "--type", name)
        check_blocks(files[name], weights, name)

    # There and back: not a byte of the file changes.
    run(binary, "convert", files["BF16"], work / "again")
    assert all(torch.equal(a, weights[n]) for n, a in load_file(work / "again/model.safetensors").items())
    run(binary, "convert", work / "again", work / "again.gguf")
    assert (work / "again.gguf").read_bytes() == files["BF16"].read_bytes()
    print("BF16: GGUF -> folder -> GGUF is the same file")

    if WHY_NOT:
        return
    if can_quantize():
        check_quantised_alike(files, work)
    else:
        print(f"llama_model_quantize: not checked: {PACKAGE} has none, llama-cpp-python has")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    ids = tokenizer(STORY)["input_ids"]
    losses = {}
    for name in TYPES:
        with LlamaCppModel(files[name]) as model:
            theirs = model.logits(ids)
            for text in TEXTS if name == "F32" else []:
                expected = tokenizer(text, add_special_tokens=False)["input_ids"]
                assert model.tokenize(text) == expected, (text, model.tokenize(text), expected)
        ours = our_logits(binary, files[name], ids, work)
        losses[name] = loss(theirs, ids)
        difference = np.sqrt(np.square(ours - theirs).mean())
        # llama.cpp rounds what it multiplies weights by: to 16 bits for F16 and BF16, to 8 for blocks.
        bound = {"F32": 1e-4, "F16": 0.02, "BF16": 0.1}.get(name, 0.5)
        print(f"{name}: loss {losses[name]:.4f}, ours {loss(ours, ids):.4f}; logits differ by {difference:.2g} "
              f"(root mean square; their standard deviation is {theirs.std():.3g})")
        assert difference < bound, (name, difference)
        # llama.cpp rounds the activations to the type of the weights; of bfloat16 the loss is 3.4377
        # with the library of llama-cpp-python 0.3.36 and 3.4392 with that of xllamacpp.
        bound = 0.02 if name[0] == "Q" else 0.005 if name == "BF16" else 0.002
        assert abs(losses[name] - loss(ours, ids)) < bound, (name, losses[name], loss(ours, ids))
        checked("GGUF out", PACKAGE, "llama", detail=f"{name}, SmolLM2-135M")
    assert abs(losses["Q8_0"] - losses["BF16"]) < 0.02, losses
    assert abs(losses["Q4_K_M"] - losses["BF16"]) < 0.15, losses


def check_killed(binary, work):
    """kill -9, twice, then the same command: the same file, and what was kept is not made again."""
    expected = (work / "smollm2.Q4_K_M.gguf").read_bytes()
    out, partial = work / "killed.gguf", work / "killed.gguf.partial"
    kept, content = partial / "kept.json", partial / ".content"
    command = list(map(str, [binary, "convert", work / "SmolLM2", out, "--type", "Q4_K_M"]))
    was = None

    def wait_until(process, happened):
        while process.poll() is None and not happened():
            time.sleep(0.001)

    for _ in range(2):
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL, env={**os.environ, "OMP_NUM_THREADS": "1"})
        # What is written is kept once a second of wall time, which passes while the process stands still.
        before = content.stat().st_size if content.exists() else 0
        wait_until(process, lambda: content.exists() and content.stat().st_size > before)
        process.send_signal(signal.SIGSTOP)
        time.sleep(1.1)
        process.send_signal(signal.SIGCONT)
        wait_until(process, lambda: kept.exists() and kept.read_text() != was)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL, "convert was done before it could be killed"
        was = kept.read_text()
        assert not out.exists()
    said = finish(*command).stderr
    assert "goes on where it was interrupted" in said, said
    assert out.read_bytes() == expected and not partial.exists()
    print(f"Q4_K_M: killed twice, the second time with {json.loads(was)['bytes'] / 1e6:.0f} MB kept; all bytes are equal")


def main():
    binary = command_line().parse_args().longspan
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        check_smollm2(binary, work)
        check_killed(binary, work)
    end_of_checks()


if __name__ == "__main__":
    main()
