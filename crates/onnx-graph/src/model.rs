//! A model that has passed the reader's checks: reading it, writing it, and the facts it states.

use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use bytes::Bytes;
use prost::Message;

use crate::error::{Error, Problem};
use crate::names::subgraphs;
use crate::proto::{GraphProto, ModelProto, StringStringEntryProto, ValueInfoProto};
use crate::shape::{self, Tensors};
use crate::tensor::External;
use crate::value::TensorType;
use crate::{sniff, tensor, validate};

/// The protobuf format ends at 2 GiB: sizes are signed 32-bit numbers in most readers.
const MAX_BYTES: u64 = i32::MAX as u64;

/// An ONNX model, checked: complete, in topological order, every tensor made once.
#[derive(Clone, Debug)]
pub struct Model {
    pub(crate) name: String,
    pub(crate) proto: ModelProto,
}

/// An input or output of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct Port {
    /// Name of the tensor.
    pub name: String,
    /// Its element type and shape, as declared in the file.
    pub tensor: TensorType,
}

/// What a model file says about itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Metadata {
    /// Program that wrote the file, with its version; empty if not stated.
    pub producer: String,
    /// Version of the file format.
    pub ir_version: i64,
    /// Version of the standard operator set.
    pub opset: i64,
    /// What has to be fed; initialisers that old files list as inputs are left out.
    pub inputs: Vec<Port>,
    /// What the model gives.
    pub outputs: Vec<Port>,
    /// Nodes of the main graph.
    pub n_nodes: usize,
    /// Elements of all initialisers together.
    pub n_parameters: u64,
    /// Keys and values that the exporter left in the file, in its order.
    pub metadata_props: Vec<(String, String)>,
}

impl Model {
    /// Reads and checks a model file.
    ///
    /// # Errors
    /// If it cannot be read, is no ONNX model, is over 2 GiB (it is then not read), or fails a check; see [`Problem`].
    pub fn read(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::read_as(path.as_ref(), External::Refused)
    }

    fn read_as(path: &Path, external: External) -> Result<Self, Error> {
        let name = path.display().to_string();
        let bytes = read_file(path).map_err(|problem| problem.of(&name))?;
        Self::parse_as(bytes.into(), &name, external)
    }

    /// As [`Model::read`], but the elements of tensors may lie in other files of the model's folder. Those are
    /// looked at by name only, here; whoever runs the model has to tell the runtime the folder.
    ///
    /// # Errors
    /// As [`Model::read`]; [`Problem::ExternalPath`], [`Problem::ExternalMissing`], [`Problem::ExternalOutside`] and
    /// [`Problem::ExternalShared`] for files that are not plain names, not there, or not the folder's own.
    pub fn read_with_external_data(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let name = path.display().to_string();
        let mut model = Self::read_as(path, External::Allowed)?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let files = model.external_files();
        let fail = |problem: Problem| Err(problem.of(&name));
        for file in &files {
            let plain = !file.is_empty() && !file.contains(['/', '\\', '\0', ':']) && file != "." && file != "..";
            if !plain {
                return fail(Problem::ExternalPath { file: file.clone() });
            }
            check_external(path, folder, file).map_err(|problem| problem.of(&name))?;
        }
        model.name = name;
        Ok(model)
    }

    /// Names of the files beside the model that hold elements of its tensors, each once, ascending.
    pub fn external_files(&self) -> Vec<String> {
        let mut files = Vec::new();
        external_files(self.graph(), &mut files);
        files.sort();
        files.dedup();
        files
    }

    /// Checks a model in memory; `name` is what error messages call it. Large tensors stay slices of
    /// `bytes`.
    ///
    /// # Errors
    /// As [`Model::read`].
    pub fn parse(bytes: impl Into<Bytes>, name: &str) -> Result<Self, Error> {
        Self::parse_as(bytes.into(), name, External::Refused)
    }

    /// Lets the tensors whose elements lie in other files look for them under other names.
    pub fn rename_external_files(&mut self, new_name: impl Fn(&str) -> String) {
        if let Some(graph) = &mut self.proto.graph {
            rename_external(graph, &new_name);
        }
    }

    fn parse_as(bytes: Bytes, name: &str, external: External) -> Result<Self, Error> {
        check_size(bytes.len() as u64).map_err(|problem| problem.of(name))?;
        if let Some(found) = sniff::foreign_format(&bytes) {
            return Err(Problem::NotOnnx { found }.of(name));
        }
        let proto = ModelProto::decode(bytes).map_err(|error| Problem::Damaged(error).of(name))?;
        validate::check(&proto, external).map_err(|problem| problem.of(name))?;
        Ok(Self { name: name.to_owned(), proto })
    }

    /// Checks a model that was put together in memory.
    ///
    /// # Errors
    /// As [`Model::read`].
    pub fn from_proto(proto: ModelProto, name: &str) -> Result<Self, Error> {
        validate::check(&proto, External::Refused).map_err(|problem| problem.of(name))?;
        Ok(Self { name: name.to_owned(), proto })
    }

    /// The bytes of the model file.
    ///
    /// # Errors
    /// If they are more than 2 GiB.
    pub fn encode(&self) -> Result<Vec<u8>, Error> {
        check_size(self.proto.encoded_len() as u64).map_err(|problem| problem.of(&self.name))?;
        Ok(self.proto.encode_to_vec())
    }

    /// What error messages call this model: usually its path.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The model as it is in the file.
    pub fn proto(&self) -> &ModelProto {
        &self.proto
    }

