"""Why a file could not be decoded, as a short code; and what a file's first bytes say that it is."""

import os
import re

# Pattern of the first bytes, what such a file is called; the first that fits counts.
SIGNATURES = (
    (rb"\x89PNG\r\n\x1a\n", "PNG image"),
    (rb"\xff\xd8\xff", "JPEG image"),
    (rb"GIF8[79]a", "GIF image"),
    (rb"BM.{4}\0\0\0\0", "BMP image"),
    (rb"RIFF.{4}WEBP", "WebP image"),
    (rb"RIFF.{4}WAVE|RF64.{4}WAVE|RIFX.{4}WAVE", "WAV sound"),
    (rb"RIFF.{4}AVI ", "AVI video"),
    (rb"II\*\0|MM\0\*", "TIFF image"),
    (rb"....ftyp(heic|heix|hevc|mif1|msf1)", "HEIC image"),
    (rb"....ftypavi[fs]", "AVIF image"),
    (rb"....ftypM4A", "M4A sound"),
    (rb"....ftyp", "MP4 video"),
    (rb"\x1aE\xdf\xa3", "Matroska or WebM video"),
    (rb"\0\0\x01\xba|\0\0\x01\xb3", "MPEG video"),
    (rb"\x00\x00\x01\x00", "ICO image"),
    (rb"8BPS", "Photoshop image"),
    (rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51", "JPEG 2000 image"),
    (rb"\xff\x0a|\0\0\0\x0cJXL ", "JPEG XL image"),
    (rb"fLaC", "FLAC sound"),
    (rb"OggS", "Ogg sound"),
    (rb"ID3|\xff[\xe2\xe3\xf2\xf3\xfa\xfb]", "MP3 sound"),
    (rb"\xff[\xf0\xf1\xf8\xf9]", "AAC sound"),
    (rb"FORM.{4}AIF[FC]", "AIFF sound"),
    (rb"\.snd", "AU sound"),
    (rb"caff", "CAF sound"),
    (rb"\x30\x26\xb2\x75", "Windows Media file"),
    (rb"\x93NUMPY", "NumPy array"),
    (rb"\x89HDF\r\n", "HDF5 file"),
    (rb"PAR1", "Parquet file"),
    (rb"PK\x03\x04|PK\x05\x06", "ZIP archive"),
    (rb"\x1f\x8b", "gzip archive"),
    (rb"7z\xbc\xaf\x27\x1c", "7z archive"),
    (rb"Rar!", "RAR archive"),
    (rb"BZh[1-9]", "bzip2 archive"),
    (rb"\xfd7zXZ", "xz archive"),
    (rb"%PDF", "PDF document"),
    (rb"\xd0\xcf\x11\xe0", "Microsoft Office document"),
    (rb"\x80[\x02-\x05]", "Python pickle"),
    (rb"version https://git-lfs", "Git LFS pointer, not the file it stands for"),
    (rb"(?i)\s*(<!doctype html|<html|<head|<body)", "HTML page"),
    (rb"\s*(<\?xml[^>]*>\s*)?<svg", "SVG image"),
    (rb"\s*<\?xml", "XML document"),
    (rb"\s*[\[{]\s*[\"\[{\]}]", "JSON document"),
)
PATTERNS = tuple((re.compile(pattern, re.DOTALL), name) for pattern, name in SIGNATURES)
TEXT = "text"
# What decode_image, decode_audio and decode_features read.
READ = {
    "image": ("PNG image", "JPEG image", "GIF image", "BMP image"),
    "audio": ("WAV sound", "FLAC sound", "Ogg sound", "MP3 sound"),
    "features": ("NumPy array",),
}
ENDINGS = {
    "PNG image": "png apng",
    "JPEG image": "jpg jpeg jpe jfif mpo",
    "GIF image": "gif",
    "BMP image": "bmp dib",
    "WebP image": "webp",
    "TIFF image": "tif tiff",
    "HEIC image": "heic heif",
    "AVIF image": "avif",
    "SVG image": "svg",
    "WAV sound": "wav wave rf64",
    "FLAC sound": "flac",
    "Ogg sound": "ogg oga opus",
    "MP3 sound": "mp3",
    "M4A sound": "m4a",
    "AIFF sound": "aif aiff aifc",
    "AU sound": "au snd",
    "MP4 video": "mp4 m4v mov",
    "AVI video": "avi",
    "Matroska or WebM video": "mkv webm",
    "NumPy array": "npy",
    "ZIP archive": "zip npz",
    "gzip archive": "gz",
    "PDF document": "pdf",
    "HTML page": "htm html",
    "JSON document": "json",
    TEXT: "txt csv tsv",
}
TYPE_OF_ENDING = {ending: name for name, endings in ENDINGS.items() for ending in endings.split()}
# Words of a refusal -> its code; the first that is found counts. TensorFlow's own are those of bare damage.
WORDS = (
    ("empty", r"an empty file"),
    ("truncated", r"truncated"),
    ("too_large", r"too large or empty|It is too large"),
    ("not_finite", r"finite float32 numbers"),
    ("wrong_shape", r"expects an array of shape"),
)
OWNERS = (
    ("decode_image", "image"),
    ("decode_features", "features"),
    ("decode_wav", "audio"),
    ("decode_audio", "audio"),
)


def code_of(reason, contents_head, path):
    """Returns the code of a failure to decode a file.

    Args:
        reason: str. The refusal, as `transforms.reason_of` gives it.
        contents_head: bytes. The first bytes of the file, at least 64 where it has so many.
        path: str. The path of the file.

    Returns: "empty", "truncated", "too_large", "not_finite", "wrong_shape", "wrong_type" (the bytes are
        those of another type than the decoder reads; `describe_type` names it) or "undecodable".
    """
    if not contents_head and reason and "No such file" not in reason:
        return "empty"
    for code, words in WORDS:
        if re.search(words, reason):
            return code
    found = describe_type(contents_head)
    kind = next((kind for owner, kind in OWNERS if f"`{owner}`" in reason), None)
    kind = kind or _kind_of_path(path)
    if found is not None and kind is not None and found not in READ[kind]:
        return "wrong_type"
    return "undecodable"


def describe_type(head):
    """Returns what the first bytes of a file say that it is, such as "PNG image"; None = unknown."""
    head = bytes(head)
    for pattern, name in PATTERNS:
        if pattern.match(head):
            return name
    return TEXT if head and _is_text(head) else None


def ending_differs(path, head):
    """Returns "named .png, but a JPEG image" where a file's name says another type than its bytes, else "".

    Such a file is read all the same: by its bytes.
    """
    ending = os.path.splitext(path)[1].lower().lstrip(".")
    named, found = TYPE_OF_ENDING.get(ending), describe_type(head)
    if named is None or found is None or named == found:
        return ""
    return f"named .{ending}, but a {found}"


def _kind_of_path(path):
    """Returns the kind of modality whose files end as this one does, or None."""
    named = TYPE_OF_ENDING.get(os.path.splitext(path)[1].lower().lstrip("."))
    return next((kind for kind, names in READ.items() if named in names), None)


def _is_text(head):
    """Returns whether all bytes are printable UTF-8; the last character may be cut."""
    if any(byte < 9 or 13 < byte < 32 and byte != 27 for byte in head):
        return False
    text = head.decode("utf-8", "ignore")
    return len(head) - len(text.encode()) < 4
