//! From the model's files to a decoder: what is edited in the graphs, and how they are fed.

use std::path::{Path, PathBuf};

use backbone::{CacheType, Decoder, DecoderGraph, DecoderPorts, Device, InPlacePorts, Placement, Provider, Runtime};
use onnx_graph::{DecoderContract, ElementType, LAST_POSITION, LENGTHS, Model, TOTAL_LENGTH, row_selection};
use stage::Exit;

use crate::model_folder::{Layout, ModelFolder};
use crate::settings::Settings;
use crate::{backbone_error, model_error};

/// Which edits are made before the graph is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Edits {
    /// None: the graph as it is in the file.
    None,
    /// Last logits only, and the cache in place where the device and the graph allow it.
    All,
}

/// The graphs of a model, ready to be loaded.
#[derive(Debug)]
pub(crate) struct Graphs {
    pub(crate) contract: DecoderContract,
    prompt: Option<Prepared>,
    next: Prepared,
}

#[derive(Debug)]
struct Prepared {
    bytes: Vec<u8>,
    ports: DecoderPorts,
    external_files: Vec<String>,
    /// Their folder, if there are any.
    external: Option<PathBuf>,
}

impl Graphs {
    /// Reads the model's graphs and edits them.
    pub(crate) fn prepare(model: &ModelFolder, edits: Edits, in_place: bool) -> anyhow::Result<Self> {
        let in_place = in_place && model.is_plain_causal();
        let (prompt, next) = match &model.layout {
            Layout::One(path) => (None, prepare(path, edits, in_place)?),
            // Both must keep the cache in the same way, and the first of two has no past to keep it in.
            Layout::Two { prompt, next } => (Some(prepare(prompt, edits, false)?), prepare(next, edits, false)?),
        };
        let (next, contract) = next;
        if !contract.takes_cache() {
            return Err(Exit::BadData.error(format!(
                "{}: takes no past key/values, so every token would cost the whole text again; export it with \
                 `optimum-cli export onnx --task text-generation-with-past`",
                model.layout.graphs().last().unwrap_or(&Path::new("")).display()
            )));
        }
        let prompt = match prompt {
            Some((prompt, of_prompt)) => {
                let facts = |c: &DecoderContract| (c.kv_heads, c.head_dim, c.cache_element, c.vocab);
                if prompt.ports.present != next.ports.present || facts(&of_prompt) != facts(&contract) {
                    let message = "the two graphs of the model do not belong together: layers, heads, types or \
                                   vocabulary differ; export both again";
                    return Err(Exit::BadData.error(message));
                }
                Some(prompt)
            }
            None => None,
        };
        Ok(Self { contract, prompt, next })
    }

    /// Whether the cache stays in place.
    pub(crate) fn in_place(&self) -> bool {
        self.next.ports.in_place.is_some()
    }

    /// Files beside the graphs that hold elements of their tensors.
    pub(crate) fn external_files(&self) -> Vec<String> {
        let of = |graph: &Prepared| graph.external_files.clone();
        let mut files: Vec<String> = self.prompt.iter().chain([&self.next]).flat_map(of).collect();
        files.dedup();
        files
    }

    /// Whether only the last position's logits are computed.
    pub(crate) fn last_logits(&self) -> bool {
        self.next.ports.last_position.is_some()
    }

    fn load(&self, runtime: &Runtime, placement: &Placement<'_>) -> backbone::Result<Decoder> {
        let selection = row_selection(&self.contract);
        let prompt = self.prompt.as_ref().map(Prepared::graph);
        Decoder::load(runtime, prompt, self.next.graph(), &selection, placement)
    }
}

impl Prepared {
    fn graph(&self) -> DecoderGraph<'_> {
        DecoderGraph { model: &self.bytes, external: self.external.as_deref(), ports: &self.ports }
    }
}

/// The folder in which the runtime is to look for external data. It refuses links that lead out of the folder, as all
/// in a hub's cache do; then it is the folder that they lead to, with the names that the files have there.
fn find_external(model: &mut Model, folder: &Path, files: &[String]) -> Option<PathBuf> {
    if files.is_empty() {
        return None;
    }
    let target = |file: &str| {
        let target = folder.join(file).canonicalize().ok()?;
        Some((target.parent()?.to_path_buf(), target.file_name()?.to_str()?.to_string()))
    };
    let targets: Option<Vec<_>> = files.iter().map(|file| target(file)).collect();
    let targets = targets.unwrap_or_default();
    let Some((there, _)) = targets.first().filter(|(first, _)| {
        let is_elsewhere = folder.canonicalize().is_ok_and(|folder| folder != *first);
        is_elsewhere && targets.iter().all(|(folder, _)| folder == first)
    }) else {
        return Some(folder.to_path_buf());
    };
    let there = there.clone();
    model.rename_external_files(|file| target(file).map_or(file.to_string(), |(_, name)| name));
    Some(there)
}

