"""Every word of the page, in English and Korean.

`say("kept")` gives both, each in its own span; the page shows one of them (see page.css). Words that name rules, stages
and kinds of personal data fall back to the code's own name, so that a stage of one's own needs no entry here.
"""

from __future__ import annotations

from typing import Any

from markupsafe import Markup, escape

from datakit.stages.quality.datatrove import RULES as DATATROVE_RULES

WORDS: dict[str, tuple[str, str]] = {
    "report": ("Dataset report", "데이터셋 보고서"),
    "language": ("Language", "언어"),
    "theme": ("Theme", "화면"),
    "auto": ("Auto", "자동"),
    "light": ("Light", "밝게"),
    "dark": ("Dark", "어둡게"),
    "contents": ("Contents", "차례"),
    "row_count": ("Rows", "행 수"),
    "kind": ("Kind", "종류"),
    "digest": ("Digest", "내용 지문"),
    "seed": ("Seed", "시드"),
    "parent": ("Version before", "이전 버전"),
    "made_with": ("datakit", "datakit"),
    "what_happened": ("What happened", "한눈에 보기"),
    "funnel": ("From rows in to rows out", "단계별 흐름"),
    "funnel_help": (
        "Each bar is drawn against the largest stage of its own group: documents become instruction rows, rows "
        "become tokens, tokens become packs, so lengths compare within a group only.",
        "막대 길이는 같은 묶음 안에서만 견줄 수 있습니다. 문서가 지시문 행으로, 행이 토큰으로, 토큰이 팩으로 "
        "바뀌면서 세는 단위가 달라지기 때문입니다.",
    ),
    "stage": ("Stage", "단계"),
    "in": ("In", "들어옴"),
    "out": ("Out", "나감"),
    "kept": ("Kept", "남김"),
    "dropped": ("Dropped", "버림"),
    "folded": ("Folded into a copy", "같은 글로 묶음"),
    "replaced": ("pieces replaced", "바꾼 곳"),
    "used": ("Turned into other rows", "다른 행의 재료로 씀"),
    "made": ("Made", "새로 만듦"),
    "makes": ("makes {count} {kind}", "{kind} {count}개를 만듦"),
    "counted": ("Counted along the way", "그 밖에 센 것"),
    "lengths": ("Lengths", "길이"),
    "lengths_documents": ("Characters in a document", "문서 한 건의 글자 수"),
    "lengths_examples": ("Characters in an instruction row", "지시문 한 행의 글자 수"),
    "lengths_tokens": ("Tokens in a row", "한 행의 토큰 수"),
    "before": ("as read", "읽은 그대로"),
    "after": ("after cleaning", "정리한 뒤"),
    "all_rows": ("all rows", "모든 행"),
    "median_of": ("median {name}", "{name} 중앙값"),
    "sampled": (
        "Measured on {seen} of {all} shards, evenly spread.",
        "전체 {all}개 샤드 가운데 고르게 뽑은 {seen}개로 쟀습니다.",
    ),
    "languages": ("Languages", "언어 구성"),
    "languages_documents": ("Documents after cleaning", "정리한 뒤의 문서"),
    "languages_examples": ("Instruction rows", "지시문 행"),
    "languages_tokens": ("Token rows", "토큰 행"),
    "share": ("Share", "비율"),
    "duplicates": ("Duplicates", "중복"),
    "clusters": ("Clusters", "중복 묶음"),
    "largest": ("Largest cluster", "가장 큰 묶음"),
    "folded_rows": ("Copies folded", "묶인 사본"),
    "cluster_size": ("Rows in a cluster", "묶음 속 행 수"),
    "cluster_examples": ("Look into the clusters", "중복 묶음 들여다보기"),
    "cluster_help": (
        "{shown} of {all}: the largest, and those whose copies are least alike. Open one to see what differs.",
        "전체 {all}개 가운데 큰 묶음과 유사도가 낮은 묶음 {shown}개입니다. 펼치면 서로 다른 곳이 표시됩니다.",
    ),
    "find_cluster": ("Find", "찾기"),
    "order_by": ("Order", "차례"),
    "by_size": ("largest first", "큰 묶음부터"),
    "by_similarity": ("least alike first", "덜 비슷한 것부터"),
    "rows_word": ("rows", "건"),
    "similarity_from": ("similarity from {lowest}", "유사도 {lowest}부터"),
    "goes": ("Goes", "빠진 글"),
    "band_curve": ("Which pairs the search finds", "검색이 찾아내는 비율"),
    "band_help": (
        "Share of the pairs of a similarity that are compared exactly; the line is the threshold.",
        "유사도에 따라 두 글을 실제로 견주어 보는 비율입니다. 세로선은 기준값입니다.",
    ),
    "pairs_found": ("pairs found", "찾는 비율"),
    "survivor": ("Stays", "남은 글"),
    "similarity": ("similarity", "유사도"),
    "more_copies": ("and {count} more", "그 밖에 {count}건"),
    "pii": ("Personal data", "개인정보"),
    "pii_help": (
        "How often each kind was found and replaced. Values are never written anywhere. Rules find much, not all: "
        "names without a label or title and addresses told in free words stay. This reduces personal data, it does "
        "not make the text anonymous.",
        "종류마다 몇 번 찾아 바꾸었는지만 셉니다. 값은 어디에도 남기지 않습니다. 규칙은 많은 것을 찾지만 전부를 "
        "찾지는 못합니다. 이름표나 호칭이 없는 이름, 풀어 쓴 주소는 남습니다. 개인정보를 줄일 뿐, 익명 처리를 뜻하지 "
        "않습니다.",
    ),
    "pii_why": ("Which rule found what, and why it was believed", "어느 규칙이, 왜 개인정보로 보았나"),
    "pii_why_help": (
        "A label word right before a value decides; then a check digit; then the shape alone. Words such as order "
        "number beat the shape.",
        "값 바로 앞의 이름표가 먼저이고, 다음이 검증 숫자, 그다음이 꼴입니다. 주문번호 같은 낱말이 앞에 있으면 "
        "꼴만으로는 찾지 않습니다.",
    ),
    "pii_kind": ("Kind", "종류"),
    "count": ("Count", "건수"),
    "pii_evidence": ("Believed because of", "그렇게 본 까닭"),
    "pii_kinds": ("Looked for these kinds only: {kinds}.", "다음 종류만 찾았습니다: {kinds}."),
    "pii_none": ("None was found.", "찾은 것이 없습니다."),
    "pii_missing": (
        "No `pii` stage ran, so this page shows no text from the data. Add `- use: pii` to the pipeline and run "
        "it again.",
        "`pii` 단계가 없어 이 보고서는 데이터의 글을 보여 주지 않습니다. 파이프라인에 `- use: pii`를 넣고 다시 "
        "실행하세요.",
    ),
    "pii_late_source": (
        "Rows were read in after the last `pii` stage, so this page shows no text from the data. Move `pii` "
        "behind the last `ingest` and run again.",
        "마지막 `pii` 단계 뒤에 새로 읽은 행이 있어 이 보고서는 데이터의 글을 보여 주지 않습니다. `pii`를 마지막 "
        "`ingest` 뒤로 옮겨 다시 실행하세요.",
    ),
    "raw_warning": (
        "Text is shown as it is, because somebody asked for it: it has not been through a `pii` stage. Do not "
        "pass this page on.",
        "요청에 따라 글을 그대로 보여 줍니다. `pii` 단계를 거치지 않은 글이니 이 보고서를 다른 사람에게 넘기지 마세요.",
    ),
    "quality": ("Quality", "품질"),
    "signals": ("Signals", "품질 신호"),
    "failed_rules": ("Rules that rows failed", "행이 어긴 규칙"),
    "failed_rules_help": (
        "A row may fail several rules; it is dropped by the first, and every one it fails is counted.",
        "한 행이 여러 규칙을 어길 수 있습니다. 첫 규칙으로 버리되, 어긴 규칙은 모두 셉니다.",
    ),
    "rule": ("Rule", "규칙"),
    "failed": ("Rows that fail", "어긴 행"),
    "dropped_by": ("Dropped by it", "이 규칙으로 버림"),
    "choices": ("What each way of choosing would keep", "고르는 방법에 따라 남는 것"),
    "choices_help": (
        "Every method chose as many rows from the same ones. Random and longest are the baselines to beat.",
        "모든 방법이 같은 행에서 같은 수를 골랐습니다. ‘무작위’와 ‘긴 답’보다 나아야 쓸 만한 방법입니다.",
    ),
    "chosen_by": ("{stage} chose by: {method}", "{stage} 단계가 고른 방법: {method}"),
    "method": ("Method", "방법"),
    "quality_help": (
        "Measured on every row that reached the stage, also on those it dropped.",
        "단계에 들어온 모든 행에서 쟀습니다. 버린 행도 들어 있습니다.",
    ),
    "still": ("The same for nearly all rows:", "거의 모든 행에서 같은 값:"),
    "signal": ("Signal", "신호"),
    "spread": ("Spread", "분포"),
    "spent": ("What the teacher cost", "교사 모델에 든 비용"),
    "spent_help": (
        "Replies that were on disk already count like new ones; dollars by the prices that the pipeline states.",
        "이미 저장되어 있던 응답도 새 응답과 똑같이 셉니다. 달러는 파이프라인에 적힌 가격으로 계산합니다.",
    ),
    "requests": ("Requests", "요청"),
    "tokens_in": ("Tokens in", "입력 토큰"),
    "tokens_out": ("Tokens out", "출력 토큰"),
    "usd": ("US dollars", "미국 달러"),
    "per_accepted_row": ("per accepted row", "받아들인 행 하나당"),
    "diversity": ("Variety of the instructions", "지시문의 다양성"),
    "diversity_help": (
        "Verbs and objects are found by rules. ‘As many as’ is how many equally common ones would be as varied. "
        "Lengths, n-grams and nearest rows are measured on 2,000 rows of a language at most.",
        "서술어와 목적어는 규칙으로 찾습니다. ‘유효 개수’는 똑같은 빈도로 나왔을 때 같은 다양성을 보이는 개수입니다. "
        "길이, n-그램, 가장 가까운 행은 언어마다 최대 2,000행으로 잽니다.",
    ),
    "measure": ("Measure", "척도"),
    "first_rows": ("first", "처음"),
    "last_rows": ("at the end", "마지막"),
    "variety_rows": ("Rows", "행 수"),
    "variety_with_verb": ("Share with a verb that was found", "서술어를 찾은 비율"),
    "variety_pairs": ("Different verb-object pairs", "서로 다른 서술어·목적어 짝"),
    "variety_as_many_as": ("Pairs: as many as", "짝의 유효 개수"),
    "variety_topics": ("Objects: as many as", "목적어의 유효 개수"),
    "variety_instruction": ("Tokens of an instruction, median", "지시문 토큰 수 중앙값"),
    "variety_instruction_high": ("Tokens of an instruction, 95%", "지시문 토큰 수 95%"),
    "variety_answer": ("Tokens of an answer, median", "답 토큰 수 중앙값"),
    "variety_answer_high": ("Tokens of an answer, 95%", "답 토큰 수 95%"),
    "variety_different_2": ("Different bigrams in instructions", "지시문의 서로 다른 바이그램 비율"),
    "variety_different_3": ("Different trigrams in answers", "답의 서로 다른 트라이그램 비율"),
    "variety_nearest": ("ROUGE-L with the nearest, median", "가장 가까운 행과의 ROUGE-L 중앙값"),
    "variety_nearest_high": ("ROUGE-L with the nearest, 95%", "가장 가까운 행과의 ROUGE-L 95%"),
    "nearest": ("How near the nearest instruction is", "가장 가까운 지시문과의 거리"),
    "nearest_help": (
        "ROUGE-L of each instruction with the one that is most like it; Korean by syllables. Above 0.7 is a repeat.",
        "지시문마다 가장 비슷한 다른 지시문과의 ROUGE-L입니다. 한국어는 음절로 셉니다. 0.7을 넘으면 되풀이로 봅니다.",
    ),
    "accepted_refused": ("Accepted and refused", "받아들인 것과 거절한 것"),
    "accepted": ("accepted", "받아들임"),
    "verbs": ("What is asked for", "무엇을 시키는가"),
    "verbs_help": ("The commonest verbs with their commonest objects.", "가장 잦은 서술어와 그 목적어입니다."),
    "objects": ("Objects", "목적어"),
    "synthetic": ("Made rows by task and language", "만든 행: 과제와 언어별"),
    "task": ("Task", "과제"),
    "origin": ("Made by", "만든 방법"),
    "all": ("All", "모두"),
    "tokens_section": ("Tokens and packing", "토큰과 팩"),
    "tokens": ("Tokens", "토큰"),
    "trained_share": ("of them learned", "그중 학습하는 몫"),
    "vocabulary": ("Vocabulary", "어휘 크기"),
    "tokenizer": ("Tokenizer", "토크나이저"),
    "fertility": ("Tokens a word", "낱말당 토큰 수"),
    "fertility_ko": ("Korean: tokens an eojeol", "한국어: 어절당 토큰"),
    "fertility_en": ("English: tokens a word", "영어: 낱말당 토큰"),
    "fertility_of": ("{lang}: tokens a word", "{lang}: 낱말당 토큰"),
    "packs": ("Packs", "팩"),
    "seq_len": ("Slots a pack", "팩 하나의 자리 수"),
    "fill": ("Filled", "채운 비율"),
    "padding": ("Padding", "빈자리"),
    "seq_lens": ("What each length of a pack would lose", "팩 길이별로 잃는 토큰"),
    "seq_lens_help": (
        "Rows longer than a pack are dropped whole, or cut off at its end; of the rows that left `tokenize`.",
        "팩보다 긴 행을 통째로 버릴 때와 끝에서 자를 때 잃는 몫입니다(`tokenize`를 나온 행 기준).",
    ),
    "seq_len_suggested": (
        "{seq_len} is the shortest that loses at most 1 in 1,000 tokens.",
        "토큰 1,000개 중 1개 이하만 잃는 가장 짧은 길이는 {seq_len}입니다.",
    ),
    "longer_rows": ("Longer rows", "더 긴 행"),
    "lost_if_dropped": ("Lost if dropped", "버리면 잃는 몫"),
    "lost_if_cut_off": ("Lost if cut off", "자르면 잃는 몫"),
    "fill_histogram": ("Packs by how full they are", "채운 정도별 팩 수"),
    "lost_histogram": ("Rows too long for a pack, by length", "팩보다 긴 행, 길이별"),
    "tokens_lost": ("Tokens lost", "잃은 토큰"),
    "learned": ("learned", "학습함"),
    "context": ("read only", "읽기만 함"),
    "training": ("Training", "학습"),
    "training_other": (
        "This adapter was trained on {dataset}, not on the version this page describes.",
        "이 어댑터는 이 보고서의 버전이 아니라 {dataset}(으)로 학습했습니다.",
    ),
    "base_model": ("Base model", "바탕 모델"),
    "trainer": ("Trainer", "학습기"),
    "settings": ("Settings", "설정"),
    "measured": ("Measured", "측정값"),
    "value": ("Value", "값"),
    "loss": ("Loss", "손실"),
    "loss_curve": ("Loss while learning", "학습 중 손실"),
    "loss_help": (
        "Nats a learned token; lower is better.",
        "학습하는 토큰 하나의 손실(nat). 낮을수록 좋습니다.",
    ),
    "step": ("Step", "스텝"),
    "train_loss": ("training", "학습"),
    "smoothed": ("smoothed", "평균선"),
    "val_loss": ("held-out rows", "따로 둔 행"),
    "val_before": ("Held-out loss before", "학습 전 검증 손실"),
    "val_after": ("Held-out loss after", "학습 후 검증 손실"),
    "change": ("Change", "변화"),
    "duration": ("Seconds", "걸린 시간(초)"),
    "evaluation": ("Before and after", "학습 전과 후"),
    "evaluation_help": (
        "Loss a token over the answers of {count} rows that no stage saw ({file}).",
        "어느 단계도 보지 않은 {count}행({file})의 답에서 잰 토큰당 손실입니다.",
    ),
    "group": ("Group", "구분"),
    "overall": ("All rows", "전체"),
    "base": ("Base", "바탕 모델"),
    "adapter": ("With adapter", "어댑터 적용"),
    "rows_taught": ("What rows taught", "행마다 배운 것"),
    "rows_taught_help": (
        "By the loss of every row that was trained on, before and after: ids and nats a token, the most extreme first.",
        "학습한 모든 행의 손실을 학습 전후로 쟀습니다. 행의 id와 토큰당 손실(nat)이며, 두드러진 것부터 적었습니다.",
    ),
    "memorised": ("Memorised: {count}", "외운 행: {count}"),
    "unlearnable": ("Not learned, loss high and hardly moved: {count}", "배우지 못한 행(손실이 높고 그대로): {count}"),
    "contradicted": ("Contradicted by other rows, loss rose: {count}", "다른 행과 어긋나는 행(손실이 오름): {count}"),
    "loss_was": ("Loss before", "학습 전 손실"),
    "loss_is": ("Loss after", "학습 후 손실"),
    "few_shot": ("Base with examples", "예시를 준 바탕 모델"),
    "obedience": ("Following instructions", "지시 따르기"),
    "obedience_help": (
        "Answers to prompts whose rules code can check: the share that keeps all rules of its prompt.",
        "규칙을 코드로 확인할 수 있는 질문에 답하게 해, 규칙을 모두 지킨 답의 비율을 쟀습니다.",
    ),
    "prompts": ("Prompts", "질문 수"),
    "judged": ("Judged by {teacher}", "{teacher}의 채점"),
    "judged_help": (
        "Mean score of {count} answers, 1 to 5. Better in both orders: adapter {adapter}, base {base}, tie {tie}, "
        "unclear {unclear}.",
        "답 {count}개의 평균 점수(1~5점)입니다. 순서를 바꾸어도 더 나은 쪽: 어댑터 {adapter}, 바탕 모델 {base}, "
        "비김 {tie}, 판정 불가 {unclear}.",
    ),
    "reference": ("Reference", "모범 답"),
    "prompt": ("Prompt", "질문"),
    "side_by_side": ("Side by side", "나란히 보기"),
    "samples": ("Rows to read", "직접 읽어 보기"),
    "samples_help": (
        "Drawn by hash, evenly over languages and tasks, from the rows after `pii`.",
        "`pii` 단계를 거친 행에서 언어와 과제를 고루 섞어 해시로 뽑았습니다.",
    ),
    "samples_raw": ("Drawn by hash, evenly over languages and tasks.", "언어와 과제를 고루 섞어 해시로 뽑았습니다."),
    "hidden": ("Text is not shown, see “Personal data”.", "글은 보여 주지 않습니다. ‘개인정보’를 보세요."),
    "role_user": ("User", "사용자"),
    "role_assistant": ("Assistant", "도우미"),
    "role_system": ("System", "시스템"),
    "role_tool": ("Tool", "도구"),
    "role_document": ("Document", "문서"),
    "recipe": ("Recipe", "만드는 법"),
    "recipe_help": (
        "Stages in order, with every setting that differs from its default. Lists are given by their length.",
        "단계 순서대로, 기본값과 다른 설정만 적었습니다. 목록은 개수만 보입니다.",
    ),
    "defaults": ("defaults", "기본값"),
    "items": ("{count} entries", "{count}개"),
    "as_table": ("As a table", "표로 보기"),
    "from_to": ("From – to", "구간"),
    "footer": (
        "Made by datakit. This page is one file: it loads nothing and sends nothing.",
        "datakit으로 만들었습니다. 이 보고서는 파일 하나이며, 아무것도 불러오거나 보내지 않습니다.",
    ),
    # Sentences of "what happened"
    "read_and_kept": (
        "{read} {kind} were read and {kept} remained after cleaning ({dropped} dropped, {folded} folded into a "
        "copy that stays).",
        "{kind} {read}건을 읽어 정리한 뒤 {kept}건이 남았습니다(버림 {dropped}건, 같은 글로 묶음 {folded}건).",
    ),
    "pii_found": (
        "{count} pieces of personal data of {kinds} kinds were replaced.",
        "개인정보 {kinds}종 {count}건을 찾아 바꾸었습니다.",
    ),
    "pii_nothing": (
        "The personal-data rules found nothing to replace.",
        "개인정보 규칙이 찾은 것은 없습니다.",
    ),
    "pii_not_run": (
        "No personal-data stage ran.",
        "개인정보를 가리는 단계는 실행하지 않았습니다.",
    ),
    "became_packed": (
        "{rows} {kind} came of them; {laid} lie in {packs} packs that are {fill} full.",
        "{kind} {rows}개를 얻어, 그중 {laid}개를 팩 {packs}개에 담았습니다(자리의 {fill}를 채움).",
    ),
    "became": (
        "The dataset holds {rows} {kind}.",
        "데이터셋에는 {kind} {rows}개가 들어 있습니다.",
    ),
    "learned_sentence": (
        "Training moved the loss on held-out rows from {before} to {after} ({change}).",
        "학습으로 따로 둔 행의 손실이 {before}에서 {after}로 바뀌었습니다({change}).",
    ),
}

