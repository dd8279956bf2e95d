"""Writes tiny_llama/: a random LLaMA, a PEFT adapter on it, and what both together compute.

    .venv-test/bin/python tests/reference/make_tiny_llama.py

    config.json, model.safetensors  the base: 2 layers, 9 heads with 3 key/value heads, tied
                                    embeddings, YaRN x2 over 32 positions, float32
    adapter/                        as PEFT saves it: LoRA on q, k, v, o; every RMSNorm and the
                                    tied embedding trained whole
    golden.safetensors              input_ids [2, 48] and, for the attention patterns "full" and
                                    "shifted_sparse" (groups of 16), <pattern>.logits [2, 48, V],
                                    <pattern>.loss and <pattern>.grad.<name of each trained tensor>
"""

import shutil
from pathlib import Path

import peft
import torch
import transformers
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file
from transformers import AttentionInterface, LlamaConfig, LlamaForCausalLM
from transformers.models.llama.modeling_llama import eager_attention_forward

FOLDER = Path(__file__).parent / "tiny_llama"
GROUP_SIZE = 16


def shifted_sparse_mask(heads, seq_len):
    """[1, H, T, T], True where the query (row) sees the key: heads from H / 2 on work in groups that
    are shifted by half a group, the first and last of which are therefore half as long."""
    position = torch.arange(seq_len)
    causal = position[:, None] >= position[None, :]
    masks = []
    for head in range(heads):
        shift = GROUP_SIZE // 2 if head >= heads // 2 else 0
        group = (position + shift) // GROUP_SIZE
        masks.append(causal & (group[:, None] == group[None, :]))
    return torch.stack(masks)[None]


def shifted_sparse(module, query, key, value, attention_mask, **kwargs):
    mask = shifted_sparse_mask(query.shape[1], query.shape[2])
    bias = torch.zeros(mask.shape).masked_fill(~mask, float("-inf"))
    return eager_attention_forward(module, query, key, value, bias, **kwargs)


def make_base():
    config = LlamaConfig(
        vocab_size=97,
        hidden_size=72,
        intermediate_size=80,
        num_hidden_layers=2,
        num_attention_heads=9,
        num_key_value_heads=3,
        head_dim=8,
        max_position_embeddings=64,
        rms_norm_eps=1e-5,
        tie_word_embeddings=True,
        initializer_range=0.15,
        bos_token_id=1,
        eos_token_id=2,
        rope_parameters={
            "rope_type": "yarn",
            "rope_theta": 10000.0,
            "factor": 2.0,
            "original_max_position_embeddings": 32,
        },
    )
    model = LlamaForCausalLM(config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" in name:
                parameter.normal_(1.0, 0.2)
    return model


def make_adapter(base):
    lora = LoraConfig(
        r=4,
        lora_alpha=8,
        target_modules=["q_proj", "k_proj", "v_proj", "o_proj"],
        modules_to_save=["embed_tokens", "norm"],
        ensure_weight_tying=True,
        init_lora_weights=False,  # B is random instead of zero
        task_type="CAUSAL_LM",
    )
    model = get_peft_model(base, lora)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.requires_grad:
                parameter.add_(0.05 * torch.randn_like(parameter))
    return model


def hugging_face_name(name):
    return name.removeprefix("base_model.model.").replace(".modules_to_save", "").replace(".default", "")


def compute(model, input_ids, attention):
    model.base_model.model.set_attn_implementation(attention)
    model.zero_grad()
    output = model(input_ids=input_ids, labels=input_ids)
    output.loss.backward()
    tensors = {"logits": output.logits.detach(), "loss": output.loss.detach()}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            tensors[f"grad.{hugging_face_name(name)}"] = parameter.grad.clone()
    return tensors


def main():
    torch.manual_seed(7)
    torch.use_deterministic_algorithms(True)
    AttentionInterface.register("shifted_sparse", shifted_sparse)
    shutil.rmtree(FOLDER, ignore_errors=True)

    base = make_base()
    base.save_pretrained(FOLDER)
    (FOLDER / "generation_config.json").unlink(missing_ok=True)
    model = make_adapter(base)
    model.peft_config["default"].base_model_name_or_path = "tests/reference/tiny_llama"
    model.save_pretrained(FOLDER / "adapter")
    (FOLDER / "adapter" / "README.md").unlink(missing_ok=True)

    input_ids = torch.randint(0, 97, (2, 48))
    golden = {"input_ids": input_ids}
    for pattern, attention in (("full", "eager"), ("shifted_sparse", "shifted_sparse")):
        tensors = compute(model, input_ids, attention)
        golden |= {f"{pattern}.{name}": tensor.contiguous() for name, tensor in tensors.items()}
        print(f"{pattern}: loss {tensors['loss']:.6f}, {len(tensors) - 2} gradients")
    versions = {"made_by": f"transformers {transformers.__version__}, peft {peft.__version__}, "
                           f"torch {torch.__version__}"}  # fmt: skip
    save_file(golden, FOLDER / "golden.safetensors", metadata=versions)


if __name__ == "__main__":
    main()
