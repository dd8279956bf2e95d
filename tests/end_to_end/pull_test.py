"""`longspan pull` against a hub on this machine (hub_server.py), and what transformers and
huggingface_hub make of the cache afterwards, offline.

    python pull_test.py --longspan build/longspan
"""

import json
import os
import sys
import tempfile
import warnings
from pathlib import Path

try:
    import torch
    from safetensors.torch import load_file
    from transformers import LlamaConfig, LlamaForCausalLM
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

from hub_server import Hub
from program import checked, command_line, finish, float32_bound, run

warnings.filterwarnings("ignore")
ID, GATED, BIN = "some-org/tiny-llama.v1", "some-org/gated", "some-org/old"
WEIGHTS = "model.safetensors"
TEMPLATE = "additional_chat_templates/tool_use.jinja"
IDS = [(31 * i + 7) % 97 for i in range(20)]


def make_repositories(folder):
    torch.manual_seed(1)
    LlamaForCausalLM(LlamaConfig(
        vocab_size=97, hidden_size=72, intermediate_size=80, num_hidden_layers=2,
        num_attention_heads=9, num_key_value_heads=3, head_dim=8, initializer_range=0.15,
    )).save_pretrained(folder)
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    state = load_file(folder / WEIGHTS)
    torch.save(state, folder / "pytorch_model.bin")
    binary = (folder / "pytorch_model.bin").read_bytes()
    unwanted = {
        ".gitattributes": b"*", "README.md": b"# tiny", "pytorch_model.bin": binary,
        "model-q8_0.gguf": b"GGUF", "onnx/model.onnx": b"onnx", "original/params.json": b"{}",
        "original/consolidated.00.pth": b"PK", "consolidated.safetensors": b"copy",
    }
    old = {name: data for name, data in files.items() if name != WEIGHTS}
    lfs = {WEIGHTS, "pytorch_model.bin"}
    return {
        ID: {"files": files | unwanted, "lfs": lfs},
        GATED: {"files": files, "lfs": lfs, "token": "hf_secret"},
        BIN: {"files": old | {"pytorch_model.bin": binary, TEMPLATE: b"{{ tools }}"}, "lfs": lfs},
        "some-org/gguf-only": {"files": {"a.gguf": b"GGUF"}, "lfs": set()},
        "some-org/vast": {"files": files, "lfs": lfs, "claimed": {WEIGHTS: 1 << 60}},
        "some-org/boundless": {"files": files, "lfs": lfs, "claimed": dict.fromkeys(files, (1 << 63) - 1)},
        "some-org/climbs": {"files": files | {"../../escaped": b"x"}, "lfs": lfs},
    }


class Puller:
    def __init__(self, binary, work, hub):
        self.binary, self.work, self.hub = binary, work, hub
        self.home = work / "home"
        self.count = 0

    def fresh(self):
        self.count += 1
        self.home = self.work / f"home-{self.count}"
        self.hub.requests.clear()

    def environment(self, **more):
        dropped = ("HF_", "HUGGING", "TRANSFORMERS", "XDG_CACHE", "http", "HTTP", "no_proxy")
        kept = {k: v for k, v in os.environ.items() if not k.startswith(dropped)}
        return kept | {"HF_HOME": str(self.home), "HF_ENDPOINT": self.hub.endpoint} | more

    def longspan(self, *arguments, code=0, **more):
        done = finish(self.binary, *arguments, code=code, env=self.environment(**more))
        return done.stdout.strip() if code == 0 else done.stderr

    def pull(self, *arguments, **more):
        return self.longspan("pull", *arguments, **more)

    @property
    def repository(self):
        return self.home / "hub" / f"models--{ID.replace('/', '--')}"

    def blobs(self):
        return sorted(path.name for path in (self.repository / "blobs").iterdir())


def check_layout(puller, files):
    snapshot = Path(puller.pull(ID))
    assert snapshot == puller.repository / "snapshots" / puller.hub.commit, snapshot
    assert sorted(p.name for p in snapshot.iterdir()) == [
        "config.json", "generation_config.json", WEIGHTS]
    for path in snapshot.iterdir():
        assert path.is_symlink() and not Path(os.readlink(path)).is_absolute(), path
        assert path.read_bytes() == files[path.name], path
    assert (puller.repository / "refs" / "main").read_text() == puller.hub.commit
    assert len(puller.hub.requested("", "storage")) == 1
    puller.hub.requests.clear()
    puller.pull(ID)
    assert len(puller.hub.requests) == 1, "a second pull asks for the list alone"
    assert puller.pull(f"{ID}@v1") == str(snapshot)
    assert puller.pull(ID, "--revision", puller.hub.commit) == str(snapshot)
    print("layout: as huggingface_hub lays it out; nothing is downloaded twice")