fn prepare(path: &Path, edits: Edits, in_place: bool) -> anyhow::Result<(Prepared, DecoderContract)> {
    let mut model = Model::read_with_external_data(path).map_err(model_error)?;
    let contract = model.decoder_contract().map_err(model_error)?;
    let (mut last_logits, mut is_in_place) = (false, false);
    if edits == Edits::All {
        last_logits = model.keep_last_logits();
        is_in_place = in_place && contract.takes_cache() && model.keep_cache_in_place(&contract);
        if is_in_place {
            model.simplify_reshapes(&contract.input_ids);
        }
    }
    let external_files = model.external_files();
    let external = find_external(&mut model, path.parent().unwrap_or(Path::new(".")), &external_files);
    let bytes = model.encode().map_err(model_error)?;
    let ports = ports(&contract, last_logits, is_in_place)?;
    Ok((Prepared { bytes, ports, external_files, external }, contract))
}

fn ports(contract: &DecoderContract, last_logits: bool, in_place: bool) -> anyhow::Result<DecoderPorts> {
    let size = |n: u64| usize::try_from(n).map_err(|e| Exit::BadData.wrap(e));
    let layers = &contract.layers;
    Ok(DecoderPorts {
        input_ids: contract.input_ids.clone(),
        attention_mask: contract.attention_mask.clone().filter(|_| !in_place),
        position_ids: contract.position_ids.clone(),
        use_cache_branch: contract.use_cache_branch.clone(),
        last_position: last_logits.then(|| LAST_POSITION.to_string()),
        in_place: in_place
            .then(|| InPlacePorts { lengths: LENGTHS.to_string(), total_length: TOTAL_LENGTH.to_string() }),
        logits: contract.logits.clone(),
        past: layers.iter().flat_map(|l| l.past_key.iter().chain(&l.past_value)).cloned().collect(),
        present: layers.iter().flat_map(|l| [l.present_key.clone(), l.present_value.clone()]).collect(),
        kv_heads: size(contract.kv_heads)?,
        head_dim: size(contract.head_dim)?,
        cache_type: match contract.cache_element {
            ElementType::F16 => CacheType::Float16,
            _ => CacheType::Float32,
        },
    })
}

/// A model that is loaded, and what is known of it.
#[derive(Debug)]
pub(crate) struct Network {
    pub(crate) decoder: Decoder,
    pub(crate) contract: DecoderContract,
    pub(crate) in_place: bool,
}

impl Network {
    /// Loads the model onto the device of the settings.
    ///
    /// The cache is kept in place on the CPU only: the operator that does so computes in float16 alone on CUDA.
    pub(crate) fn load(settings: &Settings, edits: Edits) -> anyhow::Result<Self> {
        // The runtime first: when it is missing, that is said before any time is spent.
        let runtime = Runtime::load().map_err(backbone_error)?;
        let placement = |device| Placement {
            device,
            cuda_libraries: settings.cuda_libraries.as_deref(),
            threads: settings.threads,
            rewrites: &[],
        };
        let on_cuda = match (settings.device, settings.device.settled()) {
            (Device::Cpu, _) | (_, Some(Provider::Cpu)) => None,
            (Device::Auto, _) => Some(Device::Cuda(0)),
            (device, _) => Some(device),
        };
        if let Some(device) = on_cuda {
            let graphs = Graphs::prepare(&settings.model, edits, false)?;
            match graphs.load(&runtime, &placement(device)) {
                Ok(decoder) => return Ok(Self { decoder, contract: graphs.contract, in_place: false }),
                Err(e) if settings.device != Device::Auto => return Err(backbone_error(e)),
                Err(e) => tracing::debug!("--device auto: {e}"),
            }
        }
        let graphs = Graphs::prepare(&settings.model, edits, true)?;
        let decoder = graphs.load(&runtime, &placement(Device::Cpu)).map_err(backbone_error)?;
        let in_place = graphs.in_place();
        Ok(Self { decoder, contract: graphs.contract, in_place })
    }

    /// Number of tokens that the model gives a score to.
    pub(crate) fn vocab(&self, settings: &Settings) -> usize {
        self.contract.vocab.and_then(|v| usize::try_from(v).ok()).unwrap_or_else(|| settings.tokenizer.vocab_size())
    }

    /// One line for people: what runs where.
    pub(crate) fn describe(&self, settings: &Settings) -> String {
        format!(
            "{} layers of {} on {}, cache {}",
            self.contract.layers.len(),
            settings.model_name,
            self.decoder.provider(),
            if self.in_place { "in place" } else { "as exported" }
        )
    }
}
