"""`longspan verify` finds a merge that is wrong and passes those that are right, `longspan diff` says of two models what
torch says.

    python verify_test.py --longspan build/longspan
"""

import json
import math
import shutil
import sys
import tempfile
import warnings
from pathlib import Path

try:
    import torch
    from safetensors.torch import load_file, save_file
    from transformers import AutoModelForCausalLM

    from merge_cases import make_adapter, make_base
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

from program import command_line, run

warnings.filterwarnings("ignore")
torch.set_num_threads(1)


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
    few = json.loads(run(binary, "verify", work / "run", "--last", 8, "--json", "--threads", 1))
    assert few["last"] == 8 and few["models"][0]["rows"][0]["as_stored"] != rows[0]["as_stored"], few
    print(f"verify: equal; bfloat16 itself costs {rows[1]['as_stored']['relative']:.2g} of the norm")

    name = "model.layers.1.self_attn.o_proj.weight"
    tensors, base = load_file(merged / "model.safetensors"), load_file(work / "base" / "model.safetensors")
    save_file({**tensors, name: base[name]}, merged / "model.safetensors", {"format": "pt"})
    text = run(binary, "verify", work / "run", "--lengths", "256", code=1)
    assert "DIFFERENT" in text, text
    run(binary, "verify", work / "run", "--lengths", "256", "--tolerance", "10")  # which is passed by it
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


def swapped(tensors):
    """Two layers have each other's projection."""
    first, second = (f"model.layers.{layer}.mlp.down_proj.weight" for layer in (0, 1))
    return {**tensors, first: tensors[second], second: tensors[first]}


def rolled(tensors):
    """Each token has the row of the one before."""
    return {**tensors, "lm_head.weight": tensors["lm_head.weight"].roll(1, 0)}


def check_verify_quantized(binary, work):
    """GGUFs in blocks, of models with random weights: as the base's and the run's scales are, and wrong ones."""
    sizes = dict(hidden_size=96, intermediate_size=128, num_attention_heads=12, num_key_value_heads=4)
    for scale in (0.02, 0.15, 1.0):
        base, run_folder, merged = (work / f"{name}-{scale}" for name in ("base", "blocks", "merged"))
        make_base(base, initializer_range=scale, **sizes)
        make_adapter(base, run_folder / "checkpoints" / "step-000001")
        run(binary, "merge", base, run_folder, merged)
        for kind in ("Q8_0", "Q4_0"):
            run(binary, "convert", merged, run_folder / f"{kind}.gguf", "--type", kind)
        for change, kind in ((swapped, "Q8_0"), (rolled, "Q8_0"), (rolled, "Q4_0")):
            wrong = work / f"{change.__name__}-{kind}-{scale}"
            shutil.copytree(merged, wrong)
            save_file(change(load_file(merged / "model.safetensors")), wrong / "model.safetensors", {"format": "pt"})
            run(binary, "convert", wrong, run_folder / f"wrong-{change.__name__}-{kind}.gguf", "--type", kind)
        report = json.loads(run(binary, "verify", run_folder, "--base", base, "--json", "--threads", 1, code=1))
        assert len(report["models"]) == 5, report
        for model in report["models"]:
            name = Path(model["model"]).name
            relative = max(row["as_stored"]["relative"] for row in model["rows"])
            print(f"verify: {name}, weights of {scale}: {relative:.2g}, allowed {model['tolerance']:.2g}")
            assert model["equal"] != name.startswith("wrong"), model


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
    config["notes\n\u202e"] = "\u65e5" * 99
    (work / "copy" / "config.json").write_text(json.dumps(config))
    text = run(binary, "diff", base, work / "copy", code=1)
    assert "linear x2" in text and "unscaled" in text, text
    assert '  notes\\n\\u202e: null -> "' in text and "\ufffd" not in text and "[... 41 more ...]" in text, text

    spoiled = load_file(base / "model.safetensors")
    spoiled["model.layers.0.self_attn.q_proj.weight"] *= 3
    spoiled["model.norm.weight"][0] = math.nan
    save_file(spoiled, work / "copy" / "model.safetensors", {"format": "pt"})
    rows = [line.split() for line in run(binary, "diff", base, work / "copy", code=1).splitlines() if ".weight" in line]
    assert [row[0] for row in rows] == ["model.norm.weight", "model.layers.0.self_attn.q_proj.weight"], rows
    assert all("nan" in cell for cell in rows[0][-2:]), rows
    run(binary, "diff", base, work / "nowhere", code=5)


def main():
    binary = command_line().parse_args().longspan
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        check_verify(binary, work)
        check_verify_gguf(binary, work)
        check_verify_quantized(binary, work)
        check_diff(binary, work)


if __name__ == "__main__":
    main()