KINDS: dict[str, tuple[str, str]] = {
    "document": ("documents", "문서"),
    "example": ("instruction rows", "지시문 행"),
    "tokens": ("token rows", "토큰 행"),
    "packed": ("packs", "팩"),
}

STAGES: dict[str, tuple[str, str]] = {
    "ingest": ("Read", "읽기"),
    "normalize": ("Normalize", "글 정돈"),
    "language": ("Language", "언어 판별"),
    "quality": ("Quality", "품질 고르기"),
    "dedup": ("Deduplicate", "중복 제거"),
    "passages": ("Repeated passages", "반복 구절 덜어 내기"),
    "semantic": ("Same meaning", "같은 뜻 묶기"),
    "decontaminate": ("Decontaminate", "평가 문항 걸러내기"),
    "pii": ("Personal data", "개인정보 가리기"),
    "synthesize": ("Synthesize", "지시문 만들기"),
    "defects": ("Broken rows", "잘못된 행 걸러내기"),
    "judge": ("Judge", "모델로 채점하기"),
    "review": ("Review", "사람이 검토하기"),
    "select": ("Select", "추려내기"),
    "mix": ("Mix", "섞는 비율 맞추기"),
    "split": ("Split", "학습·검증 나누기"),
    "template": ("Template", "틀에 담기"),
    "tokenize": ("Tokenize", "토큰으로 바꾸기"),
    "pack": ("Pack", "팩에 담기"),
    "export": ("Export", "내보내기"),
}

