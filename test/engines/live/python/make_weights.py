"""Saves a small Llama with random weights for a tokenizer: gibberish text, real KV.

Usage: make_weights.py OUT TOKENIZER tiny|mid SEED
"""

import sys

import torch
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

# "mid" has one KV head and a wide feed-forward: prefill is dear and the KV cache small, though by far less so than in real models.
SHAPES = {
    "tiny": dict(hidden_size=256, intermediate_size=512, num_hidden_layers=4, num_attention_heads=4, num_key_value_heads=2),
    "mid": dict(hidden_size=768, intermediate_size=6144, num_hidden_layers=12, num_attention_heads=12, num_key_value_heads=1),
}
# Plain random weights attend to everything evenly, so that no single block matters. This makes attention choose, as trained weights do.
ATTENTION_GAIN = 4.0

out, tokenizer_folder, size, seed = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
tokenizer = AutoTokenizer.from_pretrained(tokenizer_folder)
torch.manual_seed(seed)
model = LlamaForCausalLM(
    LlamaConfig(
        vocab_size=len(tokenizer),
        head_dim=64,
        max_position_embeddings=32768,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        dtype="bfloat16",
        **SHAPES[size],
    )
)
with torch.no_grad():
    for layer in model.model.layers:
        layer.self_attn.q_proj.weight.mul_(ATTENTION_GAIN)
        layer.self_attn.k_proj.weight.mul_(ATTENTION_GAIN)
model.to(torch.bfloat16).save_pretrained(out)
tokenizer.save_pretrained(out)
