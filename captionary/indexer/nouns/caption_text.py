"""A caption without what the web wraps around its words: markup, addresses, names of files."""

import html
import re
import unicodedata

LONGEST_CAPTION = 4000
"""Characters of a caption that are read; what comes after them is left out."""

_BREAK = "\n"
"""Stands for what separates words but names nothing; it becomes a comma between what is left."""

_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe0f\ufeff]"
)
_MARKED = re.compile(r"[<@#_*`~^|\\\[\]{}%;\d]|[.:/]\w")
"""What a caption has that needs more than blanks to be cleaned."""

_MARKUP = re.compile(
    r"<(?P<unseen>script|style)\b.*?(?:</(?P=unseen)\s*>|$)"
    r"|<!--.*?(?:-->|$)"
    r"|<!doctype[^<>]*>"
    r"|<\|[^<>|]*\|>"
    r"|</?(?P<tag>a|abbr|address|article|aside|audio|b|base|bd[io]|big|blockquote|body|br|button"
    r"|caption|center|cite|code|col|colgroup|dd|del|details|dfn|div|dl|dt|em|embed|fieldset"
    r"|figcaption|figure|font|footer|form|h[1-6r]|head|header|html|i|iframe|img|input|ins|kbd|label"
    r"|legend|li|link|main|map|mark|meta|nav|noscript|object|o:p|ol|option|p|param|picture|pre|q|s"
    r"|samp|section|select|small|source|span|strike|strong|su[bp]|summary|svg|table|tbody|td"
    r"|textarea|tfoot|th|thead|time|title|tr|track|tt|u|ul|var|video|wbr|bos|eos|mask|pad|unk)"
    r"(?:\s+[\w:-]+\s*=(?:[^<>\"']|\"[^\"<]*\"|'[^'<]*')*|\s+[\w:-]+\s*=[^<>]*|\s*)/?>",
    re.IGNORECASE | re.DOTALL,
)
"""Elements of HTML, and tokens of language models; what else stands in brackets is said."""
_IN_BRACKETS = re.compile(r"</?(\w[^<>]{0,60})>")
_INLINE = re.compile(
    "a|abbr|b|bd[io]|big|cite|code|em|font|i|ins|kbd|mark|q|s|small|span|strong|su[bp]|tt|u",
    re.IGNORECASE,
)
"""Tags that stand within a sentence."""

_WITHOUT = re.compile(r"\bw/o\b", re.IGNORECASE)
_ADDRESS = re.compile(r"(?:https?|ftp):[\\/]+\S+|www\.\S+", re.IGNORECASE)
_ADDRESS_WORD = re.compile(
    r"(?:mailto:)?\S+@[\w-]+(?:\.[\w-]+)+"
    r"|@\w[\w.-]*"
    r"|[\w-]+(?:\.[\w-]+)*\.(?:(?:com|org|net|edu|gov|info|biz|io|co|uk)(?:/\S*)?|[a-z]{2,}/\S*)",
    re.IGNORECASE,
)
_HASHTAG = re.compile(r"(?<![\w&])#(?=\w)(\w+)")
_CAMEL = re.compile(r"(?<=[^\W\d_A-Z])(?=[A-Z])")
_PICTURE_FILE = re.compile(
    r"(?:.*[/\\])?(?P<stem>[^/\\]+)\.(?:jpe?g|jfif|png|gif|webp|tiff?|bmp|hei[cf]|avif|svg|raw|cr[23]"
    r"|nef|arw|dng|psd|pdf|mp4|mov|avi|webm)",
    re.IGNORECASE,
)
_GROUPS = re.compile(r"[^\W\d_]+|\d+")
_HASH = re.compile(r"[0-9a-f]{12,}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_CAMERA = re.compile(
    "avatar|burst|chrome|cimg|copy|cover|crop(?:ped)?|dcim|dji|dsc[fn]?|edit(?:ed)?|export|facebook"
    "|fb|file|final|frame|fullsize(?:output|render)|gopr|gp|gx|hdr|images?|imagen|imgp?|instagram|lr"
    "|messenger|mg|mms|mov|mvimg|pano|photos?|pict?|pictures?|pxl|received|resized|sam|scan|screen"
    "|screenshot|shot|signal|snapchat|thumb(?:nail)?|tmp|twitter|unnamed|untitled|vid|video|wa"
    "|whatsapp",
    re.IGNORECASE,
)
"""What cameras, phones and programs call their files, beside numbers."""

