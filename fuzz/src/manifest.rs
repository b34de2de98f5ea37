//! `manifest.json` and the journal of a build: any bytes are read or refused, and what is read stays in its folder.

use std::fs;
use std::path::Path;

use artifact::{
    Artifact, CompletionsFacts, Digest, Error, ExamplesFacts, FeaturesFacts, Kind, Manifest, PredictionsFacts,
    PromptsFacts, Split,
};

use crate::workbench;

/// The bytes as a manifest and as the journal of an interrupted build: as they are, and sealed, so that what is behind
/// the check of the digest is reached.
pub fn target(data: &[u8]) {
    read(data, data);
    let lines = data.split(|byte| *byte == b'\n').take(8).filter_map(|line| sealed(line, ",\"blake3\":\"", "\"}"));
    let journal = lines.collect::<Vec<_>>().join(&b'\n');
    if let Some(manifest) = sealed(data, ",\n  \"blake3\": \"", "\"\n}\n") {
        read(&manifest, &journal);
    }
}

/// A JSON object with its own digest as last value, as `artifact` lays it out: that of the text with this value empty.
fn sealed(object: &[u8], front: &str, back: &str) -> Option<Vec<u8>> {
    let body = object.trim_ascii_end().strip_suffix(b"}")?.trim_ascii_end();
    let digest = Digest::of(&[body, front.as_bytes(), back.as_bytes()].concat());
    Some([body, front.as_bytes(), digest.as_str().as_bytes(), back.as_bytes()].concat())
}

fn read(manifest: &[u8], journal: &[u8]) {
    workbench::with(|bench| {
        bench.write("a/manifest.json", manifest);
        bench.write("a.building/journal.jsonl", journal);
        let folder = bench.path("a");
        match Artifact::unfinished(&folder) {
            Ok(parts) => assert!(parts.is_some(), "there is a build"),
            Err(error) => assert!(matches!(error, Error::Io { .. }), "{error:?}"),
        }
        match Artifact::find(&folder) {
            Ok(found) => look_at(&found.expect("there is a manifest"), &folder),
            Err(error) => assert!(matches!(error, Error::Malformed { .. } | Error::Damaged { .. }), "{error:?}"),
        }
    });
}

fn look_at(found: &Artifact, folder: &Path) {
    let manifest = found.manifest();
    let names = manifest.parts.iter().map(|p| &p.file).chain(manifest.files.iter().map(|f| &f.file));
    for name in names {
        assert_eq!(folder.join(name).parent(), Some(folder), "{name:?} reaches outside");
    }
    let in_splits: u64 = Split::ALL.iter().map(|split| manifest.rows_of(*split)).fold(0, u64::saturating_add);
    assert!(in_splits <= manifest.rows());
    let _ = match manifest.kind {
        Kind::Examples => manifest.facts_as::<ExamplesFacts>(folder).map(drop),
        Kind::Features => manifest.facts_as::<FeaturesFacts>(folder).map(drop),
        Kind::Predictions => manifest.facts_as::<PredictionsFacts>(folder).map(drop),
        Kind::Prompts => manifest.facts_as::<PromptsFacts>(folder).map(drop),
        Kind::Completions => manifest.facts_as::<CompletionsFacts>(folder).map(drop),
        Kind::Head => Ok(()),
    };
    let is_ours = |error: &Error| matches!(error, Error::Bug(_) | Error::Occupied { .. } | Error::Locked { .. });
    let errors = [
        Artifact::open(folder, Kind::Features).err(),
        found.verify().err(),
        found.damages().err(),
        manifest.parts.first().and_then(|_| found.read_part(0).err()),
        manifest.files.first().and_then(|f| found.read_file(&f.file).err()),
    ];
    assert!(!errors.iter().flatten().any(is_ours), "{errors:?}");
    written_back(manifest, folder);
}

/// What was understood is understood again.
fn written_back(manifest: &Manifest, folder: &Path) {
    let bytes = manifest.to_json().expect("a manifest can be written");
    fs::write(folder.join("manifest.json"), bytes).expect("a file can be written in a temporary folder");
    let again = Artifact::find(folder).expect("it can be read again").expect("it is there");
    assert_eq!(again.manifest(), manifest);
}
