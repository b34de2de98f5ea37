//! Bad bytes: each is rejected with its reason, and none of them panics or allocates what it claims.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends where anything fails")]

use std::path::PathBuf;

use picture::{Filter, Fit, Limits, Rejected, Resize, Rgb, Scaler, decode, dimensions};

fn fixture(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
    std::fs::read(path).expect(name)
}

fn reason(bytes: &[u8]) -> &'static str {
    decode(bytes, &Limits::default()).map_or_else(|rejected| rejected.reason(), |_| "accepted")
}

/// `length, name, body, CRC`: one PNG chunk.
fn chunk(name: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let named = [name, body].concat();
    let crc = named.iter().fold(!0u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg()))
    });
    [&(body.len() as u32).to_be_bytes()[..], &named, &(!crc).to_be_bytes()].concat()
}

/// A PNG whose header promises `side × side` RGBA and that holds next to nothing.
fn bomb(side: u32) -> Vec<u8> {
    let header = [&side.to_be_bytes()[..], &side.to_be_bytes(), &[8, 6, 0, 0, 0]].concat();
    [b"\x89PNG\r\n\x1a\n".to_vec(), chunk(b"IHDR", &header), chunk(b"IDAT", &[0x78, 0x9C])].concat()
}

#[test]
fn what_is_no_picture() {
    assert_eq!(reason(b""), "empty");
    assert_eq!(reason(b"label,path\n0,cat.jpg\n"), "not-a-picture");
    assert_eq!(reason(b"<html>404</html>"), "not-a-picture");
    assert_eq!(reason(&[0]), "not-a-picture");
    assert_eq!(reason(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"), "unsupported");
    assert_eq!(reason(b"\0\0\x01\0\x01\0\x10\x10\0\0\x01\0\x20\0"), "unsupported"); // ICO
}

#[test]
fn fault_18_a_bomb_is_rejected_by_its_header() {
    let rejected = decode(&bomb(30_000), &Limits::default()).unwrap_err();
    assert_eq!(rejected.reason(), "too-large");
    assert_eq!(rejected.to_string(), "30000×30000 is over the limit of 178956970 pixels");
    assert_eq!(dimensions(&bomb(30_000)), Ok((30_000, 30_000)));

    let sides = decode(&bomb(70_000), &Limits::default()).unwrap_err();
    assert_eq!(sides.to_string(), "70000×70000 is over the limit of 65535 pixels a side");
    let memory = Limits { max_alloc_bytes: 1 << 20, ..Limits::default() };
    let memory = decode(&bomb(400), &memory).unwrap_err();
    assert_eq!(memory.to_string(), "400×400 is over the limit of 1048576 bytes of memory");
}

#[test]
fn a_jpeg_that_was_cut_is_truncated() {
    for name in ["baseline.jpg", "progressive_444.jpg", "restarts.jpg", "grey.jpg", "cmyk.jpg"] {
        let whole = fixture(name);
        assert_eq!(reason(&whole), "accepted");
        let percent = |p: usize| whole.len() * p / 100;
        for kept in [percent(30), percent(60), percent(90), whole.len() - 2, whole.len() - 1] {
            assert_eq!(reason(&whole[..kept]), "truncated", "{name} cut at {kept}");
        }
    }
}

#[test]
fn other_formats_that_were_cut_are_rejected() {
    let names = [
        "rgb.png",
        "rgb16.png",
        "interlaced.png",
        "palette.gif",
        "lossless.webp",
        "lossy.webp",
        "rgb.bmp",
        "raw.tif",
        "lzw.tif",
    ];
    for name in names {
        let whole = fixture(name);
        for percent in [30, 60, 90] {
            let found = reason(&whole[..whole.len() * percent / 100]);
            assert!(["truncated", "corrupt"].contains(&found), "{name} at {percent} %: {found}");
        }
    }
}

#[test]
fn of_an_animation_that_was_cut_the_first_frame_is_taken_if_it_is_whole() {
    for name in ["animated.gif", "animated.webp"] {
        let whole = fixture(name);
        let picture = decode(&whole, &Limits::default()).unwrap();
        let cut = (1..whole.len()).map(|kept| decode(&whole[..kept], &Limits::default()));
        assert!(cut.flatten().all(|found| found == picture), "{name}");
    }
}

#[test]
fn a_png_with_a_wrong_checksum_is_corrupt() {
    let mut bytes = fixture("rgb.png");
    let data = bytes.windows(4).position(|name| name == b"IDAT").unwrap();
    bytes[data + 40] ^= 1;
    assert_eq!(reason(&bytes), "corrupt");
}

/// A PNG with one more chunk in front of its pixels.
fn with_chunk(png: &[u8], name: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let data = png.windows(4).position(|name| name == b"IDAT").unwrap() - 4;
    [&png[..data], &chunk(name, body), &png[data..]].concat()
}

/// A JPEG with one more segment behind its first two bytes.
fn with_segment(jpeg: &[u8], marker: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len() + 2).unwrap().to_be_bytes();
    [&jpeg[..2], &[0xFF, marker], &length, body, &jpeg[2..]].concat()
}

/// EXIF whose one entry is the orientation: of a type and with a value, and where the next directory is.
fn exif(kind: u16, value: u16, next: u32) -> Vec<u8> {
    let entry =
        [&0x0112_u16.to_le_bytes()[..], &kind.to_le_bytes(), &1_u32.to_le_bytes(), &value.to_le_bytes(), &[0; 2]];
    [b"Exif\0\0II*\0\x08\0\0\0\x01\0", &entry.concat()[..], &next.to_le_bytes()].concat()
}

#[test]
fn exif_that_makes_no_sense_leaves_the_picture_as_it_lies() {
    let plain = fixture("baseline.jpg");
    let upright = decode(&plain, &Limits::default()).unwrap();
    let turned = decode(&with_segment(&plain, 0xE1, &exif(3, 6, 0)), &Limits::default()).unwrap();
    assert_eq!((turned.width, turned.height), (upright.height, upright.width), "the same bytes with sense turn it");
    let whole = exif(3, 6, 0);
    let mut odd =
        vec![exif(3, 0, 0), exif(3, 9, 0), exif(3, 0xFFFF, 0), exif(3, 1, 8), exif(99, 6, 0), exif(7, 0, u32::MAX)];
    odd.extend((0..16).map(|kept| whole[..kept].to_vec()));
    for body in odd {
        let found = decode(&with_segment(&plain, 0xE1, &body), &Limits::default());
        assert_eq!(found.as_ref(), Ok(&upright), "{body:?}");
    }
}

#[test]
fn a_colour_profile_that_is_broken_changes_nothing() {
    let png = fixture("rgb.png");
    for body in [&b""[..], b"name\0\0no zlib", b"name\0\x07", &[0xFF; 300]] {
        assert_eq!(decode(&with_chunk(&png, b"iCCP", body), &Limits::default()), decode(&png, &Limits::default()));
    }
    let jpeg = fixture("baseline.jpg");
    for body in [&b"ICC_PROFILE\0"[..], b"ICC_PROFILE\0\x01\x01short", b"ICC_PROFILE\0\x05\x02xx", b"ICC_PROFILE\0\0\0"]
    {
        assert_eq!(decode(&with_segment(&jpeg, 0xE2, body), &Limits::default()), decode(&jpeg, &Limits::default()));
    }
}

#[test]
fn of_an_animated_png_the_picture_in_front_is_taken() {
    let plain = fixture("rgb.png");
    for frames in [1_u32, 2, u32::MAX] {
        // Its second frame is neither of its size nor any zlib.
        let animated = with_chunk(&plain, b"acTL", &[&frames.to_be_bytes()[..], &[0; 4]].concat());
        let end = animated.len() - 12;
        let frame = [chunk(b"fcTL", &[0xFF; 26]), chunk(b"fdAT", b"\0\0\0\x01no zlib")].concat();
        let animated = [&animated[..end], &frame, &animated[end..]].concat();
        assert_eq!(decode(&animated, &Limits::default()), decode(&plain, &Limits::default()), "{frames} frames");
    }
}

/// Where a fixture states its size, with what is written there.
fn resized_header(name: &str, side: u32) -> Vec<u8> {
    let mut bytes = fixture(name);
    let short = u16::try_from(side).unwrap_or(u16::MAX);
    match name.rsplit('.').next() {
        Some("png") => {
            let header = [&side.to_be_bytes()[..], &side.to_be_bytes(), &bytes[24..29]].concat();
            let after = bytes.split_off(33);
            return [&bytes[..8], &chunk(b"IHDR", &header), &after].concat();
        }
        Some("jpg") => {
            let frame = bytes.windows(2).position(|m| [[0xFF, 0xC0], [0xFF, 0xC2]].contains(&[m[0], m[1]])).unwrap();
            bytes[frame + 5..frame + 9].copy_from_slice(&[short.to_be_bytes(), short.to_be_bytes()].concat());
        }
        Some("gif") => bytes[6..10].copy_from_slice(&[short.to_le_bytes(), short.to_le_bytes()].concat()),
        Some("bmp") => bytes[18..26].copy_from_slice(&[side.to_le_bytes(), side.to_le_bytes()].concat()),
        Some("tif") => {
            for tag in [256_u16, 257] {
                // As a short or a long number, of which there is one.
                let starts = [3_u16, 4].map(|kind| [tag, kind, 1, 0].map(u16::to_le_bytes).concat());
                let entry = bytes.windows(8).position(|entry| starts.iter().any(|start| entry == start)).unwrap();
                let as_long = [&4_u16.to_le_bytes()[..], &1_u32.to_le_bytes(), &side.to_le_bytes()].concat();
                bytes[entry + 2..entry + 12].copy_from_slice(&as_long);
            }
        }
        other => panic!("{other:?}"),
    }
    bytes
}

#[test]
fn absurd_sizes_in_a_header_are_rejected() {
    for name in ["rgb.png", "baseline.jpg", "palette.gif", "rgb.bmp", "raw.tif"] {
        for side in [0, 60_000, 1 << 30, 0x7FFF_FFFF, 0x8000_0000, u32::MAX] {
            assert_ne!(reason(&resized_header(name, side)), "accepted", "{name} with sides of {side}");
        }
        // A TIFF's strips contradict the new size, which is found first.
        let expected = if name == "raw.tif" { "corrupt" } else { "too-large" };
        assert_eq!(reason(&resized_header(name, 60_000)), expected, "{name}");
    }
}

#[test]
fn no_flipped_byte_panics() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let limits = Limits { max_pixels: 1 << 20, max_alloc_bytes: 1 << 24, ..Limits::default() };
    let mut n_pictures = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "rgb" || extension == "json") {
            continue;
        }
        n_pictures += 1;
        let whole = std::fs::read(&path).unwrap();
        for at in (0..whole.len()).step_by(whole.len() / 60 + 1) {
            let mut bytes = whole.clone();
            bytes[at] ^= 0xFF;
            if let Ok(picture) = decode(&bytes, &limits) {
                let expected = picture.width as usize * picture.height as usize * 3;
                assert_eq!(picture.pixels.len(), expected, "{}, byte {at}", path.display());
            }
        }
    }
    assert!(n_pictures > 40);
}

