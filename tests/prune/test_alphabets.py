"""Vocabulary rows by alphabet: sentences of many languages keep every token, other scripts lose theirs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from small_models import inputs, small_whisper

from secateur.base.errors import SecateurError
from secateur.cli import main
from secateur.families.whisper.config import WhisperConfig, read_config
from secateur.families.whisper.vocabulary import LANGUAGES
from secateur.models.checkpoint import save_checkpoint
from secateur.prune.initial_model import make_initial_model
from secateur.prune.settings import PruneSettings
from secateur.prune.vocabulary import chosen_alphabet, rows_of_alphabet
from secateur.runtime.onnx_session import OnnxSession
from secateur.text.alphabets import alphabet_of, spells, written_with
from secateur.text.tokenizer import Tokenizer

SENTENCES = {
    "el": "Η γρήγορη αλεπού πήδηξε πάνω από τον σκύλο· «ναι», είπε.",
    "ru": "Съешь же ещё этих мягких французских булок!",
    "uk": "Їжак з'їв ґрунтовну шпигунську книжку – 25 сторінок.",
    "bg": "Жълтата дюля беше щастлива.",
    "mn": "Өнөөдөр цаг агаар үнэхээр сайхан байна.",
    "kk": "Қазақстан — үлкен ел, әрі әдемі.",
    "sr": "Љубазни фењерџија, čiča đak.",
    "ar": "صِف خَلقَ خَودٍ كَمِثلِ الشَمسِ، ٢٥ مرة؟",
    "fa": "گربه روی میز می‌نشیند؛ چرا؟ ۱۲",
    "ur": "یہ ایک خوبصورت دن ہے۔",
    "he": "דג סקרן שט בים מאוכזב – ״כן״, אמר.",
    "hi": "यह एक सुंदर दिन है। क्या आप १२ बजे आएँगे?",
    "mr": "आज हवामान छान आहे.",
    "bn": "আজ আবহাওয়া খুব সুন্দর।",
    "ta": "இன்று வானிலை நன்றாக உள்ளது.",
    "te": "ఈ రోజు వాతావరణం బాగుంది.",
    "kn": "ಇಂದು ಹವಾಮಾನ ಚೆನ್ನಾಗಿದೆ.",
    "ml": "ഇന്ന് കാലാവസ്ഥ നല്ലതാണ്.",
    "gu": "આજે હવામાન સરસ છે.",
    "pa": "ਅੱਜ ਮੌਸਮ ਚੰਗਾ ਹੈ।",
    "si": "අද කාලගුණය හොඳයි.",
    "th": "วันนี้อากาศดีมาก ๆ ใช่ไหม",
    "lo": "ມື້ນີ້ອາກາດດີຫຼາຍ",
    "km": "ថ្ងៃនេះអាកាសធាតុល្អណាស់។",
    "my": "ဒီနေ့ ရာသီဥတု ကောင်းတယ်။",
    "ka": "დღეს კარგი ამინდია.",
    "hy": "Այսօր լավ եղանակ է։",
    "am": "ዛሬ አየሩ ጥሩ ነው።",
    "bo": "དེ་རིང་གནམ་གཤིས་ཡག་པོ་འདུག",
    "ko": "오늘 날씨가 정말 좋네요!",
    "ja": "今日はとても良い天気ですね。コーヒーを２杯飲みました。",
    "zh": "今天天气很好，我们去公园吧！“好”，他说。",
    "en": "The quick brown fox — it's 9 o'clock — said: “café, naïve?” £5",
    "de": "Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich.",
    "fr": "Où l’œuvre naïve d’un garçon gâté s’achève-t-elle ?",
    "es": "¿Qué pingüino comió jamón añejo? ¡Ése!",
    "pt": "À noite, vovô Kowalsky vê o ímã cair no pé do pinguim; não é ação?",
    "it": "Perché quel vituperabile xenofobo zelante assaggia l'università?",
    "pl": "Zażółć gęślą jaźń – pchnąć w tę łódź jeża.",
    "cs": "Příliš žluťoučký kůň úpěl ďábelské ódy.",
    "sk": "Kŕdeľ ďatľov učí koňa žrať kôru.",
    "hu": "Árvíztűrő tükörfúrógép.",
    "ro": "Gheorghe, obezul, a reușit să obțină jucându-se un flux în Quebec de o mie kilowați-oră.",
    "tr": "Pijamalı hasta yağız şoföre çabucak güvendi. İIıi",
    "vi": "Trăm năm trong cõi người ta, chữ tài chữ mệnh khéo là ghét nhau.",
    "sv": "Flygande bäckasiner söka hwila på mjuka tuvor.",
    "da": "Quizdeltagerne spiste jordbær med fløde, mens cirkusklovnen Wålther spillede.",
    "fi": "Törkylempijävongahdus, ääkköset.",
    "is": "Kæmi ný öxi hér, ykist þjófum nú bæði víl og ádrepa.",
    "lv": "Glāžšķūņa rūķīši dzērumā čiepj Baha koncertflīģeļu vākus.",
    "lt": "Įlinkdama fechtuotojo špaga sublykčiojusi pragręžė apvalų arbūzą.",
    "et": "Põdur Zagrebi tšellomängija-följetonist Ciqo külmetas.",
}


@pytest.fixture(scope="module")
def english(tiny_en: Path) -> tuple[WhisperConfig, Tokenizer, dict[int, bytes]]:
    """The real byte-level vocabulary, with its spelling; what it has no merges for is spelled from bytes."""
    config = read_config(tiny_en / "config.json")
    tokenizer = Tokenizer.read(tiny_en / "tokenizer.json", config.tokens.end)
    return config, tokenizer, tokenizer.spelled()


@pytest.mark.parametrize("language", SENTENCES)
def test_no_token_of_the_language_goes(
    language: str, english: tuple[WhisperConfig, Tokenizer, dict[int, bytes]]
) -> None:
    _, tokenizer, spelled = english
    check = spells(alphabet_of([language]))
    lost = [spelled[i] for i in tokenizer.encode(SENTENCES[language]) if not check(spelled[i])]
    assert lost == []


@pytest.mark.parametrize(("language", "foreign"), [
    ("el", "жλ"), ("el", "ab"), ("ru", "λ"), ("th", "ก日"), ("hi", "ক"), ("zh", "の"), ("ja", "한"), ("en", "ж"),
    ("de", "ő"), ("hy", "ა"),
])  # fmt: skip
def test_what_another_language_writes_goes(language: str, foreign: str) -> None:
    check = spells(alphabet_of([language]))
    assert not check(foreign.encode()) and check(b" 25, (%).") and check("“…”".encode())


@pytest.mark.parametrize("language", ["zh", "el", "en"])
def test_pieces_of_characters_stay_but_not_beside_letters_of_others(language: str) -> None:
    check = spells(alphabet_of([language]))
    good, thai = "你".encode(), "ก".encode()
    assert check(good[:1]) and check(good[:2]) and check(good[1:]) and check(good[2:] + b" " + thai[:2])
    assert not check(thai + good[:1]) and not check(good[2:] + thai)


def test_every_language_of_whisper_has_an_alphabet() -> None:
    assert set(LANGUAGES) <= set(written_with())
    with pytest.raises(SecateurError, match="no alphabet is known of the language 'tlh'"):
        alphabet_of(["tlh"])


def test_rows_go_physically_and_the_others_say_the_same(
    english: tuple[WhisperConfig, Tokenizer, dict[int, bytes]],
) -> None:
    model, tokenizer = small_whisper()
    student = make_initial_model(
        model, tokenizer, [], PruneSettings(vocabulary="alphabet:thecatsonm", audio_seconds=None, text_tokens=None)
    )
    kept = student.rows
    assert kept is not None and 256 < len(kept) < model.config.vocabulary
    assert student.tokenizer.decode(student.tokenizer.encode("the cat sat on a mat")).strip() == "the cat sat on a mat"
    mel, frames, tokens = inputs(model)
    new = {int(old): i for i, old in enumerate(kept)}
    row = torch.tensor([[t for t in line.tolist() if t in new][:3] for line in tokens])
    whole = model(mel, frames, row)[..., kept]
    ours = student.model(mel, frames, row.apply_(lambda t: new[t]))
    torch.testing.assert_close(ours, whole, rtol=1e-4, atol=1e-4)
    config, real, _ = english
    rows = rows_of_alphabet(config, real, alphabet_of(["en"]))["vocabulary"]
    assert len(rows) > 45_000  # an English vocabulary has few rows of other scripts


def test_an_export_keeps_an_alphabet_and_writes_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, tokenizer = small_whisper()
    save_checkpoint(tmp_path / "m", model, tokenizer)
    whole, small = tmp_path / "whole", tmp_path / "small"
    ask = ["export", str(tmp_path / "m"), "--precision", "fp32", "--out"]
    letters = "".join(sorted({c for i in range(tokenizer.end) for c in tokenizer.decode([i]) if c.isalpha()}))
    assert main([*ask, str(whole)]) == 0
    assert main([*ask, str(small), "--vocabulary", f"alphabet:{letters[::2]}"]) == 0
    capsys.readouterr()
    config = read_config(small / "config.json")
    assert 256 < config.vocabulary < read_config(whole / "config.json").vocabulary
    a, b = OnnxSession(whole, threads=1), OnnxSession(small, threads=1)
    mel, frames, _ = inputs(model)
    start = np.full((len(mel), 1), model.config.tokens.start, np.int64)
    first, _ = a.step(start, a.encode(mel.numpy(), frames.numpy()))
    second, _ = b.step(start * 0 + config.tokens.start, b.encode(mel.numpy(), frames.numpy()))
    kept = Tokenizer.read(small / "tokenizer.json", config.tokens.end)
    old = {spelling: i for i, spelling in tokenizer.spelled().items()}
    rows = [old[spelling] for _, spelling in sorted(kept.spelled().items())]
    np.testing.assert_allclose(second[:, : config.tokens.end], first[:, rows], atol=1e-4)
    for more, line in (
        (["--languages", "el"], "add --vocabulary script"),
        (["--vocabulary", "scripts"], "is not yes, no, script"),
        (["--vocabulary", "alphabet:1"], "with letters in it"),
    ):
        assert main([*ask, str(tmp_path / "no"), *more]) == 2
        assert line in capsys.readouterr().err
        assert not (tmp_path / "no").exists()


@pytest.mark.parametrize(
    ("setting", "line"),
    [("scripts", "not yes, no, script"), ("alphabet:", "alphabet:LETTERS"), ("alphabet:123", "letters in it"),
     ("text:/nowhere.txt", "nowhere.txt"), ("script", "--prune.languages")],
)  # fmt: skip
def test_what_names_no_alphabet_is_one_line(setting: str, line: str) -> None:
    with pytest.raises(SecateurError, match=line):
        chosen_alphabet(setting, [])
