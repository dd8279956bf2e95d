"""PEFT adapters of vocabularies that grew or shrank, and of single rows of the embeddings, against peft itself.

    python adapter_vocabulary_test.py --longspan build/longspan
"""

import json
import sys

try:
    import torch
    from peft import LoraConfig, PeftModel, TrainableTokensConfig, get_peft_model
    from safetensors.torch import load_file
    from transformers import AutoModelForCausalLM

    from adapter_cases import ATTENTION, IDS, SIZES, check, close, disturb, make_adapter, two_bases
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

from program import checked, command_line, float32_bound, run


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
    disturb(model)
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
    disturb(model, by=0.5)
    model.save_pretrained(adapter)
    check(binary, base, adapter, work, f"tokens alone, {base.name}")


def main():
    binary = command_line().parse_args().longspan
    with two_bases() as work:
        check_vocabularies(binary, work)


if __name__ == "__main__":
    main()
