//! What the usual environment variables say: where the cache is, which hub, as whom, and whether to ask at all.

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The hub where HF_ENDPOINT names none.
const DEFAULT_ENDPOINT: &str = "https://huggingface.co";

/// Settings that all Hugging Face programs share.
#[derive(Debug, Clone)]
pub struct Environment {
    /// Folder of the cache: HF_HUB_CACHE, else `hub` in HF_HOME, else in the person's cache folder.
    pub cache: PathBuf,
    /// Address of the hub without a slash at its end: HF_ENDPOINT.
    pub endpoint: String,
    /// HF_TOKEN, else what is in the file HF_TOKEN_PATH or `token` in HF_HOME.
    pub token: Option<String>,
    /// HF_HUB_OFFLINE: only what is in the cache.
    pub offline: bool,
    /// SSL_CERT_FILE: certificates (PEM) to trust instead of the built-in ones, as behind a company's proxy.
    pub certificates: Option<PathBuf>,
}

impl Environment {
    /// Reads the variables.
    #[must_use]
    pub fn read() -> Self {
        Self::of(|name| env::var_os(name).filter(|v| !v.is_empty()))
    }

    fn of(variable: impl Fn(&str) -> Option<std::ffi::OsString>) -> Self {
        let path = |name: &str| variable(name).map(PathBuf::from);
        let text = |name: &str| variable(name).map(|v| v.to_string_lossy().trim().to_string());
        // Without any home the cache lies where the program was started, which at least is a place to say.
        let user_cache = || path("XDG_CACHE_HOME").or_else(|| path("HOME").map(|home| home.join(".cache")));
        let home = path("HF_HOME").unwrap_or_else(|| user_cache().unwrap_or(".cache".into()).join("huggingface"));
        let cache = path("HF_HUB_CACHE").or_else(|| path("HUGGINGFACE_HUB_CACHE")).unwrap_or_else(|| home.join("hub"));
        let token_file = path("HF_TOKEN_PATH").unwrap_or_else(|| home.join("token"));
        let token = text("HF_TOKEN").or_else(|| text("HUGGING_FACE_HUB_TOKEN"));
        let token = token.or_else(|| token_in(&token_file));
        let is_on = |text: String| ["1", "ON", "YES", "TRUE"].contains(&text.to_ascii_uppercase().as_str());
        Self {
            cache: std::path::absolute(&cache).unwrap_or(cache),
            endpoint: text("HF_ENDPOINT").unwrap_or(DEFAULT_ENDPOINT.into()).trim_end_matches('/').to_string(),
            token: token.filter(|t| !t.is_empty()),
            offline: ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"].iter().any(|name| text(name).is_some_and(is_on)),
            certificates: path("SSL_CERT_FILE"),
        }
    }
}

/// The token in a file, if there is one. A file that is there and does not do is said: requests would be refused.
fn token_in(path: &Path) -> Option<String> {
    match read_whole(path).map(String::from_utf8) {
        Ok(Ok(text)) => return Some(text.trim().to_string()),
        Ok(Err(_)) => tracing::warn!("{}: expected a token, found what is no text; asking without one", path.display()),
        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
        Err(e) => tracing::warn!("cannot read the token in {}: {e}; asking without one", path.display()),
    }
    None
}

/// Reads a file that a person named. What is no regular file is refused unopened: a pipe may be open for ever, a
/// device may have no end.
pub(crate) fn read_whole(path: &Path) -> io::Result<Vec<u8>> {
    if fs::metadata(path)?.is_file() {
        return fs::read(path);
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(variables: &[(&str, &str)]) -> Environment {
        Environment::of(|name| variables.iter().find(|(n, _)| *n == name).map(|(_, v)| v.into()))
    }

    #[test]
    fn the_cache_is_where_other_programs_look() {
        for (variables, cache) in [
            (vec![("HOME", "/h")], "/h/.cache/huggingface/hub"),
            (vec![("HOME", "/h"), ("XDG_CACHE_HOME", "/c")], "/c/huggingface/hub"),
            (vec![("HOME", "/h"), ("HF_HOME", "/f")], "/f/hub"),
            (vec![("HF_HOME", "/f"), ("HF_HUB_CACHE", "/g")], "/g"),
        ] {
            assert_eq!(of(&variables).cache, PathBuf::from(cache));
        }
    }

    #[test]
    fn the_token_is_the_variables_or_the_files() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("token"), "of-the-file\n").unwrap();
        let home = ("HF_HOME", dir.path().to_str().unwrap());
        assert_eq!(of(&[home]).token.as_deref(), Some("of-the-file"));
        assert_eq!(of(&[home, ("HF_TOKEN", " typed ")]).token.as_deref(), Some("typed"));
        assert_eq!(of(&[]).token, None);
    }

    #[test]
    fn what_is_no_regular_file_is_not_opened() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        for path in [pipe.as_path(), dir.path(), Path::new("/dev/zero")] {
            assert_eq!(read_whole(path).unwrap_err().to_string(), "it is no regular file", "{}", path.display());
            assert_eq!(of(&[("HF_TOKEN_PATH", path.to_str().unwrap())]).token, None);
            let certificates = Some(path.to_path_buf());
            let environment = Environment { certificates, ..of(&[("HF_HOME", "/nowhere")]) };
            let error = crate::Hub::new(environment, crate::Policy::Look).unwrap_err();
            assert!(error.to_string().contains(&format!("(SSL_CERT_FILE) {}", path.display())), "{error}");
        }
    }

    #[test]
    fn offline_is_a_switch() {
        assert!(of(&[("HF_HUB_OFFLINE", "1")]).offline && of(&[("HF_HUB_OFFLINE", "true")]).offline);
        assert!(!of(&[("HF_HUB_OFFLINE", "0")]).offline && !of(&[]).offline);
        assert_eq!(of(&[("HF_ENDPOINT", "http://hub/ ")]).endpoint, "http://hub");
    }
}
