//! What was typed, with every value resolved.

use std::path::PathBuf;

use artifact::{ResizeFilter, ResizeFit, ResizePolicy};
use backbone::{Device, Provider};
use hub::Wanted;
use onnx_graph::Replacement;
use picture::{Limits, Resize, Sizing};
use serde_json::{Value, json};
use stage::{Exit, Job, Local, MaxBad};

use crate::about::About;
use crate::args::{Args, Convolution, Filter, Fit};
use crate::deployed::Deployed;

/// What a run is to do.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) classifier: Where,
    pub(crate) source: Source,
    pub(crate) destination: Destination,
    pub(crate) resizing: Deviation,
    pub(crate) max_bad: MaxBad,
    pub(crate) limits: Limits,
    pub(crate) batch: usize,
    pub(crate) device: Device,
    pub(crate) cuda_libraries: Option<PathBuf>,
    pub(crate) threads: usize,
}

/// Where the classifier is.
#[derive(Debug, Clone)]
pub(crate) enum Where {
    /// In a file of its own.
    File(Local),
    /// In a head artifact, whose manifest vouches for it.
    Head(PathBuf),
}

/// Where pictures come from.
#[derive(Debug, Clone)]
pub(crate) enum Source {
    /// Files and folders.
    Pictures(Vec<Local>),
    /// An examples artifact.
    Examples(PathBuf),
}

/// Where predictions go.
#[derive(Debug, Clone)]
pub(crate) enum Destination {
    /// A predictions artifact.
    Artifact(PathBuf),
    /// stdout, `top` classes a picture.
    Print { style: Style, top: usize },
}

/// What stdout shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// A table for people.
    Table,
    /// One JSON object a picture.
    Lines,
    /// One JSON object at the end.
    Object,
}

/// What was typed instead of the classifier's own rule of resizing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Deviation {
    pub(crate) fit: Option<ResizeFit>,
    pub(crate) filter: Option<ResizeFilter>,
    pub(crate) enlarge: bool,
}

/// An artifact bears one bad picture in a hundred, as data-prep does.
const MAX_BAD_OF_ARTIFACT: MaxBad = MaxBad::Share(0.01);

/// Convolutions of ours take longer to load, which is made up for by 75 pictures of ResNet-18 at 224, and by 200 of ResNet-20 at 32.
const FEW: u64 = 100;

/// What of ours is tried: as was typed, else by the number of pictures.
pub(crate) fn ours(typed: Option<Convolution>, deployed: &Deployed, n_pictures: u64) -> &[Replacement] {
    let is_ours = typed.map_or(n_pictures > FEW, |typed| typed == Convolution::Winograd);
    if is_ours { &deployed.ours } else { &[] }
}

impl Settings {
    pub(crate) fn resolve(job: &Job<Args>) -> anyhow::Result<Self> {
        let args = &job.args;
        let resizing = Deviation {
            fit: args.fit.map(|fit| match fit {
                Fit::Squash => ResizeFit::Squash,
                Fit::Crop => ResizeFit::Crop,
            }),
            filter: args.filter.map(|filter| match filter {
                Filter::Bilinear => ResizeFilter::Bilinear,
                Filter::Bicubic => ResizeFilter::Bicubic,
            }),
            enlarge: args.enlarge,
        };
        let is_printed = !args.input.is_empty() && args.common.out.is_none() && args.common.pipeline.is_none();
        if args.input.is_empty() && resizing != Deviation::default() {
            return Err(Exit::Usage.error(
                "--fit, --filter and --enlarge say how the files of --input are brought to size; the pictures of an examples artifact have theirs",
            ));
        }
        if !is_printed && (args.top.is_some() || args.jsonl) {
            return Err(Exit::Usage.error(
                "--top and --jsonl are for what is printed: give --input, without --out and --pipeline; a predictions artifact holds all classes",
            ));
        }
        let destination = if is_printed {
            let style = match (args.jsonl, args.common.json) {
                (true, _) => Style::Lines,
                (false, true) => Style::Object,
                (false, false) => Style::Table,
            };
            Destination::Print { style, top: args.top.unwrap_or(1) as usize }
        } else {
            Destination::Artifact(job.out("predictions"))
        };
        let default_max_bad = if is_printed { MaxBad::Share(1.0) } else { MAX_BAD_OF_ARTIFACT };
        Ok(Self {
            classifier: match &args.classifier {
                Some(location) => Where::File(stage::fetch(location, &Wanted::FILE, &args.common)?),
                None => Where::Head(head_of(job)),
            },
            source: if args.input.is_empty() {
                // Baselines share the examples of the pipeline itself.
                Source::Examples(args.examples.clone().unwrap_or_else(|| job.run_folder().join("examples")))
            } else {
                let fetch = |location| stage::fetch(location, &Wanted::ALL, &args.common);
                Source::Pictures(args.input.iter().map(fetch).collect::<anyhow::Result<_>>()?)
            },
            destination,
            resizing,
            max_bad: args.max_bad.unwrap_or(default_max_bad),
            limits: Limits { max_pixels: args.max_pixels, ..Limits::default() },
            batch: args.batch as usize,
            device: args.device,
            cuda_libraries: args.cuda_libs.clone(),
            threads: args.common.thread_count(),
        })
    }

