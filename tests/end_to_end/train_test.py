"""Trains a tiny model with the real binary: resuming after kill -9, and merging.

    train_test.py --longspan build/longspan [NAME_OF_TEST ...]
"""

import json
import shutil
import signal
import subprocess
import sys
import time

try:
    import torch
    from peft import PeftModel
    from safetensors.torch import load_file, save_file
    from transformers import AutoModelForCausalLM, AutoTokenizer
except ImportError as missing:
    print(f"skipped: {missing}; tools/test.sh installs it")
    sys.exit(77)

import training_case
from program import checked, float32_bound


def read_metrics(run):
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def what_must_repeat(records):
    return [tuple(record[key] for key in ("step", "loss", "lr", "grad_norm", "tokens")) for record in records]


def logits_of(model, ids):
    """[T, V] of a model of transformers or PEFT."""
    with torch.no_grad():
        return model(torch.tensor([ids])).logits[0]


class TrainTest(training_case.TrainingCase):
    def test_loss_falls_and_every_step_is_recorded(self):
        recipe = self.recipe("falls", shifted_steps=15, full_steps=15)
        self.succeeds("train", recipe)
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
                self.succeeds("train", self.recipe(whole, **steps), override)

                recipe = self.recipe(broken, **steps)
                self.kill_after(23, [recipe, override], self.folder / broken)
                self.succeeds("train", recipe, override, "--resume")

                expected = what_must_repeat(read_metrics(self.folder / whole))
                self.assertEqual(len(expected), 40)
                self.assertEqual(what_must_repeat(read_metrics(self.folder / broken)), expected)
                last = "checkpoints/step-000040/adapter_model.safetensors"
                self.assertEqual((self.folder / whole / last).read_bytes(),
                                 (self.folder / broken / last).read_bytes())  # fmt: skip
                state = load_file(self.folder / whole / "checkpoints/step-000040/optimizer.safetensors")
                codes = [name for name in state if state[name].dtype == torch.uint8]
                self.assertEqual(bool(codes), state_bits == 8)

    def test_a_signal_ends_a_run_with_its_last_step_saved(self):
        steps = dict(shifted_steps=20, full_steps=20)
        self.succeeds("train", self.recipe("unstopped", **steps))
        expected = what_must_repeat(read_metrics(self.folder / "unstopped"))
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
            name = f"stopped-{number}"
            recipe, run = self.recipe(name, **steps), self.folder / name
            self.kill_after(5, [recipe], run, number)
            done = len(read_metrics(run))
            self.assertTrue((run / "checkpoints" / f"step-{done:06}").is_dir(), done)
            self.succeeds("train", recipe, "--resume")
            self.assertEqual(what_must_repeat(read_metrics(run)), expected)

    def kill_after(self, steps, arguments, run, number=signal.SIGKILL):
        def as_a_terminal_starts_it():  # behind nohup they are ignored
            for one in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
                signal.signal(one, signal.SIG_DFL)

        process = subprocess.Popen([self.program, "train", *arguments], stderr=subprocess.DEVNULL,
                                   preexec_fn=as_a_terminal_starts_it)  # fmt: skip
        deadline = time.monotonic() + 120
        metrics = run / "metrics.jsonl"
        while time.monotonic() < deadline and process.poll() is None:
            if metrics.exists() and metrics.read_text().count("\n") >= steps:
                break
            time.sleep(0.001)
        process.send_signal(number)
        code = -number if number == signal.SIGKILL else 128 + number
        self.assertEqual(process.wait(), code, "the run ended before it was killed")
        self.assertLess(metrics.read_text().count("\n"), 40)

    def test_documents_of_a_row_are_masked_or_one_text(self):
        """The loss of a row of two documents is that of transformers over each, or over both one after the other."""
        paths = []
        for name, text in (("short-1", "rope scale shift group"), ("short-2", "long span head rope token")):
            paths.append(self.folder / f"{name}.md")
            paths[-1].write_text(text)
        self.succeeds("prepare", *self.prepare_arguments(*paths, out="short.h5"))
        tokenizer = AutoTokenizer.from_pretrained(self.folder / "base")
        ids = [tokenizer(path.read_text())["input_ids"] + [tokenizer.eos_token_id] for path in paths]
        ids.sort(key=len, reverse=True)  # as they are packed
        self.assertLessEqual(len(ids[0] + ids[1]), 64)
        model = AutoModelForCausalLM.from_pretrained(self.folder / "base", dtype=torch.float64)
        # The first token of a document is no label; -100 is transformers' for none.
        one_text = ids[0] + ids[1], ids[0][1:] + [-100] + ids[1][1:]
        for mask, texts in ((True, [(text, text[1:]) for text in ids]), (False, [one_text])):
            logits = torch.cat([logits_of(model, text)[:-1] for text, _ in texts])
            labels = torch.tensor([label for _, labels in texts for label in labels])
            expected = torch.nn.functional.cross_entropy(logits, labels).item()
            recipe = self.recipe(f"mask-{mask}")
            self.succeeds("train", recipe, f"data.path={self.folder}/short.h5", "stages=null", "rope=null", "train.steps=1",
                          "train.seq_len=64", "train.batch_size=1", "train.gradient_accumulation_steps=1",
                          "lr_schedule.warmup_steps=0", f"packing.document_mask={str(mask).lower()}")  # fmt: skip
            (record,) = read_metrics(self.folder / f"mask-{mask}")
            self.assertAlmostEqual(record["loss"], expected, delta=1e-4)

    def test_a_stage_may_have_texts_of_its_own(self):
        stores = {name: self.folder / f"store-{name}.h5" for name in (0, 1)}
        for name, store in stores.items():
            self.succeeds("prepare", *self.prepare_arguments(self.folder / f"{name}.txt", out=store.name))

        def losses(run, *arguments):
            said = self.succeeds("train", self.recipe(run, shifted_steps=2, full_steps=2), *arguments).stderr
            return [record["loss"] for record in read_metrics(self.folder / run)], said

        first, _ = losses("first", f"data.path={stores[0]}")
        second, said = losses("second", f"data.path={stores[0]}", f"stages.1.data_path={stores[1]}")
        for store in stores.values():
            self.assertEqual(said.count(f"data     {store}: 1 documents"), 1, said)
        self.assertEqual(first[:2], second[:2])
        self.assertNotEqual(first[2:], second[2:])
        whole, _ = losses("whole", f"data.path={stores[1]}", f"stages.0.data_path={stores[0]}")
        self.assertEqual(second, whole)

        recipe = self.folder / "second.yaml"
        moved = stores[1].rename(self.folder / "moved.h5")
        more = "--resume", "stages.1.steps=3", f"data.path={stores[0]}"
        self.fails(8, "train", recipe, *more, f"stages.1.data_path={stores[0]}", says="stages.1.data.tokens")
        self.succeeds("train", recipe, *more, f"stages.1.data_path={moved}")
        self.succeeds("merge", self.folder / "base", self.folder / "second", self.folder / "second-merged")
        self.assertIn("- data of stage 1: ", (self.folder / "second-merged" / "README.md").read_text())

    def test_another_recipe_is_not_resumed(self):
        recipe = self.recipe("other")
        self.succeeds("train", recipe)
        self.fails(8, "train", recipe, "--resume", "lora.r=2", says="lora.r: ")

    def test_a_checkpoint_with_a_flipped_bit_is_not_resumed(self):
        recipe = self.recipe("flipped", shifted_steps=2, full_steps=2)
        self.succeeds("train", recipe)
        checkpoint = self.folder / "flipped" / "checkpoints" / "step-000004"
        for name in ("adapter_model.safetensors", "optimizer.safetensors", "config.json", "state.json"):
            whole = (checkpoint / name).read_bytes()
            middle = len(whole) // 2
            (checkpoint / name).write_bytes(whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :])
            self.fails(8, "train", recipe, "--resume", says=f"{checkpoint}/{name}: ")
            (checkpoint / name).write_bytes(whole)
        (checkpoint / "adapter_model.safetensors").write_bytes(b"")
        self.fails(8, "train", recipe, "--resume", says="an older checkpoint by --resume=PATH")
        self.succeeds("train", recipe, f"--resume={checkpoint.parent}/step-000002")
        self.succeeds("train", recipe, "--resume")

    def test_a_resumed_run_may_learn_otherwise_and_longer(self):
        recipe = self.recipe("longer", shifted_steps=2, full_steps=2)
        self.succeeds("train", recipe)
        self.succeeds("train", recipe, "--resume", "stages.1.steps=4", "optimizer.lr=0.001",
                      "lr_schedule.type=constant", "memory.optimizer_state_bits=8")  # fmt: skip
        records = read_metrics(self.folder / "longer")
        self.assertEqual([record["step"] for record in records], [1, 2, 3, 4, 5, 6])
        self.assertEqual([record["lr"] for record in records[4:]], [0.001, 0.001])
        self.fails(8, "train", recipe, "--resume", "stages.1.steps=3", says="stages.1.steps: 4 in the checkpoint, 3 now")

    def test_other_weights_of_the_same_shape_are_another_run(self):
        def train_otherwise(path):
            save_file({name: w + 0.01 for name, w in load_file(path).items()}, path, metadata={"format": "pt"})

        base, same = self.changed_base("otherwise", train_otherwise), self.changed_base("same", lambda path: None)
        recipe = self.recipe("content", shifted_steps=1, full_steps=1)
        self.succeeds("train", recipe)
        self.fails(8, "train", recipe, "--resume", f"model.path={base}", says="model.weights_sha256: ")
        self.succeeds("train", recipe, "--resume", f"model.path={same}")

    def test_a_config_saved_again_is_the_same_run_and_another_theta_is_not(self):
        recipe = self.recipe("config", shifted_steps=1, full_steps=1)
        self.succeeds("train", recipe)
        config = json.loads((self.folder / "base" / "config.json").read_text())
        again, other = (self.changed_base(name, lambda path: None) for name in ("again", "other-theta"))
        saved = dict(sorted(config.items())) | {"transformers_version": "4.30.0", "use_cache": not config.get("use_cache")}
        (again / "config.json").write_text(json.dumps(saved))
        theta = {"rope_parameters": {"rope_type": "default", "rope_theta": 5e5}, "rope_theta": 5e5}
        (other / "config.json").write_text(json.dumps(config | theta))
        self.succeeds("train", recipe, "--resume", f"model.path={again}")
        self.fails(8, "train", recipe, "--resume", f"model.path={other}", says="model.config.rope_theta: 10000.0 in the checkpoint, 500000.0 now")

    def test_a_finished_run_says_how_it_goes_on(self):
        recipe = self.recipe("finished", shifted_steps=1, full_steps=1)
        self.succeeds("train", recipe)
        said = self.succeeds("train", recipe, "--resume").stderr
        self.assertIn("its steps are all done; a larger stages.1.steps goes on from here", said)

    def test_an_untrained_run_merges_to_its_base_and_says_what_nf4_costs(self):
        half = self.changed_base("half", lambda path: save_file(
            {name: w.half() for name, w in load_file(path).items()}, path, metadata={"format": "pt"}))  # fmt: skip
        base = load_file(half / "model.safetensors")
        for name, changes in (("lora", []), ("dora", ["lora.use_dora=true"]), ("nf4", ["model.quantization=nf4"])):
            recipe = self.recipe(f"untrained-{name}", dtype="bfloat16", shifted_steps=1, full_steps=1)
            arguments = [f"model.path={half}", "optimizer.lr=1e-30", *changes]
            self.succeeds("train", recipe, *arguments)
            out = self.folder / f"merged-{name}"
            result = self.succeeds("merge", half, self.folder / f"untrained-{name}", out, "--dtype", "float16")
            self.assertEqual("trained on nf4 weights, which differ" in result.stderr, name == "nf4", result.stderr)
            merged = load_file(out / "model.safetensors")
            self.assertEqual(merged.keys(), base.keys())
            for key, tensor in base.items():
                self.assertTrue(torch.equal(merged[key], tensor), f"{name}: {key}")

    def test_a_renamed_run_offloads_to_where_it_is(self):
        recipe = self.recipe("before", shifted_steps=1, full_steps=1)
        offload = ["memory.recompute=layer", "memory.offload=disk", "memory.offload_ram=0"]
        self.succeeds("train", recipe, *offload)
        (self.folder / "before").rename(self.folder / "after")
        self.succeeds("train", recipe, "--resume", "stages.1.steps=2", f"output.dir={self.folder}/after")
        self.assertFalse((self.folder / "before").exists())

    def test_what_is_given_goes_before_what_the_run_has_chosen(self):
        recipe = self.recipe("chosen", shifted_steps=1, full_steps=1)
        resolved = self.folder / "chosen" / "recipe.resolved.yaml"
        self.succeeds("train", recipe)
        self.assertIn("recompute: none", resolved.read_text())
        self.succeeds("train", recipe, "--resume", "stages.1.steps=2", "memory.recompute_num_layers=1")
        self.assertNotIn("recompute: none", resolved.read_text())
        self.assertIn("recompute_num_layers: 1", resolved.read_text())
        # Weights that the file maps, and then none of the file's.
        mapped = self.recipe("mapped", shifted_steps=1, full_steps=1, dtype="bfloat16")
        base = self.changed_base("bfloat16", lambda path: save_file(
            {name: w.bfloat16() for name, w in load_file(path).items()}, path, metadata={"format": "pt"}))  # fmt: skip
        self.succeeds("train", mapped, f"model.path={base}", "memory.weights=mapped")
        for steps in (2, 3):
            self.succeeds("train", mapped, "--resume", f"model.path={base}", "model.quantization=nf4", f"stages.1.steps={steps}")

    def peft_model(self, checkpoint):
        """PEFT knows nothing of RoPE: its base model is ours with the checkpoint's config.json."""
        extended = self.folder / "extended"
        shutil.copytree(self.folder / "base", extended, dirs_exist_ok=True)
        shutil.copy(checkpoint / "config.json", extended / "config.json")
        base = AutoModelForCausalLM.from_pretrained(extended, dtype=torch.float32)
        return PeftModel.from_pretrained(base, checkpoint).eval()

    def test_merged_and_adapter_equal_what_transformers_and_peft_load(self):
        recipe = self.recipe("merge", shifted_steps=5, full_steps=5)
        self.succeeds("train", recipe)
        run, base, merged = self.folder / "merge", self.folder / "base", self.folder / "merged"
        checkpoint = run / "checkpoints" / "step-000010"
        self.succeeds("merge", base, run, merged)

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
        for name, model in (("transformers", theirs), ("peft", self.peft_model(checkpoint))):
            self.assertLess((adapted - logits_of(model, ids)).abs().max(), bound, name)
        checked("merge", "transformers", "llama", "yarn", "a trained run")
        checked("PEFT out", "peft", "llama", "yarn", "a trained run")

    def test_mixed_windows_leave_short_text_the_rope_of_the_base(self):
        """LongRoPE2's mixed windows in one run, and one longrope model that transformers reads at either length."""
        factors = "attention_factor: 1, short_factor: [1, 1, 1, 1], long_factor: [1, 1.5, 2, 2]"
        self.succeeds(
            "train", self.recipe("mixed"), f"rope={{rope_type: longrope, factor: 2, {factors}}}", "train.interleave=true",
            "stages=[{steps: 4, seq_len: 64}, {steps: 2, seq_len: 128}]",
        )  # fmt: skip
        self.assertEqual([record["stage"] for record in read_metrics(self.folder / "mixed")], [0, 1, 0, 0, 1, 0])
        merged = self.folder / "mixed-merged"
        self.succeeds("merge", self.folder / "base", self.folder / "mixed", merged)
        scaled = AutoModelForCausalLM.from_pretrained(merged, dtype=torch.float32)
        self.assertEqual(scaled.config.rope_parameters["short_factor"], [1, 1, 1, 1])
        plain = self.folder / "mixed-plain"  # the same weights with the RoPE of the base
        shutil.copytree(merged, plain)
        shutil.copy(self.folder / "base" / "config.json", plain)
        plain = AutoModelForCausalLM.from_pretrained(plain, dtype=torch.float32)
        ids = torch.randint(0, 300, (128,), generator=torch.Generator().manual_seed(7)).tolist()
        for length, differs in ((64, False), (128, True)):
            theirs = logits_of(scaled, ids[:length])
            bound = float32_bound(theirs, scaled.config, length)
            self.assertLess((self.logits(merged, ids=ids[:length]) - theirs).abs().max(), bound)
            self.assertEqual(bool((logits_of(plain, ids[:length]) - theirs).abs().max() > bound), differs)
        checked("merge", "transformers", "llama", "longrope", "mixed windows")

    def test_peft_loads_every_form_of_target_modules(self):
        attention = {"q_proj", "k_proj", "v_proj", "o_proj"}
        forms = {
            "all-linear": attention | {"gate_proj", "up_proj", "down_proj"},
            "'.*[.]1[.].*[qo]_proj'": {"q_proj", "o_proj"},
            "'.*self_attn.*'": attention,
            "'.*(v_proj|norm|embed_tokens)'": {"v_proj"},
        }
        ids = torch.randint(0, 300, (96,), generator=torch.Generator().manual_seed(6)).tolist()
        for number, (form, adapted) in enumerate(forms.items()):
            recipe = self.recipe(f"form{number}")
            self.succeeds(
                "train", recipe, f"lora.target_modules={form}", "lora.lora_dropout=0.1",
                "optimizer.lora_plus_ratio=4", "optimizer.groups=[{pattern: embed_tokens|norm, lr: 1e-3}]",
            )  # fmt: skip
            checkpoint = sorted((self.folder / f"form{number}" / "checkpoints").glob("step-??????"))[-1]
            peft = self.peft_model(checkpoint)
            self.assertEqual(peft.peft_config["default"].lora_dropout, 0.1)
            theirs = {n.split(".lora_A.")[0].rsplit(".", 1)[-1] for n in peft.state_dict() if ".lora_A." in n}
            self.assertEqual(theirs, adapted)
            expected = logits_of(peft, ids)
            ours = self.logits(self.folder / "base", "--adapter", checkpoint, ids=ids)
            self.assertLess((ours - expected).abs().max(), float32_bound(expected, peft.config, len(ids)))


if __name__ == "__main__":
    training_case.main()