/// Where `marker` first stands in a JPEG, from `from` on.
fn find(bytes: &[u8], from: usize, marker: u8) -> usize {
    from + bytes[from..].windows(2).position(|pair| pair == [0xFF, marker]).expect("it is there")
}

/// Found by the fuzz target `picture`.
#[test]
fn an_orientation_behind_the_first_scan_is_not_applied() {
    let turned = fixture("exif_6.jpg");
    let exif = find(&turned, 0, 0xE1);
    let length = usize::from(u16::from_be_bytes([turned[exif + 2], turned[exif + 3]]));
    for (name, behind) in [("progressive_444.jpg", 0xDA), ("baseline.jpg", 0xD9)] {
        let mut bytes = fixture(name);
        let before = decode(&bytes, &Limits::default()).unwrap();
        let place = find(&bytes, find(&bytes, 0, 0xDA) + 2, behind);
        bytes.splice(place..place, turned[exif..exif + 2 + length].iter().copied());
        let picture = decode(&bytes, &Limits::default()).unwrap();
        assert!(picture == before, "{name}");
        assert_eq!(dimensions(&bytes), Ok((picture.width, picture.height)), "{name}");
    }
}

/// It would come out black.
#[test]
fn colours_that_change_between_two_scans_are_refused() {
    let mut bytes = fixture("progressive_444.jpg");
    let second_scan = find(&bytes, find(&bytes, 0, 0xDA) + 2, 0xDA);
    bytes.splice(second_scan..second_scan, *b"\xFF\xEE\0\x0EAdobe\0d\0\0\0\0\0");
    let refused = decode(&bytes, &Limits::default()).unwrap_err();
    assert_eq!(refused.reason(), "unsupported");
    assert!(refused.to_string().contains("3 components, taken for CMYK"), "{refused}");
}

