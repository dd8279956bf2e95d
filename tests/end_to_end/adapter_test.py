"""PEFT adapters, theirs and ours: `longspan logits --adapter` and `longspan merge` against peft itself.

    python adapter_test.py --longspan build/longspan
"""

import argparse
import json
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

try:
    import torch
    from peft import LoraConfig, PeftModel, get_peft_model
    from safetensors.torch import load_file, save_file
    from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

warnings.filterwarnings("ignore")
IDS = [(31 * i + 7) % 97 for i in range(48)]


def run(*command):
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    assert done.returncode == 0, f"{command}: exit code {done.returncode}\n{done.stderr}"
    return done.stdout


def logits(model):
    with torch.no_grad():
        return model(torch.tensor([IDS])).logits[0]


def close(ours, theirs, what, tolerance=2e-5):
    difference = (ours - theirs).abs().max().item()
    print(f"  {what}: largest difference {difference:.2g}")
    assert ours.shape == theirs.shape and difference < tolerance, f"{what}: {difference}"


def make_base(folder, tied):
    torch.manual_seed(1)
    config = LlamaConfig(
        vocab_size=97, hidden_size=72, intermediate_size=80, num_hidden_layers=2,
        num_attention_heads=9, num_key_value_heads=3, head_dim=8, max_position_embeddings=64,
        tie_word_embeddings=tied, initializer_range=0.15,
    )
    LlamaForCausalLM(config).save_pretrained(folder)


def make_adapter(base, folder, **options):
    """A PEFT adapter whose every tensor differs from its start."""
    model = get_peft_model(
        AutoModelForCausalLM.from_pretrained(base),
        LoraConfig(r=3, lora_alpha=7, task_type="CAUSAL_LM", init_lora_weights=False, **options),
    )
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter) * 0.05)
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
        "target_modules": ["q_proj", "k_proj", "v_proj", "o_proj"],
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


def check(binary, base, adapter, work, name, live=True):
    """`live`: whether the adapter can be put on the base without untying it."""
    print(name)
    config = LlamaConfig.from_pretrained(adapter if (adapter / "config.json").exists() else base)
    theirs = PeftModel.from_pretrained(LlamaForCausalLM.from_pretrained(base, config=config), adapter)
    expected = logits(theirs.eval())
    # Equal logits say something only if the adapter changes them.
    change = (expected - logits(LlamaForCausalLM.from_pretrained(base).eval())).abs().max().item()
    print(f"  the adapter changes the base's logits by up to {change:.2g}")
    assert change > 0.1, change
    (work / "ids.json").write_text(json.dumps(IDS))
    if live:
        run(binary, "logits", base, "--adapter", adapter, "--ids", work / "ids.json", "--out",
            work / "l.safetensors", "--dtype", "float32")
        close(load_file(work / "l.safetensors")["logits"], expected, "longspan logits --adapter")
    merged = work / f"merged-{name.replace(' ', '-')}"
    run(binary, "merge", base, adapter, merged, "--shard-size", "50KB")
    model = AutoModelForCausalLM.from_pretrained(merged).eval()
    close(logits(model), expected, "longspan merge in transformers")
    close(logits(model), logits(theirs.merge_and_unload()), "against peft's merge_and_unload")
    assert model.config.max_position_embeddings == config.max_position_embeddings
    facts = json.loads(run(binary, "inspect", merged, "--json"))
    assert facts["rope"]["rope_type"] == config.rope_parameters["rope_type"], facts
    return model


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--longspan", type=Path, required=True)
    binary = parser.parse_args().longspan.resolve()
    attention = ["q_proj", "k_proj", "v_proj", "o_proj"]
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        make_base(work / "untied", tied=False)
        make_base(work / "tied", tied=True)
        saved = ["embed_tokens", "norm"]

        make_adapter(work / "untied", work / "a", target_modules=attention, modules_to_save=saved)
        check(binary, work / "untied", work / "a", work, "untied base")

        make_adapter(work / "untied", work / "b", target_modules="all-linear", use_rslora=True)
        check(binary, work / "untied", work / "b", work, "rslora on all linear layers")

        make_adapter(work / "tied", work / "c", target_modules=attention, modules_to_save=saved,
                     ensure_weight_tying=True)
        model = check(binary, work / "tied", work / "c", work, "tied base kept tied")
        assert model.config.tie_word_embeddings

        make_adapter(work / "tied", work / "d", target_modules=attention, modules_to_save=saved)
        model = check(binary, work / "tied", work / "d", work, "tied base untied by peft", live=False)
        assert not model.config.tie_word_embeddings

        write_as_longspan(work / "c", work / "tied", work / "e")
        model = check(binary, work / "tied", work / "e", work, "our adapter with yarn")
        assert model.config.rope_parameters["factor"] == 2.0
        assert model.config.tie_word_embeddings


if __name__ == "__main__":
    main()