def check_readers(puller, folder):
    """The hub id works in our tools, and in theirs without a network."""
    (puller.work / "ids.json").write_text(json.dumps(IDS))
    logits = {}
    for model in (ID, f"{ID}@{puller.hub.commit}", folder):
        puller.longspan("logits", model, "--ids", puller.work / "ids.json", "--out",
                        puller.work / "l.safetensors", "--dtype", "float32")
        logits[model] = load_file(puller.work / "l.safetensors")["logits"]
    assert all(torch.equal(value, logits[folder]) for value in logits.values())
    assert json.loads(puller.longspan("inspect", ID, "--json"))["model_type"] == "llama"
    script = (
        "import sys, torch; from transformers import AutoModelForCausalLM;"
        "from huggingface_hub import snapshot_download, scan_cache_dir;"
        f"print(snapshot_download({ID!r}));"
        "repos = list(scan_cache_dir().repos); assert len(repos) == 1 and not scan_cache_dir().warnings;"
        f"model = AutoModelForCausalLM.from_pretrained({ID!r}, dtype=torch.float32).eval();"
        f"torch.save(model(torch.tensor([{IDS}])).logits[0].detach(), sys.argv[1])")
    out = run(sys.executable, "-c", script, puller.work / "theirs.pt",
              env=puller.environment(HF_HUB_OFFLINE="1"))
    assert out.strip().splitlines()[0] == str(
        puller.repository / "snapshots" / puller.hub.commit)
    theirs = torch.load(puller.work / "theirs.pt")
    difference = (theirs - logits[ID]).abs().max().item()
    print(f"readers: transformers loads the cache offline; logits differ by {difference:.2g}")
    assert difference < float32_bound(theirs, LlamaConfig.from_pretrained(folder), len(IDS))
    checked("cache that pull fills, out", "huggingface_hub")
    checked("cache that pull fills, out", "transformers")
    missing = puller.longspan("inspect", "some-org/absent", code=4)
    absent = puller.longspan("logits", "some-org/absent", "--ids", puller.work / "ids.json", "--out",
                             puller.work / "l.safetensors", code=5)
    assert "longspan pull some-org/absent" in absent and str(puller.home) in absent, absent
    assert missing


def check_interruptions(puller, files):
    puller.fresh()
    puller.hub.break_after[WEIGHTS] = 50_000
    puller.pull(ID)
    ranges = [r[3].get("Range") for r in puller.hub.requested("", "storage")]
    assert ranges == [None, "bytes=50000-"], ranges

    # What a killed pull leaves, and a server that does not know Range.
    for ignore, expected in ((False, "bytes=30000-"), (True, "bytes=30000-")):
        puller.fresh()
        snapshot = Path(puller.pull(ID))
        blob = (snapshot / WEIGHTS).resolve()
        blob.with_name(blob.name + ".incomplete").write_bytes(files[WEIGHTS][:30_000])
        blob.unlink()
        puller.hub.requests.clear()
        puller.hub.ignore_range = ignore
        assert puller.pull(ID) == str(snapshot)
        puller.hub.ignore_range = False
        assert [r[3].get("Range") for r in puller.hub.requested("", "storage")] == [expected]
        assert (snapshot / WEIGHTS).read_bytes() == files[WEIGHTS]

    puller.fresh()
    puller.hub.failures = [503, 429]
    puller.pull(ID)
    print("interruptions: broken off, killed, 503 and 429: goes on, and the bytes are right")


def check_checksums(puller):
    for name in (WEIGHTS, "config.json"):
        puller.fresh()
        puller.hub.corrupt = {name}
        message = puller.pull(ID, code=1)
        assert f"{name}: the checksum is" in message and "removed" in message, message
        assert not any(blob.endswith(".incomplete") for blob in puller.blobs()), puller.blobs()
        assert not (puller.repository / "refs" / "main").exists()
        puller.hub.corrupt = set()
        puller.pull(ID)
    print("checksums: a wrong SHA-256 or git SHA-1 is refused and nothing is left of it")


