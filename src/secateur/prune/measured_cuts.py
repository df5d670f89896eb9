"""What is cut before training by what layers read on clips: the width of the residual stream, then ranks."""

from __future__ import annotations

import copy
from dataclasses import replace

from ..base.progress import say
from ..data.job import JobData
from .initial_model import InitialModel
from .low_rank import factored, ranks_of, run_on_clips, with_ranks
from .settings import PruneSettings
from .width import narrowed, width_of, with_width


def with_measured_cuts(initial: InitialModel, data: JobData, settings: PruneSettings) -> InitialModel:
    """`initial` with what `settings` cut of its width and ranks, by clips of the training and rehearsal sets; itself
    when they cut neither.

    Raises:
        SecateurError: see `width_of` and `ranks_of`.
    """
    if not _cuts_width(settings) and not settings.low_rank:
        return initial
    model = copy.deepcopy(initial.model).to(data.device).eval()
    if _cuts_width(settings):
        width = width_of(model, settings.width or 1.0)
        say(f"width: {width} of {model.config.width} dimensions of the residual stream stay")
        model = narrowed(model, width, run_on_clips(model, initial.tokenizer, data))
    if ranks := ranks_of(model.config, settings.low_rank) if settings.low_rank else {}:
        say(f"{len(ranks)} matrices are factored, with ranks {min(ranks.values())} to {max(ranks.values())}")
        model = factored(model, ranks, run_on_clips(model, initial.tokenizer, data))
    return replace(initial, model=model)


def measured_cuts_planned(initial: InitialModel, settings: PruneSettings) -> InitialModel:
    """`initial` with a network of the sizes that `with_measured_cuts` gives, without its values.

    Raises:
        SecateurError: see `with_measured_cuts`.
    """
    model = initial.model
    if _cuts_width(settings):
        model = with_width(model, width_of(model, settings.width or 1.0))
    if settings.low_rank:
        model = with_ranks(model, {**model.config.ranks, **ranks_of(model.config, settings.low_rank)})
    return replace(initial, model=model)


def _cuts_width(settings: PruneSettings) -> bool:
    return settings.width is not None and settings.width < 1
