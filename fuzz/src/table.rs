//! Parquet files from anywhere, with pictures or texts in them: the reader of foreign files, and data-prep over it.
//!
//! The first byte picks the settings, the rest is the file.

use artifact::{Error, Kind, ParquetFile};

use crate::ingest::{picture_settings, reroll, run};
use crate::mutation::{Dice, Plain};
use crate::part::{footer, mutate_file};
use crate::workbench;

/// Rows that are read; a file of a few bytes may have any number of them.
const MOST_ROWS: usize = 10_000;

/// Reads the file row by row, and as a source of pictures.
pub fn target(data: &[u8]) {
    let Some((which, file)) = data.split_first() else { return };
    let path = workbench::with(|bench| bench.write("in/a.parquet", file));
    match ParquetFile::open(&path) {
        Err(error) => assert!(matches!(error, Error::Malformed { .. }), "{error:?}"),
        Ok(table) => look_at(&table),
    }
    run(&picture_settings("parquet", "in/a.parquet", *which), Kind::Examples);
}

fn look_at(table: &ParquetFile) {
    let rows: Vec<usize> = (0..table.rows().min(MOST_ROWS)).step_by(2).collect();
    let schema = table.schema();
    let first = schema.fields().first().map_or("", |field| field.name());
    for read in [table.read_all(&rows), table.read(&[first], &rows)] {
        match read {
            Ok(batches) => assert!(batches.iter().map(|b| b.num_rows()).sum::<usize>() <= rows.len()),
            Err(error) => assert!(matches!(error, Error::Malformed { .. }), "{error:?}"),
        }
    }
}

/// As the mutator of parts.
pub fn mutate(data: &mut [u8], size: usize, max_size: usize, seed: u32, plain: Plain) -> usize {
    let mut dice = Dice::new(seed);
    let Some(footer) = footer(&data[..size], 1).filter(|_| !dice.once_in(8)) else {
        return plain(data, size, max_size);
    };
    if dice.once_in(16) {
        reroll(data, &mut dice);
        return size;
    }
    mutate_file(data, size, max_size, 1, footer, &mut dice, plain)
}
