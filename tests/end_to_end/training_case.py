"""What the tests of training share: a tiny base model with its tokenizer and token store, and a recipe for it."""

import json
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

try:
    import torch
    from safetensors.torch import load_file
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
except ImportError as missing:
    print(f"skipped: {missing}; tools/test.sh installs it")
    sys.exit(77)

from program import command_line, run

RECIPE = """\
model:
  path: {folder}/base
  dtype: {dtype}
data:
  path: {folder}/tokens.h5
lora:
  r: 4
  lora_alpha: 8
  target_modules: [q_proj, k_proj, v_proj, o_proj]
  modules_to_save: [embed_tokens, norm]
rope:
  rope_type: yarn
  factor: 2.0
train:
  seq_len: 128
  batch_size: 2
  gradient_accumulation_steps: 2
  seed: 3
stages:
  - steps: {shifted_steps}
    attention:
      pattern: shifted_sparse
      group_size: 32
  - steps: {full_steps}
    attention:
      pattern: full
optimizer:
  lr: 0.01
lr_schedule:
  type: cosine
  warmup_steps: 2
checkpoint:
  every_steps: 2
  keep_last: 100
output:
  dir: {output}
"""


def words(seed, count):
    """Text with repetitions, so that there is something to learn."""
    generator = torch.Generator().manual_seed(seed)
    stems = ["rope", "scale", "shift", "group", "token", "head", "long", "span", "4096", "naïve", "—"]
    picks = torch.randint(0, len(stems), (count,), generator=generator).tolist()
    return " ".join(stems[i] + (".\n" if n % 12 == 11 else "") for n, i in enumerate(picks))


def make_tokenizer(folder, text):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(
        [text],
        trainers.BpeTrainer(
            vocab_size=300,
            special_tokens=["<|endoftext|>"],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|endoftext|>").save_pretrained(folder)


def make_base(folder):
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=300,
        hidden_size=72,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=9,
        num_key_value_heads=3,
        head_dim=8,
        max_position_embeddings=64,
        tie_word_embeddings=True,
        initializer_range=0.1,
        bos_token_id=None,
        eos_token_id=0,
    )
    LlamaForCausalLM(config).save_pretrained(folder)


class TrainingCase(unittest.TestCase):
    program = None  # longspan

    @classmethod
    def setUpClass(cls):
        cls.folder = Path(tempfile.mkdtemp(prefix="longspan-training-"))
        make_base(cls.folder / "base")
        make_tokenizer(cls.folder / "base", words(1, 20000))
        for name in range(4):
            (cls.folder / f"{name}.txt").write_text(words(name, 3000))
        run(cls.program, "prepare", *cls.prepare_arguments())

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.folder)

    @classmethod
    def prepare_arguments(cls, *texts, out="tokens.h5"):
        texts = texts or sorted(cls.folder.glob("*.txt"))
        return ["--model", cls.folder / "base", "--out", cls.folder / out, *texts]

    def longspan(self, *arguments):
        return subprocess.run([self.program, *map(str, arguments)], capture_output=True, text=True, timeout=300)

    def succeeds(self, *arguments):
        """The finished process, whose exit code must be 0."""
        result = self.longspan(*arguments)
        self.assertEqual(result.returncode, 0, result.stderr)
        return result

    def recipe(self, name, **values):
        defaults = dict(folder=self.folder, dtype="float32", shifted_steps=3, full_steps=3)
        path = self.folder / f"{name}.yaml"
        path.write_text(RECIPE.format(**{**defaults, "output": self.folder / name, **values}))
        return path

    def fails(self, code, *arguments, says=()):
        """Runs longspan, which must end with `code` and say why without a stack trace."""
        result = self.longspan(*arguments)
        self.assertEqual(result.returncode, code, result.stderr)
        self.assertNotIn("frame #", result.stderr)
        for text in (says,) if isinstance(says, str) else says:
            self.assertIn(text, result.stderr)
        left = [path for path in self.folder.rglob("*") if ".part" in path.name]
        self.assertEqual(left, [], "half-written")

    def logits(self, *arguments, ids):
        """[T, V] float32 of `longspan logits`."""
        (self.folder / "ids.json").write_text(json.dumps(ids))
        out = self.folder / "logits.safetensors"
        self.succeeds("logits", *arguments, "--ids", self.folder / "ids.json", "--out", out, "--dtype", "float32")
        return load_file(out)["logits"]

    def changed_base(self, name, change):
        """A copy of the base whose model.safetensors `change` has changed."""
        folder = self.folder / name
        shutil.copytree(self.folder / "base", folder)
        change(folder / "model.safetensors")
        return folder


def main():
    known, rest = command_line().parse_known_args()
    TrainingCase.program = known.longspan
    unittest.main(argv=[sys.argv[0], *rest], verbosity=2)