    /// Version of the standard operator set.
    pub fn opset(&self) -> i64 {
        validate::opset_version(&self.proto.opset_import).expect("the reader requires an operator set")
    }

    /// What the file says about itself.
    pub fn metadata(&self) -> Metadata {
        let graph = self.graph();
        let port = |value: &ValueInfoProto| Port { name: value.name().to_owned(), tensor: TensorType::of(value) };
        let entries = self.proto.metadata_props.iter();
        let n_elements = graph.initializer.iter().filter_map(|t| tensor::count(&t.dims));
        Metadata {
            producer: format!("{} {}", self.proto.producer_name(), self.proto.producer_version()).trim().to_owned(),
            ir_version: self.proto.ir_version(),
            opset: self.opset(),
            inputs: validate::inputs(graph).map(port).collect(),
            outputs: graph.output.iter().map(port).collect(),
            n_nodes: graph.node.len(),
            n_parameters: n_elements.fold(0, u64::saturating_add),
            metadata_props: entries.map(|e| (e.key().to_owned(), e.value().to_owned())).collect(),
        }
    }

    /// Sets an entry of `metadata_props`, in place of one with the same key.
    pub fn set_metadata_prop(&mut self, key: &str, value: &str) {
        self.proto.metadata_props.retain(|entry| entry.key() != key);
        self.proto
            .metadata_props
            .push(StringStringEntryProto { key: Some(key.to_owned()), value: Some(value.to_owned()) });
    }

    /// Puts `prefix` in front of the key of every entry of `metadata_props`: what they say is true of the model as it
    /// was before it was edited.
    pub fn prefix_metadata_props(&mut self, prefix: &str) {
        for entry in &mut self.proto.metadata_props {
            entry.key = Some(format!("{prefix}{}", entry.key()));
        }
    }

    pub(crate) fn graph(&self) -> &GraphProto {
        self.proto.graph.as_ref().expect("the reader requires a graph")
    }

    pub(crate) fn graph_mut(&mut self) -> &mut GraphProto {
        self.proto.graph.as_mut().expect("the reader requires a graph")
    }

    /// Types and shapes of all tensors, as far as they can be told.
    pub(crate) fn tensors(&self) -> Tensors {
        shape::infer(self.graph(), self.opset())
    }

    pub(crate) fn fail(&self, problem: Problem) -> Error {
        problem.of(&self.name)
    }
}

/// Refuses external data through which a model would read files that are not its own. A link may lead to where the model
/// itself is, as in a hub's cache, where both are links to the same folder.
fn check_external(model: &Path, folder: &Path, file: &str) -> Result<(), Problem> {
    let missing = || Problem::ExternalMissing { file: file.to_owned() };
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let path = folder.join(file);
    let metadata = path.metadata().ok().filter(std::fs::Metadata::is_file).ok_or_else(missing)?;
    let target = path.canonicalize().map_err(|_| missing())?;
    let homes = [folder.canonicalize().ok(), model.canonicalize().ok().and_then(|m| m.parent().map(Path::to_path_buf))];
    if !homes.iter().flatten().any(|home| target.parent() == Some(home)) {
        return Err(Problem::ExternalOutside { file: file.to_owned(), target: target.display().to_string() });
    }
    match metadata.nlink() {
        0 | 1 => Ok(()),
        names => Err(Problem::ExternalShared { file: file.to_owned(), names }),
    }
}

fn external_files(graph: &GraphProto, into: &mut Vec<String>) {
    let in_nodes = graph.node.iter().flat_map(|node| &node.attribute).flat_map(|a| a.t.iter().chain(&a.tensors));
    into.extend(graph.initializer.iter().chain(in_nodes).filter_map(tensor::external_file).map(str::to_owned));
    graph.node.iter().flat_map(subgraphs).for_each(|inner| external_files(inner, into));
}

fn rename_external(graph: &mut GraphProto, new_name: &dyn Fn(&str) -> String) {
    graph.initializer.iter_mut().for_each(|tensor| tensor::rename_external(tensor, new_name));
    for attribute in graph.node.iter_mut().flat_map(|node| &mut node.attribute) {
        let tensors = attribute.t.iter_mut().chain(&mut attribute.tensors);
        tensors.for_each(|tensor| tensor::rename_external(tensor, new_name));
        let inner = attribute.g.iter_mut().chain(&mut attribute.graphs);
        inner.for_each(|graph| rename_external(graph, new_name));
    }
}

/// The bytes of a regular file that is not too large. Anything else is refused before it is opened, which can take for
/// ever with a pipe.
fn read_file(path: &Path) -> Result<Vec<u8>, Problem> {
    let about = std::fs::metadata(path).map_err(Problem::Read)?;
    if about.is_dir() {
        let folder = std::io::Error::new(std::io::ErrorKind::IsADirectory, "it is a folder, expected a file");
        return Err(Problem::Read(folder));
    }
    if !about.is_file() {
        return Err(Problem::NotAFile);
    }
    check_size(about.len())?;
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(about.len() as usize).map_err(|error| Problem::Read(error.into()))?;
    // It may have grown since; one byte past the limit is enough to know.
    let file = std::fs::File::open(path).map_err(Problem::Read)?;
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(Problem::Read)?;
    Ok(bytes)
}

fn check_size(bytes: u64) -> Result<(), Problem> {
    if bytes > MAX_BYTES {
        return Err(Problem::TooLarge { bytes });
    }
    Ok(())
}
