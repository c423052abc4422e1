"""The trainer plugin `transformers`: transformers' own Trainer on the same packed rows, and nothing of ours in between.

The way to several GPUs (`torchrun -m datakit train DATASET transformers ...`, or `accelerate launch`), to DeepSpeed and
FSDP (`arguments`), and the yardstick: what `lora` computes must be what everybody's Trainer computes.

config.py   the settings; everything else is TrainingArguments' own
trainer.py  check, fit, load: what datakit calls
run.py      packed rows -> documents -> Trainer -> adapter
"""
