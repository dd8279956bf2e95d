"""Trains a tiny model with the real binary: resuming after kill -9, merging, and bad input.

    train_test.py --longspan build/longspan [NAME_OF_TEST ...]
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

try:
    import torch
    from peft import PeftModel
    from safetensors.torch import load_file, save_file
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
except ImportError as missing:
    print(f"skipped: {missing}; tools/test.sh installs it")
    sys.exit(77)

from program import checked, command_line, float32_bound

LONGSPAN = None

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


def longspan(*arguments):
    return subprocess.run([LONGSPAN, *map(str, arguments)], capture_output=True, text=True, timeout=300)


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


def read_metrics(run):
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def what_must_repeat(records):
    return [tuple(record[key] for key in ("step", "loss", "lr", "grad_norm", "tokens")) for record in records]


class TrainTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = Path(tempfile.mkdtemp(prefix="longspan-train-test-"))
        make_base(cls.folder / "base")
        make_tokenizer(cls.folder / "base", words(1, 20000))
        for name in range(4):
            (cls.folder / f"{name}.txt").write_text(words(name, 3000))
        cls.prepared = longspan("prepare", *cls.prepare_arguments())
        assert cls.prepared.returncode == 0, cls.prepared.stderr

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.folder)

    @classmethod
    def prepare_arguments(cls, *texts, out="tokens.h5"):
        texts = texts or sorted(cls.folder.glob("*.txt"))
        return ["--model", cls.folder / "base", "--out", cls.folder / out, *texts]

    def recipe(self, name, **values):
        defaults = dict(folder=self.folder, dtype="float32", shifted_steps=3, full_steps=3)
        path = self.folder / f"{name}.yaml"
        path.write_text(RECIPE.format(**{**defaults, "output": self.folder / name, **values}))
        return path

    def fails(self, code, *arguments, says=()):
        """Runs longspan, which must end with `code` and say why without a stack trace."""
        result = longspan(*arguments)
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
        result = longspan("logits", *arguments, "--ids", self.folder / "ids.json", "--out", out,
                          "--dtype", "float32")  # fmt: skip
        self.assertEqual(result.returncode, 0, result.stderr)
        return load_file(out)["logits"]

    # --- training -----------------------------------------------------------------------------

    def test_loss_falls_and_every_step_is_recorded(self):
        recipe = self.recipe("falls", shifted_steps=15, full_steps=15)
        result = longspan("train", recipe)
        self.assertEqual(result.returncode, 0, result.stderr)
        records = read_metrics(self.folder / "falls")
        self.assertEqual([record["step"] for record in records], list(range(1, 31)))
        self.assertLess(records[-1]["loss"], 0.8 * records[0]["loss"])
        for key in ("lr", "grad_norm", "tokens", "step_seconds", "tokens_per_second", "peak_memory_bytes"):
            self.assertIn(key, records[0])

    def test_a_killed_run_resumes_bit_for_bit(self):
        for dtype, state_bits in (("float32", 32), ("bfloat16", 32), ("bfloat16", 8)):
            with self.subTest(dtype=dtype, state_bits=state_bits):
                steps = dict(dtype=dtype, shifted_steps=20, full_steps=20)
                whole, broken = f"whole-{dtype}-{state_bits}", f"broken-{dtype}-{state_bits}"
                override = f"memory.optimizer_state_bits={state_bits}"
                result = longspan("train", self.recipe(whole, **steps), override)
                self.assertEqual(result.returncode, 0, result.stderr)

                recipe = self.recipe(broken, **steps)
                self.kill_after(23, [recipe, override], self.folder / broken)
                result = longspan("train", recipe, override, "--resume")
                self.assertEqual(result.returncode, 0, result.stderr)

                expected = what_must_repeat(read_metrics(self.folder / whole))
                self.assertEqual(len(expected), 40)
                self.assertEqual(what_must_repeat(read_metrics(self.folder / broken)), expected)
                last = "checkpoints/step-000040/adapter_model.safetensors"
                self.assertEqual((self.folder / whole / last).read_bytes(),
                                 (self.folder / broken / last).read_bytes())  # fmt: skip
                state = load_file(self.folder / whole / "checkpoints/step-000040/optimizer.safetensors")
                codes = [name for name in state if state[name].dtype == torch.uint8]
                self.assertEqual(bool(codes), state_bits == 8)

    def kill_after(self, steps, arguments, run):
        process = subprocess.Popen([LONGSPAN, "train", *arguments], stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 120
        metrics = run / "metrics.jsonl"
        while time.monotonic() < deadline and process.poll() is None:
            if metrics.exists() and metrics.read_text().count("\n") >= steps:
                break
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
        self.assertEqual(process.wait(), -signal.SIGKILL, "the run ended before it was killed")
        self.assertLess(metrics.read_text().count("\n"), 40)

    def test_another_recipe_is_not_resumed(self):
        recipe = self.recipe("other")
        self.assertEqual(longspan("train", recipe).returncode, 0)
        self.fails(8, "train", recipe, "--resume", "optimizer.lr=0.02", says="lr")

    def test_merged_and_adapter_equal_what_transformers_and_peft_load(self):
        recipe = self.recipe("merge", shifted_steps=5, full_steps=5)
        self.assertEqual(longspan("train", recipe).returncode, 0)
        run, base, merged = self.folder / "merge", self.folder / "base", self.folder / "merged"
        checkpoint = run / "checkpoints" / "step-000010"
        result = longspan("merge", base, run, merged)
        self.assertEqual(result.returncode, 0, result.stderr)

        ids = torch.randint(0, 300, (128,), generator=torch.Generator().manual_seed(5)).tolist()
        adapted = self.logits(base, "--adapter", checkpoint, ids=ids)
        theirs = AutoModelForCausalLM.from_pretrained(merged, dtype=torch.float32)
        bound = float32_bound(adapted, theirs.config, len(ids))
        self.assertLess((adapted - self.logits(merged, ids=ids)).abs().max(), bound)
        self.assertGreater((adapted - self.logits(base, ids=ids)).abs().max(), 0.1)

        self.assertEqual(theirs.config.max_position_embeddings, 128)
        rope = theirs.config.rope_parameters
        self.assertEqual((rope["rope_type"], rope["factor"], rope["original_max_position_embeddings"]),
                         ("yarn", 2.0, 64))  # fmt: skip
        with torch.no_grad():
            merged_logits = theirs(torch.tensor([ids])).logits[0]
        self.assertLess((adapted - merged_logits).abs().max(), bound)

        # PEFT knows nothing of RoPE: its base model is ours with the checkpoint's config.json.
        extended = self.folder / "extended"
        shutil.copytree(base, extended)
        shutil.copy(checkpoint / "config.json", extended / "config.json")
        peft = PeftModel.from_pretrained(
            AutoModelForCausalLM.from_pretrained(extended, dtype=torch.float32), checkpoint
        )
        with torch.no_grad():
            peft_logits = peft(torch.tensor([ids])).logits[0]
        self.assertLess((adapted - peft_logits).abs().max(), bound)
        checked("merge", "transformers", "llama", "yarn", "a trained run")
        checked("PEFT out", "peft", "llama", "yarn", "a trained run")

    # --- bad input ----------------------------------------------------------------------------

    def test_a_misspelt_key_is_named_with_its_place(self):
        recipe = self.recipe("misspelt")
        text = recipe.read_text().replace("lora_alpha", "lora_alfa").replace("warmup_steps", "warm_up_steps")
        recipe.write_text(text)
        for command in ("validate", "train"):
            self.fails(3, command, recipe, says=[
                f"{recipe}:8:", "lora_alfa", "'lora_alpha'", f"{recipe}:", "'warmup_steps'"])  # fmt: skip
        self.assertFalse((self.folder / "misspelt").exists())

    def test_a_bad_override_is_named(self):
        self.fails(3, "train", self.recipe("override"), "lora.rr=3", says=["command line", "lora.rr"])
        self.assertFalse((self.folder / "override").exists())

    def test_what_does_not_suit_the_model_is_named_with_its_place(self):
        recipe = self.recipe("suits")
        for override, said in (
            ("train.seq_len=256", "train.seq_len: 256 tokens are beyond the context of 128"),
            ("lora.target_modules=[proj]", "lora.target_modules: 'proj' matches no module"),
            ("memory.weights=mapped", "memory.weights: 'mapped' needs weights that their file holds as bfloat16"),
        ):
            for command in ("validate", "plan", "train"):
                with self.subTest(command, override=override):
                    self.fails(3, command, recipe, "model.dtype=bfloat16", override, says=f"command line: {said}")
        self.assertFalse((self.folder / "suits").exists())

    def test_a_rope_that_is_no_file_is_named(self):
        expected = "rope: linear: cannot open: No such file or directory; expected a map such as {rope_type: linear"
        self.fails(3, "validate", self.recipe("rope"), "rope=linear", "lora.rr=3",
                   says=[f"command line: {expected}", "lora.rr"])  # fmt: skip
        (self.folder / "ids.json").write_text("[1, 2, 3]")
        self.fails(2, "logits", self.folder / "base", "--ids", self.folder / "ids.json",
                   "--out", self.folder / "none.safetensors", "--rope", "linear", says=f"--{expected}")  # fmt: skip

    def test_what_of_a_store_is_not_used_is_said(self):
        recipe, texts = self.recipe("unused"), self.folder / "lengths"
        texts.mkdir()
        for name, count in (("long", 3000), ("short", 9)):
            (texts / f"{name}.txt").write_text(words(7, count))
        for out, names in (("both", ["long", "short"]), ("few", ["short"])):
            result = longspan("prepare", *self.prepare_arguments(*(texts / f"{n}.txt" for n in names), out=f"{out}.h5"))
            self.assertEqual(result.returncode, 0, result.stderr)
        passages = "data.only_full_passages=true"
        shown = longspan("train", recipe, "--dry-run", f"data.path={self.folder}/both.h5", passages)
        self.assertEqual(shown.returncode, 0, shown.stderr)
        self.assertIn("0 tokens of padding; left out: 1 documents, ", shown.stderr)
        few = f"data.path={self.folder}/few.h5"
        self.fails(4, "train", recipe, few, passages, says=[
            f"{self.folder}/few.h5: none of its 1 documents", "seq_len + 1 = 129", "only_full_passages: false"])  # fmt: skip
        self.fails(4, "train", recipe, few, "data.min_document_tokens=5000", says="min_document_tokens wants 5,000")
        self.assertFalse((self.folder / "unused").exists())

    def test_a_dry_run_finds_what_would_stop_the_run(self):
        recipe, run = self.recipe("dry"), self.folder / "dry"
        nowhere = f"--resume={self.folder}/nowhere"
        for arguments in ([nowhere], [nowhere, "--dry-run"]):
            self.fails(8, "train", recipe, *arguments, says="nowhere: is no checkpoint of a run")
        shown = longspan("train", recipe, "--dry-run", "--resume")
        self.assertEqual(shown.returncode, 0, shown.stderr)
        self.assertIn("has no checkpoint yet; starting at step 0", shown.stderr)
        self.assertFalse(run.exists())
        self.assertEqual(longspan("train", recipe).returncode, 0)
        log = (run / "log.txt").read_text()
        self.fails(1, "train", recipe, "--dry-run", says="holds a run already")
        for arguments in ([], ["--dry-run"]):
            self.fails(8, "train", recipe, "--resume", "optimizer.lr=0.02", *arguments, says="lr")
        self.assertEqual((run / "log.txt").read_text(), log)
        self.assertEqual(longspan("train", recipe, "--dry-run", "--resume").returncode, 0)

    def test_a_checkpoint_behind_a_space_is_named_with_how_to_give_it(self):
        self.assertIn("--resume[=PATH]", longspan("train", "-h").stdout)
        self.fails(2, "train", self.recipe("space"), "--resume", self.folder / "nowhere",
                   says=["nowhere'", "a checkpoint is given as --resume=PATH"])  # fmt: skip

    def test_a_missing_model_is_exit_5(self):
        self.fails(5, "train", self.recipe("missing"), f"model.path={self.folder}/nowhere", says="nowhere")

    def broken_base(self, name, change):
        """A copy of the base whose model.safetensors `change` has spoilt."""
        folder = self.folder / name
        shutil.copytree(self.folder / "base", folder)
        change(folder / "model.safetensors")
        return folder

    def test_truncated_or_wrong_safetensors_are_exit_5(self):
        def truncate(path):
            os.truncate(path, path.stat().st_size - 1000)

        def cut_header(path):
            os.truncate(path, 100)

        def empty(path):
            os.truncate(path, 0)

        def huge_header(path):
            path.write_bytes(b"\xff" * 8 + path.read_bytes()[8:])

        def lose_a_tensor(path):
            tensors = load_file(path)
            del tensors["model.layers.1.self_attn.k_proj.weight"]
            save_file(tensors, path, metadata={"format": "pt"})

        def wrong_shape(path):
            tensors = load_file(path)
            tensors["model.norm.weight"] = torch.ones(71)
            save_file(tensors, path, metadata={"format": "pt"})

        def wrong_dtype(path):
            tensors = load_file(path)
            tensors["model.norm.weight"] = torch.ones(72, dtype=torch.int32)
            save_file(tensors, path, metadata={"format": "pt"})

        for change in (truncate, cut_header, empty, huge_header, lose_a_tensor, wrong_shape, wrong_dtype):
            with self.subTest(change.__name__):
                base = self.broken_base(change.__name__, change)
                run = self.folder / f"run-{change.__name__}"
                recipe = self.recipe(f"recipe-{change.__name__}", output=run)
                self.fails(5, "train", recipe, f"model.path={base}", says="model")
                self.assertFalse((run / "checkpoints").exists())

    def test_nan_weights_are_exit_5(self):
        def spoil(path):
            tensors = load_file(path)
            tensors["model.layers.1.mlp.up_proj.weight"][3, 4] = float("nan")
            save_file(tensors, path, metadata={"format": "pt"})

        base = self.broken_base("nan", spoil)
        self.fails(5, "train", self.recipe("run-nan"), f"model.path={base}", says="up_proj")

    def test_a_store_of_another_tokenizer_is_refused(self):
        other = self.folder / "other-tokenizer"
        shutil.copytree(self.folder / "base", other)
        make_tokenizer(other, "entirely different words make other merges " * 50)
        result = longspan("train", self.recipe("run-tokenizer"), f"model.path={other}")
        self.assertIn(result.returncode, (4, 5), result.stderr)
        self.assertIn("tokenizer", result.stderr)

    def test_a_store_of_a_larger_vocabulary_than_the_model_embeds_is_exit_4(self):
        bare = self.folder / "bare"
        bare.mkdir()
        shutil.copy(self.folder / "base" / "model.safetensors", bare)
        config = json.loads((self.folder / "base" / "config.json").read_text())
        (bare / "config.json").write_text(json.dumps({**config, "vocab_size": 200}))
        tokens = Tokenizer.from_file(str(self.folder / "base" / "tokenizer.json")).get_vocab_size()
        self.fails(4, "train", self.recipe("run-bare"), f"model.path={bare}",
                   says=["tokens.h5", f"{tokens} tokens", f"{bare} embeds 200"])  # fmt: skip

    def test_bad_texts_are_exit_4_and_leave_no_store(self):
        contents = {"empty": b"", "binary": bytes(range(256)) * 40, "zeros": bytes(5000)}
        for name, content in contents.items():
            with self.subTest(name):
                text = self.folder / "texts" / f"{name}.txt"
                text.parent.mkdir(exist_ok=True)
                text.write_bytes(content)
                self.fails(4, "prepare", *self.prepare_arguments(text, out=f"{name}.h5"), says=f"{name}.txt")
                self.assertFalse((self.folder / f"{name}.h5").exists())
        self.fails(4, "prepare", *self.prepare_arguments(self.folder / "nowhere.txt", out="nowhere.h5"))

    def test_a_damaged_store_is_exit_4(self):
        whole = (self.folder / "tokens.h5").read_bytes()
        damaged = self.folder / "damaged.h5"
        for name, content in {"cut": whole[: len(whole) // 2], "text": b"hello", "empty": b""}.items():
            with self.subTest(name):
                damaged.write_bytes(content)
                self.fails(4, "train", self.recipe("run-damaged"), f"data.path={damaged}", says="damaged.h5")

    def test_unknown_commands_and_options_are_exit_2(self):
        self.fails(2, "trian", says="'train'")
        self.fails(2, "train", "--no-such-option", says="no-such-option")
        self.fails(2, "logits", "--help-me")
        self.fails(2)


if __name__ == "__main__":
    known, rest = command_line().parse_known_args()
    LONGSPAN = known.longspan
    unittest.main(argv=[sys.argv[0], *rest], verbosity=2)
