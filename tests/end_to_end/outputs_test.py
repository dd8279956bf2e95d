"""What is written and how it is checked: an interrupted `longspan merge` goes on, `verify` and `diff` find what is
wrong, huggingface_hub and transformers read the model card and generation_config.json, a device that is not there is
said so.

    python outputs_test.py --longspan build/longspan
"""

import json
import math
import os
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

try:
    import torch
    from huggingface_hub import ModelCard
    from peft import LoraConfig, get_peft_model
    from safetensors.torch import load_file, save_file
    from transformers import AutoModelForCausalLM, GenerationConfig, LlamaConfig, LlamaForCausalLM
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

from program import checked, command_line, finish, refusal, run

warnings.filterwarnings("ignore")
torch.set_num_threads(1)


def make_base(folder, **sizes):
    torch.manual_seed(1)
    config = dict(
        vocab_size=97, hidden_size=72, intermediate_size=80, num_hidden_layers=2, num_attention_heads=9,
        num_key_value_heads=3, head_dim=8, max_position_embeddings=512, tie_word_embeddings=False,
        initializer_range=0.15, bos_token_id=1, eos_token_id=2,
    )
    LlamaForCausalLM(LlamaConfig(**{**config, **sizes})).to(torch.bfloat16).save_pretrained(folder)


def make_adapter(base, folder):
    model = get_peft_model(
        AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32),
        LoraConfig(r=3, lora_alpha=7, task_type="CAUSAL_LM", init_lora_weights=False,
                   target_modules=["q_proj", "o_proj"], modules_to_save=["norm"]),
    )
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter) * 0.05)
    model.save_pretrained(folder)


def bytes_of(folder):
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.name != "README.md"}


def killed_at(command, shard):
    """Runs a command and kills it as soon as `shard` is there; whether it came to that."""
    process = subprocess.Popen(list(map(str, command)), stderr=subprocess.DEVNULL)
    while process.poll() is None and not shard.exists():
        time.sleep(0.0005)
    process.send_signal(signal.SIGKILL)
    return process.wait() == -signal.SIGKILL


def check_resume(binary, work):
    make_base(work / "large", hidden_size=288, intermediate_size=1024, num_hidden_layers=8, head_dim=32)
    make_adapter(work / "large", work / "adapter")
    merge = lambda out: [binary, "merge", work / "large", work / "adapter", out, "--shard-size", "1MB"]
    run(*merge(work / "whole"))
    expected = bytes_of(work / "whole")
    count = sum(name.endswith(".safetensors") for name in expected)
    assert count > 15, count
    out, partial = work / "resumed", work / "resumed.partial"
    kills = [killed_at(merge(out), partial / f"model-{i:05}-of-{count:05}.safetensors") for i in (3, 9)]
    assert all(kills), "merge was done before it could be killed"
    assert not out.exists() and partial.exists()
    times = {p.name: p.stat().st_mtime_ns for p in partial.glob("*.safetensors")}
    assert 9 <= len(times) < count, (len(times), count)
    done = finish(*merge(out))
    assert "goes on where it was interrupted" in done.stderr, done.stderr
    assert not partial.exists() and bytes_of(out) == expected
    kept = sum((out / name).stat().st_mtime_ns == t for name, t in times.items())
    assert kept == len(times), (kept, len(times))
    print(f"killed twice; {kept} of {count} shards were not written again, all bytes are equal")

    killed_at(merge(work / "other"), work / "other.partial" / f"model-00003-of-{count:05}.safetensors")
    config = json.loads((work / "adapter" / "adapter_config.json").read_text())
    (work / "adapter" / "adapter_config.json").write_text(json.dumps({**config, "lora_alpha": 9}))
    done = finish(*merge(work / "other"))
    assert "begins anew" in done.stderr, done.stderr
    q = "model.layers.0.self_attn.q_proj.weight"
    first = lambda folder: next(
        load_file(p)[q] for p in sorted(folder.glob("*.safetensors")) if q in load_file(p))
    assert not torch.equal(first(work / "other"), first(work / "whole"))
    print("a changed adapter begins anew")


