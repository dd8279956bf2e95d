"""RoPE scalings against transformers: `inspect --rope`, --on-scaled, and `longrope-search`.

    python rope_test.py --longspan build/longspan
"""

import copy
import json
import math
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

try:
    import torch
    from safetensors.torch import load_file
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM
    from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

from program import checked, command_line, float32_bound

warnings.filterwarnings("ignore")
ORIGINAL = 64
SEARCH = ["--factor", "4", "--documents", "2", "--population", "8", "--iterations", "10", "--seed", "5",
          "--dtype", "float32", "--threads", "1"]  # fmt: skip


class Program:
    def __init__(self, longspan):
        self.longspan = longspan
        self.environment = {**os.environ, "OMP_NUM_THREADS": "1"}

    def start(self, *arguments):
        command = [self.longspan, *map(str, arguments)]
        return subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=self.environment
        )

    def run(self, *arguments, exit_code=0):
        process = self.start(*arguments)
        out, err = process.communicate()
        assert process.returncode == exit_code, f"{arguments}: exit code {process.returncode}\n{err}"
        return err if exit_code else out


def close(ours, theirs, what, tolerance):
    difference = max(abs(a - b) for a, b in zip(ours, theirs, strict=True))
    print(f"  {what}: largest difference {difference:.2g}")
    # max() passes over what is no number.
    assert all(abs(a - b) < tolerance for a, b in zip(ours, theirs, strict=True)), f"{what}: {difference}"


