"""Chat templates by name, for bases whose tokenizer has none: Jinja that gives the published text, and its stop.

    chatml    OpenAI's markup: <|im_start|>role, a line end, the content, <|im_end|>
    qwen      Qwen 2.5: ChatML with its own default system message and its markup for tools
    llama3    Meta Llama 3 Instruct: contents trimmed, <|eot_id|> after each
    gemma     Gemma 1 and 2: the assistant is called `model`; a system message is refused, as is a turn out of order
    vicuna    Vicuna 1.1 (FastChat): one line, USER: and ASSISTANT:, </s> after each answer; the space before an answer
              is learned, since the prompt ends without it

tests/test_template_named.py holds them to the files that TRL ships, where TRL is installed. Each has {% generation %}
around answers, which says what is learned; the text is the same without.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Named:
    """A chat template, and the texts that end an answer in it."""

    jinja: str
    stop: str


_CHATML = """\
{%- for message in messages -%}
{{- '<|im_start|>' + message.role + '\n' -}}
{%- if message.role == 'assistant' -%}
{%- generation -%}{{- message.content + '<|im_end|>' -}}{%- endgeneration -%}{{- '\n' -}}
{%- else -%}
{{- message.content + '<|im_end|>\n' -}}
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\n' -}}{%- endif -%}
"""
_QWEN = """\
{%- set own = 'You are Qwen, created by Alibaba Cloud. You are a helpful assistant.' -%}
{{- '<|im_start|>system\n' -}}
{%- if messages[0].role == 'system' -%}{{- messages[0].content -}}{%- else -%}{{- own -}}{%- endif -%}
{%- if tools -%}
{{- '\n\n# Tools\n\nYou may call one or more functions to assist with the user query.\n\n' -}}
{{- 'You are provided with function signatures within <tools></tools> XML tags:\n<tools>' -}}
{%- for tool in tools -%}{{- '\n' -}}{{- tool | tojson -}}{%- endfor -%}
{{- '\n</tools>\n\nFor each function call, return a json object with function name and arguments ' -}}
{{- 'within <tool_call></tool_call> XML tags:\n<tool_call>\n' -}}
{{- '{"name": <function-name>, "arguments": <args-json-object>}\n</tool_call>' -}}
{%- endif -%}
{{- '<|im_end|>\n' -}}
{%- for message in messages -%}
{%- if message.role == 'user' or (message.role == 'system' and not loop.first) -%}
{{- '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>\n' -}}
{%- elif message.role == 'assistant' -%}
{{- '<|im_start|>assistant' + ('' if message.tool_calls else '\n') -}}
{%- generation -%}
{%- if not message.tool_calls -%}{{- message.content -}}
{%- elif message.content -%}{{- '\n' + message.content -}}{%- endif -%}
{%- for call in message.tool_calls or [] -%}
{%- set call = call.function if call.function is defined else call -%}
{{- '\n<tool_call>\n{"name": "' + call.name + '", "arguments": ' -}}{{- call.arguments | tojson -}}
{{- '}\n</tool_call>' -}}
{%- endfor -%}
{{- '<|im_end|>' -}}
{%- endgeneration -%}
{{- '\n' -}}
{%- elif message.role == 'tool' -%}
{%- if loop.first or messages[loop.index0 - 1].role != 'tool' -%}{{- '<|im_start|>user' -}}{%- endif -%}
{{- '\n<tool_response>\n' -}}{{- message.content -}}{{- '\n</tool_response>' -}}
{%- if loop.last or messages[loop.index0 + 1].role != 'tool' -%}{{- '<|im_end|>\n' -}}{%- endif -%}
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\n' -}}{%- endif -%}
"""
_LLAMA3 = """\
{{- '<|begin_of_text|>' -}}
{%- for message in messages -%}
{{- '<|start_header_id|>' + message.role + '<|end_header_id|>\n\n' -}}
{%- if message.role == 'assistant' -%}
{%- generation -%}{{- message.content | trim + '<|eot_id|>' -}}{%- endgeneration -%}
{%- else -%}
{{- message.content | trim + '<|eot_id|>' -}}
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|start_header_id|>assistant<|end_header_id|>\n\n' -}}{%- endif -%}
"""
_GEMMA = """\
{{- '<bos>' -}}
{%- if messages[0].role == 'system' -%}{{- raise_exception('no system role') -}}{%- endif -%}
{%- for message in messages -%}
{%- if (message.role == 'user') != (loop.index0 % 2 == 0) -%}
{{- raise_exception('roles must alternate') -}}
{%- endif -%}
{%- if message.role == 'assistant' -%}
{{- '<start_of_turn>model\n' -}}
{%- generation -%}{{- message.content | trim + '<end_of_turn>' -}}{%- endgeneration -%}{{- '\n' -}}
{%- else -%}
{{- '<start_of_turn>' + message.role + '\n' + message.content | trim + '<end_of_turn>\n' -}}
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<start_of_turn>model\n' -}}{%- endif -%}
"""
_VICUNA = """\
{%- set own = "A chat between a curious user and an artificial intelligence assistant. " + \
"The assistant gives helpful, detailed, and polite answers to the user's questions." -%}
{%- if messages[0].role == 'system' -%}{{- messages[0].content -}}{%- else -%}{{- own -}}{%- endif -%}
{{- ' ' -}}
{%- for message in messages -%}
{%- if message.role == 'user' -%}
{{- 'USER: ' + message.content + ' ' -}}
{%- elif message.role == 'assistant' -%}
{{- 'ASSISTANT:' -}}{%- generation -%}{{- ' ' + message.content + '</s>' -}}{%- endgeneration -%}
{%- elif not loop.first -%}
{{- raise_exception('only a user and an assistant') -}}
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- 'ASSISTANT:' -}}{%- endif -%}
"""
NAMED = {
    "chatml": Named(_CHATML, "<|im_end|>"),
    "qwen": Named(_QWEN, "<|im_end|>"),
    "llama3": Named(_LLAMA3, "<|eot_id|>"),
    "gemma": Named(_GEMMA, "<end_of_turn>"),
    "vicuna": Named(_VICUNA, "</s>"),
}
"""Style -> template."""
