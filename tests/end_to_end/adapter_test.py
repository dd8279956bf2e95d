"""PEFT adapters, theirs and ours: `longspan logits` and `longspan merge` against peft itself.

    python adapter_test.py --longspan build/longspan
"""

import json
import sys

try:
    import torch
    from safetensors.torch import load_file, save_file
    from transformers import LlamaConfig, LlamaForCausalLM

    from adapter_cases import ATTENTION, SIZES, check, make_adapter, two_bases
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

from program import command_line, refusal, run


def make_base_with_biases(folder):
    torch.manual_seed(2)
    config = LlamaConfig(**SIZES, head_dim=8, attention_bias=True, tie_word_embeddings=False)
    model = LlamaForCausalLM(config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                parameter.normal_(0, 0.2)
    model.save_pretrained(folder)


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


def check_refusals(binary, base, adapter, work):
    config = json.loads((adapter / "adapter_config.json").read_text())
    # A module that target_modules has by its whole name, as all-linear is saved, is asked for no layer.
    kinds = sorted({module.split(".")[-1] for module in config["target_modules"]})
    for change in ({"init_lora_weights": "pissa"}, {"peft_type": "IA3"}, {"target_parameters": ["experts.gate_up_proj"]},
                   # PEFT leaves tensors out that these do not name.
                   {"target_modules": ".*q_proj"}, {"exclude_modules": ["up_proj"]},
                   {"layers_to_transform": [1], "target_modules": kinds}):  # fmt: skip
        (adapter / "adapter_config.json").write_text(json.dumps(config | change))
        key = next(iter(change))
        assert key in refusal(binary, "merge", base, adapter, work / "refused", code=5), key
    (adapter / "adapter_config.json").write_text(json.dumps(config))


def check_dtype(binary, base, adapter, work):
    for dtype in ("float32", "float16"):
        run(binary, "merge", base, adapter, work / dtype, "--dtype", dtype)
    whole, half = (load_file(work / dtype / "model.safetensors") for dtype in ("float32", "float16"))
    assert whole.keys() == half.keys()
    for name, tensor in half.items():
        assert tensor.dtype == torch.float16 and torch.equal(tensor, whole[name].half()), name


def main():
    binary = command_line().parse_args().longspan
    with two_bases() as work:
        saved = ["embed_tokens", "norm"]
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
        check_refusals(binary, work / "untied", work / "b", work)
        check_dtype(binary, work / "untied", work / "b", work)


if __name__ == "__main__":
    main()
