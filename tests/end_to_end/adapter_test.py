"""PEFT adapters, theirs and ours: `longspan logits` and `longspan merge` against peft itself; and
LongLoRA's released form against what its merge script does.

    python adapter_test.py --longspan build/longspan
"""

import collections
import json
import sys
import tempfile
import warnings
from pathlib import Path

try:
    import torch
    from peft import LoraConfig, PeftModel, TrainableTokensConfig, get_peft_model
    from safetensors.torch import load_file, save_file
    from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM
    from transformers.utils import logging
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

from program import checked, command_line, float32_bound, refusal, run

warnings.filterwarnings("ignore")
logging.disable_progress_bar()
torch.set_num_threads(1)
IDS = [(31 * i + 7) % 97 for i in range(48)]
ATTENTION = ["q_proj", "k_proj", "v_proj", "o_proj"]


def logits(model):
    with torch.no_grad():
        return model(torch.tensor([IDS])).logits[0]


def close(ours, theirs, what, tolerance):
    difference = (ours - theirs).abs().max().item()
    print(f"  {what}: largest difference {difference:.2g}")
    assert ours.shape == theirs.shape and difference < tolerance, f"{what}: {difference}"


SIZES = {
    "vocab_size": 97, "hidden_size": 72, "intermediate_size": 80, "num_hidden_layers": 2,
    "num_attention_heads": 9, "num_key_value_heads": 3, "max_position_embeddings": 64,
    "initializer_range": 0.15,
}


def make_base(folder, tied):
    torch.manual_seed(1)
    config = LlamaConfig(**SIZES, head_dim=8, tie_word_embeddings=tied)
    LlamaForCausalLM(config).save_pretrained(folder)


def make_base_with_biases(folder):
    torch.manual_seed(2)
    config = LlamaConfig(**SIZES, head_dim=8, attention_bias=True, tie_word_embeddings=False)
    model = LlamaForCausalLM(config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                parameter.normal_(0, 0.2)
    model.save_pretrained(folder)


def make_adapter(base, folder, safe=True, **options):
    """A PEFT adapter whose every tensor differs from its start."""
    model = get_peft_model(
        AutoModelForCausalLM.from_pretrained(base),
        LoraConfig(**{"r": 3, "lora_alpha": 7, "task_type": "CAUSAL_LM", "init_lora_weights": False}
                   | options),
    )
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter) * 0.05)
    if safe:
        model.save_pretrained(folder)
        return
    model.save_pretrained(folder)
    # PEFT 0.21 writes safetensors alone; adapter_model.bin is what older ones wrote.
    torch.save(load_file(folder / "adapter_model.safetensors"), folder / "adapter_model.bin")
    (folder / "adapter_model.safetensors").unlink()


def write_as_longspan(adapter, base, folder):
    """The files write_peft_adapter makes of a tied model whose embed_tokens was trained with YaRN:
    a minimal adapter_config.json, lm_head as a copy, config.json of the extended model beside."""
    folder.mkdir()
    tensors = load_file(adapter / "adapter_model.safetensors")
    embed_tokens = tensors["base_model.model.model.embed_tokens.weight"]
    tensors["base_model.model.lm_head.weight"] = embed_tokens.clone()
    save_file(tensors, folder / "adapter_model.safetensors", {"format": "pt"})
    config = {
        "peft_type": "LORA", "task_type": "CAUSAL_LM", "r": 3, "lora_alpha": 7.0, "bias": "none",
        "base_model_name_or_path": str(base), "inference_mode": True,
        "target_modules": ATTENTION,
        "modules_to_save": ["embed_tokens", "norm", "lm_head"], "ensure_weight_tying": True,
    }
    (folder / "adapter_config.json").write_text(json.dumps(config))
    extended = json.loads((base / "config.json").read_text())
    extended["max_position_embeddings"] = 128
    extended["rope_parameters"] = {
        "rope_type": "yarn", "factor": 2.0, "original_max_position_embeddings": 64,
        "rope_theta": 10000.0,
    }
    (folder / "config.json").write_text(json.dumps(extended))


