"""LLaMA in Meta's own layout (params.json, consolidated.*.pth): `longspan logits` and `longspan convert` against the
transformers model that the files were made of.

    python meta_test.py --longspan build/longspan
"""

import json
import sys
import tempfile
from pathlib import Path

try:
    import torch
    from safetensors.torch import load_file
    from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

from program import checked, command_line, float32_bound, refusal, run

torch.set_num_threads(1)
IDS = [(31 * i + 7) % 96 for i in range(40)]
HEADS, KV_HEADS, HIDDEN = 4, 2, 32
LAYER = {  # Meta's name: (Hugging Face's, the dimension that shards split)
    "attention.wq": ("self_attn.q_proj", 0), "attention.wk": ("self_attn.k_proj", 0),
    "attention.wv": ("self_attn.v_proj", 0), "attention.wo": ("self_attn.o_proj", 1),
    "feed_forward.w1": ("mlp.gate_proj", 0), "feed_forward.w2": ("mlp.down_proj", 1),
    "feed_forward.w3": ("mlp.up_proj", 0), "attention_norm": ("input_layernorm", None),
    "ffn_norm": ("post_attention_layernorm", None),
}  # fmt: skip


def make_model():
    torch.manual_seed(1)
    config = LlamaConfig(
        vocab_size=96, hidden_size=HIDDEN, intermediate_size=48, num_hidden_layers=2, num_attention_heads=HEADS,
        num_key_value_heads=KV_HEADS, max_position_embeddings=64, rms_norm_eps=1e-5, initializer_range=0.2,
        tie_word_embeddings=False)  # fmt: skip
    model = LlamaForCausalLM(config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() == 1:
                parameter.add_(0.2 * torch.randn_like(parameter))
    return model


def interleaved(rows, heads):
    """The inverse of permute() in transformers' convert_llama_weights_to_hf.py."""
    return rows.view(heads, 2, rows.shape[0] // heads // 2, -1).transpose(1, 2).reshape(rows.shape)


def meta_tensors(model, embeddings_dim):
    """Meta's name -> (tensor, the dimension that shards split)."""
    state = model.state_dict()
    made = {"tok_embeddings.weight": (state["model.embed_tokens.weight"], embeddings_dim),
            "norm.weight": (state["model.norm.weight"], None), "output.weight": (state["lm_head.weight"], 0),
            "rope.freqs": (torch.ones(HIDDEN // HEADS // 2), None)}  # fmt: skip
    for layer in range(model.config.num_hidden_layers):
        for ours, (theirs, dim) in LAYER.items():
            tensor = state[f"model.layers.{layer}.{theirs}.weight"]
            if ours in ("attention.wq", "attention.wk"):
                tensor = interleaved(tensor, HEADS if ours.endswith("wq") else KV_HEADS)
            made[f"layers.{layer}.{ours}.weight"] = (tensor, dim)
    return made


def write(folder, tensors, shards, **params):
    folder.mkdir()
    said = {"dim": HIDDEN, "n_layers": 2, "n_heads": HEADS, "n_kv_heads": KV_HEADS, "norm_eps": 1e-5, "vocab_size": -1,
            "multiple_of": 16, "max_seq_len": 64, **params}  # fmt: skip
    (folder / "params.json").write_text(json.dumps(said))
    for i in range(shards):
        part = {name: tensor if dim is None else tensor.chunk(shards, dim)[i].clone()
                for name, (tensor, dim) in tensors.items()}  # fmt: skip
        torch.save(part, folder / f"consolidated.{i:02}.pth")
    return folder


def difference(ours, theirs):
    assert ours.shape == theirs.shape, (ours.shape, theirs.shape)
    return (ours - theirs).abs().max().item()


def logits(model):
    with torch.no_grad():
        return model(torch.tensor([IDS])).logits[0]


def check(binary, work, model):
    (work / "ids.json").write_text(json.dumps(IDS))
    expected = logits(model)
    for shards, embeddings_dim in ((1, 1), (2, 1), (2, 0)):
        folder = write(work / f"meta-{shards}-{embeddings_dim}", meta_tensors(model, embeddings_dim), shards)
        run(binary, "logits", folder, "--ids", work / "ids.json", "--out", work / "l.safetensors", "--dtype", "float32")
        worst = difference(load_file(work / "l.safetensors")["logits"], expected)
        run(binary, "convert", folder, folder / "hf")
        converted = AutoModelForCausalLM.from_pretrained(folder / "hf").eval()
        assert all(torch.equal(a, b) for a, b in zip(converted.state_dict().values(), model.state_dict().values()))
        assert json.loads(run(binary, "inspect", folder, "--json"))["max_position_embeddings"] == 64
        print(f"{shards} files, embeddings split along {embeddings_dim}: logits differ by {worst:.2g}, weights by nothing")
        assert worst < float32_bound(expected, model.config, len(IDS)), worst
    checked("Meta's layout (params.json, consolidated.*.pth), in", "transformers", detail="1 and 2 files")


def check_lengths(binary, work, model):
    """Without max_seq_len the length is that of the release with such parameters."""
    tensors = meta_tensors(model, 1)
    for name, params, length in (("one", {"norm_eps": 1e-6, "n_kv_heads": None}, 2048), ("two", {}, 4096),
                                 ("code", {"rope_theta": 1e6}, 16384)):  # fmt: skip
        tensors_of = tensors if params.get("n_kv_heads", 0) is not None else tensors | {
            f"layers.{i}.attention.{w}.weight": tensors[f"layers.{i}.attention.wq.weight"] for i in (0, 1) for w in ("wk", "wv")}
        folder = write(work / name, tensors_of, 1, max_seq_len=None, **params)
        facts = json.loads(run(binary, "inspect", folder, "--json"))
        assert facts["max_position_embeddings"] == length, (name, facts)
    print("LLaMA, LLaMA 2 and Code Llama are told apart")


def check_tied(binary, work, model):
    """LLaMA 3.2 is tied, and its file has the embeddings twice."""
    tensors = meta_tensors(model, 1)
    tensors["output.weight"] = (tensors["tok_embeddings.weight"][0], 0)
    folder = write(work / "tied", tensors, 1, use_scaled_rope=True, max_seq_len=131072)
    run(binary, "convert", folder, folder / "hf")
    assert json.loads((folder / "hf" / "config.json").read_text())["tie_word_embeddings"]
    assert "lm_head.weight" not in load_file(folder / "hf" / "model.safetensors")
    tensors["output.weight"] = (tensors["output.weight"][0] + 1, 0)
    folder = write(work / "trained-head", tensors, 1, use_scaled_rope=True, max_seq_len=131072)
    run(binary, "convert", folder, folder / "hf")
    assert not json.loads((folder / "hf" / "config.json").read_text())["tie_word_embeddings"]
    assert torch.equal(load_file(folder / "hf" / "model.safetensors")["lm_head.weight"], tensors["output.weight"][0])
    print("LLaMA 3.2 comes out tied, with a head of its own it does not")


def check_tokenizer(binary, work, model):
    """tokenizer_config.json names bos by its id, past entries of tokenizer.json that have none."""
    folder = write(work / "tokenizer", meta_tensors(model, 1), 1)
    added = ["<s>", {"content": "<pad>"}, {"id": 1}, {"id": 1, "content": "<s>"}]
    (folder / "tokenizer.json").write_text(json.dumps({"added_tokens": added}))
    run(binary, "convert", folder, folder / "hf")
    written = json.loads((folder / "hf" / "tokenizer_config.json").read_text())
    assert written["bos_token"] == "<s>" and "eos_token" not in written, written
    print("bos is named past malformed entries of tokenizer.json")


def check_refusals(binary, work, model):
    def says(folder, words):
        error = refusal(binary, "convert", folder, work / "no", code=5)
        assert words in error, (words, error)
        assert not (work / "no").exists()

    tensors = meta_tensors(model, 1)
    folder = write(work / "gap", tensors, 2)
    (folder / "consolidated.01.pth").rename(folder / "consolidated.02.pth")
    says(folder, "2 files consolidated.*.pth, of which 1 follow")
    folder = write(work / "unequal", tensors, 2)
    torch.save({"norm.weight": torch.ones(HIDDEN)}, folder / "consolidated.01.pth")
    says(folder, "in consolidated.01.pth")
    says(write(work / "odd", tensors | {"extra.weight": (torch.ones(2), None)}, 1), "'extra.weight' has no place")
    says(write(work / "heads", tensors, 1, n_heads=64), "n_heads")
    says(write(work / "quantised", tensors, 1, quantization_args={"scheme": "int8"}), "quantised weights")
    print("refusals: each says what is wrong")


def main():
    binary = command_line().parse_args().longspan
    model = make_model()
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        check(binary, work, model)
        check_lengths(binary, work, model)
        check_tied(binary, work, model)
        check_tokenizer(binary, work, model)
        check_refusals(binary, work, model)


if __name__ == "__main__":
    main()
