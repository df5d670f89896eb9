"""The kinds of audio and video files: how they begin, how their names end, and what reads them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ...base.errors import SecateurError
from .source import Opened


@dataclass(frozen=True)
class FileKind:
    """One kind of file."""

    name: str  # for people
    demuxer: str  # FFmpeg's name; empty: FFmpeg is not asked
    native: bool = False  # whether libsndfile may read it, at least in some codings
    stream: bool = False  # frame after frame without a header that says how many: any beginning is a whole file
    suffixes: tuple[str, ...] = ()
    timed: bool = False  # whether its timestamps say when every frame is played, gaps and a late start included


WAV = FileKind("WAV", "wav", native=True, suffixes=(".wav", ".wave", ".rf64", ".bwf"))
W64 = FileKind("W64", "w64", native=True, suffixes=(".w64",))
AIFF = FileKind("AIFF", "aiff", native=True, suffixes=(".aif", ".aiff", ".aifc"))
AU = FileKind("AU", "au", native=True, suffixes=(".au", ".snd"))
CAF = FileKind("CAF", "caf", native=True, suffixes=(".caf",))
FLAC = FileKind("FLAC", "flac", native=True, suffixes=(".flac",))
OGG = FileKind("Ogg", "ogg", native=True, suffixes=(".ogg", ".oga", ".opus", ".spx", ".ogv", ".ogx"))
MPEG = FileKind("MP3", "mp3", native=True, stream=True, suffixes=(".mp3", ".mp2", ".mpga", ".mp1"))
AAC = FileKind("AAC", "aac", stream=True, suffixes=(".aac", ".adts"))
MP4 = FileKind(
    "MP4",
    "mov",
    timed=True,
    suffixes=(".m4a", ".mp4", ".m4b", ".m4v", ".mov", ".3gp", ".3g2", ".f4v", ".qt", ".m4r"),
)
MATROSKA = FileKind("Matroska", "matroska", suffixes=(".webm", ".mka", ".mkv", ".weba"), timed=True)
ASF = FileKind("WMA", "asf", suffixes=(".wma", ".wmv", ".asf"))
FLV = FileKind("FLV", "flv", suffixes=(".flv",), timed=True)
AVI = FileKind("AVI", "avi", suffixes=(".avi",))
AMR = FileKind("AMR", "amr", stream=True, suffixes=(".amr", ".awb"))
AC3 = FileKind("AC-3", "ac3", stream=True, suffixes=(".ac3",))
EAC3 = FileKind("E-AC-3", "eac3", stream=True, suffixes=(".eac3", ".ec3"))
DTS = FileKind("DTS", "dts", stream=True, suffixes=(".dts",))
LOAS = FileKind("AAC in LATM", "loas", stream=True, suffixes=(".latm", ".loas"))
TS = FileKind("MPEG transport stream", "mpegts", stream=True, suffixes=(".ts", ".mts", ".m2ts"), timed=True)
PS = FileKind("MPEG program stream", "mpeg", stream=True, suffixes=(".mpg", ".mpeg", ".vob"), timed=True)
WAVPACK = FileKind("WavPack", "wv", suffixes=(".wv",))
TTA = FileKind("TTA", "tta", suffixes=(".tta",))
APE = FileKind("Monkey's Audio", "ape", suffixes=(".ape",))
MUSEPACK = FileKind("Musepack", "mpc", suffixes=(".mpc",))
MUSEPACK8 = FileKind("Musepack", "mpc8")
REAL = FileKind("RealMedia", "rm", suffixes=(".rm", ".ra", ".rmvb"))
DSF = FileKind("DSF", "dsf", suffixes=(".dsf",))
SHORTEN = FileKind("Shorten", "shn", suffixes=(".shn",))
QCP = FileKind("QCP", "qcp", suffixes=(".qcp",))
GSM = FileKind("GSM", "gsm", stream=True, suffixes=(".gsm",))
G722 = FileKind("G.722", "g722", stream=True, suffixes=(".g722",))
OTHER = FileKind("unknown", "", native=True, suffixes=(".voc", ".sph", ".nist", ".ircam", ".paf", ".sds", ".pvf"))

ALL = (
    WAV, W64, AIFF, AU, CAF, FLAC, OGG, MPEG, AAC, MP4, MATROSKA, ASF, FLV, AVI, AMR, AC3, EAC3, DTS, LOAS, TS, PS,
    WAVPACK, TTA, APE, MUSEPACK, MUSEPACK8, REAL, DSF, SHORTEN, QCP, GSM, G722, OTHER,
)  # fmt: skip
SUFFIXES = frozenset(suffix for kind in ALL for suffix in kind.suffixes)
# Streams that begin anywhere, and those without any mark: their names say what they are.
BY_SUFFIX = {suffix: kind for kind in (MPEG, AAC, GSM, G722) for suffix in kind.suffixes}

_BEGINNINGS = (
    (b"riff\x2e\x91\xcf\x11", W64), (b".snd", AU), (b"caff", CAF), (b"fLaC", FLAC), (b"OggS", OGG),
    (b"\x1a\x45\xdf\xa3", MATROSKA), (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", ASF), (b"FLV\x01", FLV), (b"#!AMR", AMR),
    (b"\x7f\xfe\x80\x01", DTS), (b"\x00\x00\x01\xba", PS), (b"wvpk", WAVPACK), (b"TTA1", TTA), (b"MAC ", APE),
    (b"MP+", MUSEPACK), (b"MPCK", MUSEPACK8), (b".RMF", REAL), (b".ra\xfd", REAL), (b"DSD ", DSF), (b"ajkg", SHORTEN),
)  # fmt: skip
_FORMS = {b"WAVE": WAV, b"AVI ": AVI, b"QLCM": QCP, b"AIFF": AIFF, b"AIFC": AIFF}
_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot", b"styp")


def kind_of(opened: Opened) -> FileKind:
    """The kind of a file, by its first bytes (after an ID3v2 tag), or else by its name."""
    start = after_tags(opened)
    head = opened.at(start, 377)
    return start_of(head) or BY_SUFFIX.get(opened.suffix, OTHER)


def after_tags(opened: Opened) -> int:
    """The first byte after ID3v2 tags (https://id3.org/id3v2.4.0-structure), of which there may be several."""
    offset = 0
    for _ in range(16):
        head = opened.at(offset, 10)
        size = tag_size(head)
        if not size or offset + size >= opened.size:
            break
        offset += size
    return offset


def tag_size(head: bytes) -> int:
    """Bytes of the ID3v2 tag that begins with `head`, 0 if it is none."""
    if len(head) < 10 or head[:3] != b"ID3" or max(head[6:10]) > 127:
        return 0
    footer = 10 if head[5] & 0x10 else 0
    return 10 + footer + (head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9])


