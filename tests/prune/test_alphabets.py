"""Vocabulary rows by alphabet: sentences of many languages keep every token, other scripts lose theirs."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from small_models import inputs, small_whisper

from secateur.base.errors import SecateurError
from secateur.families.whisper.vocabulary import LANGUAGES
from secateur.models.checkpoint import load_checkpoint
from secateur.prune.initial_model import make_initial_model
from secateur.prune.settings import PruneSettings
from secateur.prune.vocabulary import chosen_alphabet, rows_of_alphabet
from secateur.text.alphabets import LETTERS, SCRIPTS, alphabet_of, spells

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
def english(tiny_en: Path) -> tuple[object, object]:
    """The real byte-level vocabulary; what it has no merges for is spelled from bytes."""
    model, tokenizer = load_checkpoint(tiny_en)
    return model.config, tokenizer


@pytest.mark.parametrize("language", SENTENCES)
def test_no_token_of_the_language_goes(language: str, english: tuple[object, object]) -> None:
    _, tokenizer = english
    check = spells(alphabet_of([language]))
    spelled = tokenizer.spelled()  # type: ignore[attr-defined]
    lost = [spelled[i] for i in tokenizer.encode(SENTENCES[language]) if not check(spelled[i])]  # type: ignore[attr-defined]
    assert lost == []


@pytest.mark.parametrize(("language", "foreign"), [
    ("el", "жλ"), ("el", "ab"), ("ru", "λ"), ("th", "ก日"), ("hi", "ক"), ("zh", "の"), ("ja", "한"), ("en", "ж"),
    ("de", "ő"), ("hy", "ა"),
])  # fmt: skip
def test_what_another_language_writes_goes(language: str, foreign: str) -> None:
    check = spells(alphabet_of([language]))
    assert not check(foreign.encode()) and check(b" 25, (%).") and check("“…”".encode())


def test_pieces_of_characters_stay_where_the_alphabet_has_such_characters() -> None:
    check = spells(alphabet_of(["zh"]))
    good = "你".encode()
    assert check(good[:1]) and check(good[:2]) and check(good[1:]) and check(good[2:] + "好".encode()[:1])
    thai = "ก".encode()
    assert not check(thai[:2])
    assert spells(alphabet_of(["th"]))(thai[:2]) and not spells(alphabet_of(["en"]))(good[:2])


def test_every_language_of_whisper_has_an_alphabet() -> None:
    known = set(LETTERS) | {code for codes in SCRIPTS.values() for code in codes}
    assert set(LANGUAGES) <= known
    with pytest.raises(SecateurError, match="no alphabet is known of the language 'tlh'"):
        alphabet_of(["tlh"])


def test_rows_go_physically_and_the_others_say_the_same(english: tuple[object, object]) -> None:
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
    config, real = english
    rows = rows_of_alphabet(config, real, alphabet_of(["en"]))["vocabulary"]  # type: ignore[arg-type]
    assert len(rows) > 45_000  # an English vocabulary has few rows of other scripts


@pytest.mark.parametrize(
    ("setting", "line"),
    [("scripts", "not yes, no, script"), ("alphabet:", "alphabet:LETTERS"), ("alphabet:123", "letters in it"),
     ("text:/nowhere.txt", "nowhere.txt"), ("script", "--prune.languages")],
)  # fmt: skip
def test_what_names_no_alphabet_is_one_line(setting: str, line: str) -> None:
    with pytest.raises(SecateurError, match=line):
        chosen_alphabet(setting, [])