def check_verify(binary, work):
    """A run folder as longspan lays it out, with a PEFT adapter for its checkpoint."""
    checkpoint = work / "run" / "checkpoints" / "step-000001"
    make_base(work / "base")
    make_adapter(work / "base", checkpoint)
    merged = work / "run" / "merged"
    run(binary, "merge", work / "base", work / "run", merged)
    for given in ([work / "run"], [merged], [checkpoint, merged]):
        report = json.loads(run(binary, "verify", *given, "--json", "--threads", 1))
        assert report["equal"] and report["lengths"] == [256, 512], report
        rows = report["models"][0]["rows"]
        assert all(r["equally_rounded"]["relative"] < 1e-5 for r in rows), rows
        assert all(0 < r["as_stored"]["relative"] < 0.05 for r in rows), rows
    print(f"verify: equal; bfloat16 itself costs {rows[1]['as_stored']['relative']:.2g} of the norm")

    name = "model.layers.1.self_attn.o_proj.weight"
    tensors, base = load_file(merged / "model.safetensors"), load_file(work / "base" / "model.safetensors")
    save_file({**tensors, name: base[name]}, merged / "model.safetensors", {"format": "pt"})
    text = run(binary, "verify", work / "run", "--lengths", "256", code=1)
    assert "DIFFERENT" in text, text
    difference = json.loads(run(binary, "diff", work / "base", merged, "--json", code=1))
    listed = [t["name"] for t in difference["tensors"]["tensors"]]
    assert len(listed) == 3 + 5 and name not in listed, listed  # projections, norms
    save_file(tensors, merged / "model.safetensors", {"format": "pt"})
    print("verify refuses a merge that lost the adapter of one projection")

    config = (merged / "config.json").read_text()
    (merged / "config.json").write_text(json.dumps(json.loads(config) | {"max_position_embeddings": 256}))
    text = run(binary, "verify", work / "run", "--lengths", "256", code=1)
    assert "context of 256 tokens, the reference has 512" in text, text
    (merged / "config.json").write_text(config)
    print("verify refuses a config.json of another context")

    shutil.copytree(work / "base", work / "run" / "merged.partial.older")  # left by a killed merge --force
    assert len(json.loads(run(binary, "verify", work / "run", "--lengths", "256", "--json"))["models"]) == 1
    shutil.rmtree(work / "run" / "merged.partial.older")


def check_verify_gguf(binary, work):
    """Right GGUFs of a float32 base, whose norms stay F32."""
    run_folder = work / "float32-run"
    make_adapter(work / "base", run_folder / "checkpoints" / "step-000001")
    model = AutoModelForCausalLM.from_pretrained(work / "base", dtype=torch.float32)
    model.save_pretrained(work / "float32-base")
    run(binary, "merge", work / "float32-base", run_folder, work / "float32-merged")
    for kind in ("F32", "F16", "BF16"):
        run(binary, "convert", work / "float32-merged", run_folder / f"{kind}.gguf", "--type", kind)
    report = json.loads(run(binary, "verify", run_folder, "--base", work / "float32-base", "--json", "--threads", 1))
    assert report["equal"] and len(report["models"]) == 3, report
    for model in report["models"]:
        assert all(r["equally_rounded"]["relative"] < 1e-5 for r in model["rows"]), model
    print("verify passes right GGUFs of a float32 base")


