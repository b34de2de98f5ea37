//! The graph that is run, made from the file: last layer off, pooling behind, preprocessing in front. It is kept with
//! the features, so that a head can be exported behind the very graph that it was trained on.

use std::thread;

use anyhow::Context;
use artifact::{Artifact, ExamplesFacts, FeaturesFacts};
use backbone::{Backbone, Placement, Provider, Rewrite, Runtime};
use ndarray::{Array2, ArrayView4};
use onnx_graph::{Model, Preprocessing};
use stage::Exit;

use crate::args::Precision;
use crate::plan::{Network, Onnx, Settings};
use crate::{backbone_error, int8, model_error};

/// What turns a batch of pixels into features, loaded and ready.
#[derive(Debug)]
pub(crate) enum Engine {
    Pixels {
        feature_dim: usize,
        graph: Vec<u8>,
    },
    Network {
        backbone: Box<Backbone>,
        graph: Vec<u8>,
        tensor: String,
        feature_dim: usize,
        preprocessing: String,
        name: String,
    },
}

impl Engine {
    /// A dry run checks all, and does not compute what is only needed for features: the ranges of int8.
    pub(crate) fn load(
        settings: &Settings,
        examples: &Artifact,
        facts: &ExamplesFacts,
        dry_run: bool,
    ) -> anyhow::Result<Self> {
        let Network::Onnx(onnx) = &settings.network else {
            let model = Model::of_pixels(facts.height.into(), facts.width.into()).map_err(model_error)?;
            let feature_dim = facts.height as usize * facts.width as usize * 3;
            return Ok(Self::Pixels { feature_dim, graph: model.encode().map_err(model_error)? });
        };
        // Side by side: either takes tens of milliseconds. A runtime that is missing is said first.
        let (runtime, graph) = thread::scope(|scope| {
            let runtime = scope.spawn(Runtime::load);
            let graph = prepare(onnx, facts);
            (runtime.join(), graph)
        });
        let runtime = runtime.map_err(|_| Exit::Bug.error("loading the runtime panicked"))?.map_err(backbone_error)?;
        let mut graph = graph?;
        let calibration = match onnx.precision {
            Precision::Float32 => None,
            Precision::Int8 if dry_run => {
                graph.model.prepare_quantisation().map_err(model_error)?;
                None
            }
            Precision::Int8 => {
                let Graph { model, feature_dim, .. } = &mut graph;
                Some(int8::quantise(model, *feature_dim, &runtime, examples, facts, settings)?)
            }
        };
        let bytes = graph.model.encode().map_err(model_error)?;
        let rewrites = onnx.replacement().choices(&graph.model, settings.batch).into_iter();
        let rewrites: Vec<_> =
            rewrites.map(|ours| Rewrite { apply: ours.function(), is_exact: ours.is_exact() }).collect();
        let placement = Placement {
            device: settings.device,
            cuda_libraries: settings.cuda_libraries.as_deref(),
            threads: settings.threads,
            rewrites: &rewrites,
        };
        let backbone = Backbone::load(&runtime, &bytes, graph.feature_dim, placement);
        let mut backbone = backbone.map_err(backbone_error).with_context(|| onnx.name.clone())?;
        if let Some(calibration) = calibration {
            stage::say(calibration.describe(&mut backbone)?);
        }
        if settings.device == backbone::Device::Auto {
            tracing::debug!("--device auto took {}", backbone.provider());
        }
        Ok(Self::Network {
            backbone: Box::new(backbone),
            graph: bytes,
            tensor: graph.tensor,
            feature_dim: graph.feature_dim,
            preprocessing: onnx.pixels.describe(),
            name: onnx.name.clone(),
        })
    }

    pub(crate) fn provider(&self) -> Provider {
        match self {
            Self::Pixels { .. } => Provider::Cpu,
            Self::Network { backbone, .. } => backbone.provider(),
        }
    }

    pub(crate) fn feature_dim(&self) -> usize {
        match self {
            Self::Pixels { feature_dim, .. } | Self::Network { feature_dim, .. } => *feature_dim,
        }
    }

    /// Gives away the ONNX file that gives these features of stored pixels.
    pub(crate) fn take_graph(&mut self) -> Vec<u8> {
        match self {
            Self::Pixels { graph, .. } | Self::Network { graph, .. } => std::mem::take(graph),
        }
    }

