//! Running a decoder: the prompt pass, one step, and choosing rows of the cache.

use ort::memory::{AllocationDevice, Allocator, AllocatorType, MemoryInfo, MemoryType};
use ort::session::{IoBinding, Session};
use ort::value::{DynTensor, DynValue, Tensor, TensorElementType};

use super::cache::Cache;
use super::logits::Logits;
use super::ports::{CacheType, DecoderGraph, DecoderPorts};
use crate::error::run_error;
use crate::{Device, Error, Placement, Provider, Result, Runtime};

/// A loaded language model.
#[derive(Debug)]
pub struct Decoder {
    /// Makes the cache, where a model comes as two files.
    prompt: Option<(Session, DecoderPorts)>,
    session: Session,
    ports: DecoderPorts,
    selection: Session,
    provider: Provider,
    logits: Option<Logits>,
}

/// The tensors of one run besides the cache.
struct Fed {
    /// `[rows, sequence]`, row-major.
    ids: Vec<i64>,
    positions: Vec<i64>,
    /// `[rows, width]`; empty where the cache is in place.
    mask: Vec<i64>,
    /// Position of each row's last token within this run.
    last: Vec<usize>,
    /// Tokens of each row after this run.
    lengths: Vec<usize>,
    sequence: usize,
}

impl Decoder {
    /// Loads a model, and the model that makes its cache if there is one apart.
    ///
    /// `selection` is a graph that takes the cache tensors as `cache.0`, `cache.1`, … and int64 `rows`,
    /// and gives `selected.0`, `selected.1`, …: the named rows of each.
    ///
    /// # Errors
    /// [`Error::NoDevice`] when CUDA was asked for and is not to be had, [`Error::Model`] when the
    /// runtime refuses the model.
    pub fn load(
        runtime: &Runtime,
        prompt: Option<DecoderGraph<'_>>,
        next: DecoderGraph<'_>,
        selection: &[u8],
        placement: &Placement<'_>,
    ) -> Result<Self> {
        let (session, provider) = placement.load(runtime, next.model, next.external)?;
        // All sessions share the buffers of the first: none may end up elsewhere.
        let device = match provider {
            Provider::Cpu => Device::Cpu,
            Provider::Cuda(index) => Device::Cuda(index),
        };
        let placement = Placement { device, ..*placement };
        let prompt = match prompt {
            Some(graph) => Some((placement.load(runtime, graph.model, graph.external)?.0, graph.ports.clone())),
            None => None,
        };
        let (selection, _) = placement.load(runtime, selection, None)?;
        Ok(Self { prompt, session, ports: next.ports.clone(), selection, provider, logits: None })
    }

    /// Where it runs.
    #[must_use]
    pub fn provider(&self) -> Provider {
        self.provider
    }

    /// Whether the rows of a batch must all have the same number of tokens: the model is not told what is padding.
    #[must_use]
    pub fn needs_equal_lengths(&self) -> bool {
        let told = |ports: &DecoderPorts| {
            ports.in_place.is_some() || (ports.attention_mask.is_some() && ports.position_ids.is_some())
        };
        !(told(&self.ports) && self.prompt.as_ref().is_none_or(|(_, ports)| told(ports)))
    }

    /// The logits `[vocabulary]` of a row after the last [`Decoder::start`] or [`Decoder::step`].
    ///
    /// # Errors
    /// [`Error::Model`] when nothing has been run, or the model gives something else than floats.
    pub fn logits(&self, row: usize) -> Result<&[f32]> {
        self.logits.as_ref().ok_or_else(|| Error::Model("nothing has been run yet".into()))?.row(row)
    }