def our_logits(binary, work, model, *options):
    (work / "ids.json").write_text(json.dumps(IDS))
    run(binary, "logits", model, *options, "--ids", work / "ids.json", "--out",
        work / "l.safetensors", "--dtype", "float32")
    return load_file(work / "l.safetensors")["logits"]


def check(binary, base, adapter, work, name, peft_merges=True):
    """`peft_merges`: whether merge_and_unload gives what PeftModel computes."""
    print(name)
    config = LlamaConfig.from_pretrained(adapter if (adapter / "config.json").exists() else base)
    theirs = PeftModel.from_pretrained(LlamaForCausalLM.from_pretrained(base, config=config), adapter)
    expected = logits(theirs.eval())
    # Equal logits say something only if the adapter changes them.
    change = (expected - logits(LlamaForCausalLM.from_pretrained(base).eval())).abs().max().item()
    print(f"  the adapter changes the base's logits by up to {change:.2g}")
    assert change > 0.1, change
    tolerance = float32_bound(expected, config, len(IDS))
    close(our_logits(binary, work, base, "--adapter", adapter), expected, "longspan logits --adapter", tolerance)
    close(our_logits(binary, work, adapter), expected, "longspan logits of the adapter's folder", tolerance)
    merged = work / f"merged-{name.replace(' ', '-')}"
    run(binary, "merge", base, adapter, merged, "--shard-size", "50KB")
    model = AutoModelForCausalLM.from_pretrained(merged).eval()
    if peft_merges:
        by_peft = logits(theirs.merge_and_unload())
        close(logits(model), by_peft, "longspan merge against peft's merge_and_unload", tolerance)
        # Merging rounds: PEFT's own merge is that far from PEFT's adapter.
        tolerance += (by_peft - expected).abs().max().item()
    close(logits(model), expected, "longspan merge against the adapter", tolerance)
    assert model.config.max_position_embeddings == config.max_position_embeddings
    facts = json.loads(run(binary, "inspect", merged, "--json"))
    assert facts["rope"]["rope_type"] == config.rope_parameters["rope_type"], facts
    checked("PEFT in", "peft", "llama", config.rope_parameters["rope_type"], name)
    checked("merge", "peft", "llama", config.rope_parameters["rope_type"], name)
    return model


def check_kinds(binary, work):
    """Each way of LoraConfig to make a LoRA, on a base with biases."""
    base = work / "biases"
    make_base_with_biases(base)
    kinds = {
        "dora": {"target_modules": ["q_proj", "o_proj", "down_proj"], "use_dora": True},
        "dora with rslora and norms": {
            "target_modules": "all-linear", "use_dora": True, "use_rslora": True,
            "modules_to_save": ["norm"], "safe": False},
        "rank and alpha patterns": {
            "target_modules": ATTENTION + ["up_proj"],
            "rank_pattern": {"q_proj": 5, "layers.1.self_attn.v_proj": 2},
            "alpha_pattern": {r".*\.mlp\..*": 11, "^model.layers.0.self_attn.o_proj": 2}},
        "a regular expression": {"target_modules": r".*layers\.1\..*\.(q|v|gate)_proj"},
        "some layers": {"target_modules": ATTENTION, "layers_to_transform": [1]},
        "adapter_model.bin": {"target_modules": ATTENTION, "safe": False},
        "all biases": {"target_modules": ATTENTION, "bias": "all"},
        "biases of lora": {"target_modules": ATTENTION, "lora_bias": True},
        "lm_head and embeddings saved": {
            "target_modules": ATTENTION, "modules_to_save": ["lm_head", "embed_tokens"]},
        "a whole MLP saved": {"target_modules": ATTENTION, "modules_to_save": ["mlp"]},
        "lora on embeddings and lm_head": {
            "target_modules": ["q_proj", "embed_tokens", "lm_head"]},
        "dora on embeddings and lm_head": {
            "target_modules": ["q_proj", "embed_tokens", "lm_head"], "use_dora": True, "use_rslora": True},
    }
    for i, (name, options) in enumerate(kinds.items()):
        make_adapter(base, work / f"kind-{i}", **options)
        check(binary, base, work / f"kind-{i}", work, name)
    dora = work / "tied-dora"
    make_adapter(work / "tied", dora, target_modules=["q_proj", "up_proj"], use_dora=True)
    check(binary, work / "tied", dora, work, "dora on a tied base")
    tied = work / "tied-embeddings"
    make_adapter(work / "tied", tied, target_modules=["q_proj", "embed_tokens"])
    # PEFT's merge adds the LoRA of embed_tokens to the tensor that lm_head shares.
    check(binary, work / "tied", tied, work, "lora on tied embeddings", peft_merges=False)
    tied = work / "tied-dora-of-embeddings"
    make_adapter(work / "tied", tied, target_modules=["q_proj", "embed_tokens"], use_dora=True)
    check(binary, work / "tied", tied, work, "dora on tied embeddings", peft_merges=False)