RULES: dict[str, tuple[str, str]] = {
    "unreadable": ("unreadable line", "읽을 수 없는 줄"),
    "empty": ("empty", "빈 글"),
    "too_large": ("file entry too large", "한 건이 너무 큼"),
    "no_article": ("no article (redirect, talk page)", "문서가 아님(넘겨주기·토론 등)"),
    "no_output": ("no answer", "답이 없음"),
    "leaked": ("two tasks in one", "두 과제가 섞임"),
    "senses": ("needs eyes, ears or a browser", "보거나 듣거나 열어야 함"),
    "no_input": ("input says there is none", "입력 없음이라고 적힌 입력"),
    "same_output": ("answer repeats the question", "질문을 그대로 되풀이한 답"),
    "refusal": ("refuses to answer", "답하기를 거절함"),
    "answer_language": ("answer in another language", "다른 언어로 쓴 답"),
    "truncated": ("answer breaks off", "중간에 끊긴 답"),
    "escapes": ("stray escapes", "깨진 이스케이프 문자"),
    "no_code": ("code asked for, none given", "코드가 없는 코드 답"),
    "wrong_sum": ("a sum is wrong", "계산이 틀림"),
    "no_text": ("no text column", "글이 없음"),
    "bad_turns": ("turns out of order", "대화 차례가 어긋남"),
    "other_language": ("another language than asked for", "요청과 다른 언어"),
    "not_chosen": ("not chosen", "뽑히지 않음"),
    "refused": ("refused by the template", "틀에 맞지 않음"),
    "lost_turn": ("a turn that the template left out", "양식에서 빠진 말이 있는 대화"),
    "tool_control": ("a tool call that would become control tokens", "도구 호출에 제어 토큰이 있음"),
    "many_turns": ("more than one question", "질문이 여러 번인 대화"),
    "wrong_language": ("another language", "다른 언어"),
    "mixed_language": ("mixed languages", "언어가 섞임"),
    "exact_copy": ("exact copy", "똑같은 사본"),
    "near_copy": ("near copy", "거의 같은 사본"),
    "little_left": ("little left without repeated passages", "반복 구절을 빼면 남는 글이 적음"),
    "same_meaning": ("same meaning as another", "다른 글과 뜻이 같음"),
    "contaminated": ("overlaps held-out rows", "평가 문항과 겹침"),
    "pii_dense": ("too much personal data", "개인정보가 너무 많음"),
    "pii_found": ("holds personal data", "개인정보가 들어 있음"),
    "pii_limit": ("too long to search safely", "안전하게 찾기에는 너무 긺"),
    "few_characters": ("too few characters", "글자가 너무 적음"),
    "no_letters": ("numbers or signs only", "숫자나 기호뿐"),
    "few_words": ("too few words", "낱말이 너무 적음"),
    "many_words": ("too many words", "낱말이 너무 많음"),
    "boilerplate": ("page furniture", "메뉴·안내 문구뿐"),
    "duplicate_lines": ("repeated lines", "같은 줄 반복"),
    "duplicate_lines_characters": ("mostly repeated lines", "반복된 줄이 대부분"),
    "duplicate_paragraphs": ("repeated paragraphs", "같은 문단 반복"),
    "duplicate_paragraphs_characters": ("mostly repeated paragraphs", "반복된 문단이 대부분"),
    "repeated_words": ("repeated words", "같은 낱말 반복"),
    "repeated_ngrams": ("repeated phrases", "같은 구절 반복"),
    "top_ngrams": ("one phrase throughout", "한 구절만 되풀이"),
    "few_letters": ("few words with letters", "글자로 된 낱말이 적음"),
    "odd_words": ("odd words", "말이 안 되는 낱말"),
    "jamo": ("loose jamo", "낱자(ㅋㅋ, ㅠㅠ)가 많음"),
    "symbols": ("many symbols", "기호가 많음"),
    "digits": ("many digits", "숫자가 많음"),
    "urls": ("mostly addresses", "주소(URL)가 대부분"),
    "short_words": ("very short words", "낱말이 너무 짧음"),
    "long_words": ("very long words", "낱말이 너무 긺"),
    "few_stopwords": ("no running text", "문장이 아님"),
    "bullets": ("mostly bullet points", "글머리표가 대부분"),
    "ellipses": ("lines cut short", "말줄임표로 끊긴 줄이 많음"),
    "few_sentences": ("few sentences", "문장이 적음"),
    "few_sentence_lines": ("few full sentences", "온전한 문장이 적음"),
    "lorem_ipsum": ("lorem ipsum", "채움 글(로렘 입숨)"),
    "toxic": ("toxic words", "욕설·유해 낱말"),
    "policy": ("mostly notices", "약관·쿠키 안내가 대부분"),
    "javascript": ("asks for JavaScript", "자바스크립트 안내가 대부분"),
    "braces": ("code, not text", "글이 아니라 코드"),
    "hashes": ("many number signs", "샵(#) 기호가 많음"),
    "many_ellipses": ("many ellipses", "말줄임표가 많음"),
    "short_lines": ("mostly short lines", "짧은 줄이 대부분"),
    "line_breaks": ("more lines than text", "줄바꿈이 너무 많음"),
    "long_lines": ("long lines", "줄이 너무 긺"),
    "longest_line": ("a very long line", "아주 긴 줄이 있음"),
    "perplexity": ("unlikely text", "말이 되지 않는 글"),
    "no_task": ("no task found", "만들 과제 없음"),
    "no_row": ("nothing sound was written", "쓸 만한 응답 없음"),
    "not_asked": ("not asked: enough rows, or the budget is used up", "묻지 않음: 행이 충분하거나 예산을 다 씀"),
    "low_score": ("low score of the judge", "채점 점수가 낮음"),
    "not_preferred": ("the chosen answer did not win", "고른 답이 이기지 못함"),
    "position_bias": ("the judge went by the order", "순서에 따라 판정이 뒤바뀜"),
    "unjudged": ("no verdict", "판정 없음"),
    "rejected": ("rejected by a reviewer", "검토자가 뺌"),
    "unreviewed": ("not reviewed", "검토하지 않음"),
    "not_selected": ("not selected", "뽑히지 않음"),
    "high_ifd": ("question and answer don't fit", "질문과 답이 맞지 않음"),
    "not_used": ("not used", "쓰지 않음"),
    "sampled_out": ("over its quota", "정한 몫을 넘음"),
    "no_answer": ("no answer", "답이 없음"),
    "repeat": ("repeat of an earlier instruction", "앞선 지시문의 되풀이"),
    "no_reply": ("no reply", "응답 없음"),
    "too_long": ("too long", "너무 김"),
    "too_short": ("too short", "너무 짧음"),
    "nothing_trained": ("nothing to learn", "학습할 부분 없음"),
}

