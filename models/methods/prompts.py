"""Prompt learning: the masked-language head fills a cloze, or trained vectors steer the encoder."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from models.encoder import TextEncoder
from models.encoder_files import source_of
from models.masked_language import new_head, pretrained_head, word_embeddings
from models.methods.supervised import adapt_warm, classifier_of
from models.methods.task import FittingTask
from models.prompt import Cloze, SoftPrompt, mask_token
from models.text_classifier import TextClassifier
from shared.finetuning.prompts import verbalise
from shared.finetuning.zero_shot import readable


def adapt_cloze(encoder: TextEncoder, task: FittingTask) -> TextClassifier:
    """A cloze around every text; class vectors start from the words of each class (the verbaliser).

    ``prompt.words`` says how much of the start is the words', and how much logistic regression at
    the gap. A masked-language head in the encoder's files is used with its own output vectors,
    which need not be the word embeddings; where there is none, one is trained on the texts first.
    (The bias that it adds to each word falls out with what the gap says of every text.)
    EncoderError for a tokenizer without a mask token.
    """
    mask_token(encoder.tokenizer, encoder.name)
    found = pretrained_head(source_of(encoder.name))
    if found is not None:
        head, output = found.head, found.words
    else:
        head, output = new_head(encoder.backbone), word_embeddings(encoder.backbone)
        if task.recipe.prompt.pretraining:
            from models.methods.domain_pretraining import pretrain

            settings = task.recipe.domain.model_copy(
                update={"epochs": task.recipe.prompt.pretraining}
            )
            recipe = task.recipe.model_copy(update={"domain": settings})
            encoder = pretrain(encoder, replace(task, recipe=recipe), head, name="cloze")
            output = word_embeddings(encoder.backbone)
    cloze = Cloze.of(task.recipe.prompt.template, encoder.tokenizer, encoder.name, head)
    encoder.attach(cloze.to(task.hardware.device))
    cloze.centre.copy_(_mean_state(encoder, cloze, task))
    embeddings = output.detach().float().cpu().numpy()
    unknown = encoder.tokenizer.unk_token_id
    words = [
        encoder.tokenizer(f" {readable(label)}", add_special_tokens=False)["input_ids"] or [unknown]
        for label in task.labels
    ]
    said = torch.from_numpy(verbalise(words, embeddings)).to(task.hardware.device)
    share = task.recipe.prompt.words
    if share == 1.0:
        bias = np.zeros(len(task.labels), dtype=np.float32)
        weight = said.cpu().numpy()
        return classifier_of(encoder, weight, bias, scale=task.recipe.head_scale, cosine=True)
    classifier = adapt_warm(encoder, task)
    with torch.no_grad():
        classifier.head.weight.mul_(1 - share).add_(share * said)
    return classifier


def _mean_state(encoder: TextEncoder, cloze: Cloze, task: FittingTask) -> torch.Tensor:
    """What the head makes of the gap on the average of the training texts, [dimensions].

    States at the gap are nearly one vector (a cosine of .93 between Banking77's): what they share
    hides what tells classes apart. Source: Zhao et al., "Calibrate before use", 2021,
    arXiv:2102.09690, who take away what a prompt says without a text.
    """
    sums: list[torch.Tensor] = []
    handle = cloze.head.register_forward_hook(
        lambda _module, _given, states: sums.append(states.float().sum(dim=0))
    )
    texts = [example.text for example in task.training]
    try:
        encoder.embed(texts, hardware=task.hardware)
    finally:
        handle.remove()
    return torch.stack(sums).sum(dim=0) / len(texts)


def adapt_soft_prompt(encoder: TextEncoder, task: FittingTask) -> TextClassifier:
    """Vectors before every text, which start as words of the vocabulary; the encoder rests."""
    from peft import PromptTuningConfig, PromptTuningInit
    from peft.tuners.prompt_tuning import PromptEmbedding

    words = encoder.backbone.get_input_embeddings()  # type: ignore[operator]
    configuration = PromptTuningConfig(
        num_virtual_tokens=task.recipe.prompt.tokens,
        token_dim=words.weight.shape[1],
        num_transformer_submodules=1,
        prompt_tuning_init=PromptTuningInit.SAMPLE_VOCAB,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(task.recipe.seed)
        start = PromptEmbedding(configuration, words).embedding.weight  # type: ignore[no-untyped-call]
    encoder.attach(SoftPrompt(start).to(task.hardware.device))
    classifier = adapt_warm(encoder, task)
    encoder.requires_grad_(False)
    assert encoder.prompt is not None
    encoder.prompt.requires_grad_(True)
    return classifier
