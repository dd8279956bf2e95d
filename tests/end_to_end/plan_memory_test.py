"""The memory that `plan` foresees is what `train` has: recipes whose keys are drawn, the same ones each time, of small models
whose passes are long. Each plan must lie within a tenth of the peak in metrics.jsonl.

    python plan_memory_test.py --longspan build/longspan [--draws 100 [--first 0]]

Those of DRAWN take about 110 seconds of processor time. Others are for changes of trainer/plan and of what it counts. Needs
nothing but python3.
"""

import json
import os
import random
import resource
import struct
import sys
import tempfile
from pathlib import Path

from program import command_line, run

os.environ["OMP_WAIT_POLICY"] = "passive"  # threads that spin would count as work
BOUND = 0.1
# Each way to recompute, also two in one model, each family, all that is offloaded, chunked, mapped, quantised or trained
# whole, DoRA that drops elements and DoRA that does not, a validation that is the peak, layers before the first that is
# trained, focused memory.
DRAWN = [2, 3, 7, 8, 10, 16, 20, 22, 23, 172, 200, 204, 208, 216]
ATTENTION, MLP = ["q_proj", "k_proj", "v_proj", "o_proj"], ["gate_proj", "up_proj", "down_proj"]
FUSED = {"q_proj": "qkv_proj", "k_proj": "qkv_proj", "v_proj": "qkv_proj", "gate_proj": "gate_up_proj", "up_proj": "gate_up_proj"}
FAMILIES = {
    "llama": {"architectures": ["LlamaForCausalLM"]},
    "qwen3": {"architectures": ["Qwen3ForCausalLM"]},
    "phi3": {"architectures": ["Phi3ForCausalLM"], "original_max_position_embeddings": 65536},
    "gemma3_text": {"architectures": ["Gemma3ForCausalLM"], "sliding_window": 512, "query_pre_attn_scalar": 64},
}
RATES = dict.fromkeys(
    ("linear_gflops", "linear_backward_gflops", "head_gflops", "attention_forward_gflops", "attention_backward_gflops",
     "elementwise_gb_per_second", "disk_write_gb_per_second", "disk_read_gb_per_second"), 100)


def drawn_model(pick, is_wide):
    """A config.json: of large weights, or of small ones whose activations are large."""
    family = pick(sorted(FAMILIES))
    size = dict(hidden_size=512, intermediate_size=2048, vocab_size=32768) if is_wide else dict(
        hidden_size=128, intermediate_size=pick([256, 512]), vocab_size=2048)
    return FAMILIES[family] | size | dict(
        model_type=family, num_hidden_layers=pick([2, 4]), num_attention_heads=4, num_key_value_heads=pick([1, 2, 4]),
        head_dim=pick([32, 64]), max_position_embeddings=65536, rms_norm_eps=1e-5, rope_theta=1e4, bos_token_id=None,
        eos_token_id=None, pad_token_id=None, torch_dtype="bfloat16",
        # Of large embeddings in a file the system reads what the few letters of the text need.
        tie_word_embeddings=pick([False, True]) or is_wide)


def drawn_memory(pick, layers, may_map):
    memory = {"recompute": pick(["none", "selective", "selective++", "layer"]), "offload": "none", "chunk_tokens": 0,
              "weights": pick(["resident", "mapped"]) if may_map else "resident", "optimizer_state_bits": pick([32, 8])}
    if memory["recompute"] == "none":
        return memory
    memory |= pick([{}, {"chunk_tokens": 1024}, {"offload": "disk", "offload_ram": "30MB"}, {"offload": "ram", "offload_ram": "9GB"}])
    if pick([False, True]):
        memory["recompute_num_layers"] = pick([1, layers - 1])
        memory["recompute_rest"] = pick(["none", "selective", "selective++", "layer"])
    return memory


def drawn_modules(pick, model):
    """What is adapted and what is trained whole."""
    targets = pick([ATTENTION, ATTENTION + MLP, ["q_proj"], MLP, "all-linear"])
    if model["model_type"] == "phi3" and isinstance(targets, list):
        targets = sorted({FUSED.get(name, name) for name in targets})
    saved = pick([["norm"], ["embed_tokens", "norm"], [], ["input_layernorm"]])
    if not model["tie_word_embeddings"]:
        saved = saved + pick([[], ["lm_head"]])
    return targets, saved