def check_resized(binary, work, tied, rows, name, **options):
    """An adapter trained on a base whose embeddings were resized to `rows`."""
    base = work / ("tied" if tied else "untied")
    ids = [i % rows for i in IDS] + [rows - 1]

    def resized(seed):
        torch.manual_seed(seed)
        model = AutoModelForCausalLM.from_pretrained(base)
        model.resize_token_embeddings(rows, mean_resizing=False)
        return model

    adapter = work / f"resized-{tied}-{rows}-{name}"
    model = get_peft_model(resized(5), LoraConfig(**{
        "r": 3, "lora_alpha": 7, "task_type": "CAUSAL_LM", "init_lora_weights": False,
        "target_modules": ATTENTION} | options))
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter) * 0.05)
    model.save_pretrained(adapter)

    loaded = PeftModel.from_pretrained(resized(6), adapter).eval()
    with torch.no_grad():
        expected = loaded(torch.tensor([ids])).logits[0]
    ids_file, out = work / "ids.json", work / "l.safetensors"
    ids_file.write_text(json.dumps(ids))
    run(binary, "logits", base, "--adapter", adapter, "--ids", ids_file, "--out", out, "--dtype", "float32")
    what = f"{name}, {'tied' if tied else 'untied'}, {SIZES['vocab_size']} to {rows} rows"
    tolerance = float32_bound(expected, loaded.config, len(ids))
    close(load_file(out)["logits"], expected, f"{what}: logits --adapter", tolerance)
    merged = work / f"merged-{adapter.name}"
    run(binary, "merge", base, adapter, merged)
    with torch.no_grad():
        actual = AutoModelForCausalLM.from_pretrained(merged).eval()(torch.tensor([ids])).logits[0]
    close(actual, expected, f"{what}: merge", tolerance)
    checked("PEFT in", "peft", "llama", "default", what)


def check_vocabularies(binary, work):
    """Vocabularies that grew and shrank, and rows of the embeddings trained alone."""
    for tied in (False, True):
        for rows in (89, 101):
            for name, options in {
                "lora": {},
                "embeddings saved": {"modules_to_save": ["embed_tokens"]},
                "both saved": {"modules_to_save": ["embed_tokens", "lm_head"]},
                "both saved, tied": {"modules_to_save": ["embed_tokens"], "ensure_weight_tying": True},
                "lora of embeddings": {"target_modules": ["q_proj", "embed_tokens", "lm_head"]},
                "tokens": {"trainable_token_indices": [3, rows - 1]},
            }.items():
                check_resized(binary, work, tied, rows, name, **options)
        base = work / ("tied" if tied else "untied")
        for name, options in {
            "tokens of both": {"trainable_token_indices": {"embed_tokens": [7, 38], "lm_head": [5]}},
            "the same tokens of both": {"trainable_token_indices": {"embed_tokens": [7], "lm_head": [7]}},
            "tokens of lm_head": {"trainable_token_indices": {"lm_head": [5, 9]}},
        }.items():
            adapter = work / f"{base.name}-{name}"
            make_adapter(base, adapter, target_modules=ATTENTION, **options)
            check(binary, base, adapter, work, f"{name}, {base.name}", peft_merges=not tied)
        if tied:
            adapter = work / "tied-lora-of-embeddings"
            make_adapter(base, adapter, target_modules=["q_proj", "embed_tokens"], ensure_weight_tying=True)
            check(binary, base, adapter, work, "lora of tied embeddings kept tied", peft_merges=False)
        check_tokens_alone(binary, base, work)


