"""What is written: an interrupted `longspan merge` goes on, `inspect` tells what a file says of itself from what we say,
huggingface_hub and transformers read the model card and generation_config.json, what must not be replaced is not, a
device that is not there is said so.

    python outputs_test.py --longspan build/longspan
"""

import json
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
    from safetensors.torch import load_file, save_file
    from transformers import GenerationConfig

    from merge_cases import make_adapter, make_base
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

from program import checked, command_line, finish, refusal, run

warnings.filterwarnings("ignore")
torch.set_num_threads(1)


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
    assert "\x1b" not in text and "\\x1b[2Jmodel" in text and "a\\nb" in text, text

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


def check_card(binary, work):
    merged = work / "run" / "merged"
    run(binary, "merge", work / "base", work / "run", merged)
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
        make_base(work / "base")
        make_adapter(work / "base", work / "run" / "checkpoints" / "step-000001")
        check_inspect(binary, work)
        check_card(binary, work)
        check_device(binary, work)
        check_resume(binary, work)
        check_wrong_inputs(binary, work)


if __name__ == "__main__":
    main()
