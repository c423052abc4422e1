"""A base model for tests: a random Llama of 0.1 M parameters with a byte-level BPE tokenizer that was trained here.

512 tokens, width 64, grouped-query attention (4 heads on 2), tied embeddings like SmolLM2's, 512 positions. The pad
token is not the end token, every byte is a token (Korean never becomes unknown), and the ChatML template marks the
assistant's turns with `{% generation %}`. Made in half a second once torch is there, the same bytes every time.
"""

from __future__ import annotations

from pathlib import Path

VOCABULARY = 512
PAD, START, END = "<|pad|>", "<|im_start|>", "<|im_end|>"
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' }}"
    "{% if message['role'] == 'assistant' %}"
    "{% generation %}{{ message['content'] + '<|im_end|>' }}{% endgeneration %}{{ '\\n' }}"
    "{% else %}{{ message['content'] + '<|im_end|>\\n' }}{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
LINES = (
    "The harbour was quiet, and the last ferry had already left for the island.",
    "Please restart the router, wait for the green light, and try again.",
    "A loaf of bread needs flour, water, salt, yeast, and a little patience.",
    "What is the capital of Korea? The capital of Korea is Seoul.",
    "Write a short summary of the text in two sentences.",
    "항구는 조용했고 마지막 배는 이미 섬으로 떠난 뒤였다.",
    "공유기를 다시 켜고 초록 불이 들어올 때까지 기다려 주세요.",
    "빵을 만들려면 밀가루와 물과 소금과 효모, 그리고 약간의 인내심이 필요합니다.",
    "대한민국의 수도는 어디인가요? 대한민국의 수도는 서울입니다.",
    "아래 글을 두 문장으로 짧게 요약해 주세요.",
)


def make_tiny_llama(folder: Path, *, layers: int = 2, seed: int = 0) -> Path:
    """Write the model and its tokenizer into `folder` as a Hugging Face folder (float32) and return `folder`."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = make_tiny_tokenizer(folder)
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        # Ten times the usual: with a frozen tied head of 0.02 no adapter could ever make a token likely.
        initializer_range=0.2,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        LlamaForCausalLM(config).save_pretrained(folder)
    return folder


def make_tiny_tokenizer(folder: Path):  # type: ignore[no-untyped-def]  # transformers stays out of the annotations
    """Train the tokenizer alone, save it into `folder` and return it (0.1 s; no torch model is made)."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trained.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[PAD, START, END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    trained.train_from_iterator(LINES, trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=trained,
        bos_token=START,
        eos_token=END,
        pad_token=PAD,
        model_max_length=512,
        chat_template=CHAT_TEMPLATE,
        clean_up_tokenization_spaces=False,
    )
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save_pretrained(folder)
    return tokenizer
