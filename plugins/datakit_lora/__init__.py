"""The trainer plugin `lora`: LoRA and QLoRA on packed rows, on one machine, with or without a GPU.

config.py      every setting
trainer.py     check, fit, load: what datakit calls
checks.py      what a dataset and a base say against each other
run.py         one training run in reading order
device.py      where to compute, in which number type
adapter.py     the adapter put on a base, and written as a folder
batches.py     packed rows -> micro-batches, in a planned order
attention.py   documents in a packed row that do not see each other
loss.py        cross entropy through a frozen head, only where there is something to learn
loop.py        steps, schedule, evaluation
checkpoint.py  exact resume
adapted.py     a trained adapter that generates and scores
model_card.py  README.md of the adapter
failures.py    what goes wrong outside (memory, disk), as one clear error
"""