    /// Every setting that can change the predictions, for the fingerprint.
    pub(crate) fn config(&self, about: &About, provider: Provider, ours: &[Replacement]) -> Value {
        let of_pictures = matches!(self.source, Source::Pictures(_));
        let mut config = json!({
            "batch": self.batch,
            "provider": provider.to_string(),
            "resize": of_pictures.then(|| self.resizing.policy(about)),
            "max_pixels": of_pictures.then_some(self.limits.max_pixels),
        });
        if ours.iter().any(|ours| ours.convolutions) && provider == Provider::Cpu {
            config["convolution"] = json!("winograd");
        }
        config
    }
}

impl Deviation {
    /// The rule of resizing: the classifier's own, with what was typed instead.
    pub(crate) fn policy(&self, about: &About) -> ResizePolicy {
        if *self == Self::default() {
            return about.resize;
        }
        let own = match about.resize {
            ResizePolicy::Resized { fit, filter, enlarge } => (fit, filter, enlarge),
            // data-prep's defaults.
            ResizePolicy::AsTheyAre => (ResizeFit::Squash, ResizeFilter::Bilinear, false),
        };
        ResizePolicy::Resized {
            fit: self.fit.unwrap_or(own.0),
            filter: self.filter.unwrap_or(own.1),
            enlarge: self.enlarge || own.2,
        }
    }

    /// The rule in the terms of `picture`.
    pub(crate) fn sizing(&self, about: &About) -> Sizing {
        let (height, width) = (about.height, about.width);
        match self.policy(about) {
            ResizePolicy::AsTheyAre => Sizing::AsTheyAre { height, width },
            ResizePolicy::Resized { fit, filter, enlarge } => Sizing::Resized(Resize {
                height,
                width,
                fit: match fit {
                    ResizeFit::Squash => picture::Fit::Squash,
                    ResizeFit::Crop => picture::Fit::ShortestEdgeCrop,
                },
                filter: match filter {
                    ResizeFilter::Bilinear => picture::Filter::Bilinear,
                    ResizeFilter::Bicubic => picture::Filter::Bicubic,
                },
                enlarge,
            }),
        }
    }
}

/// A baseline that changes only how pictures are classified shares the head of the pipeline itself.
fn head_of(job: &Job<Args>) -> PathBuf {
    let own = job.artifact("head");
    if own.exists() || job.baseline.is_none() { own } else { job.run_folder().join("head") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_typed_goes_before_what_the_classifier_says() {
        let about = |resize| About { classes: vec!["a".into(), "b".into()], height: 4, width: 6, resize };
        let crop = ResizePolicy::Resized { fit: ResizeFit::Crop, filter: ResizeFilter::Bicubic, enlarge: true };
        assert_eq!(Deviation::default().policy(&about(crop)), crop);
        assert_eq!(
            Deviation::default().sizing(&about(ResizePolicy::AsTheyAre)),
            Sizing::AsTheyAre { height: 4, width: 6 }
        );
        let squash = Deviation { fit: Some(ResizeFit::Squash), ..Deviation::default() };
        assert_eq!(
            squash.policy(&about(crop)),
            ResizePolicy::Resized { fit: ResizeFit::Squash, filter: ResizeFilter::Bicubic, enlarge: true }
        );
        assert_eq!(
            squash.policy(&about(ResizePolicy::AsTheyAre)),
            ResizePolicy::Resized { fit: ResizeFit::Squash, filter: ResizeFilter::Bilinear, enlarge: false }
        );
        let Sizing::Resized(resize) = squash.sizing(&about(crop)) else { panic!("it resizes") };
        assert_eq!((resize.height, resize.width, resize.fit), (4, 6, picture::Fit::Squash));
    }
}