RULES |= {rule.name: (f"datatrove: {rule.name[3:]}", f"datatrove: {rule.name[3:]}") for rule in DATATROVE_RULES}

EVIDENCE: dict[str, tuple[str, str]] = {
    "label": ("a label before it", "앞에 붙은 이름표"),
    "checksum": ("its check digit", "검증 숫자"),
    "shape": ("its shape", "꼴"),
}
PERSONAL: dict[str, tuple[str, str]] = {
    "EMAIL": ("E-mail address", "이메일"),
    "PHONE": ("Telephone number", "전화번호"),
    "RRN": ("Resident registration number", "주민등록번호"),
    "FRN": ("Foreigner registration number", "외국인등록번호"),
    "PASSPORT": ("Passport number", "여권번호"),
    "DRIVER_LICENSE": ("Driver’s licence number", "운전면허번호"),
    "BRN": ("Business registration number", "사업자등록번호"),
    "CORP_NO": ("Corporation number", "법인등록번호"),
    "BANK_ACCOUNT": ("Bank account", "계좌번호"),
    "CARD": ("Payment card", "카드번호"),
    "VEHICLE": ("Number plate", "차량번호"),
    "IP": ("IP address", "IP 주소"),
    "MAC": ("MAC address", "MAC 주소"),
    "IBAN": ("IBAN", "국제계좌번호(IBAN)"),
    "US_SSN": ("US social security number", "미국 사회보장번호"),
    "SECRET": ("Key or password", "비밀 키·비밀번호"),
    "URL_CREDENTIAL": ("Credential in a URL", "주소 속 인증 정보"),
    "MESSENGER_ID": ("Messenger name", "메신저 아이디"),
    "PERSON": ("Name", "이름"),
    "ADDRESS": ("Postal address", "주소"),
    "BIRTH_DATE": ("Date of birth", "생년월일"),
}

