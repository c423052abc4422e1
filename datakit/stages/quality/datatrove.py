"""The profile `datatrove`: the rules of its four filters by its definitions and defaults, to compare and to move over.

    GopherRepetitionFilter   dup_* top_* duplicated_*
    GopherQualityFilter      gopher_*
    C4QualityFilter          lorem_ipsum, curly_bracket, too_few_sentences   (filter_no_terminal_punct=False)
    FineWebQualityFilter     line_punct_ratio, short_line_ratio, char_dup_ratio, list_ratio

Rules have datatrove's names behind `dt_`. Its filters stop at the first that fails; here all are told. C4QualityFilter
also cuts lines out of the text, and FineWeb's filter then sees what is left; here no text changes, and every rule sees
all of it. Signals are those of kernels/datatrove.py and not those of other profiles, so other thresholds say nothing
here. Written for English: it drops nearly all Korean, having neither stop words nor word lengths for it.
"""

from __future__ import annotations

from datakit.stages.quality.profiles import Rule, Side

PREFIX = "dt_"
_LIMITS: tuple[tuple[str, str, Side, float], ...] = (
    ("dup_para_frac", "dup_para_frac", "most", 0.3),
    ("dup_para_char_frac", "dup_para_char_frac", "most", 0.2),
    ("dup_line_frac", "dup_line_frac", "most", 0.3),
    ("dup_line_char_frac", "dup_line_char_frac", "most", 0.2),
    ("top_2_gram", "top_2_gram", "most", 0.2),
    ("top_3_gram", "top_3_gram", "most", 0.18),
    ("top_4_gram", "top_4_gram", "most", 0.16),
    ("duplicated_5_n_grams", "duplicated_5_n_grams", "most", 0.15),
    ("duplicated_6_n_grams", "duplicated_6_n_grams", "most", 0.14),
    ("duplicated_7_n_grams", "duplicated_7_n_grams", "most", 0.13),
    ("duplicated_8_n_grams", "duplicated_8_n_grams", "most", 0.12),
    ("duplicated_9_n_grams", "duplicated_9_n_grams", "most", 0.11),
    ("duplicated_10_n_grams", "duplicated_10_n_grams", "most", 0.1),
    ("gopher_short_doc", "plain_words", "least", 50),
    ("gopher_long_doc", "plain_words", "most", 100_000),
    ("gopher_below_avg_threshold", "plain_word_length", "least", 3),
    ("gopher_above_avg_threshold", "plain_word_length", "most", 10),
    ("gopher_too_many_hashes", "hashes", "most", 0.1),
    ("gopher_too_many_ellipsis", "ellipses", "most", 0.1),
    ("gopher_too_many_bullets", "bullet_lines", "most", 0.9),
    ("gopher_too_many_end_ellipsis", "ellipsis_lines", "most", 0.3),
    ("gopher_below_alpha_threshold", "alpha_words", "least", 0.8),
    ("gopher_enough_stop_words", "stop_words", "least", 2),
    ("lorem_ipsum", "lorem_ipsum", "most", 0),
    ("curly_bracket", "curly_bracket", "most", 0),
    ("too_few_sentences", "sentences", "least", 5),
    ("line_punct_ratio", "line_punct_ratio", "least", 0.12),
    ("short_line_ratio", "short_line_ratio", "most", 0.67),
    ("char_dup_ratio", "char_dup_ratio", "most", 0.01),
    ("list_ratio", "list_ratio", "most", 0.3),
)

RULES = tuple(Rule(PREFIX + name, PREFIX + name, ((PREFIX + signal, 1.0),), side) for name, signal, side, _ in _LIMITS)
THRESHOLDS = {PREFIX + name: limit for name, _, _, limit in _LIMITS}
