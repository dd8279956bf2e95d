"""vLLM's config reader on what `longspan convert` writes, for each family and RoPE scaling: the config.json means to it
what it means to transformers.

    python vllm_test.py --longspan build/longspan

vLLM need not be installed for this: its wheel unpacked and what it imports (cbor2, pyzmq, aiohttp, openai, openai-harmony,
sniffio) in PYTHONPATH do.
"""

import os
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
os.environ.setdefault("VLLM_TARGET_DEVICE", "cpu")

try:
    from transformers import AutoConfig
    from vllm.transformers_utils.config import get_config
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

from families_test import CASES, rope_types_of
from program import checked, command_line, run
from tiny_families import make_config, make_model


def keeps(before, after):
    """Whether all of `before` is in `after`, which may also say what a formula has for default."""
    if not isinstance(before, dict):
        return before == after
    return all(key in after and keeps(value, after[key]) for key, value in before.items())


def main():
    binary = command_line().parse_args().longspan
    for family, cases in CASES.items():
        for name, parameters, changes in cases:
            with tempfile.TemporaryDirectory() as temporary:
                made, written = Path(temporary) / "made", Path(temporary) / "written"
                make_model(make_config(family, parameters, **changes)).save_pretrained(made)
                run(binary, "convert", made, written)
                expected = AutoConfig.from_pretrained(made)
                actual = get_config(str(written), trust_remote_code=False)
                before = get_config(str(made), trust_remote_code=False).rope_parameters
                assert keeps(before, actual.rope_parameters), (family, name, before, actual.rope_parameters)
                for key in ("model_type", "max_position_embeddings", "num_hidden_layers", "sliding_window"):
                    assert getattr(actual, key, None) == getattr(expected, key, None), (family, name, key)
                for rope_type in rope_types_of(written):
                    checked("config out", "vllm", family.removesuffix("_text"), rope_type, name)
            print(f"{family:12} {name}", flush=True)


if __name__ == "__main__":
    main()
