"""The trainer plugin `lora`: LoRA and QLoRA on packed rows, on one machine, with or without a GPU.

    config.py      every setting
    trainer.py     the run in reading order: check, fit, load
    batches.py     packed rows -> micro-batches, in a planned order
    attention.py   documents in a packed row that do not see each other
    loss.py        cross entropy through a frozen head, only where there is something to learn
    loop.py        steps, schedule, evaluation
    checkpoint.py  exact resume
    adapted.py     a trained adapter that generates and scores
    model_card.py  README.md of the adapter
    failures.py    what goes wrong outside (memory, disk), as one clear error
"""
