"""What the tests of GGUF share: texts, and tiny models of transformers."""

import json

import torch
import transformers
from safetensors.torch import load_file

from program import run

torch.set_num_threads(1)
transformers.utils.logging.disable_progress_bar()

TEXTS = [
    "The quick brown fox jumps over the lazy dog.",
    "In 1984, 12345 people paid $3.50 (or 2,99 €) -- twice!\n\n\tIndented  twice   and more.",
    "Füße, naïveté, Ελληνικά, русский, 日本語, हिन्दी, עברית, 👩‍👩‍👧 and \u200b zero width",
    "don't we'll I'd  THEY'RE\r\n\r\nx\u00a0y\u3000z ١٢٣ ½",
    "<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n",
    "   leading and trailing   ",
    "",
]
STORY = """The harbour was quiet that morning. Anna walked along the pier with her brother, who was carrying a wooden box
full of letters that their grandfather had written during the war. "We should read them in order," she said, "or we will
not understand why he left the island." Her brother nodded and opened the lid. The first letter was dated 12 May 1941. It
began with a description of the weather, the price of bread, and a small dog which followed the soldiers everywhere."""


SHAPE = dict(vocab_size=96, hidden_size=64, intermediate_size=128, num_hidden_layers=4, num_attention_heads=4,
             num_key_value_heads=2, max_position_embeddings=128, initializer_range=0.15, bos_token_id=1, eos_token_id=2,
             pad_token_id=0, tie_word_embeddings=False)


def tiny_model(kind, options):
    torch.manual_seed(0)
    config_class = getattr(transformers, "Gemma3TextConfig" if kind == "Gemma3" else kind + "Config")
    config = config_class(**{**SHAPE, **options})
    config._attn_implementation = "eager"
    model = getattr(transformers, kind + "ForCausalLM")(config).float().eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():  # those that begin as ones and noughts
            if parameter.dim() == 1:
                parameter.add_(0.2 * torch.randn_like(parameter))
    return model


def our_logits(binary, model, ids, work):
    (work / "ids.json").write_text(json.dumps(ids))
    run(binary, "logits", model, "--ids", work / "ids.json", "--out", work / "l.safetensors",
        "--dtype", "float32")
    return load_file(work / "l.safetensors")["logits"].numpy()
