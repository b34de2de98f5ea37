//! Tar files of pictures and labels (WebDataset), through the whole of data-prep.
//!
//! The first byte picks the settings, the rest is the file.

use artifact::Kind;

use crate::ingest::{picture_settings, reroll, run};
use crate::mutation::{Dice, Plain, mutate_region};
use crate::workbench;

const BLOCK: usize = 512;

/// Runs data-prep over the file.
pub fn target(data: &[u8]) {
    let Some((which, file)) = data.split_first() else { return };
    workbench::with(|bench| bench.write("in/a.tar", file));
    run(&picture_settings("webdataset", "in/a.tar", *which), Kind::Examples);
}

/// Mutates one header or the content of one member, and corrects the checksum of every header: with a wrong one the
/// reader ends there.
pub fn mutate(data: &mut [u8], size: usize, max_size: usize, seed: u32, plain: Plain) -> usize {
    let mut dice = Dice::new(seed);
    if size <= BLOCK || dice.once_in(10) {
        return plain(data, size, max_size);
    }
    let headers = headers(&data[1..size]);
    let at = headers.get(dice.below(headers.len())).copied().unwrap_or(0) + 1;
    let size = match dice.below(8) {
        0 => {
            reroll(data, &mut dice);
            size
        }
        // Name, mode, owners, size, time, checksum, type, link, magic, prefix: a field in its place.
        1..=3 if at + BLOCK <= size => {
            const FIELDS: [(usize, usize); 10] = [
                (0, 100),
                (0, 20),
                (100, 8),
                (124, 12),
                (124, 12),
                (136, 12),
                (156, 1),
                (156, 1),
                (257, 8),
                (345, 155),
            ];
            let (start, length) = FIELDS[dice.below(FIELDS.len())];
            let field = &mut data[at + start..at + start + length];
            match (start, dice.below(4)) {
                (156, 0..=2) => field[0] = b"0123456LKxgSDVN\0"[dice.below(16)],
                (124, 0..=2) => {
                    let bytes = format!(
                        "{:011o}\0",
                        [0, 1, 511, 512, 513, 1 << 20, dice.below(4096), 0o77777777777][dice.below(8)]
                    );
                    field.copy_from_slice(&bytes.as_bytes()[..12]);
                }
                (124, _) => {
                    // Sizes beyond octal digits are binary, with the top bit set.
                    field.copy_from_slice(&[&[0x80, 0, 0, 0][..], &(dice.awkward() as u64).to_be_bytes()].concat());
                }
                _ => drop(plain(field, length, length)),
            }
            size
        }
        // A member twice, or none: blocks come and go as a whole.
        4 if at + BLOCK <= size && size + BLOCK <= max_size.min(data.len()) => {
            let block = data[at..at + BLOCK].to_vec();
            data.copy_within(at..size, at + BLOCK);
            data[at..at + BLOCK].copy_from_slice(&block);
            size + BLOCK
        }
        5 if at + 2 * BLOCK <= size => {
            data.copy_within(at + BLOCK..size, at);
            size - BLOCK
        }
        _ => {
            let content = (at + BLOCK).min(size);
            let end = (content + 1 + dice.below(BLOCK)).min(size);
            let new = mutate_region(data, size, max_size, content..end, plain);
            // What follows stays at a multiple of a block.
            if new == size || dice.once_in(4) { new } else { realign(data, size, new, max_size, end) }
        }
    };
    for header in self::headers(&data[1..size]) {
        correct_checksum(&mut data[1 + header..1 + header + BLOCK]);
    }
    size
}

/// After a content grew or shrank: moves what is behind it so that the file's length is again what it was.
fn realign(data: &mut [u8], old: usize, new: usize, max_size: usize, old_end: usize) -> usize {
    let tail = old - old_end;
    if old > max_size.min(data.len()) {
        return new;
    }
    let from = new - tail;
    data.copy_within(from..new, old_end);
    if from < old_end {
        data[from..old_end].fill(0);
    }
    old
}

/// Where headers lie, as far as their sizes lead.
fn headers(file: &[u8]) -> Vec<usize> {
    let (mut found, mut at) = (Vec::new(), 0usize);
    while at + BLOCK <= file.len() && file[at..at + BLOCK].iter().any(|byte| *byte != 0) && found.len() < 64 {
        found.push(at);
        let digits = file[at + 124..at + 136].iter().take_while(|b| b.is_ascii_digit());
        let bytes = digits.fold(0usize, |n, b| n.saturating_mul(8).saturating_add(usize::from(b - b'0')));
        let Some(next) = bytes.checked_next_multiple_of(BLOCK).and_then(|n| at.checked_add(BLOCK)?.checked_add(n))
        else {
            break;
        };
        at = next;
    }
    found
}

fn correct_checksum(header: &mut [u8]) {
    header[148..156].fill(b' ');
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}
