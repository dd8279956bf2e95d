"""A tiny LLaMA and an adapter of PEFT's, as what `longspan merge` reads."""

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM


def make_base(folder, **sizes):
    torch.manual_seed(1)
    config = dict(
        vocab_size=97, hidden_size=72, intermediate_size=80, num_hidden_layers=2, num_attention_heads=9,
        num_key_value_heads=3, head_dim=8, max_position_embeddings=512, tie_word_embeddings=False,
        initializer_range=0.15, bos_token_id=1, eos_token_id=2,
    )
    LlamaForCausalLM(LlamaConfig(**{**config, **sizes})).to(torch.bfloat16).save_pretrained(folder)


def make_adapter(base, folder):
    model = get_peft_model(
        AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32),
        LoraConfig(r=3, lora_alpha=7, task_type="CAUSAL_LM", init_lora_weights=False,
                   target_modules=["q_proj", "o_proj"], modules_to_save=["norm"]),
    )
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter) * 0.05)
    model.save_pretrained(folder)