def check_tokens_alone(binary, base, work):
    """peft_type TRAINABLE_TOKENS."""
    adapter = work / f"{base.name}-tokens-alone"
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(base),
                           TrainableTokensConfig(token_indices=[7, 38, 69], target_modules=["embed_tokens"]))
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter) * 0.5)
    model.save_pretrained(adapter)
    check(binary, base, adapter, work, f"tokens alone, {base.name}")


def check_refusals(binary, base, adapter, work):
    config = json.loads((adapter / "adapter_config.json").read_text())
    for key, value in {"init_lora_weights": "pissa",
                       "peft_type": "IA3", "target_parameters": ["experts.gate_up_proj"],
                       # PEFT leaves tensors out that these do not name.
                       "target_modules": ".*q_proj", "exclude_modules": ["up_proj"],
                       "layers_to_transform": [1]}.items():
        (adapter / "adapter_config.json").write_text(json.dumps(config | {key: value}))
        assert key in refusal(binary, "merge", base, adapter, work / "refused", code=5), key
    (adapter / "adapter_config.json").write_text(json.dumps(config))


def check_dtype(binary, base, adapter, work):
    for dtype in ("float32", "float16"):
        run(binary, "merge", base, adapter, work / dtype, "--dtype", dtype)
    whole, half = (load_file(work / dtype / "model.safetensors") for dtype in ("float32", "float16"))
    assert whole.keys() == half.keys()
    for name, tensor in half.items():
        assert tensor.dtype == torch.float16 and torch.equal(tensor, whole[name].half()), name


def check_longlora(binary, work, base, tied):
    """adapter_model.bin and trainable_params.bin as get_trainable_weights.py writes them, of a model
    with an added [PAD], against the steps of merge_lora_weights_and_save_hf_model.py."""
    print(f"LongLoRA's form on {'a tied' if tied else 'an untied'} base")
    folder = work / f"longlora-{tied}"
    make_adapter(base, folder, target_modules=ATTENTION, safe=False)
    torch.manual_seed(3)
    trained = LlamaForCausalLM.from_pretrained(base)
    trained.resize_token_embeddings(98, mean_resizing=False)
    params = collections.OrderedDict(
        (name, tensor + torch.randn_like(tensor) * 0.05)
        for name, tensor in trained.state_dict().items() if "embed" in name or "norm" in name)
    torch.save(params, folder / "trainable_params.bin")
    unknown = refusal(binary, "merge", base, folder, work / "refused", code=5)
    assert "does not say for which length" in unknown, unknown
    (folder / "tokenizer_config.json").write_text(json.dumps({"model_max_length": 150}))

    # Their steps: resize, the mean as the new row, trainable_params.bin, LoRA, merge; and the RoPE
    # that their inference sets: linear, factor ceil(150 / 64) = 3.
    config = LlamaConfig.from_pretrained(base)
    config.rope_parameters = {"rope_type": "linear", "factor": 3.0, "rope_theta": 10000.0}
    model = LlamaForCausalLM.from_pretrained(base, config=config)
    model.resize_token_embeddings(98, mean_resizing=False)
    for embedding in (model.get_input_embeddings(), model.get_output_embeddings()):
        weight = embedding.weight.data
        weight[-1:] = weight[:-1].mean(dim=0, keepdim=True)
    loaded = model.load_state_dict(torch.load(folder / "trainable_params.bin"), strict=False)
    assert not loaded.unexpected_keys, loaded
    peft_config = LoraConfig.from_pretrained(folder)
    merged = PeftModel.from_pretrained(model, folder, config=peft_config).merge_and_unload().eval()
    expected = logits(merged)
    tolerance = float32_bound(expected, model.config, len(IDS))
    close(our_logits(binary, work, base, "--adapter", folder), expected, "longspan logits --adapter", tolerance)
    out = work / f"merged-longlora-{tied}"
    run(binary, "merge", base, folder, out)
    ours = AutoModelForCausalLM.from_pretrained(out).eval()
    close(logits(ours), expected, "longspan merge in transformers", tolerance)
    assert ours.config.rope_parameters["rope_type"] == "linear", ours.config.rope_parameters
    assert ours.config.rope_parameters["factor"] == 3.0 and ours.config.vocab_size == 98
    assert ours.config.max_position_embeddings == 150
    assert ours.config.tie_word_embeddings == tied
    checked("LongLoRA's released form (adapter_model.bin, trainable_params.bin), in", "peft",
            detail="tied" if tied else "untied")