    /// Features `[n, feature_dim]` of pixels `[n, height, width, 3]`.
    pub(crate) fn run(&mut self, pixels: ArrayView4<'_, u8>) -> anyhow::Result<Array2<f32>> {
        match self {
            Self::Pixels { feature_dim, .. } => {
                let values = pixels.iter().map(|v| f32::from(*v) / 255.0).collect();
                let shape = (pixels.dim().0, *feature_dim);
                Ok(Array2::from_shape_vec(shape, values).expect("feature_dim is the number of bytes of a picture"))
            }
            Self::Network { backbone, .. } => backbone.run(pixels).map_err(backbone_error),
        }
    }

    /// One line for people: what runs where.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Pixels { feature_dim, .. } => format!("raw pixels, {feature_dim} numbers a picture"),
            Self::Network { backbone, tensor, feature_dim, name, .. } => {
                format!("tensor {tensor} of {name}, {feature_dim} numbers a picture, on {}", backbone.provider())
            }
        }
    }

    pub(crate) fn facts(&self, settings: &Settings, examples: &ExamplesFacts, digest: String) -> FeaturesFacts {
        let (feature_dim, backbone, tensor, preprocessing) = match self {
            Self::Pixels { feature_dim, .. } => {
                (*feature_dim, "pixels".to_string(), "pixels".to_string(), "x / 255".to_string())
            }
            Self::Network { tensor, feature_dim, preprocessing, name, .. } => {
                let of_file = |is: fn(&Onnx) -> bool| matches!(&settings.network, Network::Onnx(onnx) if is(onnx));
                let random = if of_file(|onnx| onnx.random_weights.is_some()) { ", random weights" } else { "" };
                let int8 = if of_file(|onnx| onnx.precision == Precision::Int8) { ", int8" } else { "" };
                let name = format!("{name}{random}{int8}");
                (*feature_dim, name, tensor.clone(), preprocessing.clone())
            }
        };
        FeaturesFacts {
            feature_dim,
            dtype: settings.dtype,
            classes: examples.classes.clone(),
            backbone,
            backbone_digest: digest,
            tensor,
            preprocessing,
            provider: self.provider().to_string(),
            height: examples.height,
            width: examples.width,
            resize_policy: examples.resize_policy,
        }
    }
}

struct Graph {
    model: Model,
    feature_dim: usize,
    tensor: String,
}

fn prepare(onnx: &Onnx, facts: &ExamplesFacts) -> anyhow::Result<Graph> {
    let mut model = Model::read(&onnx.path).map_err(model_error)?;
    let tensor = match &onnx.feature {
        Some(name) => name.clone(),
        None => model.find_classifier().map_err(model_error)?.feature,
    };
    if let Some(seed) = onnx.random_weights {
        model.randomise_weights(seed).map_err(model_error)?;
    }
    // Cut before the input is looked at: a model of pictures and texts may need only pictures up to here.
    model.cut(&tensor).map_err(model_error)?;
    let input = model.image_input().map_err(model_error)?;
    let (height, width) = model_size(onnx, (input.height, input.width), facts)?;
    let pixels = &onnx.pixels;
    let preprocessing = Preprocessing {
        stored_height: facts.height.into(),
        stored_width: facts.width.into(),
        height,
        width,
        scale: pixels.rescale,
        mean: pixels.mean,
        std: pixels.std,
        interpolation: pixels.interpolation,
    };
    model.prepend_preprocessing(&preprocessing).map_err(model_error)?;
    let feature_dim = model.append_pooling(onnx.pooling).map_err(model_error)?;
    let feature_dim = usize::try_from(feature_dim).map_err(|e| Exit::BadData.wrap(e))?;
    Ok(Graph { model, feature_dim, tensor })
}

/// The size that the network is given: its own where it fixes one, else what was asked for, else
/// that of the stored pictures.
fn model_size(onnx: &Onnx, fixed: (Option<u64>, Option<u64>), facts: &ExamplesFacts) -> anyhow::Result<(u64, u64)> {
    let (asked_height, asked_width) = onnx.pixels.size.unwrap_or((facts.height.into(), facts.width.into()));
    let size = (fixed.0.unwrap_or(asked_height), fixed.1.unwrap_or(asked_width));
    if let Some(asked) = onnx.pixels.size
        && asked != size
    {
        let (h, w) = size;
        let path = onnx.path.display();
        return Err(Exit::Usage.error(format!(
            "{path} takes pictures of {h}x{w}, and --size or its preprocessor says {}x{}; give --size {h}x{w}",
            asked.0, asked.1
        )));
    }
    Ok(size)
}
