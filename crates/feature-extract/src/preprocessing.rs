//! How stored pixels become what the network was trained on: flags over `preprocessor_config.json`.
//!
//! There is no built-in default for mean and std. A wrong one costs ten points of accuracy and
//! looks like a bad network, so what is not known is asked for.

use std::fs;
use std::path::{Path, PathBuf};

use hub::Wanted;
use onnx_graph::Interpolation;
use serde::Deserialize;
use serde_json::Value;
use stage::Exit;

use crate::args::Args;

/// The resolved preprocessing; `(x · rescale − mean) / std` per channel.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Pixels {
    /// Height and width for the network, where something else than the network says so.
    pub(crate) size: Option<(u64, u64)>,
    pub(crate) rescale: f32,
    pub(crate) mean: [f32; 3],
    pub(crate) std: [f32; 3],
    pub(crate) interpolation: Interpolation,
}

impl Pixels {
    /// Bytes as they are.
    pub(crate) fn none() -> Self {
        Self { size: None, rescale: 1.0, mean: [0.0; 3], std: [1.0; 3], interpolation: Interpolation::Bilinear }
    }

    /// The rule in words, for the manifest.
    pub(crate) fn describe(&self) -> String {
        let Self { rescale, mean, std, interpolation, .. } = self;
        format!("(x * {rescale} - {mean:?}) / {std:?}, RGB, {interpolation:?} where enlarged")
    }
}

/// What is read of a Hugging Face `preprocessor_config.json`.
#[derive(Debug, Default, Deserialize)]
struct Config {
    do_rescale: Option<bool>,
    rescale_factor: Option<f32>,
    do_normalize: Option<bool>,
    image_mean: Option<Vec<f32>>,
    image_std: Option<Vec<f32>>,
    size: Option<Value>,
    crop_size: Option<Value>,
    do_center_crop: Option<bool>,
    resample: Option<u32>,
}

pub(crate) fn resolve(args: &Args, model: &Path, interpolation: Option<Interpolation>) -> anyhow::Result<Pixels> {
    let file = match &args.preprocessor {
        Some(location) => Some(stage::fetch(location, &Wanted::FILE, &args.common)?.path),
        None => found_near(model),
    };
    let config = match &file {
        Some(path) => Some(read(path)?),
        None => None,
    };
    let name = file.as_ref().map_or_else(String::new, |p| p.display().to_string());
    let in_file = |what: String| Exit::BadData.error(format!("{name}: {what}"));
    let config = config.as_ref();

    let normalises = config.is_none_or(|c| c.do_normalize.unwrap_or(true));
    let channels = |flag: &Option<Vec<f32>>,
                    key: &str,
                    of: fn(&Config) -> &Option<Vec<f32>>,
                    neutral: f32|
     -> anyhow::Result<[f32; 3]> {
        if let Some(values) = flag {
            return three(values).ok_or_else(|| {
                Exit::Usage.error(format!("--{key}: expected one number or three, found {}", values.len()))
            });
        }
        match config {
            Some(_) if !normalises => Ok([neutral; 3]),
            Some(c) => {
                let values = of(c).as_deref().unwrap_or_default();
                three(values).ok_or_else(|| in_file(format!("image_{key}: expected one number or three, found {}", values.len())))
            }
            None => Err(Exit::Usage.error(format!(
                "the preprocessing of {} is not known: there is no preprocessor_config.json beside it; give --mean and --std \
                 (ImageNet networks mostly: --mean 0.485,0.456,0.406 --std 0.229,0.224,0.225; pixels in -1..1: --mean 0.5 --std 0.5)",
                model.display()
            ))),
        }
    };
    let mean = channels(&args.mean, "mean", |c| &c.image_mean, 0.0)?;
    let std = channels(&args.std, "std", |c| &c.image_std, 1.0)?;
    if !mean.iter().all(|m| m.is_finite()) || !std.iter().all(|s| s.is_finite() && *s > 0.0) {
        return Err(Exit::Usage
            .error(format!("mean and std: expected finite numbers and std above 0, found {mean:?} and {std:?}")));
    }
    let rescales = config.is_none_or(|c| c.do_rescale.unwrap_or(true));
    let rescale = match (args.rescale, config.and_then(|c| c.rescale_factor)) {
        (Some(factor), _) => factor,
        _ if !rescales => 1.0,
        (None, Some(factor)) => factor,
        (None, None) => 1.0 / 255.0,
    };
    if !(rescale.is_finite() && rescale > 0.0) {
        return Err(Exit::Usage.error(format!("--rescale: expected a finite number above 0, found {rescale}")));
    }
    let interpolation = match (interpolation, config.and_then(|c| c.resample)) {
        (Some(chosen), _) => chosen,
        (None, None | Some(2)) => Interpolation::Bilinear,
        (None, Some(3)) => Interpolation::Bicubic,
        (None, Some(0)) => Interpolation::Nearest,
        (None, Some(other)) => {
            return Err(in_file(format!(
                "resample {other}: expected 0 (nearest), 2 (bilinear) or 3 (bicubic); choose one with --interpolation"
            )));
        }
    };
    let size = args.size.or_else(|| config.and_then(size));
    Ok(Pixels { size, rescale, mean, std, interpolation })
}

