//! A tokenizer.json: found, read, and applied in both directions.

use std::fs;
use std::io::ErrorKind;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use tokenizers::models::ModelWrapper;

use crate::{Error, Result};

/// The file's name in a model folder.
const FILE_NAME: &str = "tokenizer.json";

/// Files that slow tokenizers have; from them transformers makes a tokenizer.json.
const SLOW_FILES: [&str; 4] = ["tokenizer.model", "spiece.model", "vocab.json", "vocab.txt"];

/// A tokenizer as a tokenizer.json describes it.
///
/// What would make ids depend on anything but the text is switched off: truncation, padding, and
/// the random dropping of merges with which some were trained.
#[derive(Debug)]
pub struct Tokenizer {
    path: PathBuf,
    inner: tokenizers::Tokenizer,
    vocab_size: usize,
}

impl Tokenizer {
    /// Reads a tokenizer.json, the one in a folder, or the one above a folder `onnx`.
    ///
    /// # Errors
    /// [`Error::Missing`] when there is none, [`Error::NotATokenizer`] when it cannot be understood,
    /// [`Error::Io`] when the operating system refuses to read it.
    pub fn read(path: &Path) -> Result<Self> {
        let path = find(path)?;
        let bytes = fs::read(&path).map_err(|source| Error::Io { path: path.clone(), source })?;
        let inner = guarded(|| {
            let mut inner = tokenizers::Tokenizer::from_bytes(bytes)?;
            inner.with_truncation(None)?.with_padding(None);
            if let ModelWrapper::BPE(model) = inner.get_model()
                && model.dropout.is_some()
            {
                let mut model = model.clone();
                model.dropout = None;
                inner.with_model(model);
            }
            let vocab_size = inner.get_vocab_size(true);
            Ok((inner, vocab_size))
        });
        let (inner, vocab_size) = inner.map_err(|reason| Error::not_a_tokenizer(&path, reason))?;
        if vocab_size == 0 {
            return Err(Error::not_a_tokenizer(&path, "its vocabulary is empty"));
        }
        Ok(Self { path, inner, vocab_size })
    }

    /// The file that was read.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The ids of a text, with the special tokens that the tokenizer itself adds, as
    /// `tokenizer(text)` of transformers gives them. The name of a special token in the text
    /// becomes that token, as there.
    ///
    /// # Errors
    /// [`Error::Unusable`] when the tokenizer has no token for a part of the text, nor one for unknowns.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        let encoding = guarded(|| self.inner.encode_fast(text, true));
        let encoding = encoding.map_err(|reason| self.unusable("encode a text", reason))?;
        Ok(encoding.get_ids().to_vec())
    }

    /// The text of ids, special tokens left out. Ids that the vocabulary lacks have no text. Bytes
    /// that are no UTF-8 become U+FFFD.
    ///
    /// # Errors
    /// [`Error::Unusable`] when the tokenizer's decoder fails.
    pub fn decode(&self, ids: &[u32]) -> Result<String> {
        guarded(|| self.inner.decode(ids, true)).map_err(|reason| self.unusable("decode ids", reason))
    }

    /// Whether an id is a special token, such as the end of the text, and so has no text.
    #[must_use]
    pub fn is_special(&self, id: u32) -> bool {
        let added = self.inner.get_added_vocabulary();
        added.simple_id_to_token(id).is_some_and(|token| added.is_special_token(&token))
    }

    /// Number of tokens, added ones included.
    #[must_use]
    pub fn vocab_size(&self) -> usize {
        self.vocab_size
    }

    /// The id of a token, written as in the vocabulary: `<|endoftext|>`, `Ġthe`, `▁the`.
    #[must_use]
    pub fn id_of(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
    }

    /// The token of an id, written as in the vocabulary. For messages: it is not the token's text.
    #[must_use]
    pub fn token_of(&self, id: u32) -> Option<String> {
        self.inner.id_to_token(id)
    }

    fn unusable(&self, operation: &'static str, reason: String) -> Error {
        Error::Unusable { path: self.path.clone(), operation, reason }
    }
}

/// The file that a path stands for.
fn find(path: &Path) -> Result<PathBuf> {
    let missing = |remedy: String| Error::Missing { path: path.to_path_buf(), remedy };
    match fs::metadata(path) {
        Ok(found) if found.is_file() => return Ok(path.to_path_buf()),
        Ok(found) if found.is_dir() => {}
        Ok(_) => return Err(missing("it is neither a file nor a folder".into())),
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Err(missing(format!(
                "there is no such file or folder; give a {FILE_NAME} or a folder that has one"
            )));
        }
        Err(source) => return Err(Error::Io { path: path.to_path_buf(), source }),
    }
    // `onnx` may be the end of a path with `.` or links in it; the folder above is that of the real one.
    let real = fs::canonicalize(path).map_err(|source| Error::Io { path: path.to_path_buf(), source })?;
    let above = real.parent().filter(|_| real.file_name().is_some_and(|name| name == "onnx"));
    let places = [Some(path), above];
    let mut files = places.into_iter().flatten().map(|folder| folder.join(FILE_NAME));
    if let Some(file) = files.find(|file| file.is_file()) {
        return Ok(file);
    }
    let slow = SLOW_FILES.into_iter().find(|name| path.join(name).is_file());
    Err(missing(match slow {
        Some(name) => format!(
            "the folder has {name} and no {FILE_NAME}; make one with transformers: AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER)"
        ),
        None => format!("the folder has no {FILE_NAME}; copy the model's there, or give its path"),
    }))
}

/// Runs code of the library. It checks little of what a tokenizer.json says and panics where a file
/// contradicts itself; for a reader of files from anywhere that is one more way to fail.
fn guarded<T>(call: impl FnOnce() -> tokenizers::Result<T>) -> std::result::Result<T, String> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("its content contradicts itself".into()),
    }
}