def check_diff(binary, work):
    base, merged = work / "base", work / "run" / "merged"
    shutil.copytree(base, work / "copy")
    assert "0 differ" in run(binary, "diff", base, work / "copy")
    result = json.loads(run(binary, "diff", base, merged, "--json", code=1))
    a, b = load_file(base / "model.safetensors"), load_file(merged / "model.safetensors")
    differing = {name for name in a if not torch.equal(a[name], b[name])}
    assert {t["name"] for t in result["tensors"]["tensors"]} == differing, result
    assert result["tensors"]["counts"]["equal"] == len(a) - len(differing)
    for tensor in result["tensors"]["tensors"]:
        x, y = a[tensor["name"]].double(), b[tensor["name"]].double()
        assert tensor["unequal"] == (x != y).sum().item()
        assert math.isclose(tensor["max_abs"], (x - y).abs().max().item())
        assert math.isclose(tensor["relative"], ((x - y).norm() / x.norm()).item(), rel_tol=1e-9)
    print(f"diff: {len(differing)} of {len(a)} tensors differ, by what torch says")

    config = json.loads((work / "copy" / "config.json").read_text())
    config["rope_parameters"] = {"rope_type": "linear", "factor": 2.0, "rope_theta": 10000.0}
    (work / "copy" / "config.json").write_text(json.dumps(config))
    text = run(binary, "diff", base, work / "copy", code=1)
    assert "linear x2" in text and "unscaled" in text, text

    spoiled = load_file(base / "model.safetensors")
    spoiled["model.layers.0.self_attn.q_proj.weight"] *= 3
    spoiled["model.norm.weight"][0] = math.nan
    save_file(spoiled, work / "copy" / "model.safetensors", {"format": "pt"})
    rows = [line.split() for line in run(binary, "diff", base, work / "copy", code=1).splitlines() if ".weight" in line]
    assert [row[0] for row in rows] == ["model.norm.weight", "model.layers.0.self_attn.q_proj.weight"], rows
    assert all("nan" in cell for cell in rows[0][-2:]), rows
    run(binary, "diff", base, work / "nowhere", code=5)


def gguf(**metadata):
    """The bytes of a GGUF without tensors; values are texts or lists of numbers."""
    text = lambda s: struct.pack("<Q", len(s)) + s.encode()
    value = lambda v: struct.pack("<I", 8) + text(v) if isinstance(v, str) else struct.pack(
        f"<IIQ{len(v)}I", 9, 4, len(v), *v)  # fmt: skip
    pairs = b"".join(text(key) + value(v) for key, v in metadata.items())
    return (b"GGUF" + struct.pack("<IQQ", 3, 0, len(metadata)) + pairs).ljust(1024, b"\0")


def check_inspect(binary, work):
    """What a file says of itself stands apart from what we say of it, and steers no terminal."""
    hostile = {"kind": "\x1b[2Jmodel", "tensors": [1], "parameters": "many", "path": "a\nb"}
    (work / "hostile.gguf").write_bytes(gguf(**hostile))
    facts = json.loads(run(binary, "inspect", work / "hostile.gguf", "--json", "--tensors"))
    assert facts["kind"] == "GGUF" and facts["parameters"] == 0 and facts["tensors"] == [], facts
    assert facts["metadata"] == hostile, facts
    text = run(binary, "inspect", work / "hostile.gguf")
    assert "\x1b" not in text and "\\u001b[2Jmodel" in text and "a\\nb" in text, text

    # A run folder stands for its newest checkpoint, also with --rope.
    checkpoint = work / "run" / "checkpoints" / "step-000001"
    assert "inspect its base model" in refusal(binary, "inspect", work / "run", "--rope", code=5)
    shutil.copy(work / "base" / "config.json", checkpoint)
    assert json.loads(run(binary, "inspect", work / "run", "--rope", "--json"))["length"] == 512
    (checkpoint / "config.json").unlink()
    print("inspect: a file's own keys stand apart, a run is looked into with --rope too")


