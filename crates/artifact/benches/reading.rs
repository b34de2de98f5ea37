//! Features of 50,000 × 512 into memory, beside the plain bytes of the same files. All files are in the kernel's cache.
//!
//! `cargo bench -p artifact --bench reading`. `checked` is what `head-train` does, on one thread and on all; `unchecked` leaves
//! the digests out, which no program does.

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use artifact::{
    Artifact, Begin, Build, Digest, FeaturePart, FeatureType, FeaturesFacts, Input, Kind, PartPlan, Plan, Redo,
    ResizePolicy, Split, Vectors, feature_values,
};
use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use ndarray::Array2;
use rayon::prelude::*;

const N_PARTS: usize = 25;
const ROWS_OF_PART: usize = 2000;
const DIM: usize = 512;

struct Made {
    artifact: Artifact,
    facts: FeaturesFacts,
    n_bytes: u64,
    _folder: tempfile::TempDir,
}

static MADE: LazyLock<Made> = LazyLock::new(|| make().expect("the artifact can be made"));

fn make() -> Result<Made, Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let part = |index| PartPlan { file: format!("train-{index:05}.parquet"), split: Some(Split::Train) };
    let plan = Plan {
        kind: Kind::Features,
        config: serde_json::Value::Null,
        inputs: Vec::<Input>::new(),
        parts: (0..N_PARTS).map(part).collect(),
    };
    let Begin::Build(mut build) = Build::begin(&folder.path().join("features"), plan, Redo::Missing)? else {
        return Err("there is an artifact already".into());
    };
    for index in 0..N_PARTS {
        let values = Array2::from_shape_fn((ROWS_OF_PART, DIM), |(row, column)| (row * 31 + column * 7) as f32 * 1e-3);
        let ids = (0..ROWS_OF_PART).map(|row| format!("{index}-{row}")).collect();
        let part = FeaturePart { ids, labels: vec![Some(0); ROWS_OF_PART], vectors: Vectors::Float32(values) };
        build.write_part(index, &part.to_batch()?, Vec::new())?;
    }
    let facts = FeaturesFacts {
        feature_dim: DIM,
        dtype: FeatureType::Float32,
        classes: vec!["one".into()],
        backbone: String::new(),
        backbone_digest: String::new(),
        tensor: String::new(),
        preprocessing: String::new(),
        provider: "cpu".into(),
        height: 1,
        width: 1,
        resize_policy: ResizePolicy::AsTheyAre,
    };
    let artifact = build.commit(serde_json::to_value(&facts)?)?;
    let n_bytes = artifact.manifest().parts.iter().map(|part| part.bytes).sum();
    Ok(Made { artifact, facts, n_bytes, _folder: folder })
}

fn bench(bencher: Bencher<'_, '_>, run: impl Fn(&Made) + Sync) {
    bencher.counter(BytesCount::new(MADE.n_bytes)).bench(|| run(&MADE));
}

fn paths() -> impl Iterator<Item = std::path::PathBuf> {
    (0..N_PARTS).map(|index| MADE.artifact.part_path(index))
}

/// The files' bytes, into new memory.
#[divan::bench]
fn plain_bytes(bencher: Bencher<'_, '_>) {
    bench(bencher, |_| {
        let all: Vec<Vec<u8>> = paths().map(|path| fs::read(path).expect("it was written")).collect();
        black_box(all);
    });
}

/// Bytes that are in memory, into new memory.
#[divan::bench]
fn memcpy(bencher: Bencher<'_, '_>) {
    let bytes = vec![1_u8; MADE.n_bytes as usize];
    bench(bencher, |_| drop(black_box(bytes.clone())));
}

/// BLAKE3 of bytes that are in memory.
#[divan::bench]
fn digests(bencher: Bencher<'_, '_>) {
    let all: Vec<Vec<u8>> = paths().map(|path| fs::read(path).expect("it was written")).collect();
    bench(bencher, |_| all.iter().for_each(|bytes| drop(black_box(Digest::of(bytes)))));
}

#[divan::bench(args = [1, 2])]
fn unchecked(bencher: Bencher<'_, '_>, n_threads: usize) {
    let read = |made: &Made, index: usize, buffer: &mut Vec<u8>, values: &mut [f32]| {
        let path = made.artifact.part_path(index);
        read_into(&path, buffer);
        feature_values(buffer, &made.facts, &path, values).expect("it was written").ids.len()
    };
    all_parts(bencher, n_threads, read);
}

#[divan::bench(args = [1, 2])]
fn checked(bencher: Bencher<'_, '_>, n_threads: usize) {
    let read = |made: &Made, index: usize, buffer: &mut Vec<u8>, values: &mut [f32]| {
        made.artifact.read_features(index, &made.facts, buffer, values).expect("it was written").ids.len()
    };
    all_parts(bencher, n_threads, read);
}

fn all_parts(
    bencher: Bencher<'_, '_>,
    n_threads: usize,
    read: impl Fn(&Made, usize, &mut Vec<u8>, &mut [f32]) -> usize + Sync,
) {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().expect("there are threads");
    bench(bencher, |made| {
        pool.install(|| {
            let mut values = vec![0.0; N_PARTS * ROWS_OF_PART * DIM];
            let parts: Vec<_> = values.chunks_mut(ROWS_OF_PART * DIM).enumerate().collect();
            let rows: usize =
                parts.into_par_iter().map_init(Vec::new, |buffer, (i, values)| read(made, i, buffer, values)).sum();
            assert_eq!(rows, N_PARTS * ROWS_OF_PART);
            black_box(values);
        });
    });
}

fn read_into(path: &Path, buffer: &mut Vec<u8>) {
    use std::io::Read;
    buffer.clear();
    let mut file = fs::File::open(path).expect("it was written");
    buffer.reserve_exact(file.metadata().expect("it was written").len() as usize);
    file.read_to_end(buffer).expect("it was written");
}

fn main() {
    divan::main();
}
