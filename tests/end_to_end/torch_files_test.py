"""Files that torch.save wrote: LongLoRA's released form against what its merge script does, and pytorch_model.bin.

    python torch_files_test.py --longspan build/longspan
"""

import collections
import json
import sys

try:
    import torch
    from peft import LoraConfig, PeftModel
    from safetensors.torch import load_file
    from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

    from adapter_cases import ATTENTION, IDS, close, logits, make_adapter, our_logits, two_bases
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

from program import checked, command_line, float32_bound, refusal, run


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
    with two_bases() as work:
        check_pytorch_bin(binary, work, work / "untied")
        check_longlora(binary, work, work / "untied", tied=False)
        check_longlora(binary, work, work / "tied", tied=True)


if __name__ == "__main__":
    main()
