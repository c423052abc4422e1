"""YAML as data and nothing else: no tag makes an object, and no small file unfolds into a large one.

A file of a few lines can name itself a billion times by aliases; the nodes that a text stands for are counted before
any value is made of them. Every failure is a `yaml.YAMLError`, whatever PyYAML itself raises over a bad number or date.
"""

from __future__ import annotations

from typing import Any

import yaml

LARGEST = 4 << 20
"""Characters of the longest text that is read."""
MOST_NODES = 200_000
"""Values that a text may stand for, those behind aliases counted each time; the longest shipped pipeline has 150."""
DEEPEST = 64
"""Levels of lists and mappings inside one another."""


class Unfit(yaml.YAMLError):
    """A text that is YAML but no settings: too large, too deep, or with a value that can't be one."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem


def parse_yaml(text: str) -> Any:
    """The value that a YAML text spells; yaml.YAMLError if there is none."""
    if len(text) > LARGEST:
        raise Unfit(f"longer than {LARGEST >> 20} MiB")
    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        _size(node, {}, 0)
        return loader.construct_document(node)
    except RecursionError:
        raise Unfit("nested too deeply") from None
    except (ValueError, KeyError, AttributeError, TypeError, OverflowError):
        # A date in month 13, a number of 5,000 digits, `!!bool maybe`: their messages quote the value.
        raise Unfit("a value that is none of its kind, such as a date in month 13") from None
    finally:
        loader.dispose()


def _size(node: yaml.Node, known: dict[int, int], level: int) -> int:
    """How many values a node stands for; each node is walked once, however many aliases name it."""
    if level > DEEPEST:
        raise Unfit("nested too deeply")
    if isinstance(node, yaml.ScalarNode):
        return 1
    if (size := known.get(id(node))) is not None:
        if not size:
            raise Unfit("a value that holds itself")
        return size
    known[id(node)] = 0
    parts = [part for pair in node.value for part in pair] if isinstance(node, yaml.MappingNode) else node.value
    size = 1 + sum(_size(part, known, level + 1) for part in parts)
    if size > MOST_NODES:
        raise Unfit("aliases that unfold without end")
    known[id(node)] = size
    return size
