"""`longspan data-needles`: what `prepare` and transformers' tokenizer read of it, and what it refuses.

    data_needles_test.py --longspan build/longspan [NAME_OF_TEST ...]
"""

import json
import sys

try:
    from transformers import AutoTokenizer
except ImportError as missing:
    print(f"skipped: {missing}; tools/test.sh installs it")
    sys.exit(77)

import training_case

LENGTH = 2048


class DataNeedlesTest(training_case.TrainingCase):
    def needles(self, *options, texts=("0.txt", "1.txt")):
        paths = [self.folder / name for name in texts]
        return ["data-needles", *paths, "--model", self.folder / "base", "--length", LENGTH, "--facts", 3, "--quotes", 2,
                "--out", self.folder / "needles.jsonl", *options]  # fmt: skip

    def test_each_piece_is_a_row_of_a_recipe(self):
        summary = json.loads(self.succeeds(*self.needles("--json", "--force")).stdout)
        texts = [json.loads(line)["text"] for line in (self.folder / "needles.jsonl").read_text().splitlines()]
        tokenizer = AutoTokenizer.from_pretrained(self.folder / "base")
        lengths = [len(tokenizer(text)["input_ids"]) for text in texts]
        self.assertEqual((summary["pieces"], summary["tokens"]), (len(texts), sum(lengths)))
        self.assertGreater(len(texts), 2)
        self.assertGreater(min(lengths), LENGTH)
        self.assertEqual((summary["documents"], summary["facts"], summary["rests"]), (2, 3 * len(texts), 2))
        arguments = self.prepare_arguments(self.folder / "needles.jsonl", out="needles.h5")
        stored = json.loads(self.succeeds("prepare", "--json", *arguments).stdout)
        self.assertEqual(stored["documents"], len(texts))
        self.assertEqual(stored["tokens"], sum(lengths) + len(texts))  # an EOS behind each

    def test_gives_the_same_by_a_seed_and_replaces_nothing_unasked(self):
        out = self.folder / "needles.jsonl"
        self.succeeds(*self.needles("--force", "--seed", 7))
        written = out.read_bytes()
        self.fails(2, *self.needles("--seed", 8), says="exists; give --force")
        self.assertEqual(out.read_bytes(), written)
        self.succeeds(*self.needles("--force", "--seed", 7))
        self.assertEqual(out.read_bytes(), written)
        self.succeeds(*self.needles("--force", "--seed", 8))
        self.assertNotEqual(out.read_bytes(), written)

    def test_says_what_does_not_fit_and_writes_nothing(self):
        out = self.folder / "refused.jsonl"
        refused = lambda code, *options, says: self.fails(code, *self.needles("--out", out, *options), says=says)
        refused(2, "--length", 100, says="--length 100: 3 facts and 2 quotes take up to")
        refused(4, "--length", "64K", says=["no text makes a piece of 65537 tokens", "a shorter --length"])
        (self.folder / "endless.md").write_text("rope scale " * 5000)
        self.fails(4, *self.needles("--out", out, texts=["endless.md"]), says="too few sentences end in these texts")
        self.assertFalse(out.exists())
        text = self.folder / "0.txt"
        self.fails(2, *self.needles("--force", "--out", text), says="would be lost")


if __name__ == "__main__":
    training_case.main()
