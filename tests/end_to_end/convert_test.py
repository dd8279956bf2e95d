"""SmolLM2 from GGUF: transformers loads what `longspan convert` writes, with equal weights, logits and ids.

    python convert_test.py --longspan build/longspan
"""

import json
import sys
import tempfile
from pathlib import Path

try:
    import numpy as np
    import torch
    from gguf import GGUFReader
    from gguf.quants import dequantize
    from safetensors.torch import load_file
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import AutoModelForCausalLM, AutoTokenizer
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

from program import checked, command_line, refusal, run
from smollm2 import gguf_path

TEXTS = [
    "The quick brown fox jumps over the lazy dog.",
    "In 1984, 12345 people paid $3.50 (or 2,99 €) -- twice!\n\n\tIndented  twice   and more.",
    "Füße, naïveté, Ελληνικά, русский, 日本語, हिन्दी, עברית, 👩‍👩‍👧 and \u200b zero width",
    r"\begin{align} e^{i\pi} + 1 &= 0 \\ \int_0^1 x^2\,dx &= \tfrac{1}{3} \end{align}",
    "<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n",
    "don't we'll I'd  THEY'RE\r\n\r\nx\u00a0y\u3000z ١٢٣ ½",
    "",
]


def reference_tokenizer(reader):
    """SmolLM2's own tokenizer.json: digits one by one, then GPT-2's byte-level BPE."""
    value = lambda key: reader.fields[key].contents()
    tokens, types = value("tokenizer.ggml.tokens"), value("tokenizer.ggml.token_type")
    merges = [tuple(merge.split(" ")) for merge in value("tokenizer.ggml.merges")]
    tokenizer = Tokenizer(models.BPE(vocab={t: i for i, t in enumerate(tokens)}, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([t for t, kind in zip(tokens, types) if kind == 3])
    return tokenizer


def hugging_face_name(name):
    layer = {
        "attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm",
        "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
        "attn_output": "self_attn.o_proj", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj",
        "ffn_down": "mlp.down_proj",
    }
    parts = name.split(".")
    if parts[0] == "blk":
        return f"model.layers.{parts[1]}.{layer[parts[2]]}.weight"
    return {"token_embd": "model.embed_tokens", "output_norm": "model.norm"}[parts[0]] + ".weight"


def unpermuted(name, values, heads):
    """llama.cpp's converter interleaves the halves of each head of q and k."""
    if "q_proj" in name or "k_proj" in name:
        count = heads["q" if "q_proj" in name else "k"]
        rows = values.shape[0]
        values = values.reshape(count, rows // count // 2, 2, -1).swapaxes(1, 2).reshape(rows, -1)
    return values


def check_weights(folder, reader):
    ours = load_file(folder / "model.safetensors")
    assert len(ours) == len(reader.tensors), (len(ours), len(reader.tensors))
    for tensor in reader.tensors:
        name = hugging_face_name(tensor.name)
        values = dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
        expected = torch.from_numpy(unpermuted(name, values, {"q": 9, "k": 3}).copy())
        assert torch.equal(ours[name], expected.view(ours[name].shape)), f"{name} differs"
    print(f"{len(ours)} tensors equal gguf's dequantisation bit for bit")
    checked("GGUF in", "gguf", "llama", detail="SmolLM2-135M, weights")


def check_tokenizer(folder, reader):
    expected = reference_tokenizer(reader)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    for text in TEXTS:
        ids = tokenizer(text, add_special_tokens=True)["input_ids"]
        assert ids == expected.encode(text).ids, f"{text!r}: {ids} and {expected.encode(text).ids}"
        assert tokenizer.decode(ids) == text, f"{text!r} came back as {tokenizer.decode(ids)!r}"
    assert tokenizer.eos_token_id == 2 and tokenizer.bos_token_id == 1, tokenizer
    assert tokenizer.model_max_length == 8192, tokenizer.model_max_length
    chat = tokenizer.apply_chat_template([{"role": "user", "content": "Hi"}], tokenize=False)
    assert "<|im_start|>user\nHi<|im_end|>" in chat, chat
    print(f"{len(TEXTS)} texts: ids of AutoTokenizer equal the reference")
    checked("tokenizer of a GGUF (byte-level BPE), out as tokenizer.json", "tokenizers", detail="SmolLM2")


def check_logits(binary, folder, work):
    # Both programs run LibTorch's kernels, so that sdpa often differs by nothing at all; eager is
    # transformers' own arithmetic.
    model = AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager"
    ).eval()
    ids = [(7919 * i + 13) % 49152 for i in range(64)]
    (work / "ids.json").write_text(json.dumps(ids))
    run(binary, "logits", folder, "--ids", work / "ids.json", "--out", work / "l.safetensors",
        "--dtype", "float32")
    ours = load_file(work / "l.safetensors")["logits"]
    with torch.no_grad():
        theirs = model(torch.tensor([ids])).logits[0]
    difference = (ours - theirs).abs().max().item()
    print(f"logits: largest difference {difference:.2g} (logits up to {theirs.abs().max():.3g})")
    assert ours.shape == theirs.shape and difference < 2e-3, difference
    assert torch.equal(ours.argmax(-1), theirs.argmax(-1))
    checked("folder out", "transformers", "llama", "default", "SmolLM2-135M")


def check_shards(binary, gguf, work):
    run(binary, "convert", gguf, work / "sharded", "--dtype", "bfloat16", "--shard-size", "100MB")
    shards = sorted((work / "sharded").glob("model-*.safetensors"))
    assert len(shards) >= 3, shards
    model = AutoModelForCausalLM.from_pretrained(work / "sharded")
    assert model.dtype == torch.bfloat16, model.dtype
    assert "--force" in refusal(binary, "convert", gguf, work / "sharded", code=2)
    print(f"{len(shards)} shards in bfloat16 load")
    checked("sharded safetensors, out", "transformers", detail="SmolLM2-135M")


def main():
    binary = command_line().parse_args().longspan
    gguf = gguf_path()
    reader = GGUFReader(gguf)
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        run(binary, "convert", gguf, work / "model", "--dtype", "float32")
        check_weights(work / "model", reader)
        check_tokenizer(work / "model", reader)
        check_logits(binary, work / "model", work)
        check_shards(binary, gguf, work)


if __name__ == "__main__":
    main()
