"""`longspan prepare` on files as they come: encodings that Python wrote, broken and foreign files among good ones, globs
as bash with globstar expands them, archives of zstd and gzip, two runs and a killed one at the same output.

    python prepare_test.py --longspan build/longspan
"""

import gzip
import json
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

try:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

from program import command_line, finish

CHINESE = "第一章 合同的订立\n甲方与乙方经协商一致，签订本合同。\n" * 40
ENCODED = {
    "gb18030": CHINESE, "big5": "第一章 民法總則\n民事，法律所未規定者，依習慣。\n" * 40,
    "shift_jis": "吾輩は猫である。名前はまだ無い。\n" * 40, "euc_jp": "吾輩は猫である。名前はまだ無い。\n" * 40,
    "euc_kr": "모든 국민은 법 앞에 평등하다.\n" * 40, "latin-1": "Über die Brücke fährt der König, schön träge.\n" * 40,
    "utf-16": CHINESE, "utf-16-le": CHINESE, "utf-16-be": CHINESE,
}  # fmt: skip


def make_model(folder):
    vocabulary = {token: i for i, token in enumerate(["</s>"] + sorted(pre_tokenizers.ByteLevel.alphabet()))}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    folder.mkdir()
    tokenizer.save(str(folder / "tokenizer.json"))


class Prepare:
    def __init__(self, binary, work):
        self.work = work
        self.command = [binary, "prepare", "--model", work / "model", "--out", work / "out.h5"]

    def documents(self, *arguments):
        """How many it stores, and what it says on stderr."""
        done = finish(*self.command, "--force", "--json", *arguments)
        return json.loads(done.stdout)["documents"], done.stderr

    def refuses(self, *arguments, code=4):
        return finish(*self.command, "--force", *arguments, code=code).stderr


def check_encodings(prepare, work):
    texts = work / "encodings"
    texts.mkdir()
    (texts / "good.txt").write_text(CHINESE)
    for encoding, text in ENCODED.items():
        path = texts / f"it's {encoding}.txt"
        path.write_bytes(text.encode(encoding))
        says = prepare.refuses(path)
        assert f"{path}: is not in UTF-8" in says, says
        conversion = says[says.index("iconv -f") :].strip()
        subprocess.run(conversion, shell=True, check=True)
        assert (texts / f"it's {encoding}.utf-8.txt").read_text() == text.removeprefix("\ufeff"), (encoding, conversion)
        (texts / f"it's {encoding}.utf-8.txt").unlink()
        assert "is not in UTF-8" in finish(prepare.command[0], "tokenize", work / "model", path, code=4).stderr
    count, says = prepare.documents(texts)
    assert count == 1 and f"bad files passed over: {len(ENCODED)}" in says, says
    (texts / "few.txt").write_bytes(CHINESE.encode() + b"\xff \xfe")
    assert "2 sequences were no UTF-8" in prepare.documents(texts / "few.txt")[1]
    assert "few.txt" in prepare.refuses(texts / "few.txt", "--strict")
    print(f"{len(ENCODED)} encodings are refused, and the conversion that is named gives the text back")


def check_records(prepare, work):
    path = work / "records.jsonl"
    records = [{"text": "one", "score": float("nan")}, {"score": float("-inf"), "text": "two"}, {"text": None},
               {"text": "three", "id": 10**40}]  # fmt: skip
    path.write_text("\n".join(map(json.dumps, records)) + '\n{"text": "four", "e": 1e999}\n')
    assert prepare.documents(path, "--strict")[0] == 4
    with open(path, "a") as file:
        file.write('["five"]\n{"text": "\x1b[2J' + "x" * 70000 + "\n")
    count, says = prepare.documents(path)
    assert count == 4 and f"{path}:6: the record is no map" in says and f"{path}:7: not valid JSON" in says, says
    assert "\x1b" not in says and len(says) < 1500, says
    assert f"{path}:6" in prepare.refuses(path, "--strict")
    print("records that Python writes are read, bad ones are named")


