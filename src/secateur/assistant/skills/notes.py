"""Notes: take one, read them back."""

from __future__ import annotations

from ..skill import Context, Slots, skill


@skill("takeNote")
def take_note(slots: Slots, context: Context) -> str:
    """One line more in the file."""
    with context.settings.notes.open("a", encoding="utf-8") as file:
        file.write(slots["text"] + "\n")
    return context.say(f"Noted: {slots['text']}.", f"记下了：{slots['text']}。")


@skill("readNotes")
def read_notes(slots: Slots, context: Context) -> str:
    """The last five."""
    path = context.settings.notes
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    if not lines:
        return context.say("There are no notes.", "没有笔记。")
    return context.say("Your notes: " + "; ".join(lines[-5:]) + ".", "笔记：" + "；".join(lines[-5:]) + "。")
