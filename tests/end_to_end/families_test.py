"""Every model family against transformers: tiny random models, each with the RoPE scalings it uses,
shorter and longer than the original context.

    python families_test.py --longspan build/longspan

For each: `longspan logits` in float32 and bfloat16, `longspan convert` loaded by transformers again,
a PEFT adapter put on and merged, and an adapter that `longspan train` made loaded by PEFT.
"""

import json
import sys
import tempfile
import warnings
from pathlib import Path

try:
    import torch
    from peft import LoraConfig, PeftModel, get_peft_model
    from safetensors.torch import load_file
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast, logging
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

from family_cases import CASES, OLDER
from program import checked, command_line, float32_bound, run

sys.path.append(str(Path(__file__).resolve().parents[1] / "reference"))
from tiny_families import EXTENDED, ORIGINAL, FAMILIES, ids, make_config, make_model

warnings.filterwarnings("ignore")
logging.set_verbosity_error()
logging.disable_progress_bar()
torch.set_num_threads(1)

LENGTHS = (ORIGINAL - 9, EXTENDED + 13)
LONG = ORIGINAL + 9  # past the original length, within the extended one


RECIPE = """\
model: {{path: {folder}, dtype: float32}}
data: {{path: {folder}/tokens.h5}}
lora: {{r: 2, lora_alpha: 5, target_modules: [{targets}], modules_to_save: [{saved}]}}
rope: {{rope_type: linear, factor: 2.0}}
train: {{seq_len: {seq_len}, batch_size: 1, seed: 3}}
stages:
  - {{steps: 2, attention: {{pattern: shifted_sparse, group_size: 32}}}}
  - {{steps: 2, attention: {{pattern: full}}}}
optimizer: {{lr: 0.02}}
checkpoint: {{every_steps: 4}}
output: {{dir: {folder}/run}}
"""


class Longspan:
    def __init__(self, binary, work):
        self.binary, self.work = binary, work

    def logits(self, folder, tokens, *options, dtype="float32"):
        (self.work / "ids.json").write_text(json.dumps(ids(tokens)[0].tolist()))
        out = self.work / "logits.safetensors"
        run(self.binary, "logits", folder, "--ids", self.work / "ids.json", "--out", out,
            "--dtype", dtype, "--threads", 1, *options)  # fmt: skip
        return load_file(out)["logits"]


def logits(model, tokens):
    with torch.no_grad():
        return model(ids(tokens)).logits[0].float()


def difference(ours, theirs):
    assert ours.shape == theirs.shape, (ours.shape, theirs.shape)
    return ((ours - theirs).abs().max() / max(1, theirs.abs().max())).item()


def close(ours, theirs, model):
    """The difference in float32, which must be within what rounding may do."""
    worst = difference(ours, theirs)
    assert (ours - theirs).abs().max() < float32_bound(theirs, model.config, len(theirs)), f"float32: {worst}"
    return worst


def load(folder, dtype=torch.float32):
    return AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager", dtype=dtype).eval()


def check_logits(longspan, folder):
    """In float32 by the largest difference; in bfloat16 by the mean, beside transformers' own (one
    token near a zero of RMSNorm may be far off in either)."""
    worst = 0
    for tokens in LENGTHS:
        model = load(folder)
        theirs = logits(model, tokens)
        worst = max(worst, close(longspan.logits(folder, tokens), theirs, model))
    ours = (longspan.logits(folder, tokens, dtype="bfloat16") - theirs).abs().mean()
    rounding = (logits(load(folder, torch.bfloat16), tokens) - theirs).abs().mean()
    assert ours < 1.5 * rounding, f"bfloat16: {ours}, transformers itself {rounding}"
    return worst


def check_older_keys(longspan, family, work):
    parameters, changes = OLDER[family]
    folder = work / "older"
    make_model(make_config(family, parameters, **changes)).save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text())
    scaling = config.pop("rope_parameters")
    if family == "gemma3_text":
        config["rope_local_base_freq"] = scaling["sliding_attention"]["rope_theta"]
        config["sliding_window_pattern"] = config.pop("_sliding_window_pattern")
        scaling = scaling["full_attention"]
    config["rope_theta"] = scaling.pop("rope_theta")
    if "partial_rotary_factor" in scaling:
        config["partial_rotary_factor"] = scaling.pop("partial_rotary_factor")
    if family == "phi3":
        scaling["type"] = scaling.pop("rope_type")
        del scaling["original_max_position_embeddings"]  # stands at the top
    for key in ("layer_types", "no_rope_layers", "dtype"):
        config.pop(key, None)
    (folder / "config.json").write_text(json.dumps(config | {"rope_scaling": scaling}))
    return check_logits(longspan, folder)


def check_round_trip(longspan, folder, work):
    """transformers loads what convert writes, computes the same, and says the same of the model."""
    out = work / "converted"
    run(longspan.binary, "convert", folder, out, "--dtype", "float32", "--force")
    before, after = load(folder), load(out)
    assert type(before) is type(after)
    assert torch.equal(logits(before, LENGTHS[1]), logits(after, LENGTHS[1]))
    expected, actual = before.config.to_dict(), after.config.to_dict()
    changed = {k for k in expected if expected[k] != actual.get(k) and k not in ("dtype", "_name_or_path")}
    # What our reading completes: keys that transformers derives in its formulas.
    assert changed <= {"rope_parameters"}, {k: (expected[k], actual.get(k)) for k in changed}


