"""Soups of a study's runs, or of any checkpoints: the greedy choice is made on dev."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from ..base.files import Json
from ..base.progress import say
from ..data.job import JobData
from ..evaluate.scoring import decode_set
from ..models.checkpoint import as_saved, load_checkpoint
from ..models.family import TextCodec
from ..models.network import Network
from ..models.soup import Ingredient, State, greedy_soup, uniform_soup

SoupKind = Literal["greedy", "uniform"]


def make_soup(
    folders: Sequence[Path], data: JobData | None, kind: SoupKind, label: str
) -> tuple[Network, TextCodec, Json]:
    """The soup of the checkpoints in `folders`, its text codec, and what was tried on `data.dev`.

    Raises:
        SecateurError: a checkpoint that cannot be read, or runs that do not go together.
    """
    loaded = [load_checkpoint(folder) for folder in folders]
    model, text = loaded[0]
    ingredients = [
        Ingredient(str(folder), one.config, dict(one.state_dict()))
        for folder, (one, _) in zip(folders, loaded, strict=True)
    ]

    def judge(state: State) -> float:
        assert data is not None
        current = copy.deepcopy(model)
        current.load_state_dict(dict(state))
        current = as_saved(current.to(data.device).eval())
        rate = decode_set(current, text, data, "dev", data.dev, label).rate
        say(f"{label}: dev {100 * rate:.2f}")
        return rate

    soup = uniform_soup(ingredients) if kind == "uniform" or data is None else greedy_soup(ingredients, judge)
    mixed = copy.deepcopy(model)
    mixed.load_state_dict(soup.state)
    names = [str(folder) for folder in folders]
    say(f"{label}: a soup of {', '.join(names[i] for i in soup.chosen)}")
    tried = [{"of": [names[i] for i in members], "dev": error} for members, error in soup.tried]
    return mixed.eval(), text, {"of": [names[i] for i in soup.chosen], "tried": tried}
