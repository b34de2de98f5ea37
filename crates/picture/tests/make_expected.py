#!/usr/bin/env python3
"""Makes tests/fixtures: small pictures in many encodings, and what Pillow 13.0.0 (libjpeg-turbo,
libwebp and libtiff of its wheel) and numpy 2.4.6 make of them. Deterministic; run it again only to add a case:

    ~/.cache/hs/venv/bin/python crates/picture/tests/make_expected.py

cases.json lists
  decode:  file, width, height, tolerance (levels) and expected RGB8 bytes in NAME.rgb
  reject:  file, reason
  resize:  the scene of `scene()`, made again by the Rust test, and expected rows in NAME.rgb
"""
import io, json, pathlib, struct, zlib
import numpy as np
import PIL
from PIL import Image, ImageOps

assert PIL.__version__ == "13.0.0", PIL.__version__
OUT = pathlib.Path(__file__).parent / "fixtures"
OUT.mkdir(exist_ok=True)
for old in OUT.iterdir():
    old.unlink()
cases = {"pillow": PIL.__version__, "decode": [], "reject": [], "resize": []}


def scene(w, h):
    """Gradients, hard edges and noise, in integers only. tests/pillow.rs holds the same formula."""
    y, x, c = np.mgrid[0:h, 0:w, 0:3].astype(np.uint32)
    n = x * np.uint32(374761393) + y * np.uint32(668265263) + c * np.uint32(2246822519)
    n = (n ^ (n >> 13)) * np.uint32(1274126177)
    smooth = ((x * x // 300 + y * 3 + c * 60 + x * y // 70) & 255) // 2
    checks = ((x // 17 + y // 23 + c) & 1) * 64
    return (smooth + checks + ((n >> 24) & 63)).astype(np.uint8)


def soft(w, h):
    """Gradients only: what JPEG keeps well, so that a small tolerance means something."""
    y, x = np.mgrid[0:h, 0:w]
    return np.stack([x * 255 // (w - 1), y * 255 // (h - 1), (x + y) * 255 // (w + h - 2)], -1).astype(np.uint8)


def decode(name, data, expected=None, tolerance=0):
    (OUT / name).write_bytes(data)
    if expected is None:
        expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB"))
    expected = np.ascontiguousarray(expected)
    assert expected.dtype == np.uint8 and expected.shape[2] == 3
    (OUT / (name + ".rgb")).write_bytes(expected.tobytes())
    h, w, _ = expected.shape
    cases["decode"].append({"file": name, "width": w, "height": h, "tolerance": tolerance})


def reject(name, data, reason):
    (OUT / name).write_bytes(data)
    cases["reject"].append({"file": name, "reason": reason})


def saved(image, format, **options):
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def png(samples, colour_type, bits, interlaced=False):
    """A PNG that Pillow cannot write: 16-bit colour, Adam7. `samples`: [h, w, channels]."""
    h, w, _ = samples.shape
    dtype = ">u2" if bits == 16 else "u1"
    passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
    rows = b""
    for x0, y0, dx, dy in passes if interlaced else [(0, 0, 1, 1)]:
        part = samples[y0::dy, x0::dx]
        if part.size:
            rows += b"".join(b"\0" + row.astype(dtype).tobytes() for row in part)
    chunk = lambda kind, body: struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    header = struct.pack(">IIBBBBB", w, h, bits, colour_type, 0, 0, int(interlaced))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


rgb = scene(24, 17)
picture = Image.fromarray(rgb)
grey = picture.convert("L")
alpha = np.dstack([rgb, (np.arange(24 * 17).reshape(17, 24) * 5 % 256).astype(np.uint8)])
deep = (rgb.astype(np.uint16) << 8) | rgb[::-1]
palette = picture.quantize(16)

# PNG
decode("rgb.png", saved(picture, "PNG"), rgb)
decode("grey.png", saved(grey, "PNG"))
decode("one_bit.png", saved(picture.convert("1"), "PNG"))
decode("grey_alpha.png", saved(Image.fromarray(alpha).convert("LA"), "PNG"))
decode("alpha.png", saved(Image.fromarray(alpha), "PNG"), rgb)
decode("palette.png", saved(palette, "PNG"))
decode("palette_alpha.png", saved(palette, "PNG", transparency=bytes(range(0, 256, 16))))
decode("grey16.png", png(deep[:, :, :1], 0, 16), np.repeat(deep[:, :, :1] >> 8, 3, 2).astype(np.uint8))
print("grey16: Pillow differs by", np.abs(np.asarray(Image.open(OUT / "grey16.png").convert("RGB")).astype(int)
      - (deep[:, :, :1] >> 8)).max())
decode("rgb16.png", png(deep, 2, 16))
decode("rgba16.png", png(np.dstack([deep, deep[:, :, :1]]), 6, 16))
decode("interlaced.png", png(rgb, 2, 8, True), rgb)

# JPEG
gentle = Image.fromarray(soft(41, 30))
decode("baseline.jpg", saved(gentle, "JPEG", quality=90), tolerance=6)
decode("progressive_444.jpg", saved(gentle, "JPEG", quality=90, progressive=True, subsampling=0), tolerance=6)
decode("restarts.jpg", saved(gentle, "JPEG", quality=90, restart_marker_blocks=2), tolerance=6)
decode("grey.jpg", saved(gentle.convert("L"), "JPEG", quality=90), tolerance=6)
y, x = np.mgrid[0:30, 0:41]
inks = np.dstack([soft(41, 30), (x * 3 + y * 2) % 200]).astype(np.uint8)
cmyk = saved(Image.fromarray(inks, "CMYK"), "JPEG", quality=95)
adobe = cmyk.index(b"Adobe") + 11
assert cmyk[adobe] == 0
decode("cmyk.jpg", cmyk, tolerance=6)
# The same coefficients declared YCCK: other colours, but Pillow says which.
decode("ycck.jpg", cmyk[:adobe] + b"\x02" + cmyk[adobe + 1 :], tolerance=6)
decode("trailing.jpg", saved(gentle, "JPEG", quality=90) + b"trailing bytes \xff\xd8", tolerance=6)
for orientation in range(1, 9):
    exif = Image.Exif()
    exif[0x0112] = orientation
    small = Image.fromarray(soft(16, 8))
    decode(f"exif_{orientation}.jpg", saved(small, "JPEG", quality=90, subsampling=0, exif=exif), tolerance=6)

# GIF
decode("palette.gif", saved(palette, "GIF"))
decode("animated.gif", saved(palette, "GIF", save_all=True, append_images=[palette.rotate(180)]))
decode("transparent.gif", saved(palette, "GIF", transparency=3))
gif = bytearray(saved(palette, "GIF"))
gif[6:10] = struct.pack("<HH", 30, 20)  # A canvas larger than the frame: black where it does not reach.
canvas = np.zeros((20, 30, 3), np.uint8)
canvas[:17, :24] = np.asarray(palette.convert("RGB"))
decode("small_frame.gif", bytes(gif), canvas)

# WebP
decode("lossless.webp", saved(picture, "WEBP", lossless=True), rgb)
decode("lossy.webp", saved(gentle, "WEBP", quality=90), tolerance=2)
decode("alpha.webp", saved(Image.fromarray(alpha), "WEBP", lossless=True, exact=True), rgb)
decode("animated.webp", saved(picture, "WEBP", lossless=True, save_all=True, append_images=[picture.rotate(180)]), rgb)

# BMP
decode("rgb.bmp", saved(picture, "BMP"), rgb)
decode("palette.bmp", saved(palette, "BMP"))
decode("grey.bmp", saved(grey, "BMP"))
decode("one_bit.bmp", saved(picture.convert("1"), "BMP"))
decode("alpha.bmp", saved(Image.fromarray(alpha), "BMP"), rgb)

# TIFF
decode("raw.tif", saved(picture, "TIFF"), rgb)
decode("lzw.tif", saved(picture, "TIFF", compression="tiff_lzw"), rgb)
decode("deflate.tif", saved(picture, "TIFF", compression="tiff_adobe_deflate"), rgb)
decode("one_bit.tif", saved(picture.convert("1"), "TIFF"))
decode("alpha.tif", saved(Image.fromarray(alpha), "TIFF"), rgb)
decode("grey16.tif", saved(Image.fromarray(deep[:, :, 0]), "TIFF"), np.repeat(deep[:, :, :1] >> 8, 3, 2).astype(np.uint8))
decode("cmyk.tif", saved(Image.fromarray(scene(24, 17)[:, :, [0, 1, 2, 0]], "CMYK"), "TIFF"), tolerance=1)
decode("rotated.tif", saved(picture, "TIFF", tiffinfo={274: 6}))
reject("float.tif", saved(Image.fromarray(rgb[:, :, 0].astype(np.float32)), "TIFF"), "unsupported")
reject("palette.tif", saved(palette, "TIFF"), "unsupported")

# Resizing. Of large results only every n-th row is kept.
FILTERS = {"bilinear": Image.BILINEAR, "bicubic": Image.BICUBIC, "box": Image.BOX, "lanczos": Image.LANCZOS}


def covered(image, width, height, filter):
    """torchvision 0.24: `_compute_resized_output_size`, then `center_crop`; squares only, as there."""
    assert width == height
    w, h = image.size
    short, long = min(w, h), max(w, h)
    new_long = int(width * long / short)
    resized = image.resize((width, new_long) if w <= h else (new_long, height), filter)
    w, h = resized.size
    left, top = int(round((w - width) / 2.0)), int(round((h - height) / 2.0))
    return resized.crop((left, top, left + width, top + height))


def resize(w, h, to_w, to_h, filter, fit, every=1):
    source = Image.fromarray(scene(w, h))
    done = source.resize((to_w, to_h), FILTERS[filter]) if fit == "squash" else covered(source, to_w, to_h, FILTERS[filter])
    name = f"{w}x{h}_to_{to_w}x{to_h}_{filter}_{fit}.rgb"
    (OUT / name).write_bytes(np.asarray(done)[::every].tobytes())
    cases["resize"].append({"file": name, "from": [w, h], "to": [to_w, to_h], "filter": filter, "fit": fit, "every": every})


for filter in ("bilinear", "bicubic"):
    resize(500, 375, 224, 224, filter, "squash", every=16)
    resize(500, 375, 224, 224, filter, "crop", every=16)
    resize(97, 61, 32, 32, filter, "squash")
    resize(61, 98, 32, 32, filter, "crop")
    resize(333, 77, 48, 20, filter, "squash")
    resize(333, 77, 32, 32, filter, "crop")
    resize(33, 32, 32, 32, filter, "crop")
    resize(20, 13, 64, 48, filter, "squash")
    resize(20, 13, 48, 48, filter, "crop")
resize(97, 61, 32, 32, "box", "squash")
resize(97, 61, 32, 32, "lanczos", "squash")

(OUT / "cases.json").write_text(json.dumps(cases, indent=1) + "\n")
print(sum(f.stat().st_size for f in OUT.iterdir()) // 1024, "KiB in", len(list(OUT.iterdir())), "files")