def check_pytorch_bin(binary, work, base):
    """The same model as pytorch_model.bin, single and in shards."""
    print("pytorch_model.bin")
    expected = our_logits(binary, work, base)
    state = load_file(base / "model.safetensors")
    for shards in (1, 3):
        folder = work / f"bin-{shards}"
        folder.mkdir()
        (folder / "config.json").write_text((base / "config.json").read_text())
        names = list(state)
        weight_map = {}
        for i in range(shards):
            file = "pytorch_model.bin" if shards == 1 else f"pytorch_model-{i + 1:05}-of-{shards:05}.bin"
            part = collections.OrderedDict((name, state[name]) for name in names[i::shards])
            torch.save(part, folder / file)
            weight_map |= {name: file for name in part}
        if shards > 1:
            index = {"metadata": {}, "weight_map": weight_map}
            (folder / "pytorch_model.bin.index.json").write_text(json.dumps(index))
        ours = our_logits(binary, work, folder)
        assert torch.equal(ours, expected), f"{shards} shards"
        run(binary, "convert", folder, work / f"converted-{shards}")
        converted = load_file(work / f"converted-{shards}" / "model.safetensors")
        assert all(torch.equal(converted[name], state[name]) for name in state)
    single = our_logits(binary, work, work / "bin-1" / "pytorch_model.bin")
    assert torch.equal(single, expected)
    print("  single, sharded and by file name: equal bit for bit")
    checked("pytorch_model.bin, single and in shards, in", "torch")


def main():
    binary = command_line().parse_args().longspan
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        make_base(work / "untied", tied=False)
        make_base(work / "tied", tied=True)
        saved = ["embed_tokens", "norm"]
        check_pytorch_bin(binary, work, work / "untied")

        make_adapter(work / "untied", work / "a", target_modules=ATTENTION, modules_to_save=saved)
        check(binary, work / "untied", work / "a", work, "untied base")

        make_adapter(work / "untied", work / "b", target_modules="all-linear", use_rslora=True)
        check(binary, work / "untied", work / "b", work, "rslora on all linear layers")

        make_adapter(work / "tied", work / "c", target_modules=ATTENTION, modules_to_save=saved,
                     ensure_weight_tying=True)
        model = check(binary, work / "tied", work / "c", work, "tied base kept tied")
        assert model.config.tie_word_embeddings

        make_adapter(work / "tied", work / "d", target_modules=ATTENTION, modules_to_save=saved)
        model = check(binary, work / "tied", work / "d", work, "tied base untied by peft")
        assert not model.config.tie_word_embeddings

        write_as_longspan(work / "c", work / "tied", work / "e")
        model = check(binary, work / "tied", work / "e", work, "our adapter with yarn")
        assert model.config.rope_parameters["factor"] == 2.0
        assert model.config.tie_word_embeddings

        check_kinds(binary, work)
        check_vocabularies(binary, work)
        check_refusals(binary, work / "untied", work / "b", work)
        check_dtype(binary, work / "untied", work / "b", work)
        check_longlora(binary, work, work / "untied", tied=False)
        check_longlora(binary, work, work / "tied", tied=True)


if __name__ == "__main__":
    main()