LANGUAGES: dict[str, tuple[str, str]] = {
    "ko": ("Korean", "한국어"),
    "en": ("English", "영어"),
    "ja": ("Japanese", "일본어"),
    "zh": ("Chinese", "중국어"),
    "de": ("German", "독일어"),
    "fr": ("French", "프랑스어"),
    "es": ("Spanish", "스페인어"),
    "und": ("undetermined", "알 수 없음"),
    "": ("not determined", "판별하지 않음"),
}

TASKS: dict[str, tuple[str, str]] = {
    "answer": ("Answer from the text", "글에서 답 찾기"),
    "check": ("True or not", "맞는지 가리기"),
    "cloze": ("Fill the gap", "빈칸 채우기"),
    "continue": ("Continue", "이어 쓰기"),
    "connective": ("Connecting word", "이음말 고르기"),
    "definition": ("Definition", "뜻풀이"),
    "example": ("Example", "보기 들기"),
    "extract": ("Extraction", "정보 뽑기"),
    "heading": ("Heading", "소제목"),
    "order": ("Put in order", "차례 맞추기"),
    "question": ("Question writing", "질문 만들기"),
    "reason": ("Reason", "까닭 말하기"),
    "restate": ("Say it again", "다시 말하기"),
    "result": ("Consequence", "결과 말하기"),
    "summary": ("Summary", "요약"),
    "term": ("Name the term", "용어 맞히기"),
    "title": ("Title", "제목 붙이기"),
    "when": ("When", "때 말하기"),
    "write": ("Write to a title", "제목으로 쓰기"),
    "generation": ("Free task", "자유 과제"),
    "classification": ("Classification", "분류"),
    "task": ("Whole task", "지시·입력·출력"),
    "magpie": ("The teacher's own question", "교사 모델이 던진 질문"),
    "rewrite": ("Rewrite", "고쳐 쓰기"),
    "dialogue": ("Conversation", "대화"),
    "backtranslate": ("Request for a text", "글에 맞는 부탁"),
    "evolve_constraints": ("Evolved: one more condition", "어렵게: 조건 더하기"),
    "evolve_deepen": ("Evolved: deeper", "어렵게: 더 깊이"),
    "evolve_concretize": ("Evolved: a specific case", "어렵게: 구체적으로"),
    "evolve_reasoning": ("Evolved: more steps", "어렵게: 여러 단계로"),
    "evolve_breadth": ("Evolved: another of its kind", "넓게: 비슷한 새 과제"),
    "paraphrase": ("In other words", "다른 말로"),
    "translate": ("Translation", "번역"),
    "reasoning": ("Reasoning", "풀이"),
    "preference": ("Preference", "선호"),
}