def make_model(folder, rope=None, positions=ORIGINAL):
    """A tiny LLaMA and a tokenizer of bytes."""
    torch.manual_seed(1)
    config = LlamaConfig(
        vocab_size=256, hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, head_dim=16, max_position_embeddings=positions, initializer_range=0.2,
        rope_parameters={"rope_theta": 10000.0, "rope_type": "default", **(rope or {})},
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    model.save_pretrained(folder)
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({letter: i for i, letter in enumerate(letters)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.save(str(folder / "tokenizer.json"))
    return model, tokenizer


def scaled(model, rope, positions):
    """The same weights in transformers under other rope_parameters."""
    config = copy.deepcopy(model.config)
    config.rope_parameters = {"rope_theta": 10000.0, **rope}
    config.max_position_embeddings = positions
    other = LlamaForCausalLM(config)
    other.load_state_dict(model.state_dict())
    return other


def check_inspect(program, folder):
    """Wavelengths of a scaling that inspect only imagines."""
    model, _ = make_model(folder)
    for rope in (
        {"rope_type": "yarn", "factor": 4.0},
        {"rope_type": "linear", "factor": 3.0},
        {"rope_type": "dynamic", "factor": 2.0},
        {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0},
    ):
        svg = folder / "rope.svg"
        facts = json.loads(program.run("inspect", folder, f"--rope={json.dumps(rope)}", "--json", "--svg", svg))
        assert svg.read_text().startswith("<svg xmlns")
        config = copy.deepcopy(model.config)
        config.rope_parameters = {"rope_theta": 10000.0, "original_max_position_embeddings": ORIGINAL, **rope}
        inv_freq, attention_factor = ROPE_INIT_FUNCTIONS[rope["rope_type"]](config, seq_len=facts["length"])
        ours = [pair["wavelength"] * f for pair, f in zip(facts["pairs"], inv_freq.tolist(), strict=True)]
        close(ours, [2 * math.pi] * 8, f"wavelengths of {rope['rope_type']}", 1e-4)
        close([facts["attention_factor"]], [attention_factor], "attention factor", 1e-6)
        checked("wavelengths of inspect --rope", "transformers", rope=rope["rope_type"])


def check_on_scaled(program, folder):
    """A model with YaRN x2 asks what a further scaling means; each answer is that of transformers."""
    yarn = {"rope_type": "yarn", "factor": 2.0, "original_max_position_embeddings": ORIGINAL}
    model, _ = make_model(folder, yarn, 2 * ORIGINAL)
    ids = [(37 * i + 11) % 256 for i in range(100)]
    (folder / "ids.json").write_text(json.dumps(ids))
    ask = ["logits", folder, "--ids", folder / "ids.json", "--out", folder / "out.safetensors",
           "--dtype", "float32", "--rope"]  # fmt: skip

    error = program.run(*ask, "{rope_type: yarn, factor: 3}", exit_code=2)
    assert "scaled already (yarn x2" in error and "--on-scaled" in error, error
    error = program.run(*ask, "{rope_type: linear, factor: 2}", "--on-scaled", "compose", exit_code=2)
    assert "no one formula is linear x2 on top of yarn x2" in error, error

    for on_scaled, factor in (("replace", 3.0), ("compose", 6.0)):
        program.run(*ask, "{rope_type: yarn, factor: 3}", "--on-scaled", on_scaled)
        ours = load_file(folder / "out.safetensors")["logits"]
        with torch.no_grad():
            theirs = scaled(model, {**yarn, "factor": factor}, 256)(torch.tensor([ids])).logits[0]
        bound = float32_bound(theirs, model.config, len(ids))
        close(ours.flatten().tolist(), theirs.flatten().tolist(), f"logits, {on_scaled}", bound)


def check_unknown_keys(program, folder):
    """Keys that a scaling does not know: transformers' logits, and a warning that names them."""
    ids = [(37 * i + 11) % 256 for i in range(100)]
    for rope, unknown in (
        ({"rope_type": "yarn", "factor": 2.0, "original_max_position_embeddings": ORIGINAL, "attn_factor": 0.8}, "attn_factor"),
        ({"rope_type": "dynamic", "factor": 2.0, "original_max_position_embeddings": 32}, "original_max_position_embeddings"),
        ({"rope_type": "linear", "factor": 8.0, "original_max_position_embeddings": ORIGINAL}, ""),
        ({"rope_type": "default", "mrope_section": [2, 3, 3]}, "mrope_section"),
    ):  # fmt: skip
        model, _ = make_model(folder, rope)
        (folder / "ids.json").write_text(json.dumps(ids))
        process = program.start("logits", folder, "--ids", folder / "ids.json", "--out", folder / "out.safetensors",
                                "--dtype", "float32")  # fmt: skip
        err = process.communicate()[1]
        assert process.returncode == 0 and unknown in err and err.count("left out") == (unknown != ""), err
        ours = load_file(folder / "out.safetensors")["logits"]
        with torch.no_grad():
            theirs = LlamaForCausalLM.from_pretrained(folder)(torch.tensor([ids])).logits[0]
        bound = float32_bound(theirs, model.config, len(ids))
        close(ours.flatten().tolist(), theirs.flatten().tolist(), f"logits beside {unknown or rope['rope_type']}", bound)


def check_usable_length(program, folder):
    """A scaling's own keys reach further than max_position_embeddings: merge, convert and generate know it."""
    for name, rope, positions, usable in (
        ("yarn", {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64}, 64, 256),
        ("dynamic", {"rope_type": "dynamic", "factor": 4.0}, 64, 256),
        ("linear", {"rope_type": "linear", "factor": 4.0, "original_max_position_embeddings": 64}, 64, 256),
        ("linear-extended", {"rope_type": "linear", "factor": 4.0}, 256, 256),
        ("none", None, 64, 64),
    ):
        model = folder / name
        make_model(model, rope, positions)
        (model / "tokenizer_config.json").write_text(json.dumps({"model_max_length": 64}))
        assert json.loads(program.run("inspect", model, "--json"))["context_length"] == usable
        program.run("convert", model, folder / f"{name}-converted")
        limit = json.loads((folder / f"{name}-converted" / "tokenizer_config.json").read_text())
        assert limit["model_max_length"] == usable, limit
        for prompt, beyond in ((usable - 12, False), (usable, True)):
            process = program.start("generate", model, "--prompt", "a" * prompt, "--max-new-tokens", "8",
                                    "--dtype", "float32")  # fmt: skip
            err = process.communicate()[1]
            assert process.returncode == 0 and (f"context of {usable}" in err) == beyond, err
        print(f"  {name}: {usable} of {positions} tokens")
    # Either end of the scaling may be meant.
    model = folder / "open"
    make_model(model, {"rope_type": "linear", "factor": 2.0}, 4096)
    (folder / "ids.json").write_text("[1, 2, 3]")
    error = program.run("logits", model, "--ids", folder / "ids.json", "--out", folder / "out.safetensors",
                        "--rope", "{rope_type: yarn, factor: 2}", "--on-scaled", "replace", exit_code=5)  # fmt: skip
    assert "original 2048, extended 4096) or the original one (extended 8192)" in error, error


def make_store(program, folder):
    """Three documents that repeat themselves with changes, and a model on them."""
    model, tokenizer = make_model(folder / "model")
    random.seed(3)
    paths = []
    for i in range(3):
        words = ["".join(random.choices("abcdefgh ", k=5)) for _ in range(12)]
        paths.append(folder / f"{i}.txt")
        paths[-1].write_text(" ".join(random.choices(words, k=100)))
    program.run("prepare", *paths, "--model", folder / "model", "--out", folder / "texts.h5")
    ids = [tokenizer.encode(path.read_text()).ids[: 4 * ORIGINAL] for path in paths[:2]]
    return model, ids


def measured(state):
    """Question and loss of each whole line behind the first."""
    lines = state.read_text().split("\n")[1:-1] if state.exists() else []
    return [(json.loads(answer["question"]), answer["found"]) for answer in map(json.loads, lines)]


def kill_in_the_middle(program, command, state):
    """SIGKILL once a few losses are written, and before all are."""
    process = program.start(*command)
    while process.poll() is None:
        if len(measured(state)) >= 9:
            process.send_signal(signal.SIGKILL)
            break
        time.sleep(0.005)
    process.communicate()
    assert process.returncode == -signal.SIGKILL, "the search ended before it could be killed"
    return len(measured(state))


def check_search(program, folder):
    model, ids = make_store(program, folder)
    command = ["longrope-search", folder / "model", "--data", folder / "texts.h5", *SEARCH]
    whole, resumed = folder / "whole.json", folder / "resumed.json"
    result = json.loads(program.run(*command, "--out", whole, "--json"))
    losses = measured(folder / "whole.json.state")
    # Unscaled, three formulas, 8 of the first population, 10 iterations of 4.
    assert len(losses) == 1 + 3 + 8 + 10 * 4, len(losses)

    known = kill_in_the_middle(program, [*command, "--out", resumed], folder / "resumed.json.state")
    assert not resumed.exists()
    program.run(*command, "--out", resumed)
    print(f"  killed after {known} of {len(losses)} losses and resumed")
    assert resumed.read_bytes() == whole.read_bytes()
    assert (folder / "resumed.json.state").read_bytes() == (folder / "whole.json.state").read_bytes()

    found = json.loads(whole.read_text())
    factors = found["long_factor"]
    assert factors == sorted(factors) and len(factors) == 8
    assert result["losses"]["longrope, found"] == min(
        loss for rope, loss in losses if rope["rope_type"] == "longrope"
    )
    # The losses are those of transformers under the same keys.
    for name, rope in (
        ("not scaled", {"rope_type": "default"}),
        ("yarn x4", {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": ORIGINAL}),
        ("longrope, found", found),
    ):
        with torch.no_grad():
            theirs = [
                scaled(model, rope, 4 * ORIGINAL)(torch.tensor([row]), labels=torch.tensor([row])).loss.item()
                for row in ids
            ]
        close([result["losses"][name]], [sum(theirs) / 2], f"loss, {name}", 1e-4)

    error = program.run(*command, "--out", resumed, "--length", "128", exit_code=8)
    assert "its length is 256, here it is 128" in error, error
    error = program.run(*command, "--out", resumed, "--targets", "64", exit_code=8)
    assert "its targets is 255, here it is 64" in error, error
    needles = [*command, "--out", folder / "needles.json", "--length", "256", "--needles", "3"]
    result = json.loads(program.run(*needles, "--iterations", "2", "--json"))
    assert result["losses"]["longrope, found"] <= min(
        loss for name, loss in result["losses"].items() if name.startswith("longrope, as")
    )
    check_longrope2(program, needles)
    error = program.run(*needles, "--targets", "64", exit_code=2)
    assert "with --needles their values are the targets" in error, error
    program.run("eval", folder / "model", "--rope", whole, "--text", folder / "2.txt", "--lengths", "256",
                "--targets", "64")  # fmt: skip


def check_longrope2(program, needles):
    """NTK scaling up to the critical pair that is found, and factors of the paper's space from it on."""
    found = json.loads(program.run(*needles, "--method", "longrope2", "--iterations", "2", "--json"))
    pair, factors = found["critical_pair"], found["rope"]["long_factor"]
    assert 1 <= pair <= 3, pair  # 8 ln(64 / (2 pi turns)) / ln 10000 is 2.02 for one turn, 0.02 for ten
    close(factors[:pair], [factors[pair] ** (i / pair) for i in range(pair)], "NTK before the critical pair", 1e-9)
    assert factors == sorted(factors) and 4 <= factors[pair] and factors[-1] <= 8, factors
    error = program.run(*needles, "--method", "longrope3", exit_code=2)
    assert "'longrope3' is not known; expected one of longrope, longrope2" in error, error


def main():
    program = Program(command_line().parse_args().longspan)
    torch.set_num_threads(1)
    for check in (check_inspect, check_on_scaled, check_unknown_keys, check_usable_length, check_search):
        print(check.__name__)
        with tempfile.TemporaryDirectory() as folder:
            check(program, Path(folder))


if __name__ == "__main__":
    main()