def make_adapter(base, folder, **options):
    model = get_peft_model(
        load(base), LoraConfig(r=2, lora_alpha=5, task_type="CAUSAL_LM", init_lora_weights=False, **options)
    )
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(0.1 * torch.randn_like(parameter))
    model.save_pretrained(folder)


def check_adapter(longspan, family, folder, work):
    linears, saved = targets(family)
    make_adapter(folder, work / "adapter", target_modules=linears, modules_to_save=saved)
    model = PeftModel.from_pretrained(load(folder), work / "adapter").eval()
    expected = logits(model, LONG)
    assert difference(expected, logits(load(folder), LONG)) > 0.01
    put_on = longspan.logits(folder, LONG, "--adapter", work / "adapter")
    run(longspan.binary, "merge", folder, work / "adapter", work / "merged", "--force")
    merged = logits(load(work / "merged"), LONG)
    worst = max(close(put_on, expected, model), close(merged, expected, model))
    return worst


def targets(family):
    """LoRA on all projections but k_proj, which is trained whole, with its bias if it has one, as is
    every norm, q_norm and k_norm among them."""
    if family == "phi3":
        return ["qkv_proj", "o_proj", "gate_up_proj", "down_proj"], ["norm"]
    return ["q_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"], ["norm", "k_proj"]


def make_byte_tokenizer(folder):
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={c: i for i, c in enumerate(["<|end|>", *alphabet])}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|end|>").save_pretrained(folder)


def check_training(longspan, family, parameters, work):
    """What `longspan train` writes, PEFT loads: base and adapter under the config.json beside it."""
    folder = work / "trained"
    config = make_config(family, parameters, vocab_size=257, eos_token_id=0, pad_token_id=None)
    make_model(config).save_pretrained(folder)
    make_byte_tokenizer(folder)
    (folder / "text.txt").write_text("rope scale shift group token head long span\n" * 40)
    run(longspan.binary, "prepare", folder / "text.txt", "--model", folder, "--out", folder / "tokens.h5")
    linears, saved = targets(family)
    recipe = folder / "recipe.yaml"
    recipe.write_text(RECIPE.format(folder=folder, targets=", ".join(linears), saved=", ".join(saved),
                                    seq_len=2 * EXTENDED))  # fmt: skip
    run(longspan.binary, "train", recipe)
    adapter = folder / "run" / "checkpoints" / "step-000004"
    trained = {name for name in load_file(adapter / "adapter_model.safetensors") if "lora" not in name}
    for module in saved + ["q_norm"] * (family in ("qwen3", "gemma3_text")):
        assert any(f"{module}.weight" in name for name in trained), (module, trained)
    assert (family == "qwen2") <= any(name.endswith("k_proj.bias") for name in trained), trained

    extended = AutoConfig.from_pretrained(adapter, attn_implementation="eager")
    base = AutoModelForCausalLM.from_pretrained(folder, config=extended, dtype=torch.float32)
    theirs = logits(PeftModel.from_pretrained(base, adapter).eval(), EXTENDED + 13)
    ours = longspan.logits(folder, EXTENDED + 13, "--adapter", adapter)
    assert difference(theirs, logits(load(folder), EXTENDED + 13)) > 0.01
    return close(ours, theirs, base)


def rope_types_of(folder):
    """Of a family with a rotation for each type of layer, all of them."""
    parameters = json.loads((folder / "config.json").read_text())["rope_parameters"]
    each = [parameters] if "rope_type" in parameters else parameters.values()
    return sorted({rope["rope_type"] for rope in each})


def check_case(binary, family, name, parameters, changes, work):
    """A family's first case is tried with all that does not depend on the RoPE."""
    longspan = Longspan(binary, work)
    folder = work / "model"
    make_model(make_config(family, parameters, **changes)).save_pretrained(folder)
    model_type = family.removesuffix("_text")
    rope_types = rope_types_of(folder)
    report = f"logits {check_logits(longspan, folder):.1g}"
    check_round_trip(longspan, folder, work)
    for rope_type in rope_types:
        checked("folder in", "transformers", model_type, rope_type, name)
        checked("folder out", "transformers", model_type, rope_type, name)
    if name == CASES[family][0][0]:
        report += f", adapter {check_adapter(longspan, family, folder, work):.1g}"
        report += f", trained {check_training(longspan, family, parameters, work):.1g}"
        report += f", older keys {check_older_keys(longspan, family, work):.1g}"
        checked("PEFT in", "peft", model_type, detail=name)
        checked("merge", "peft", model_type, detail=name)
        checked("PEFT out", "peft", model_type, "linear", name)
        checked("folder in", "transformers", model_type, detail="keys of transformers 4")
    print(f"{family:12} {name:20} {report}", flush=True)


def main():
    parser = command_line()
    parser.add_argument("--only", help="one family")
    arguments = parser.parse_args()
    assert CASES.keys() == FAMILIES.keys()
    for family, cases in CASES.items():
        if arguments.only not in (None, family):
            continue
        for name, parameters, changes in cases:
            with tempfile.TemporaryDirectory() as temporary:
                check_case(arguments.longspan, family, name, parameters, changes, Path(temporary))


if __name__ == "__main__":
    main()