_AROUND = "\"'()<>,;:!?.\u2018\u2019\u201c\u201d\u2026"
_BREAKS = str.maketrans(dict.fromkeys("|[]{};", _BREAK) | dict.fromkeys("*`~^\\_", " "))


def clean_caption(caption: str) -> str:
    """The words of a caption, as the tagger is to read them; "" where it has none.

    HTML entities become what they stand for, however often they were escaped. Tags, comments,
    addresses, @handles and the names that cameras give to files are left out; #hash_tags and the
    names that people give to files are split into words.
    """
    # Lone surrogates, as from broken JSON, would stop spaCy.
    text = caption[:LONGEST_CAPTION].encode("utf-8", "replace").decode("utf-8")
    text = unicodedata.normalize("NFKC", _unescape(text))
    text = " ".join(_INVISIBLE.sub("", text).split())
    if not _MARKED.search(text):
        return text
    text = _MARKUP.sub(_instead_of_markup, text.replace("%20", " "))
    text = _IN_BRACKETS.sub(r" \1 ", text)  # "<PERSON>", as data sets write it
    text = _WITHOUT.sub("without", _ADDRESS.sub(_BREAK, text))
    text = " ".join(map(_read_word, text.split(" ")))
    text = _HASHTAG.sub(_split_hashtag, text).translate(_BREAKS)
    parts = (" ".join(part.split()) for part in text.split(_BREAK))
    return " , ".join(part for part in parts if any(map(str.isalnum, part)))


def _unescape(text: str) -> str:
    while "&" in text and (once := html.unescape(text)) != text:
        text = once
    return text


def _instead_of_markup(found: re.Match[str]) -> str:
    # What stands in two paragraphs or cells is no compound; what is partly bold may be one.
    return " " if _INLINE.fullmatch(found["tag"] or "") else _BREAK


def _split_hashtag(found: re.Match[str]) -> str:
    tag = found[1]
    return f" {tag} " if tag.isdigit() else f"{_BREAK}{_CAMEL.sub(' ', tag)} "


def _read_word(word: str) -> str:
    """What stands between two blanks, or what it says if it is an address or a file's name."""
    if word.isalpha():
        return word
    core = word.strip(_AROUND)
    if _ADDRESS_WORD.fullmatch(core):
        return _BREAK
    file = _PICTURE_FILE.fullmatch(core)
    groups = _GROUPS.findall(file["stem"] if file else core)
    words = [group for group in groups if group.isalpha()]
    said = [group for group in words if len(group) > 1 and not _CAMERA.fullmatch(group)]
    digits = sum(len(group) for group in groups if group.isdigit())
    if _is_code(core, words, digits) or (
        digits and words and not said and _is_camera(words, digits)
    ):
        return _BREAK
    if file:
        return f"{_BREAK}{' '.join(said)}{_BREAK}"
    if digits >= 4 and len(said) < len(words) and "_" in core:
        return f"{_BREAK}{' '.join(said)}{_BREAK}"
    return word


def _is_camera(words: list[str], digits: int) -> bool:
    """Whether words and digits are such as cameras give; one letter ("D3500") needs more digits."""
    return digits >= 6 or any(len(word) > 1 for word in words)


def _is_code(core: str, words: list[str], digits: int) -> bool:
    """Whether it is a digest, a UUID or another mixture of letters and digits."""
    if digits < 4 or not words:
        return False
    mixed = len(words) >= 2 and max(map(len, words)) <= 4 and len(core) >= 8
    return bool(_HASH.fullmatch(core)) or (mixed and digits >= len("".join(words)))