def drawn_focused_memory(pick, layers, tokens):
    """The attention, and the shape of a batch of as many tokens: windows of two documents or more, side by side."""
    schedule = pick([[[0, 0], [1, 1], [2, 1], [3, 0]], [[0, 0], [1, 2]], [[0, 0], [1, 2], [2, 5], [3, 4]]])
    rows = pick([8, 16])
    memory = pick([[0], [1], [0, 1], [layers - 1], list(range(layers))])
    window = tokens // rows
    attention = {"pattern": "focused_memory", "window": window, "mem_layers": memory, "schedule": schedule}
    return attention, {"seq_len": window, "batch_size": rows}


def drawn(number):
    """A config.json and a recipe without paths."""
    pick = random.Random(number).choice
    is_wide = pick([False, False, True])
    model = drawn_model(pick, is_wide)
    targets, saved = drawn_modules(pick, model)
    dtype, quantization = pick(["float32", "bfloat16"]), pick(["none", "none", "nf4", "int8"])
    tokens = 1024 if is_wide else 16384 if dtype == "float32" else 32768
    seq_len = pick([tokens, tokens // 4])
    patterns = [{"pattern": "shifted_sparse", "group_size": 512}, {"pattern": "sliding_window", "window": 256, "sinks": pick([0, 4])}]
    if seq_len <= 8192:
        patterns.append({"pattern": "full"})
    recipe = {
        "model": {"dtype": dtype, "quantization": quantization},
        "lora": {"r": pick([8, 64]), "use_dora": pick([False, True]), "lora_dropout": pick([0, 0.1]), "target_modules": targets,
                 "modules_to_save": saved},
        "attention": pick(patterns),
        "train": {"steps": 1, "threads": 2, "seq_len": seq_len, "batch_size": tokens // seq_len,
                  "gradient_accumulation_steps": pick([1, 1, 2])},
        "memory": drawn_memory(pick, model["num_hidden_layers"], dtype == "bfloat16" and quantization == "none"),
    }
    if pick([False, False, True]):
        # The second step's record has the peak of the validation after the first.
        recipe["validation"] = {"every_steps": 1, "sequences": 1, "seq_len": pick([2048, 8192])}
        recipe["train"]["steps"] = 2
    if model["model_type"] == "llama" and number % 2 == 0:
        recipe["attention"], shape = drawn_focused_memory(pick, model["num_hidden_layers"], tokens)
        recipe["train"] |= shape
    return model, recipe


def shapes(model):
    """The tensors of the model, by name."""
    hidden, intermediate, head_dim = model["hidden_size"], model["intermediate_size"], model["head_dim"]
    queries, keys = model["num_attention_heads"] * head_dim, model["num_key_value_heads"] * head_dim
    vocabulary = [model["vocab_size"], hidden]
    layer = {"self_attn.o_proj": [hidden, queries], "mlp.down_proj": [hidden, intermediate], "input_layernorm": [hidden],
             "post_attention_layernorm": [hidden]}
    if model["model_type"] == "phi3":
        layer |= {"self_attn.qkv_proj": [queries + 2 * keys, hidden], "mlp.gate_up_proj": [2 * intermediate, hidden]}
    else:
        layer |= {"self_attn.q_proj": [queries, hidden], "self_attn.k_proj": [keys, hidden], "self_attn.v_proj": [keys, hidden],
                  "mlp.gate_proj": [intermediate, hidden], "mlp.up_proj": [intermediate, hidden]}
    if model["model_type"] in ("qwen3", "gemma3_text"):
        layer |= {"self_attn.q_norm": [head_dim], "self_attn.k_norm": [head_dim]}
    if model["model_type"] == "gemma3_text":
        layer |= {"pre_feedforward_layernorm": [hidden], "post_feedforward_layernorm": [hidden]}
    found = {"model.embed_tokens.weight": vocabulary, "model.norm.weight": [hidden]}
    for number in range(model["num_hidden_layers"]):
        found |= {f"model.layers.{number}.{name}.weight": shape for name, shape in layer.items()}
    return found if model["tie_word_embeddings"] else found | {"lm_head.weight": vocabulary}


def bfloat16(values):
    return b"".join(struct.pack("<f", value)[2:] for value in values)


def write_model(folder, model):
    """Weights in bfloat16, numbers of one list over and over."""
    numbers, place = random.Random(0), 0
    some = bfloat16(numbers.uniform(-0.05, 0.05) for _ in range(65537))
    header, weights = {}, []
    for name, shape in shapes(model).items():
        count = shape[0] * (shape[1] if len(shape) > 1 else 1)
        is_norm = len(shape) == 1
        block = bfloat16([1.0]) if is_norm else some
        weights.append((block * (2 * count // len(block) + 1))[:2 * count])
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [place, place + 2 * count]}
        place += 2 * count
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + b"".join(weights))
    (folder / "config.json").write_text(json.dumps(model))


def byte_tokenizer():
    """A tokenizer.json of GPT-2's letters for bytes, without merges."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letters = [chr(byte) for byte in plain] + [chr(256 + i) for i in range(256 - len(plain))]
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    return json.dumps({
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None,
        "pre_tokenizer": byte_level, "post_processor": None, "decoder": byte_level,
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
                  "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False,
                  "vocab": {letter: i for i, letter in enumerate(letters)}, "merges": []}})


def compare(longspan, work, number):
    """The plan's peak over the run's."""
    model, recipe = drawn(number)
    with tempfile.TemporaryDirectory(dir=work) as temporary:
        folder = Path(temporary)
        write_model(folder / "base", model)
        (folder / "base" / "tokenizer.json").write_text(byte_tokenizer())
        recipe["model"]["path"] = str(folder / "base")
        recipe |= {"data": {"path": str(work / "tokens.h5")}, "output": {"dir": str(folder / "run")}}
        if "validation" in recipe:
            recipe["validation"]["path"] = str(work / "tokens.h5")
        file = folder / "recipe.yaml"
        file.write_text(json.dumps(recipe))
        plan = json.loads(run(longspan, "plan", file, "--rates", work / "rates.json", "--json"))
        run(longspan, "train", file)
        peak = json.loads((folder / "run" / "metrics.jsonl").read_text().splitlines()[-1])["peak_memory_bytes"]
    planned = plan["peak_memory_bytes"]
    parts = {name: size >> 20 for name, size in plan["stages"][0]["memory_bytes"].items() if isinstance(size, int)}
    moments = {name: size >> 20 for name, size in plan["stages"][0]["memory_bytes"]["working_by_moment"].items()}
    print(f"{number}: planned {planned >> 20} MiB, had {peak >> 20}: {planned / peak:.3f}\n   {parts} {moments}\n   {model}\n   {recipe}",
          flush=True)
    return planned / peak


def main():
    parser = command_line()
    parser.add_argument("--draws", type=int, help="so many in place of DRAWN")
    parser.add_argument("--first", type=int, default=0)
    known = parser.parse_args()
    numbers = range(known.first, known.first + known.draws) if known.draws else DRAWN
    with tempfile.TemporaryDirectory(prefix="longspan-plan-memory-") as temporary:
        work = Path(temporary)
        (work / "rates.json").write_text(json.dumps(RATES))
        write_model(work / "tokenizer", drawn(0)[0])
        (work / "tokenizer" / "tokenizer.json").write_text(byte_tokenizer())
        (work / "text.txt").write_text("".join(random.Random(0).choices("abcdefgh .\n", k=140000)))
        run(known.longspan, "prepare", work / "text.txt", "--model", work / "tokenizer", "--out", work / "tokens.h5")
        found = {number: compare(known.longspan, work, number) for number in numbers}
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"plans over peaks: {min(found.values()):.3f} to {max(found.values()):.3f}; {used.ru_utime + used.ru_stime:.0f} s of processors")
    wrong = [number for number, ratio in found.items() if abs(ratio - 1) > BOUND]
    if wrong:
        sys.exit(f"not within {BOUND:.0%} of the peak: draws {wrong}")


if __name__ == "__main__":
    main()