def check_folders(prepare, work):
    texts = work / "novels"
    (texts / "a" / "b").mkdir(parents=True)
    elsewhere = work / "elsewhere"
    elsewhere.mkdir()
    for path in (texts / "1.TXT", texts / "书.txt", texts / "a" / "2.txt", texts / "a" / "b" / "3.txt", elsewhere / "4.txt"):
        path.write_text(path.name)
    for pattern, count in (("**/*.txt", 3), ("a/**/*.txt", 2), ("?.txt", 1), ("**", 4)):
        bash = subprocess.run(["bash", "-O", "globstar", "-O", "nullglob", "-c", 'for f in $1; do [ -f "$f" ] && echo "$f"; done',
                               "-", f"{texts}/{pattern}"], capture_output=True, text=True, env={"LC_ALL": "C.UTF-8"})  # fmt: skip
        assert len(bash.stdout.splitlines()) == count, bash
        assert prepare.documents(texts / pattern)[0] == count, pattern
    (texts / "linked").symlink_to(elsewhere)
    (elsewhere / "back").symlink_to(texts)
    (texts / "gone.txt").symlink_to(work / "nothing")
    (texts / "cover.png").write_bytes(b"x")
    (texts / "._书.txt").write_bytes(b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X        \x00")
    count, says = prepare.documents(texts)
    assert count == 5, says
    for name in ("cover.png", "gone.txt: leads nowhere", "._书.txt"):
        assert name in says, (name, says)
    assert "NUL" in prepare.refuses(texts / "._书.txt") and "._书.txt" in prepare.refuses(texts, "--strict")
    print("globs find what bash finds; links are followed; what is passed over is named")


def check_archives(prepare, work):
    packed = work / "zeros.txt.gz"
    packed.write_bytes(gzip.compress(b"one ") + bytes(1000) + gzip.compress(b"two") + bytes(512))
    assert gzip.decompress(packed.read_bytes()) == b"one two"
    assert prepare.documents(packed)[0] == 1
    if not shutil.which("zstd"):
        return
    text = work / "long.txt"
    text.write_text("合同的订立，" * 1000)
    for window in (27, 28, 31):  # through a pipe, where the size is not known, the window is as wide as is said
        with open(text, "rb") as source, open(work / f"{window}.txt.zst", "wb") as out:
            subprocess.run(["zstd", "-q", "--ultra", f"--long={window}"], stdin=source, stdout=out, check=True)
        assert prepare.documents(work / f"{window}.txt.zst")[0] == 1
    says = prepare.refuses(work / "31.txt.zst", "--max-window", "1GiB")
    assert "31.txt.zst: looks back over more than 1.0 GiB" in says, says
    print("zeros behind gzip and long windows of zstd are read")


def wait_for(path, running):
    while not path.exists() and running.poll() is None:
        time.sleep(0.005)
    assert running.poll() is None, running.communicate()


def check_two_at_once(prepare, work):
    out, part = work / "out.h5", work / "out.h5.part"
    out.unlink()
    big = work / "big.jsonl"
    big.write_text((json.dumps({"text": CHINESE}, ensure_ascii=False) + "\n") * 6000)
    first = subprocess.Popen([*prepare.command, big], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    wait_for(part, first)
    says = finish(*prepare.command, work / "long.txt", code=1).stderr
    assert f"{out}: another process is writing it" in says, says
    first.send_signal(signal.SIGKILL)
    first.wait()
    assert part.exists() and not out.exists()
    assert prepare.documents(work / "elsewhere" / "4.txt")[0] == 1
    assert out.exists() and not list(work.glob("out.h5.*"))
    print("one run at a time writes a store, and the next one takes over what a killed one left")


def main():
    binary = command_line().parse_args().longspan
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        make_model(work / "model")
        prepare = Prepare(binary, work)
        check_encodings(prepare, work)
        check_records(prepare, work)
        check_folders(prepare, work)
        check_archives(prepare, work)
        check_two_at_once(prepare, work)


if __name__ == "__main__":
    main()