COLUMNS: dict[str, tuple[str, str]] = {
    "rows": ("rows", "행"),
    "characters": ("mean characters", "평균 글자 수"),
    "lang": ("languages", "언어"),
    "task": ("tasks", "과제"),
    "quality": ("mean quality", "평균 품질"),
    "ifd": ("mean IFD", "평균 IFD"),
    "perplexity": ("mean perplexity", "평균 혼란도"),
    "overlap": ("same rows as", "겹치는 행"),
}

METHODS: dict[str, tuple[str, str]] = {
    "all rows": ("all rows", "모든 행"),
    "random": ("random", "무작위"),
    "longest": ("longest", "긴 답"),
    "quality": ("quality", "품질 점수"),
    "ifd": ("difficulty (IFD)", "난이도(IFD)"),
    "diverse": ("diverse", "다양성"),
}

TABLES = {
    "kind": KINDS,
    "stage": STAGES,
    "rule": RULES,
    "pii": PERSONAL,
    "evidence": EVIDENCE,
    "lang": LANGUAGES,
    "task": TASKS,
    "column": COLUMNS,
    "method": METHODS,
}


def both(english: object, korean: object) -> Markup:
    """Both languages, each in its own span; plain strings are escaped."""
    return Markup('<span class="en" lang="en">{}</span><span class="ko" lang="ko">{}</span>').format(english, korean)


def say(name: str, /, **values: Any) -> Markup:
    """The words called `name`; a value may be a pair (English, Korean)."""
    told = []
    for place, text in enumerate(WORDS[name]):
        mine = {key: value[place] if isinstance(value, tuple) else value for key, value in values.items()}
        told.append(code_marks(escape(text)).format(**mine))
    return both(*told)


def plain(name: str) -> str:
    """Both languages in one attribute value, where no markup can stand."""
    english, korean = WORDS[name]
    return english if english == korean else f"{english} / {korean}"


def pair(table: str, name: str) -> tuple[str, str]:
    """Both names of a rule, stage, kind, language ...; an unknown one is its own name with spaces."""
    known = TABLES[table].get(name)
    return known or (name.replace("_", " "), name.replace("_", " "))


def called(table: str, name: str) -> Markup:
    """Both names of a rule, stage, kind, language ..., as spans."""
    return both(*pair(table, name))


def code_marks(text: Markup) -> Markup:
    """`word` between back ticks as <code>."""
    parts = text.split("`")
    return Markup("").join(Markup("<code>{}</code>").format(part) if n % 2 else part for n, part in enumerate(parts))
