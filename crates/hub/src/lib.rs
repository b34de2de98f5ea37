//! Files on a Hugging Face hub: what `hf://…` names, in the standard cache, pinned and checked. Sole user of `hf-hub`.
//!
//! - `location` is what can be written, `environment` what the usual variables say;
//! - `fetch` is the verb: which files are wanted, which commit a branch is at, what is here already;
//! - `store` is the cache as Python's `huggingface_hub` lays it out, and `check` the digests of what is in it;
//! - `client` speaks HTTP, and `download` brings one file here, going on where an earlier one stopped.
//!
//! Of `hf-hub` come the names of repositories, their addresses and the layout of the cache. Its downloads are not
//! used: at 0.5.0 they check no digest and no length, append a whole file to a part where a server ignores `Range`, hand the
//! token to whatever host a redirect names, have no timeouts, and know neither HF_HUB_OFFLINE nor HF_TOKEN.

mod check;
mod client;
mod download;
mod environment;
mod error;
mod fetch;
mod location;
mod store;
mod wanted;

pub use environment::Environment;
pub use error::Error;
pub use fetch::{Event, Fetched, Hub, Listener, Policy};
pub use location::{Location, ParseError, Reference, RepoKind};
pub use wanted::{OfFolder, Wanted};
