"""Fine-tune a ClapModel with ASK in the Hugging Face Trainer; the five added lines are marked with numbers.

    pip install 'askaudio[train,hf]'
    python examples/huggingface_clap.py laion/clap-htsat-unfused clotho:/data/clotho runs/clap --epochs 3

MODEL is a name on the Hub (downloaded by transformers) or a folder, DATA anything that `askaudio data` reads. Long
recordings are cut into fixed windows; the random cut of the model's extractor is not used. The result loads with
transformers and, with text and audio, with sentence-transformers.
"""

from __future__ import annotations

import argparse

import torch
from transformers import AutoTokenizer, ClapFeatureExtractor, ClapModel, Trainer, TrainingArguments

from askaudio.ask.objective import ASK
from askaudio.data.readers.open import open_dataset
from askaudio.interop.clap import ClapPairs, row_encoder
from askaudio.interop.transformers import ASKCallback, ASKLoss
from askaudio.knowledge.base.knowledge_base import KnowledgeBase
from askaudio.losses.ntxent import NTXent


def make_trainer(model: ClapModel, pairs: ClapPairs, out: str, epochs: int, batch: int, lr: float = 1e-5) -> Trainer:
    encode = row_encoder(model, pairs)  # 1: rows -> fresh embeddings
    base = KnowledgeBase.encoded(pairs.ids, encode)  # 2: the pairs as knowledge
    ask = ASK(base, NTXent(0.05, learn_temperature=True), encode=encode)  # 3
    settings = TrainingArguments(
        out,
        num_train_epochs=epochs,
        per_device_train_batch_size=batch,
        learning_rate=lr,
        remove_unused_columns=False,
        report_to="none",
        save_strategy="epoch",
        logging_steps=10,
    )
    model.accepts_loss_kwargs = False  # ClapModel would hand the trainer's number of pairs down to its audio tower
    optimizer = torch.optim.AdamW([*model.parameters(), *ask.parameters()], lr=lr)  # with the learned temperature
    return Trainer(
        model,
        settings,
        data_collator=pairs.collate,
        train_dataset=pairs,
        compute_loss_func=ASKLoss(ask),  # 4
        callbacks=[ASKCallback(ask)],  # 5: steps and epochs are counted, the base is encoded again
        optimizers=(optimizer, None),
    )


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("data")
    parser.add_argument("out")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--batch", type=int, default=24)
    parser.add_argument("--lr", type=float, default=1e-5)
    args = parser.parse_args(arguments)
    torch.manual_seed(0)
    model = ClapModel.from_pretrained(args.model)
    extractor = ClapFeatureExtractor.from_pretrained(args.model)
    tokenizer = AutoTokenizer.from_pretrained(args.model)
    clips = open_dataset(args.data)
    if any(clip.split for clip in clips):
        clips = clips.split("train")
    trainer = make_trainer(
        model, ClapPairs(clips.clips, extractor, tokenizer), args.out, args.epochs, args.batch, args.lr
    )
    trainer.train()
    for part in (model, extractor, tokenizer):
        part.save_pretrained(args.out)


if __name__ == "__main__":
    main()
