"""A run with focused memory from its recipe to a folder of model_type longllama, with the real binary; without memory
transformers reads its weights as those of a LLaMA.

    focused_memory_training_test.py --longspan build/longspan [NAME_OF_TEST ...]
"""

import json
import shutil
import sys

try:
    import torch
    from transformers import AutoModelForCausalLM
except ImportError as missing:
    print(f"skipped: {missing}; tools/test.sh installs it")
    sys.exit(77)

import training_case
from program import checked, float32_bound

WINDOW, TOKENS = 32, 150
RECIPE = """\
model: {{path: {folder}/base, dtype: float32}}
data: {{path: {folder}/tokens.h5}}
lora: {lora}
attention:
  pattern: focused_memory
  mem_layers: [1]
  window: 32
  last_context_length: 12
  mem_dtype: float32
  schedule: [[0, 0], [1, 1]]
train: {{steps: 20, seq_len: 32, batch_size: 4}}
optimizer: {{lr: 0.005}}
output: {{dir: {folder}/{name}}}
"""
ADAPTER = "{r: 4, lora_alpha: 8, modules_to_save: [embed_tokens, norm]}"


class FocusedMemoryTrainingTest(training_case.TrainingCase):
    def write_recipe(self, name, lora=ADAPTER):
        path = self.folder / f"{name}.yaml"
        path.write_text(RECIPE.format(folder=self.folder, name=name, lora=lora))
        return path

    def ids(self):
        return torch.randint(0, 300, (TOKENS,), generator=torch.Generator().manual_seed(5)).tolist()

    def expect_long_llama(self, name, lora):
        self.succeeds("train", self.write_recipe(name, lora))
        run, base = self.folder / name, self.folder / "base"
        losses = [json.loads(line)["loss"] for line in (run / "metrics.jsonl").read_text().splitlines()]
        self.assertLess(sum(losses[-5:]) / 5, 0.95 * losses[0])
        merged = run / "merged"
        self.succeeds("merge", base, run, merged)
        # Four windows, so that memory is compared too.
        self.assertEqual(json.loads(self.succeeds("verify", run, "--json").stdout)["lengths"], [4 * WINDOW])
        config = json.loads((merged / "config.json").read_text())
        said = {key: config[key] for key in ("model_type", "mem_layers", "max_position_embeddings", "last_context_length")}
        self.assertEqual(said, {"model_type": "longllama", "mem_layers": [1], "max_position_embeddings": WINDOW,
                                "last_context_length": 12})  # fmt: skip
        ours = self.logits(merged, ids=self.ids())
        self.assertGreater((ours - self.logits(merged, "--attention", "full", ids=self.ids())).abs().max(), 0.01)
        return run, merged, ours

    def test_an_adapter_and_what_it_is_merged_into_read_by_its_memory(self):
        run, merged, ours = self.expect_long_llama("adapter", ADAPTER)
        adapted = self.logits(self.folder / "base", "--adapter", run / "checkpoints" / "step-000020", ids=self.ids())
        theirs = self.as_llama(merged)
        self.assertLess((adapted - ours).abs().max(), float32_bound(ours, theirs.config, TOKENS))

    def test_all_weights_are_trained_to_a_long_llama(self):
        self.expect_long_llama("whole", "none")

    def as_llama(self, merged):
        """The same weights as transformers reads a plain LLaMA."""
        plain = merged.parent / "plain"
        shutil.copytree(merged, plain)
        config = json.loads((plain / "config.json").read_text())
        config |= {"model_type": "llama", "architectures": ["LlamaForCausalLM"]}
        (plain / "config.json").write_text(json.dumps(config))
        return AutoModelForCausalLM.from_pretrained(plain, dtype=torch.float32)

    def test_without_memory_it_is_a_plain_llama(self):
        _, merged, _ = self.expect_long_llama("plain", ADAPTER)
        ids = self.ids()[:WINDOW]
        theirs = self.as_llama(merged)
        with torch.no_grad():
            expected = theirs(torch.tensor([ids])).logits[0]
        ours = self.logits(merged, "--attention", "full", ids=ids)
        self.assertLess((ours - expected).abs().max(), float32_bound(expected, theirs.config, len(ids)))
        checked("merge", "transformers", "llama", detail="a run with focused memory, read without it")

    def test_a_run_states_the_same_model_where_it_went_on(self):
        recipe = self.write_recipe("stages")
        stages = ["stages=[{steps: 1}, {steps: 2, attention: {pattern: full}}]", "train.steps=null", "checkpoint.every_steps=1"]
        self.succeeds("train", recipe, *stages)
        last = self.folder / "stages" / "checkpoints" / "step-000003"
        unbroken = json.loads((last / "config.json").read_text())
        self.assertEqual(unbroken["model_type"], "longllama")
        shutil.rmtree(last)
        self.succeeds("train", recipe, *stages, "--resume")
        self.assertEqual(json.loads((last / "config.json").read_text()), unbroken)

    def test_what_does_not_fit_is_named(self):
        recipe = self.write_recipe("refused")
        for override, said in (
            ("attention.mem_layers=[0, 2]", "mem_layers has 2, and the model's layers are 0 to 1"),
            ("train.batch_size=3", "expected a batch_size that is a multiple of 2"),
            ("train.seq_len=64", "a row of 64 tokens is a window, and `window` is 32"),
        ):
            for command in ("validate", "train"):
                with self.subTest(command, override=override):
                    self.fails(3, command, recipe, override, says=said)
        short = self.folder / "short"
        short.mkdir()
        (short / "a.txt").write_text(training_case.words(9, 12))
        self.succeeds("prepare", *self.prepare_arguments(short / "a.txt", out="short.h5"))
        self.fails(4, "train", recipe, f"data.path={self.folder}/short.h5",
                   says=["2 windows side by side need 2 x seq_len + 1 = 65", "give a shorter attention.schedule"])  # fmt: skip
        self.assertFalse((self.folder / "refused").exists())


if __name__ == "__main__":
    training_case.main()
