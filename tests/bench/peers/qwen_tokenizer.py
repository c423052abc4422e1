"""Qwen 2.5's tokenizer as a folder, from the package that ships its vocabulary (Apache-2.0): no model hub is asked.

python qwen_tokenizer.py FOLDER
"""

import json
import sys
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from transformers import PreTrainedTokenizerFast
from transformers.convert_slow_tokenizer import TikTokenConverter

PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def main(folder: str) -> None:
    [package] = find_spec("dashscope").submodule_search_locations
    specials = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    vocabulary = str(Path(package) / "resources" / "qwen.tiktoken")
    made = TikTokenConverter(vocab_file=vocabulary, pattern=PATTERN, extra_special_tokens=specials).converted()
    whole = PreTrainedTokenizerFast(tokenizer_object=made, eos_token="<|im_end|>", pad_token="<|endoftext|>")
    whole.save_pretrained(folder)
    print(json.dumps({"version": version("dashscope"), "tokens": len(whole)}))


if __name__ == "__main__":
    main(sys.argv[1])
