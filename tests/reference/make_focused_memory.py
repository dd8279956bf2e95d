"""Writes focused_memory/: a random LLaMA and, in float64 by dense masks, what a cross-batch pass of it computes.

    .venv-test/bin/python tests/reference/make_focused_memory.py

    config.json, model.safetensors  3 layers, 4 heads with 2 key/value heads, untied embeddings, float32
    golden.safetensors              input_ids and labels [8, 16]: two documents of four windows of 16 tokens;
                                    logits [8, 16, V], loss (the sum) and grad.<name of each weight>, in which
                                    layers 0 and 2 attend by the schedule (0,0) (1,1) (2,1) (3,0)

The attention is written from FoT/cross_batch.py of long_llama (bfcb8d1), whose own results are in longllama/.
"""

import json
from pathlib import Path

import torch
import transformers
from safetensors.torch import save_file
from transformers import AttentionInterface, LlamaConfig, LlamaForCausalLM
from transformers.models.llama.modeling_llama import LlamaRMSNorm

FOLDER = Path(__file__).parent / "focused_memory"
MEM_LAYERS, SCHEDULE = (0, 2), ((0, 0), (1, 1), (2, 1), (3, 0))
ROWS, WINDOW = 8, 16

unrotated = {}  # of the layer at work: its keys before RoPE


def visible():
    """[rows, T, rows * T]: the places of all rows that a query sees; its own row is causal."""
    seen = torch.zeros(ROWS, WINDOW, ROWS, WINDOW, dtype=torch.bool)
    for row in range(ROWS):
        seen[row, :, row] = torch.ones(WINDOW, WINDOW).tril().bool()
        place = row % len(SCHEDULE)
        positives, negatives = SCHEDULE[place]
        document = row - place
        for other in [*range(row - positives, row), *range(max(0, document - negatives), document)]:
            seen[row, :, other] = True
    return seen.flatten(2)


def cross_batch(module, query, key, value, attention_mask, scaling, **_):
    """All queries against the keys of all rows: of their own as rotated, of others unrotated (as at position 0)."""
    groups = module.num_key_value_groups
    key, value = (x.repeat_interleave(groups, 1) for x in (key, value))  # [B, H, T, D]
    first = unrotated[module.layer_idx].repeat_interleave(groups, 1)
    all_first = first.transpose(0, 1).flatten(1, 2)  # [H, B * T, D]
    all_value = value.transpose(0, 1).flatten(1, 2)
    outs = []
    for row in range(ROWS):
        mine = slice(row * WINDOW, (row + 1) * WINDOW)
        keys = torch.cat([all_first[:, : mine.start], key[row], all_first[:, mine.stop :]], 1)
        scores = query[row] @ keys.transpose(1, 2) * scaling
        seen = visible()[row].clone()
        if module.layer_idx not in MEM_LAYERS:
            seen[:, : mine.start] = seen[:, mine.stop :] = False
        outs.append(scores.masked_fill(~seen, -torch.inf).softmax(-1) @ all_value)
    return torch.stack(outs).transpose(1, 2).contiguous(), None


def exact_norm(self, x):
    """transformers' own rounds to float32."""
    return self.weight * x * (x.pow(2).mean(-1, keepdim=True) + self.variance_epsilon).rsqrt()


LlamaRMSNorm.forward = exact_norm
AttentionInterface.register("cross_batch", cross_batch)
torch.manual_seed(5)
config = LlamaConfig(
    vocab_size=97, hidden_size=64, intermediate_size=96, num_hidden_layers=3, num_attention_heads=4,
    num_key_value_heads=2, max_position_embeddings=WINDOW, initializer_range=0.2, tie_word_embeddings=False,
)
model = LlamaForCausalLM(config)
for name, parameter in model.named_parameters():
    if name.endswith("norm.weight"):
        parameter.data.normal_(1, 0.2)
FOLDER.mkdir(exist_ok=True)
written = config.to_diff_dict() | {"architectures": ["LlamaForCausalLM"]}
(FOLDER / "config.json").write_text(json.dumps(written, indent=1) + "\n")
save_file({name: x.detach().clone() for name, x in model.state_dict().items()}, FOLDER / "model.safetensors")

model = model.double()
model.set_attn_implementation("cross_batch")
for layer in model.model.layers:
    layer.self_attn.k_proj.register_forward_hook(
        lambda module, _, out, i=layer.self_attn.layer_idx: unrotated.__setitem__(
            i, out.unflatten(-1, (2, -1)).transpose(1, 2)))
input_ids = torch.randint(97, (ROWS, WINDOW))
labels = input_ids.roll(-1, 1)
labels[:, -1] = torch.randint(97, (ROWS,))
labels[3, 2:5] = -100
logits = model(input_ids=input_ids).logits
loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="sum")
loss.backward()
golden = {"input_ids": input_ids, "labels": labels, "logits": logits.detach(), "loss": loss.detach()}
golden |= {f"grad.{name}": x.grad for name, x in model.named_parameters()}
save_file({name: x.contiguous() for name, x in golden.items()}, FOLDER / "golden.safetensors",
          metadata={"made_with": f"torch {torch.__version__}, transformers {transformers.__version__}"})