def start_of(head: bytes) -> FileKind | None:
    """The kind of a file by its first 377 bytes; None where they are no known beginning."""
    if head[:3] == b"ID3":
        return MPEG
    for beginning, kind in _BEGINNINGS:
        if head.startswith(beginning):
            return kind
    if head[:4] in (b"RIFF", b"RIFX", b"RF64", b"BW64", b"FORM"):
        return _FORMS.get(head[8:12])
    if head[4:8] in _BOXES:
        return MP4
    if head[:2] == b"\x0b\x77" and len(head) > 5:
        return EAC3 if head[5] >> 3 > 10 else AC3
    if head[:1] == b"\x47" and head[188:189] == b"\x47" and head[376:377] == b"\x47":
        return TS
    if head[4:5] == b"\x47" and head[196:197] == b"\x47":  # Blu-ray's, with a time before every packet
        return TS
    if len(head) > 3 and head[0] == 0xFF and head[1] & 0xF6 == 0xF0:
        return AAC
    if len(head) > 3 and head[0] == 0x56 and head[1] & 0xE0 == 0xE0:
        return LOAS
    if len(head) > 3 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0 and head[1] & 0x06:
        return MPEG
    return None


def audio_files(folder: str | Path) -> list[Path]:
    """All recordings below `folder`, sorted.

    Raises:
        SecateurError: there are none.
    """
    paths = sorted(path for path in Path(folder).rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    if not paths:
        raise SecateurError(f"{folder}: no audio files in this folder (known: {' '.join(sorted(SUFFIXES))})")
    return paths
