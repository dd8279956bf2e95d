"""What the tests of adapters share: tiny bases, adapters of PEFT, and the comparison of both sides' logits."""

import contextlib
import json
import tempfile
import warnings
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM
from transformers.utils import logging

from program import checked, float32_bound, run

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


@contextlib.contextmanager
def two_bases():
    """A folder with a base "tied", whose head is its embeddings, and a base "untied"."""
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        make_base(work / "tied", tied=True)
        make_base(work / "untied", tied=False)
        yield work


def disturb(model, by=0.05):
    """Moves all that is trained away from its start."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter) * by)


def make_adapter(base, folder, safe=True, **options):
    """A PEFT adapter whose every tensor differs from its start."""
    model = get_peft_model(
        AutoModelForCausalLM.from_pretrained(base),
        LoraConfig(**{"r": 3, "lora_alpha": 7, "task_type": "CAUSAL_LM", "init_lora_weights": False}
                   | options),
    )
    disturb(model)
    model.save_pretrained(folder)
    if safe:
        return
    # PEFT 0.21 writes safetensors alone; adapter_model.bin is what older ones wrote.
    torch.save(load_file(folder / "adapter_model.safetensors"), folder / "adapter_model.bin")
    (folder / "adapter_model.safetensors").unlink()


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