/// The file beside the network, or above the folder `onnx` that it is in, as exports for the web lay it out.
fn found_near(model: &Path) -> Option<PathBuf> {
    const NAME: &str = "preprocessor_config.json";
    let folder = model.parent()?;
    let above = folder.parent().filter(|_| folder.ends_with("onnx"));
    [Some(folder), above].into_iter().flatten().map(|folder| folder.join(NAME)).find(|file| file.is_file())
}

fn read(path: &Path) -> anyhow::Result<Config> {
    let bytes = fs::read(path).map_err(|e| {
        let exit = if e.kind() == std::io::ErrorKind::NotFound { Exit::MissingInput } else { Exit::Io };
        exit.error(format!("cannot read {}: {e}", path.display()))
    })?;
    serde_json::from_slice(&bytes)
        .map_err(|e| Exit::BadData.error(format!("{} is no preprocessor_config.json: {e}", path.display())))
}

fn three(values: &[f32]) -> Option<[f32; 3]> {
    match values {
        [one] => Some([*one; 3]),
        [r, g, b] => Some([*r, *g, *b]),
        _ => None,
    }
}

/// The size that the network sees at the end: that of the crop where there is one.
fn size(config: &Config) -> Option<(u64, u64)> {
    let cropped = config.crop_size.as_ref().filter(|_| config.do_center_crop.unwrap_or(true));
    let value = cropped.or(config.size.as_ref())?;
    let side = |key: &str| value.get(key).and_then(Value::as_u64);
    match value.as_u64().or_else(|| side("shortest_edge")) {
        Some(n) => Some((n, n)),
        None => side("height").zip(side("width")),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    fn resolved(json: Option<&str>, flags: &[&str]) -> Result<Pixels, String> {
        let dir = tempfile::tempdir().unwrap();
        if let Some(json) = json {
            fs::write(dir.path().join("preprocessor_config.json"), json).unwrap();
        }
        let args = Args::parse_from(std::iter::once("feature-extract").chain(flags.iter().copied()));
        resolve(&args, &dir.path().join("m.onnx"), None).map_err(|e| e.to_string())
    }

    const VIT: &str = r#"{"do_normalize": true, "image_mean": [0.1, 0.2, 0.3], "image_std": [0.5, 0.5, 0.5],
        "rescale_factor": 0.00392156862745098, "size": {"height": 224, "width": 192}, "resample": 3}"#;

    #[test]
    fn the_file_beside_the_model_is_the_preprocessing() {
        let pixels = resolved(Some(VIT), &[]).unwrap();
        assert_eq!((pixels.mean, pixels.size), ([0.1, 0.2, 0.3], Some((224, 192))));
        assert_eq!(pixels.interpolation, Interpolation::Bicubic);
        assert!((pixels.rescale * 255.0 - 1.0).abs() < 1e-6);
    }

    #[test]
    fn the_file_above_a_folder_onnx_is_found_too() {
        let dir = tempfile::tempdir().unwrap();
        let model = dir.path().join("onnx").join("model.onnx");
        fs::create_dir(model.parent().unwrap()).unwrap();
        assert_eq!(found_near(&model), None);
        let above = dir.path().join("preprocessor_config.json");
        fs::write(&above, VIT).unwrap();
        assert_eq!(found_near(&model), Some(above.clone()));
        assert_eq!(found_near(&dir.path().join("weights").join("model.onnx")), None);
        let beside = model.with_file_name("preprocessor_config.json");
        fs::write(&beside, VIT).unwrap();
        assert_eq!(found_near(&model), Some(beside));
    }

    #[test]
    fn flags_override_the_file() {
        let pixels = resolved(Some(VIT), &["--mean", "0.5", "--size", "64"]).unwrap();
        assert_eq!((pixels.mean, pixels.std, pixels.size), ([0.5; 3], [0.5; 3], Some((64, 64))));
    }

    #[test]
    fn an_unknown_preprocessing_is_asked_for_and_not_guessed() {
        assert!(resolved(None, &[]).unwrap_err().contains("give --mean and --std"));
        assert!(resolved(None, &["--mean", "0.5"]).is_err());
        assert!(resolved(None, &["--mean", "0.5", "--std", "0"]).unwrap_err().contains("std above 0"));
        assert_eq!(resolved(None, &["--mean", "0.5", "--std", "0.5"]).unwrap().rescale, 1.0 / 255.0);
    }

    #[test]
    fn crops_and_switched_off_steps() {
        let pixels = resolved(
            Some(r#"{"do_normalize": false, "do_rescale": false, "size": {"shortest_edge": 256}, "crop_size": 224}"#),
            &[],
        )
        .unwrap();
        assert_eq!((pixels.size, pixels.rescale, pixels.mean, pixels.std), (Some((224, 224)), 1.0, [0.0; 3], [1.0; 3]));
        assert!(resolved(Some(r#"{"image_mean": [1, 2], "image_std": [1]}"#), &[]).unwrap_err().contains("found 2"));
    }
}