def check_tokens(puller):
    puller.fresh()
    message = puller.pull(GATED, code=1)
    assert "is gated" in message and "HF_TOKEN" in message, message
    told = [puller.pull(GATED, code=1, HF_TOKEN="hf_wrong")]
    assert "is gated" in told[0], told
    puller.pull(GATED, HF_TOKEN="hf_secret")
    hub = [r[3].get("Authorization") for r in puller.hub.requests if r[0] == "hub"]
    assert hub[-1] == "Bearer hf_secret", hub
    storage = [r[3] for r in puller.hub.requests if r[0] == "storage"]
    assert storage and not any("Authorization" in headers for headers in storage), storage
    for place in ("home", "path"):
        puller.fresh()
        token = puller.home / "token" if place == "home" else puller.work / "my-token"
        token.parent.mkdir(parents=True, exist_ok=True)
        token.write_text("hf_secret\n")
        puller.pull(GATED, **({} if place == "home" else {"HF_TOKEN_PATH": str(token)}))
    for name in ("localhost.example.com", "127.0.0.1.nip.io"):  # by way of a proxy, or the name would be looked up
        puller.fresh()
        told.append(puller.pull(GATED, code=1, HF_TOKEN="hf_secret", HF_ENDPOINT=f"http://{name}", http_proxy=puller.hub.endpoint))
        assert puller.hub.requests and not any("Authorization" in r[3] for r in puller.hub.requests), name
    assert not any(token in message for message in told for token in ("hf_wrong", "hf_secret")), told
    print("tokens: from HF_TOKEN, HF_HOME/token and HF_TOKEN_PATH; none goes to another host, nor unencrypted")


def check_choices(puller):
    puller.fresh()
    snapshot = Path(puller.pull(BIN))
    assert (snapshot / "pytorch_model.bin").exists()
    assert (snapshot / TEMPLATE).read_bytes() == b"{{ tools }}"
    puller.longspan("logits", BIN, "--ids", puller.work / "ids.json", "--out",
                    puller.work / "l.safetensors")
    snapshot = Path(puller.pull(ID, "--include", "*.gguf", "--include", "onnx/*"))
    assert (snapshot / "model-q8_0.gguf").exists() and (snapshot / "onnx/model.onnx").exists()
    assert (snapshot / "onnx/model.onnx").resolve().is_file() and not (snapshot / WEIGHTS).exists()
    cache = puller.work / "elsewhere"
    assert puller.pull(ID, HF_HUB_CACHE=str(cache)).startswith(str(cache))
    print("choices: PyTorch where there is no safetensors; --include; HF_HUB_CACHE")


def check_errors(puller):
    puller.fresh()
    assert "is not on" in puller.pull("some-org/absent", code=1)
    assert "no revision 'v9'" in puller.pull(f"{ID}@v9", code=1)
    assert "GGUF files only" in puller.pull("some-org/gguf-only", code=2)
    assert "no file matches" in puller.pull(ID, "--include", "*.x", code=2)
    assert "unknown way" in puller.pull("some-org/climbs", code=1)
    assert not list(puller.work.rglob("escaped"))
    for name in ("some-org/vast", "some-org/boundless"):
        puller.hub.requests.clear()
        assert "iB of disk" in puller.pull(name, code=1)
        assert len(puller.hub.requests) == 1, "nothing is downloaded where the disk has no room"
    puller.hub.unsatisfiable = {WEIGHTS}
    assert "answers 416" in puller.pull(ID, code=1)
    puller.hub.unsatisfiable = set()
    puller.fresh()
    (puller.work / "file").touch()
    assert "cannot" in puller.pull(ID, code=1, HF_HOME=str(puller.work / "file"))
    for wrong in ("../x", "a/b/c", "/tmp", "a--b/c", "x/y@../z"):
        assert "is no ORG/NAME" in puller.pull(wrong, code=2), wrong
    for yes in ("1", "true", "On"):
        assert "nothing is downloaded" in puller.pull(ID, code=2, HF_HUB_OFFLINE=yes)
    assert not (puller.repository / "snapshots").exists()
    print("errors: each says what is wrong and what to do")


def main():
    binary = command_line().parse_args().longspan
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        repositories = make_repositories(work / "made")
        files = repositories[ID]["files"]
        puller = Puller(binary, work, Hub(repositories))
        check_layout(puller, files)
        check_readers(puller, work / "made")
        check_interruptions(puller, files)
        check_checksums(puller)
        check_tokens(puller)
        check_choices(puller)
        check_errors(puller)


if __name__ == "__main__":
    main()