def check_wrong_inputs(binary, work):
    says = lambda code, *command: refusal(binary, *command, code=code, timeout=60)
    os.mkfifo(work / "pipe")
    assert "is no regular file" in says(4, "inspect", work / "pipe")
    # Before the minutes that the reference takes.
    error = says(5, "verify", work / "base", work / "nowhere", "--lengths", "256")
    assert "nowhere: there is no such model" in error and "256 tokens" not in error, error
    for command in (["card", work / "nowhere"], ["card", work / "adapter", "--force", "--run", work / "nowhere"]):
        assert "nowhere: there is no such folder" in says(2, *command)
    for out in (work / "base", work / "link"):
        if not out.exists():
            out.symlink_to(work / "base")
        assert "would be lost" in says(2, "merge", work / "base", work / "adapter", out, "--force")
        assert "would be lost" in says(2, "convert", work / "base" / "model.safetensors", out, "--force")
    (work / "files").mkdir()
    torch.save({"w": torch.ones(3)}, work / "files" / "a.bin")
    save_file({"w": torch.ones(3)}, work / "files" / "b.safetensors")
    assert "1 equal" in run(binary, "diff", work / "files" / "a.bin", work / "files" / "b.safetensors")
    (work / "adapter" / "state.json").write_text("[]")
    assert "is no map" in says(8, "inspect", work / "adapter")
    (work / "adapter" / "state.json").write_text('{"step": "two"}')
    assert "its state.json" in says(8, "card", work / "adapter", "--force")
    base = work / "base"
    with open("/dev/full", "w") as full:
        done = subprocess.run([binary, "inspect", base], stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1 and "standard output: cannot write" in done.stderr, done
    assert "out of range; expected 1 to" in says(2, "verify", base, base, "--threads", 100000)
    for wrong in (["--threads", "many"], ["--threads=many"]):
        assert "--threads: 'many' is not a whole number" in says(2, "verify", base, base, *wrong)
    assert "exists; --force" in says(2, "convert", base, work / "none" / "..")
    ids = work / "three.json"
    ids.write_text("[1, 2, 3]")
    for out in (base / "model.safetensors", work / "none" / ".." / "base" / "model.safetensors", ids):
        assert "would be lost" in says(2, "logits", base, "--ids", ids, "--out", out)
    assert "exists; give --force" in says(2, "prepare", ids, "--model", base, "--out", work / "none" / ".." / ids.name)
    print("wrong inputs: each is named at once")


def check_card(work):
    merged = work / "run" / "merged"
    card = ModelCard.load(merged / "README.md")
    assert card.data.library_name == "transformers" and "longspan" in card.data.tags, card.data
    # PEFT writes target_modules in the order of a set.
    orders = ("o_proj, q_proj", "q_proj, o_proj")
    assert any(f"LoRA of rank 3 (lora_alpha 7) on {order}" in card.text for order in orders), card.text
    generation = GenerationConfig.from_pretrained(merged)
    assert generation.eos_token_id == 2, generation
    print("huggingface_hub reads the model card, transformers generation_config.json")
    checked("model card (README.md), out", "huggingface_hub")
    checked("generation_config.json, out", "transformers")


def check_device(binary, work):
    """Without a driver --device cuda says so, and auto is the CPU."""
    if Path("/dev/nvidiactl").exists():
        return
    (work / "ids.json").write_text(json.dumps(list(range(3, 60))))
    logits = lambda device: [binary, "logits", work / "base", "--ids", work / "ids.json", "--out",
                             work / f"{device}.safetensors", "--device", device]
    assert "no NVIDIA driver" in refusal(*logits("cuda"), code=2)
    assert "expected cpu, cuda or auto" in refusal(*logits("gpu"), code=2)
    run(*logits("cpu"))
    assert "runs on the CPU" in finish(*logits("auto")).stderr
    assert (work / "auto.safetensors").read_bytes() == (work / "cpu.safetensors").read_bytes()
    print("--device cuda is refused without a driver, auto is the CPU")


def main():
    binary = command_line().parse_args().longspan
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        check_verify(binary, work)
        check_verify_gguf(binary, work)
        check_diff(binary, work)
        check_inspect(binary, work)
        check_card(work)
        check_device(binary, work)
        check_resume(binary, work)
        check_wrong_inputs(binary, work)


if __name__ == "__main__":
    main()
