"""Trains a byte-level BPE tokenizer on some of vLLM's own sources and saves it with a ChatML template.

Those are the same wherever this version of vLLM is installed, and so is the tokenizer.

Usage: make_tokenizer.py OUT
"""

import sys
from importlib.util import find_spec
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

VOCABULARY = 4096
SPECIAL = ["<unk>", "<|im_start|>", "<|im_end|>", "<|endoftext|>"]
CHATML = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)

[out] = sys.argv[1:]
files = sorted((Path(find_spec("vllm").origin).parent / "config").glob("*.py"))
bpe = Tokenizer(models.BPE())
bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
bpe.decoder = decoders.ByteLevel()
trainer = trainers.BpeTrainer(vocab_size=VOCABULARY, special_tokens=SPECIAL, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
bpe.train_from_iterator((file.read_text("utf8") for file in files), trainer)
tokenizer = PreTrainedTokenizerFast(tokenizer_object=bpe, eos_token="<|im_end|>", pad_token="<|endoftext|>", unk_token="<unk>", model_max_length=32768)
tokenizer.chat_template = CHATML
tokenizer.save_pretrained(out)
