//! Reads examples, infers features and writes them, the three at the same time.
//!
//! Part k of the features is made from part k of the examples, in batches that never cross a part,
//! so the result does not depend on where a run was interrupted or how parts were spread.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use anyhow::Context;
use artifact::{
    Artifact, Build, ExamplePart, ExamplesFacts, FeaturePart, FeaturesFacts, GRAPH, Input, Kind, PartPlan, Plan,
    Vectors,
};
use backbone::Provider;
use ndarray::{Array2, ArrayView4, Axis, s};
use stage::{Exit, Progress, check_stop};

use crate::network::Engine;
use crate::plan::Settings;

/// One part on its way between two threads.
type Moved<T> = anyhow::Result<(usize, T)>;

/// The parts of the features: those of the examples, one for one.
pub(crate) fn plan(settings: &Settings, examples: &Artifact, inputs: Vec<Input>, provider: Provider) -> Plan {
    let parts = examples.manifest().parts.iter().map(|p| PartPlan { file: p.file.clone(), split: p.split }).collect();
    Plan { kind: Kind::Features, config: settings.config(&provider.to_string()), inputs, parts }
}

/// Makes the missing parts and commits. Also returns the rate, in rows a second.
pub(crate) fn run(
    build: Build,
    examples: &Artifact,
    facts: &ExamplesFacts,
    mut engine: Engine,
    settings: &Settings,
    features_facts: &FeaturesFacts,
) -> anyhow::Result<(Artifact, f64)> {
    let missing = build.missing();
    let mut progress = Progress::start("pictures", examples.manifest().rows(), build.finished().0);
    // One part waits on either side of the network: enough to hide disk and Parquet behind it.
    let (to_network, from_reader) = sync_channel::<Moved<ExamplePart>>(1);
    let (to_writer, from_network) = sync_channel::<(usize, FeaturePart)>(1);
    let graph = engine.take_graph();
    let build = thread::scope(|scope| {
        // Each thread owns its end of a channel, so that when it stops the others notice.
        scope.spawn(move || read(examples, facts, &missing, &to_network));
        let writer = scope.spawn(move || write(build, graph, &from_network));
        let inferred = infer(&mut engine, facts, settings, examples, from_reader, to_writer, &mut progress);
        let written = writer.join().map_err(|_| Exit::Bug.error("the writing thread panicked"))?;
        // The writer's error first: it is the cause when the network could not hand over its part.
        let build = written?;
        inferred.map(|()| build)
    })?;
    let rate = progress.rate();
    drop(progress);
    let facts = serde_json::to_value(features_facts).context("cannot express the facts")?;
    // To give back a network's memory takes as long as to commit.
    let artifact = thread::scope(|scope| {
        scope.spawn(|| drop(engine));
        build.commit(facts)
    })?;
    Ok((artifact, rate))
}

fn read(examples: &Artifact, facts: &ExamplesFacts, missing: &[usize], to_network: &SyncSender<Moved<ExamplePart>>) {
    for &index in missing {
        let part = examples
            .read_part(index)
            .and_then(|batches| ExamplePart::from_batches(&batches, facts, &examples.part_path(index)))
            .map(|part| (index, part))
            .map_err(anyhow::Error::from);
        let failed = part.is_err();
        // A closed channel means that the network has stopped, and it knows why.
        if to_network.send(part).is_err() || failed {
            return;
        }
    }
}

fn infer(
    engine: &mut Engine,
    facts: &ExamplesFacts,
    settings: &Settings,
    examples: &Artifact,
    from_reader: Receiver<Moved<ExamplePart>>,
    to_writer: SyncSender<(usize, FeaturePart)>,
    progress: &mut Progress,
) -> anyhow::Result<()> {
    for moved in from_reader {
        let (index, part) = moved?;
        let file = &examples.manifest().parts[index].file;
        let features = infer_part(engine, facts, settings, &part, progress).with_context(|| format!("part {file}"))?;
        let vectors = Vectors::from_f32(features, settings.dtype);
        check_finite(&vectors, &part.ids).with_context(|| format!("part {file}"))?;
        if to_writer.send((index, FeaturePart { ids: part.ids, labels: part.labels, vectors })).is_err() {
            return Ok(());
        }
    }
    Ok(())
}

fn infer_part(
    engine: &mut Engine,
    facts: &ExamplesFacts,
    settings: &Settings,
    part: &ExamplePart,
    progress: &mut Progress,
) -> anyhow::Result<Array2<f32>> {
    let shape = (part.ids.len(), facts.height as usize, facts.width as usize, 3);
    let pixels = ArrayView4::from_shape(shape, &part.pixels).expect("a part holds one picture a row");
    let mut features: Option<Array2<f32>> = None;
    for start in (0..shape.0).step_by(settings.batch) {
        check_stop()?;
        let end = (start + settings.batch).min(shape.0);
        let batch = engine.run(pixels.slice(s![start..end, .., .., ..]))?;
        let all = features.get_or_insert_with(|| Array2::zeros((shape.0, batch.len_of(Axis(1)))));
        all.slice_mut(s![start..end, ..]).assign(&batch);
        progress.add((end - start) as u64);
    }
    Ok(features.unwrap_or_else(|| Array2::zeros((0, engine.feature_dim()))))
}

/// Features that are not numbers would train a head that is not one.
fn check_finite(vectors: &Vectors, ids: &[String]) -> anyhow::Result<()> {
    let rows = vectors.rows_not_finite();
    if rows.is_empty() {
        return Ok(());
    }
    let first: Vec<_> = rows.iter().take(5).map(|r| ids[*r].as_str()).collect();
    let remedy = match vectors {
        Vectors::Float16(_) => {
            "beyond ±65504 a float16 is infinite: try --dtype float32; else look at the preprocessing"
        }
        Vectors::Float32(_) => "look at --rescale, --mean and --std, and at the network",
    };
    Err(Exit::BadData.error(format!(
        "the features of {} of {} rows are not finite, among them {}; {remedy}",
        rows.len(),
        ids.len(),
        first.join(", ")
    )))
}

/// The graph first: the network is at its first part, and nothing waits for a disk.
fn write(mut build: Build, graph: Vec<u8>, from_network: &Receiver<(usize, FeaturePart)>) -> anyhow::Result<Build> {
    build.write_file(GRAPH, &graph)?;
    drop(graph);
    for (index, part) in from_network {
        build.write_part(index, &part.to_batch()?, Vec::new())?;
    }
    Ok(build)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_are_not_finite_are_named() {
        let ids: Vec<String> = (0..4).map(|i| format!("row-{i}")).collect();
        let mut values = Array2::zeros((4, 2));
        assert!(check_finite(&Vectors::Float32(values.clone()), &ids).is_ok());
        values[[2, 1]] = f32::NAN;
        let error = check_finite(&Vectors::Float32(values.clone()), &ids).unwrap_err();
        assert_eq!(Exit::of(&error), Exit::BadData);
        assert!(error.to_string().contains("1 of 4 rows are not finite, among them row-2"), "{error}");
        values[[2, 1]] = 70_000.0;
        assert!(check_finite(&Vectors::from_f32(values.clone(), artifact::FeatureType::Float32), &ids).is_ok());
        assert!(check_finite(&Vectors::from_f32(values, artifact::FeatureType::Float16), &ids).is_err());
    }
}