#[test]
fn a_small_picture_is_rejected_unless_enlarged() {
    let picture = Rgb { width: 40, height: 20, pixels: vec![9; 40 * 20 * 3] };
    let (fit, filter) = (Fit::ShortestEdgeCrop, Filter::Bilinear);
    let mut to = Resize { height: 32, width: 32, fit, filter, enlarge: false };
    let rejected = Scaler::default().resize(picture.clone(), &to).unwrap_err();
    assert_eq!(rejected.reason(), "too-small");
    let text = "40×20 is smaller than the wanted 32×32: ask for a smaller `--size` or pass `--enlarge`";
    assert_eq!(rejected.to_string(), text);
    to.enlarge = true;
    assert_eq!(Scaler::default().resize(picture, &to).unwrap().pixels.len(), 32 * 32 * 3);
}

#[test]
fn a_picture_of_the_wanted_size_is_not_copied() {
    let picture = Rgb { width: 32, height: 32, pixels: vec![9; 32 * 32 * 3] };
    let address = picture.pixels.as_ptr();
    let (fit, filter) = (Fit::Squash, Filter::Bicubic);
    let to = Resize { height: 32, width: 32, fit, filter, enlarge: false };
    assert_eq!(Scaler::default().resize(picture, &to).unwrap().pixels.as_ptr(), address);
}

#[test]
fn every_reason_is_one_word_for_machines() {
    let too_large = Rejected::TooLarge { width: 1, height: 1, limit: "1 pixels".to_owned() };
    assert_eq!(too_large.reason(), "too-large");
    assert_eq!(Rejected::Empty.reason(), "empty");
}