    /// Runs the prompts, one a row, none empty. `room` is how many tokens will follow at most.
    ///
    /// # Errors
    /// [`Error::Run`] or [`Error::OutOfMemory`] when the runtime fails, [`Error::Lengths`] for rows of different
    /// lengths where [`Decoder::needs_equal_lengths`].
    pub fn start(&mut self, prompts: &[&[i64]], room: usize) -> Result<Cache> {
        let lengths: Vec<usize> = prompts.iter().map(|p| p.len()).collect();
        let longest = lengths.iter().copied().max().unwrap_or(0);
        let shortest = lengths.iter().copied().min().unwrap_or(0);
        if longest != shortest && self.needs_equal_lengths() {
            return Err(Error::Lengths { shortest, longest });
        }
        let mut cache = Cache {
            tensors: Vec::new(),
            spare: Vec::new(),
            lengths: vec![0; prompts.len()],
            capacity: longest + room,
            width: 0,
        };
        let (mut ids, mut positions, mut mask) = (Vec::new(), Vec::new(), Vec::new());
        let in_place = self.ports.in_place.is_some();
        for prompt in prompts {
            let padding = longest - prompt.len();
            if in_place {
                ids.extend_from_slice(prompt);
                ids.extend(std::iter::repeat_n(0, padding));
                positions.extend((0..longest).map(|p| p as i64));
            } else {
                ids.extend(std::iter::repeat_n(0, padding));
                ids.extend_from_slice(prompt);
                positions.extend(std::iter::repeat_n(0, padding));
                positions.extend((0..prompt.len()).map(|p| p as i64));
                mask.extend(std::iter::repeat_n(0, padding));
                mask.extend(std::iter::repeat_n(1, prompt.len()));
            }
        }
        let last = lengths.iter().map(|n| if in_place { n - 1 } else { longest - 1 }).collect();
        let fed = Fed { ids, positions, mask, last, lengths, sequence: longest };
        self.run(&mut cache, fed, true)?;
        Ok(cache)
    }

    /// Appends one token to every row.
    ///
    /// # Errors
    /// As [`Decoder::start`].
    pub fn step(&mut self, cache: &mut Cache, tokens: &[i64]) -> Result<()> {
        let rows = cache.n_rows();
        if cache.longest() >= cache.capacity {
            let reason = format!("the cache was made for {} tokens a row and is full", cache.capacity);
            return Err(Error::Run { rows, reason });
        }
        let positions = cache.lengths.iter().map(|n| *n as i64).collect();
        let mask = if self.ports.in_place.is_some() {
            Vec::new()
        } else {
            let width = cache.width + 1;
            cache.lengths.iter().flat_map(|n| (0..width).map(move |at| i64::from(at + n + 1 >= width))).collect()
        };
        let lengths = cache.lengths.iter().map(|n| n + 1).collect();
        let fed = Fed { ids: tokens.to_vec(), positions, mask, last: vec![0; rows], lengths, sequence: 1 };
        self.run(cache, fed, false)
    }

    /// Makes the cache hold the named rows, in this order; a row may be named several times or not at all.
    ///
    /// # Errors
    /// As [`Decoder::start`].
    pub fn select(&mut self, cache: &mut Cache, rows: &[usize]) -> Result<()> {
        if rows.iter().copied().eq(0..cache.n_rows()) {
            return Ok(());
        }
        let provider = self.provider;
        self.selected(cache, rows).map_err(|e| run_error(&e, provider, rows.len()))?;
        cache.lengths = rows.iter().map(|row| cache.lengths[*row]).collect();
        Ok(())
    }

    fn selected(&mut self, cache: &mut Cache, rows: &[usize]) -> ort::Result<()> {
        let mut binding = self.selection.create_binding()?;
        let index: Vec<i64> = rows.iter().map(|row| *row as i64).collect();
        binding.bind_input("rows", &Tensor::from_array(([rows.len()], index))?)?;
        for (i, tensor) in cache.tensors.iter().enumerate() {
            binding.bind_input(format!("cache.{i}"), tensor)?;
        }
        if self.ports.in_place.is_none() {
            let memory = device_memory(self.provider)?;
            (0..cache.tensors.len())
                .try_for_each(|i| binding.bind_output_to_device(format!("selected.{i}"), &memory))?;
            let mut outputs = self.selection.run_binding(&binding)?;
            cache.tensors = (0..cache.tensors.len()).filter_map(|i| outputs.remove(format!("selected.{i}"))).collect();
            return Ok(());
        }
        let fits = |tensor: &DynValue| tensor.shape().first().is_some_and(|n| *n == rows.len() as i64);
        let mut into = std::mem::take(&mut cache.spare);
        if !into.first().is_some_and(fits) {
            into = self.buffers(rows.len(), cache.capacity)?;
        }
        for (i, tensor) in into.iter_mut().enumerate() {
            binding.bind_output(format!("selected.{i}"), tensor)?;
        }
        drop(self.selection.run_binding(&binding)?);
        cache.spare = std::mem::replace(&mut cache.tensors, into);
        Ok(())
    }

    /// One empty buffer a cache tensor, `[rows, heads, length, dim]`.
    fn buffers(&self, rows: usize, length: usize) -> ort::Result<Vec<DynValue>> {
        let element = match self.ports.cache_type {
            CacheType::Float32 => TensorElementType::Float32,
            CacheType::Float16 => TensorElementType::Float16,
        };
        let shape = [rows, self.ports.kv_heads, length, self.ports.head_dim];
        let allocator = Allocator::new(&self.session, device_memory(self.provider)?)?;
        let buffer = |_| Ok(DynTensor::new(&allocator, element, shape)?.into_dyn());
        (0..self.ports.present.len()).map(buffer).collect()
    }

