"""Model soups: the mean of several runs' weights, with one network's cost (Wortsman et al. 2022, arXiv 2203.05482).

Fine-tuned from one start, runs that differ in seed or settings end in one basin of the loss, where the mean of weights
makes fewer errors than most of them. Of pruned networks that holds where all have the same mask (Zimmer et al. 2023,
arXiv 2306.16788): then the mean has the same zeros and widths.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..base.errors import SecateurError
from ..base.options import to_dict
from .family import Config

ALIKE = 0.5  # cosine of two runs' matrices; of one start it is above 0.9, of other units that stayed near 0
SPARSE = 0.01  # share of zeros from which a matrix counts as pruned
OTHER_ZEROS = 0.001  # share of a matrix that may be zero in one run only (weights that fp16 rounded to it)

State = Mapping[str, Tensor]


@dataclass(frozen=True)
class Ingredient:
    """One run: its name (for messages), config and weights."""

    name: str
    config: Config
    state: State


@dataclass(frozen=True)
class Soup:
    """The mean of some ingredients, by number, and every error rate that was measured on the way there."""

    chosen: tuple[int, ...]
    state: dict[str, Tensor]
    tried: tuple[tuple[tuple[int, ...], float], ...] = ()


def check_ingredients(ingredients: Sequence[Ingredient]) -> None:
    """Refuse runs whose mean is no network: other widths, other zeros, another start.

    Raises:
        SecateurError: fewer than two runs, or the first two that do not go together, and why.
    """
    if len(ingredients) < 2:
        raise SecateurError(f"a soup is made of two or more runs, found {len(ingredients)}")
    first = ingredients[0]
    for other in ingredients[1:]:
        ours, theirs = to_dict(first.config), to_dict(other.config)
        differing = [key for key in ours if key != "name" and ours[key] != theirs.get(key)]
        if ours.keys() != theirs.keys() or differing:
            raise SecateurError(
                f"{first.name} and {other.name} differ in {', '.join(differing[:3]) or 'family'}: a soup is made of "
                "runs with the same widths, tuned from one (pruned) model"
            )
        for name, value in first.state.items():
            _check_matrix(name, value, other.state[name], (first.name, other.name))


def _check_matrix(name: str, a: Tensor, b: Tensor, runs: tuple[str, str]) -> None:
    if a.dim() < 2:
        return
    zeros = a.eq(0), b.eq(0)
    differing = float((zeros[0] ^ zeros[1]).float().mean())
    if max(float(z.float().mean()) for z in zeros) > SPARSE and differing > OTHER_ZEROS:
        raise SecateurError(
            f"{name}: {100 * differing:.1f} % is zero in only one of {runs[0]} and {runs[1]}: a soup of pruned runs "
            "needs one mask; tune them from one pruned run"
        )
    cosine = torch.nn.functional.cosine_similarity(a.float().flatten(), b.float().flatten(), 0)
    if float(cosine) < ALIKE:
        raise SecateurError(
            f"{name} of {runs[0]} and {runs[1]} has nothing in common (cosine {float(cosine):.2f}): a soup is made of "
            "runs tuned from one model"
        )


@torch.no_grad()
def mean_weights(states: Sequence[State]) -> dict[str, Tensor]:
    """The mean of every tensor, in float32; what is zero in all stays zero, counts are the first one's."""
    return {
        name: torch.stack([state[name].float() for state in states]).mean(0)
        if value.is_floating_point()
        else value.clone()
        for name, value in states[0].items()
    }


def uniform_soup(ingredients: Sequence[Ingredient]) -> Soup:
    """The mean of all.

    Raises:
        SecateurError: see `check_ingredients`.
    """
    check_ingredients(ingredients)
    return Soup(tuple(range(len(ingredients))), mean_weights([one.state for one in ingredients]))


def greedy_soup(ingredients: Sequence[Ingredient], judge: Callable[[State], float]) -> Soup:
    """From the best ingredient on, each next one joins if the error rate that `judge` gives does not rise with it.

    So the soup is no worse on dev than its best ingredient (Wortsman et al. 2022, recipe 1).

    Raises:
        SecateurError: see `check_ingredients`.
    """
    check_ingredients(ingredients)
    tried: list[tuple[tuple[int, ...], float]] = [((i,), judge(one.state)) for i, one in enumerate(ingredients)]
    order = sorted(range(len(ingredients)), key=lambda i: tried[i][1])
    chosen, error = tried[order[0]]
    state = {name: value.clone() for name, value in ingredients[order[0]].state.items()}
    for i in order[1:]:
        candidate = tuple(sorted((*chosen, i)))
        mean = mean_weights([ingredients[j].state for j in candidate])
        tried.append((candidate, judge(mean)))
        if tried[-1][1] <= error:
            chosen, error, state = candidate, tried[-1][1], mean
    return Soup(chosen, state, tuple(tried))
