"""A hook of mkdocs: links from a page to files outside docs/ name the file; the site does not hold it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

LINK = re.compile(r"\[([^\]]+)\]\((\.\./[^)#\s]+)(#[^)\s]*)?\)")


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Called by mkdocs for every page."""
    docs = Path(config["docs_dir"])
    place = (docs / page.file.src_path).parent

    def plain(match: re.Match[str]) -> str:
        target = (place / match[2]).resolve()
        if target.is_relative_to(docs):
            return match[0]
        name = target.relative_to(docs.parent).as_posix()
        return f"`{name}`" if match[1] in (name, target.name) else f"{match[1]} (`{name}`)"

    return LINK.sub(plain, markdown)
