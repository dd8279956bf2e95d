"""What `longspan train` refuses, by name and place, and leaves nothing half-written.

    train_refusals_test.py --longspan build/longspan [NAME_OF_TEST ...]
"""

import json
import os
import shutil
import sys

try:
    import torch
    from safetensors.torch import load_file, save_file
    from tokenizers import Tokenizer
except ImportError as missing:
    print(f"skipped: {missing}; tools/test.sh installs it")
    sys.exit(77)

import training_case
from training_case import make_tokenizer, words


class TrainRefusalsTest(training_case.TrainingCase):
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

    def test_what_does_not_fit_or_is_no_number_ends_with_its_own_code(self):
        small = "memory={recompute: layer, offload: ram, offload_ram: 1KB}"
        self.fails(6, "train", self.recipe("small"), small, says="memory.offload_ram")
        self.fails(7, "train", self.recipe("infinite"), "optimizer.lr=1e30", says="optimizer.lr")
        self.assertTrue(any((self.folder / "infinite" / "checkpoints").iterdir()))

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
            self.succeeds("prepare", *self.prepare_arguments(*(texts / f"{n}.txt" for n in names), out=f"{out}.h5"))
        passages = "data.only_full_passages=true"
        shown = self.succeeds("train", recipe, "--dry-run", f"data.path={self.folder}/both.h5", passages)
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
        shown = self.succeeds("train", recipe, "--dry-run", "--resume")
        self.assertIn("has no checkpoint yet; starting at step 0", shown.stderr)
        self.assertFalse(run.exists())
        self.succeeds("train", recipe)
        log = (run / "log.txt").read_text()
        self.fails(1, "train", recipe, "--dry-run", says="holds a run already")
        for arguments in ([], ["--dry-run"]):
            self.fails(8, "train", recipe, "--resume", "lora.r=2", *arguments, says="lora.r: ")
        self.assertEqual((run / "log.txt").read_text(), log)
        self.succeeds("train", recipe, "--dry-run", "--resume")

    def test_a_checkpoint_of_another_run_does_not_go_on_in_a_folder_that_holds_one(self):
        first, second = self.recipe("first"), self.recipe("second")
        self.succeeds("train", first)
        self.succeeds("train", second)
        held = {path: path.read_bytes() for path in (self.folder / "second").rglob("*") if path.is_file()}
        newest = sorted((self.folder / "first/checkpoints").iterdir())[-1]
        for out in (self.folder / "second", self.folder / "first/../second"):
            self.fails(1, "train", second, f"output.dir={out}", f"--resume={newest}", says="holds a run already")
        self.assertEqual({path: path.read_bytes() for path in held}, held)
        self.succeeds("train", first, f"--resume={self.folder}/second/../first/checkpoints/{newest.name}")

    def test_a_checkpoint_behind_a_space_is_named_with_how_to_give_it(self):
        self.assertIn("--resume[=PATH]", self.longspan("train", "-h").stdout)
        self.fails(2, "train", self.recipe("space"), "--resume", self.folder / "nowhere",
                   says=["nowhere'", "a checkpoint is given as --resume=PATH"])  # fmt: skip

    def test_a_missing_model_is_exit_5(self):
        self.fails(5, "train", self.recipe("missing"), f"model.path={self.folder}/nowhere", says="nowhere")

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
                base = self.changed_base(change.__name__, change)
                run = self.folder / f"run-{change.__name__}"
                recipe = self.recipe(f"recipe-{change.__name__}", output=run)
                self.fails(5, "train", recipe, f"model.path={base}", says="model")
                self.assertFalse((run / "checkpoints").exists())

    def test_nan_weights_are_exit_5(self):
        def spoil(path):
            tensors = load_file(path)
            tensors["model.layers.1.mlp.up_proj.weight"][3, 4] = float("nan")
            save_file(tensors, path, metadata={"format": "pt"})

        base = self.changed_base("nan", spoil)
        self.fails(5, "train", self.recipe("run-nan"), f"model.path={base}", says="up_proj")

    def test_a_store_of_another_tokenizer_is_refused(self):
        other = self.folder / "other-tokenizer"
        shutil.copytree(self.folder / "base", other)
        make_tokenizer(other, "entirely different words make other merges " * 50)
        self.fails(4, "train", self.recipe("run-tokenizer"), f"model.path={other}",
                   says=["tokens.h5: was made with another tokenizer", "make it anew with longspan prepare"])  # fmt: skip

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
    training_case.main()
