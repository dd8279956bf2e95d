"""GGUF out and back in: gguf-py reads what `longspan convert` writes, llama.cpp computes and cuts the same.

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
    import transformers
    from gguf import GGUFReader, GGUFWriter
    from gguf.quants import quantize
    from safetensors.torch import load_file
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    from transformers import AutoTokenizer
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

from llama_cpp_model import PACKAGE, WHY_NOT, LlamaCppModel, can_quantize, llama_cpp_quantize
from program import checked, command_line, finish, refusal, run
from smollm2 import gguf_path

torch.set_num_threads(1)
transformers.utils.logging.disable_progress_bar()
ROOT = Path(__file__).resolve().parents[2]
TYPES = ["F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_K_M"]

TEXTS = [
    "The quick brown fox jumps over the lazy dog.",
    "In 1984, 12345 people paid $3.50 (or 2,99 €) -- twice!\n\n\tIndented  twice   and more.",
    "Füße, naïveté, Ελληνικά, русский, 日本語, हिन्दी, עברית, 👩‍👩‍👧 and \u200b zero width",
    "don't we'll I'd  THEY'RE\r\n\r\nx\u00a0y\u3000z ١٢٣ ½",
    "<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n",
    "   leading and trailing   ",
    "",
]
STORY = """The harbour was quiet that morning. Anna walked along the pier with her brother, who was carrying a wooden box
full of letters that their grandfather had written during the war. "We should read them in order," she said, "or we will
not understand why he left the island." Her brother nodded and opened the lid. The first letter was dated 12 May 1941. It
began with a description of the weather, the price of bread, and a small dog which followed the soldiers everywhere."""


def our_logits(binary, model, ids, work):
    (work / "ids.json").write_text(json.dumps(ids))
    run(binary, "logits", model, "--ids", work / "ids.json", "--out", work / "l.safetensors",
        "--dtype", "float32")
    return load_file(work / "l.safetensors")["logits"].numpy()


def loss(logits, ids):
    log_p = torch.log_softmax(torch.from_numpy(logits[:-1]).double(), -1)
    return -log_p[torch.arange(len(ids) - 1), torch.tensor(ids[1:])].mean().item()


# SmolLM2-135M ------------------------------------------------------------------------------------


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


# Tiny models of each family ----------------------------------------------------------------------

SHAPE = dict(vocab_size=96, hidden_size=64, intermediate_size=128, num_hidden_layers=4, num_attention_heads=4,
             num_key_value_heads=2, max_position_embeddings=128, initializer_range=0.15, bos_token_id=1, eos_token_id=2,
             pad_token_id=0, tie_word_embeddings=False)
YARN = {"rope_type": "yarn", "rope_theta": 1e4, "factor": 4.0, "original_max_position_embeddings": 32}
FACTORS = {"short_factor": [1.0, 1.0, 1.1, 1.2, 1.3, 1.5, 2.0, 2.5], "long_factor": [1.0, 1.1, 1.5, 2.0, 3.0, 3.5, 4.0, 4.5]}
LONGROPE = {"rope_type": "longrope", "rope_theta": 1e4, "original_max_position_embeddings": 32, "factor": 4.0, **FACTORS}
LLAMA3 = {"rope_type": "llama3", "rope_theta": 1e4, "factor": 4.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 32}

MODELS = {
    "llama": ("Llama", {}),
    "llama with biases, tied": ("Llama", dict(attention_bias=True, mlp_bias=True, tie_word_embeddings=True)),
    "llama, head_dim 32": ("Llama", dict(head_dim=32)),
    "llama linear": ("Llama", dict(rope_parameters={"rope_type": "linear", "rope_theta": 1e4, "factor": 4.0})),
    "llama yarn": ("Llama", dict(rope_parameters=YARN)),
    "llama yarn, attention_factor": ("Llama", dict(rope_parameters={**YARN, "attention_factor": 1.3})),
    "llama yarn, mscale": ("Llama", dict(rope_parameters={**YARN, "mscale": 0.7, "mscale_all_dim": 1.2})),
    "llama yarn, other betas": ("Llama", dict(rope_parameters={**YARN, "beta_fast": 8.0, "beta_slow": 2.0,
                                                               "truncate": False})),
    "llama llama3": ("Llama", dict(rope_parameters=LLAMA3)),
    "llama llama3, other bands": ("Llama", dict(rope_parameters={**LLAMA3, "low_freq_factor": 0.5,
                                                                 "high_freq_factor": 3.0})),
    "llama longrope": ("Llama", dict(rope_parameters=LONGROPE)),
    "mistral": ("Mistral", dict(sliding_window=None)),
    "qwen2": ("Qwen2", {}),
    "qwen2 yarn": ("Qwen2", dict(rope_parameters=YARN)),
    "qwen3": ("Qwen3", dict(head_dim=32)),
    "qwen3 yarn": ("Qwen3", dict(head_dim=16, rope_parameters=YARN)),
    "smollm3": ("SmolLM3", {}),
    "smollm3 yarn": ("SmolLM3", dict(rope_parameters=YARN)),
    "phi3": ("Phi3", {}),
    "phi3 longrope": ("Phi3", dict(original_max_position_embeddings=32, rope_parameters=LONGROPE)),
    "gemma3, sliding window": ("Gemma3", dict(head_dim=16, query_pre_attn_scalar=16, sliding_window=16, num_hidden_layers=7,
                                              tie_word_embeddings=True)),
}


def tiny_model(kind, options):
    torch.manual_seed(0)
    config_class = getattr(transformers, "Gemma3TextConfig" if kind == "Gemma3" else kind + "Config")
    config = config_class(**{**SHAPE, **options})
    config._attn_implementation = "eager"
    model = getattr(transformers, kind + "ForCausalLM")(config).float().eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():  # those that begin as ones and noughts
            if parameter.dim() == 1:
                parameter.add_(0.2 * torch.randn_like(parameter))
    return model


def check_families(binary, work):
    ids = [(37 * i + i // 7) % 96 for i in range(100)]  # longer than every original length
    for name, (kind, options) in MODELS.items():
        folder = work / name.replace(" ", "-")
        model = tiny_model(kind, options)
        model.save_pretrained(folder)
        with torch.no_grad():
            theirs = model(torch.tensor([ids])).logits[0].numpy()
        file = folder.with_suffix(".gguf")
        run(binary, "convert", folder, file)
        ours = our_logits(binary, file, ids, work)
        rope_type = options.get("rope_parameters", {}).get("rope_type", "default")
        line = f"{name}: ours from the GGUF differs from transformers' by {np.abs(ours - theirs).max():.2g}"
        assert np.abs(ours - theirs).max() < 1e-4, line
        checked("GGUF in", "transformers", kind.lower(), rope_type, name)
        if not WHY_NOT:
            with LlamaCppModel(file, n_ctx=128) as loaded:
                difference = np.abs(loaded.logits(ids) - theirs).max()
            line += f", llama.cpp's by {difference:.2g}"
            # llama.cpp looks GELU up in a table of float16.
            assert difference < (0.02 if kind == "Gemma3" else 1e-4), line
            checked("GGUF out", PACKAGE, kind.lower(), rope_type, name)
        print(line, f"(logits up to {np.abs(theirs).max():.3g})")


def refuses(binary, work, name, rope, words, kind="Llama"):
    folder = work / name
    tiny_model(kind, dict(rope_parameters=rope)).save_pretrained(folder)
    assert words in refusal(binary, "convert", folder, work / "no.gguf", code=5)
    assert not (work / "no.gguf").exists()


def check_refusals(binary, work):
    refuses(binary, work, "dynamic", {"rope_type": "dynamic", "rope_theta": 1e4, "factor": 4.0}, "rope_type ntk")
    refuses(binary, work, "qwen2-betas", {**YARN, "beta_fast": 8.0}, "beta_fast 32", kind="Qwen2")
    print("dynamic NTK, and YaRN's betas in qwen2, are refused")


def check_split(binary, work):
    """The parts that gguf-py makes of a file are the file."""
    file = work / "llama.gguf"
    whole = GGUFReader(file)
    writer = GGUFWriter(work / "split.gguf", "llama", split_max_tensors=15)
    for key, field in whole.fields.items():
        if not key.startswith("GGUF.") and key != "general.architecture":
            writer.add_key_value(key, field.contents(), field.types[0], field.types[-1])
    for tensor in whole.tensors:
        writer.add_tensor(tensor.name, tensor.data)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    parts = sorted(work.glob("split-*.gguf"))
    assert len(parts) == 3, parts
    ids = [(37 * i + i // 7) % 96 for i in range(100)]
    assert np.array_equal(our_logits(binary, parts[0], ids, work), our_logits(binary, file, ids, work))
    assert f"give the first, {parts[0]}" in refusal(binary, "convert", parts[1], work / "no", code=5)
    checked("split GGUF (NAME-00001-of-0000N.gguf), in", "gguf")
    print(f"{len(parts)} parts of a split GGUF: logits equal those of the whole")


# Tokenizers --------------------------------------------------------------------------------------


def write_gguf(path, weights, tokenizer):
    """A GGUF with the weights and llama.* keys of another and the tokenizer that `tokenizer(writer)` adds."""
    writer = GGUFWriter(path, "llama")
    for key, field in weights.fields.items():
        if key.startswith("llama."):
            writer.add_key_value(key, field.contents(), field.types[0])
    tokenizer(writer)
    for tensor in weights.tensors:
        writer.add_tensor(tensor.name, tensor.data)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def tiny_weights(binary, work, vocab_size):
    name = f"llama-{vocab_size}"
    tiny_model("Llama", dict(vocab_size=vocab_size, max_position_embeddings=8192)).save_pretrained(work / name)
    run(binary, "convert", work / name, work / f"{name}.gguf")
    return GGUFReader(work / f"{name}.gguf")


def check_there_and_back(binary, work, file, texts, expected=None):
    """The folder that we make of a GGUF, and the GGUF that we make of the folder, cut texts as the first does."""
    folder, again = file.with_suffix(""), file.with_suffix(".again.gguf")
    run(binary, "convert", file, folder)
    run(binary, "convert", folder, again)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    if not WHY_NOT:
        with LlamaCppModel(file) as theirs, LlamaCppModel(again) as ours:
            for text in texts:
                ids = theirs.tokenize(text, True)
                assert ours.tokenize(text, True) == ids, (file.name, text)
                if text:
                    assert tokenizer(text)["input_ids"] == ids, (file.name, text, tokenizer(text)["input_ids"], ids)
    for text in texts if expected else []:
        assert tokenizer(text, add_special_tokens=False)["input_ids"] == expected(text), (file.name, text)
    return tokenizer


def check_pre_tokenizers(binary, work):
    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(vocab_size=600, special_tokens=["<unk>", "<s>", "</s>"],
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
    trained.train_from_iterator([STORY] * 2 + TEXTS * 2, trainer)
    vocab, merges = trained.get_vocab(), json.loads(trained.to_str())["model"]["merges"]
    size = len(vocab)
    weights = tiny_weights(binary, work, size)
    ascii_texts = [STORY, "I'll WE'VE HelloWorld XMLHttp 12345 3.14159\n\n  x\ty   \r\n!?;: (a+b)=c // end  "]
    pres = ["gpt-2", "smollm", "llama-bpe", "smaug-bpe", "qwen2", "stablelm2", "tekken", "gpt-4o", "default"]
    for pre in pres:

        def add_tokenizer(writer):
            writer.add_tokenizer_model("gpt2")
            writer.add_tokenizer_pre(pre)
            writer.add_token_list(sorted(vocab, key=vocab.get))
            writer.add_token_types([3 if i < 3 else 1 for i in range(size)])
            writer.add_token_merges([" ".join(merge) for merge in merges])
            writer.add_bos_token_id(1)
            writer.add_eos_token_id(2)

        file = work / f"pre-{pre}.gguf"
        write_gguf(file, weights, add_tokenizer)
        # llama.cpp writes the letter cases of these two otherwise, alike for ASCII.
        texts = ascii_texts if pre in ("tekken", "gpt-4o") else ascii_texts + [t for t in TEXTS if "<|" not in t]
        check_there_and_back(binary, work, file, texts)
        again = GGUFReader(file.with_suffix(".again.gguf"))
        assert again.fields["tokenizer.ggml.pre"].contents() == pre
    if not WHY_NOT:
        checked("tokenizers of GGUFs (pre " + ", ".join(pres) + "), in and out", PACKAGE)
    print(f"{', '.join(pres)}: ids after GGUF -> folder -> GGUF equal llama.cpp's of the first")


def check_sentencepiece(binary, work):
    try:
        import sentencepiece
    except ImportError as missing:
        print(f"SentencePiece: not checked: {missing}")
        return
    (work / "corpus.txt").write_text("\n".join([STORY] + TEXTS))
    sentencepiece.SentencePieceTrainer.train(
        input=str(work / "corpus.txt"), model_prefix=str(work / "tokenizer"), vocab_size=420, model_type="bpe",
        byte_fallback=True, character_coverage=0.98, split_digits=True, normalization_rule_name="identity",
        remove_extra_whitespaces=False, add_dummy_prefix=True, minloglevel=2)
    model = sentencepiece.SentencePieceProcessor(model_file=str(work / "tokenizer.model"))
    size = model.vocab_size()

    def add_tokenizer(writer):  # as llama.cpp's converter
        ids = range(size)
        writer.add_tokenizer_model("llama")
        writer.add_tokenizer_pre("default")
        writer.add_token_list([model.id_to_piece(i) for i in ids])
        writer.add_token_scores([model.get_score(i) for i in ids])
        writer.add_token_types(
            [2 if model.is_unknown(i) else 3 if model.is_control(i) else 6 if model.is_byte(i) else 1 for i in ids])
        writer.add_bos_token_id(1)
        writer.add_eos_token_id(2)
        writer.add_unk_token_id(0)

    write_gguf(work / "spm.gguf", tiny_weights(binary, work, size), add_tokenizer)
    texts = [t for t in TEXTS if "<|" not in t] + [STORY, "a\nb", "x\ty  z", "日本", "harbour" * 40]
    tokenizer = check_there_and_back(binary, work, work / "spm.gguf", texts, model.encode)
    assert tokenizer.decode(model.encode("a  b日")) == "a  b日"
    for package in ["sentencepiece"] + [PACKAGE] * (not WHY_NOT):
        checked("tokenizer of a GGUF (SentencePiece), in and out", package)
    print(f"SentencePiece: ids of {len(texts)} texts equal {'' if WHY_NOT else 'llama.cpp and '}sentencepiece")


def main():
    binary = command_line().parse_args().longspan
    print(f"llama.cpp: not checked: {WHY_NOT}" if WHY_NOT else f"llama.cpp: that of {PACKAGE}")
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        check_families(binary, work)
        check_refusals(binary, work)
        check_split(binary, work)
        check_pre_tokenizers(binary, work)
        check_sentencepiece(binary, work)
        check_smollm2(binary, work)
        check_killed(binary, work)


if __name__ == "__main__":
    main()