    fn run(&mut self, cache: &mut Cache, fed: Fed, is_prompt: bool) -> Result<()> {
        let (provider, rows) = (self.provider, fed.lengths.len());
        let logits = self.bound(cache, &fed, is_prompt).map_err(|e| run_error(&e, provider, rows))?;
        let logits = logits.ok_or_else(|| Error::Logits { found: Vec::new(), rows })?;
        self.logits = Some(Logits::new(logits, &fed.last)?);
        cache.width += fed.sequence;
        cache.lengths = fed.lengths;
        Ok(())
    }

    /// Binds everything, runs, and leaves the new keys and values in the cache. Gives the logits.
    fn bound(&mut self, cache: &mut Cache, fed: &Fed, is_prompt: bool) -> ort::Result<Option<DynValue>> {
        let rows = fed.lengths.len();
        if is_prompt {
            // In place there is room for all that is to come; a cache that grows begins with nothing.
            cache.tensors = self.buffers(rows, if self.ports.in_place.is_some() { cache.capacity } else { 0 })?;
        }
        let memory = device_memory(self.provider)?;
        let host = MemoryInfo::new(AllocationDevice::CPU, 0, AllocatorType::Device, MemoryType::CPUOutput)?;
        let (session, ports) = match &mut self.prompt {
            Some((session, ports)) if is_prompt => (session, &*ports),
            _ => (&mut self.session, &self.ports),
        };
        let mut binding = session.create_binding()?;
        feed(&mut binding, ports, fed, is_prompt)?;
        for (name, tensor) in ports.past.iter().zip(&cache.tensors) {
            binding.bind_input(name, tensor)?;
        }
        binding.bind_output_to_device(&ports.logits, &host)?;
        if ports.in_place.is_some() {
            for (name, tensor) in ports.present.iter().zip(&mut cache.tensors) {
                binding.bind_output(name, tensor)?;
            }
        } else {
            ports.present.iter().try_for_each(|name| binding.bind_output_to_device(name, &memory))?;
        }
        let mut outputs = session.run_binding(&binding)?;
        if ports.in_place.is_none() {
            cache.tensors = ports.present.iter().filter_map(|name| outputs.remove(name)).collect();
        }
        Ok(outputs.remove(&ports.logits))
    }
}

fn feed(binding: &mut IoBinding, ports: &DecoderPorts, fed: &Fed, is_prompt: bool) -> ort::Result<()> {
    let rows = fed.lengths.len();
    let matrix = |values: &[i64]| Tensor::from_array(([rows, values.len() / rows], values.to_vec()));
    binding.bind_input(&ports.input_ids, &matrix(&fed.ids)?)?;
    if let Some(name) = &ports.position_ids {
        binding.bind_input(name, &matrix(&fed.positions)?)?;
    }
    if let Some(name) = &ports.last_position {
        let last: Vec<i64> = fed.last.iter().map(|p| *p as i64).collect();
        binding.bind_input(name, &Tensor::from_array(([rows, 1, 1], last))?)?;
    }
    if let Some(name) = &ports.use_cache_branch {
        binding.bind_input(name, &Tensor::from_array(([1], vec![!is_prompt]))?)?;
    }
    if let Some(in_place) = &ports.in_place {
        let less_one: Vec<i32> = fed.lengths.iter().map(|n| *n as i32 - 1).collect();
        let longest = fed.lengths.iter().copied().max().unwrap_or(0) as i32;
        binding.bind_input(&in_place.lengths, &Tensor::from_array(([rows], less_one))?)?;
        binding.bind_input(&in_place.total_length, &Tensor::from_array(([1], vec![longest]))?)?;
    } else if let Some(name) = &ports.attention_mask {
        binding.bind_input(name, &matrix(&fed.mask)?)?;
    }
    Ok(())
}

fn device_memory(provider: Provider) -> ort::Result<MemoryInfo<'static>> {
    match provider {
        Provider::Cpu => MemoryInfo::new(AllocationDevice::CPU, 0, AllocatorType::Device, MemoryType::Default),
        Provider::Cuda(index) => {
            MemoryInfo::new(AllocationDevice::CUDA, index as i32, AllocatorType::Device, MemoryType::Default)
        }
    }
}
