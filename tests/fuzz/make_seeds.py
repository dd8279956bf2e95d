"""Small valid files for each fuzz target to start from: make_seeds.py FOLDER."""

import collections
import gzip
import io
import json
import pathlib
import pickle as pickling
import struct
import sys
import types
import zipfile


def safetensors():
    header = {
        "__metadata__": {"format": "pt"},
        "a": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
        "b": {"dtype": "BF16", "shape": [4], "data_offsets": [24, 32]},
        "c": {"dtype": "U8", "shape": [0, 7], "data_offsets": [32, 32]},
    }
    text = json.dumps(header).encode()
    return {"three": struct.pack("<Q", len(text)) + text + bytes(32)}


class Gguf:
    """Little-endian GGUF 3, see ggml docs/gguf.md."""

    def __init__(self):
        self.values, self.tensors, self.data = [], [], b""

    @staticmethod
    def text(text):
        return struct.pack("<Q", len(text.encode())) + text.encode()

    def set(self, key, kind, packed):
        self.values.append(self.text(key) + struct.pack("<I", kind) + packed)

    def u32(self, key, value):
        self.set(key, 4, struct.pack("<I", value))

    def f32(self, key, value):
        self.set(key, 6, struct.pack("<f", value))

    def string(self, key, value):
        self.set(key, 8, self.text(value))

    def strings(self, key, values):
        items = b"".join(map(self.text, values))
        self.set(key, 9, struct.pack("<IQ", 8, len(values)) + items)

    def ints(self, key, values):
        self.set(key, 9, struct.pack(f"<IQ{len(values)}i", 5, len(values), *values))

    def tensor(self, name, shape, kind, size):
        info = struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, len(self.data))
        self.tensors.append(self.text(name) + info)
        self.data += bytes(-(-size // 32) * 32)

    def bytes(self):
        header = b"GGUF" + struct.pack("<IQQ", 3, len(self.tensors), len(self.values))
        header += b"".join(self.values) + b"".join(self.tensors)
        return header + bytes(-len(header) % 32) + self.data


def gguf():
    model = Gguf()
    model.string("general.architecture", "llama")
    for key, value in [
        ("embedding_length", 8), ("block_count", 1), ("context_length", 64),
        ("feed_forward_length", 16), ("attention.head_count", 2), ("attention.head_count_kv", 1),
        ("rope.dimension_count", 4),
    ]:  # fmt: skip
        model.u32("llama." + key, value)
    model.f32("llama.attention.layer_norm_rms_epsilon", 1e-5)
    model.f32("llama.rope.freq_base", 10000.0)
    model.string("llama.rope.scaling.type", "yarn")
    model.f32("llama.rope.scaling.factor", 2.0)
    model.u32("llama.rope.scaling.original_context_length", 32)
    model.string("tokenizer.ggml.model", "gpt2")
    model.string("tokenizer.ggml.pre", "smollm")
    model.strings("tokenizer.ggml.tokens", ["<s>", "a", "b", "ab"])
    model.ints("tokenizer.ggml.token_type", [3, 1, 1, 1])
    model.strings("tokenizer.ggml.merges", ["a b"])
    model.u32("tokenizer.ggml.bos_token_id", 0)
    model.tensor("token_embd.weight", [8, 4], 0, 128)
    model.tensor("output_norm.weight", [8], 1, 16)
    model.tensor("blk.0.attn_q.weight", [8, 8], 30, 128)
    model.tensor("rope_freqs.weight", [2], 0, 8)

    blocks = Gguf()
    sizes = {2: 18, 3: 20, 6: 22, 7: 24, 8: 34}
    for kind, size in sizes.items():
        blocks.tensor(f"t{kind}", [32, 1], kind, size)
    for kind, size in {10: 84, 11: 110, 12: 144, 13: 176, 14: 210}.items():
        blocks.tensor(f"t{kind}", [256], kind, size)
    spm = Gguf()
    spm.string("general.architecture", "llama")
    spm.string("tokenizer.ggml.model", "llama")
    spm.strings("tokenizer.ggml.tokens", ["<unk>", "<s>", "</s>", "<0x0A>", "\u2581a"])
    spm.set("tokenizer.ggml.scores", 9, struct.pack("<IQ5f", 6, 5, 0, 0, 0, 0, -1))
    spm.ints("tokenizer.ggml.token_type", [2, 3, 3, 6, 1])
    spm.tensor("token_embd.weight", [8, 5], 0, 160)
    return {"model": model.bytes(), "blocks": blocks.bytes(), "spm": spm.bytes()}


def torch_pickle():
    """data.pkl as torch.save writes it, without torch."""
    modules = {name: types.ModuleType(name) for name in ("torch", "torch._utils")}
    sys.modules.update(modules)

    def known(module, name):
        made = type(name, (), {"__module__": module, "__qualname__": name})
        setattr(modules[module], name, made)
        return made

    rebuild = known("torch._utils", "_rebuild_tensor_v2")
    float_storage = known("torch", "FloatStorage")
    parameter = known("torch._utils", "_rebuild_parameter")

    class Storage:
        pass

    class Call:
        def __init__(self, function, *arguments):
            self.reduced = (function, arguments)

        def __reduce__(self):
            return self.reduced

    class Pickler(pickling.Pickler):
        def persistent_id(self, value):
            return ("storage", float_storage, "0", "cpu", 6) if isinstance(value, Storage) else None

    storage, hooks = Storage(), collections.OrderedDict()
    whole = Call(rebuild, storage, 0, (2, 3), (3, 1), False, hooks)
    part = Call(rebuild, storage, 1, (2,), (3,), False, hooks)
    weights = collections.OrderedDict(a=whole, b=Call(parameter, part, True, hooks))
    out = io.BytesIO()
    Pickler(out, protocol=2).dump(weights)
    for name in modules:
        del sys.modules[name]
    return out.getvalue()


def pickle():
    data = torch_pickle()
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as file:
        for name, content in [("data.pkl", data), ("byteorder", b"little"), ("version", b"3\n"),
                              ("data/0", bytes(24))]:  # fmt: skip
            file.writestr("x/" + name, content)
    return {"data.pkl": data, "x.bin": archive.getvalue()}


def config():
    base = {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": 32,
        "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 64,
        "rms_norm_eps": 1e-5, "hidden_act": "silu", "tie_word_embeddings": True,
        "bos_token_id": 1, "eos_token_id": [2, 3], "rope_theta": 10000.0,
    }  # fmt: skip
    yarn = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16}
    llama3 = {
        "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 32, "rope_theta": 500000.0,
    }  # fmt: skip
    longrope = {"rope_type": "longrope", "short_factor": [1, 1], "long_factor": [2, 4.5]}
    qwen = dict(base, model_type="qwen3", head_dim=8, layer_types=["full_attention"] * 2)
    smollm = dict(base, model_type="smollm3", no_rope_layers=[1, 0], no_rope_layer_interval=2)
    mistral = dict(base, model_type="mistral", sliding_window=32)
    phi = dict(base, model_type="phi3", original_max_position_embeddings=32, rope_scaling=longrope)
    made = {
        "yarn": dict(base, rope_scaling=yarn), "llama3": dict(base, rope_parameters=llama3),
        "qwen": qwen, "smollm": smollm, "mistral": mistral, "phi": phi,
    }  # fmt: skip
    return {name: json.dumps(value).encode() for name, value in made.items()}


def tokenizer_json():
    vocab = {text: i for i, text in enumerate(["<s>", "a", "b", "ab", "\u0120", "\u0120a", "1"])}
    model = {"type": "BPE", "unk_token": None, "byte_fallback": False, "ignore_merges": True,
             "vocab": vocab, "merges": ["a b", "\u0120 a"]}  # fmt: skip
    added = {"id": 0, "content": "<s>", "single_word": True, "lstrip": True, "rstrip": True,
             "normalized": False, "special": True}  # fmt: skip
    byte_level = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True,
                  "use_regex": True}  # fmt: skip
    split = {"type": "Split", "pattern": {"Regex": "(?i:'s|'t)|\\p{N}{1,3}|\\s+(?!\\S)|\\s+"},
             "behavior": "Isolated", "invert": False}  # fmt: skip
    steps = [{"type": "Digits", "individual_digits": True}, split,
             dict(byte_level, use_regex=False)]  # fmt: skip
    sequence = {"type": "Sequence", "pretokenizers": steps}
    plain = {"version": "1.0", "added_tokens": [added], "normalizer": None,
             "pre_tokenizer": byte_level, "decoder": byte_level, "model": model}  # fmt: skip
    to_blank = {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"}
    normalizers = [{"type": "Prepend", "prepend": "\u2581"}, to_blank]
    fallback = dict(model, byte_fallback=True, unk_token="<unk>", ignore_merges=False)
    fallback["vocab"] = {"<unk>": 0, "<s>": 1, "\u2581": 258, "a": 259, "\u2581a": 260}
    fallback["vocab"].update({f"<0x{byte:02X}>": 2 + byte for byte in range(256)})
    fallback["merges"] = [["\u2581", "a"]]
    decoders = [{"type": "Replace", "pattern": {"String": "\u2581"}, "content": " "},
                {"type": "ByteFallback"}, {"type": "Fuse"},
                {"type": "Strip", "content": " ", "start": 1, "stop": 0}]  # fmt: skip
    llama = dict(plain, normalizer={"type": "Sequence", "normalizers": normalizers},
                 decoder={"type": "Sequence", "decoders": decoders}, pre_tokenizer=None,
                 model=fallback, added_tokens=[dict(added, id=1)])  # fmt: skip
    metaspace = {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "first"}
    made = {"byte_level": plain, "sequence": dict(plain, pre_tokenizer=sequence),
            "nfc": dict(plain, normalizer={"type": "NFC"}), "llama": llama,
            "metaspace": dict(llama, pre_tokenizer=metaspace, normalizer=None)}  # fmt: skip
    return {name: json.dumps(value).encode() for name, value in made.items()}


def message(*fields):
    """A protocol buffer message of (number, value), value an int, a float or bytes."""
    out = b""
    for number, value in fields:
        if isinstance(value, int):
            out += bytes([number << 3 & 0x7F | 0x80, number >> 4, value])
        elif isinstance(value, float):
            out += bytes([number << 3 | 5]) + struct.pack("<f", value)
        else:
            out += bytes([number << 3 | 2, len(value)]) + value
    return out


def tokenizer_model():
    pieces = [("<unk>", 0.0, 2), ("<s>", 0.0, 3), ("</s>", 0.0, 3)]
    pieces += [(f"<0x{byte:02X}>", 0.0, 6) for byte in range(256)]
    pieces += [("ab", -0.0, 1), ("\u2581a", -1.0, 1), ("<u>", 0.0, 4)]
    pieces += [(text, -2.0, 1) for text in ("\u2581", "a", "b")]
    normalizer = (3, message((3, 1), (4, 0), (5, 1)))
    listed = [(1, message((1, text.encode()), (2, score), (3, type))) for text, score, type in pieces]
    bpe = message(*listed, (2, message((3, 2), (35, 1))), normalizer)
    unigram = message(*listed, (2, message((3, 1), (35, 1))), normalizer)
    config = {"tokenizer_class": "LlamaTokenizer", "legacy": True, "add_eos_token": True,
              "added_tokens_decoder": {"1": {"content": "<s>", "special": True},
                                       "265": {"content": "<x>", "lstrip": True}}}  # fmt: skip
    names = {"pad_token": "<p>", "additional_special_tokens": [{"content": "<q>", "rstrip": True}]}
    beside = {"alone": [None, None, None], "listed": [config, None, None],
              "maps": [{"add_bos_token": False}, names, {"<y>": 265}]}  # fmt: skip
    made = {name: json.dumps(files).encode() + b"\n" + bpe for name, files in beside.items()}
    return dict(made, unigram=b"[null, null, null]\n" + unigram)


def zstd(text):
    """A frame of one raw block (RFC 8878)."""
    block = struct.pack("<I", len(text) << 3 | 1)[:3]
    return struct.pack("<IBB", 0xFD2FB528, 0x20, len(text)) + block + text


def documents():
    lines = b'{"text": "one\\u00e9", "n": [1, {"a": null}]}\n\n{"text": "two"}\n'
    bomb = b"\x02" + zstd(b"")[:6] + struct.pack("<I", 0xFFFF << 3 | 3)[:3] + b"a"  # RLE block
    return {"jsonl": b"\x00" + lines, "jsonl.gz": b"\x01" + gzip.compress(lines),
            "jsonl.zst": b"\x02" + zstd(lines), "bomb.zst": bomb,
            "txt.gz": b"\x03" + gzip.compress(b"one ") + gzip.compress(b"two"),
            "txt.zst": b"\x04" + zstd(b"one ") + zstd(b"two")}  # fmt: skip


def recipe():
    made = """model: {path: m, dtype: bfloat16, on_scaled: replace}
data: &d
  path: train.h5
  min_document_tokens: 1
lora:
  r: 8
  lora_alpha: 16.0
  target_modules: [q_proj, "v_proj"]
  modules_to_save: []
rope: {rope_type: yarn, factor: 2, original_max_position_embeddings: 8192}
attention: {pattern: shifted_sparse, group_ratio: 0.25}
train: {seq_len: 16384, max_grad_norm: 1.0, seed: 0x1F}
stages:
  - steps: 2
  - {steps: 5, attention: {pattern: full}}
optimizer: {lr: 1e-4, betas: [0.9, 0.95]}
lr_schedule: {type: cosine, warmup_steps: 1}
validation: {<<: *d, every_steps: 2}
output:
  dir: ~
"""
    aliases = "a: &a [x, &b {c: *a}, *b]\nb: !!str 12\nc: |\n  text\n"
    return {"full": made.encode(), "aliases": aliases.encode()}


def main():
    root = pathlib.Path(sys.argv[1])
    targets = {
        "safetensors": safetensors, "gguf": gguf, "gguf_model": gguf, "pickle": pickle,
        "config": config, "tokenizer_json": tokenizer_json, "tokenizer_model": tokenizer_model,
        "documents": documents, "recipe": recipe, "yaml": recipe,
    }  # fmt: skip
    for target, make in targets.items():
        folder = root / target
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in make().items():
            (folder / name).write_bytes(data)


if __name__ == "__main__":
    main()
