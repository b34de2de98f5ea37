//! Fetching from a hub on loopback that speaks the protocol, and from one that does not keep to it.

#![allow(clippy::unwrap_used, clippy::panic, unreachable_pub)] // In a test they are how it fails.

mod cache;
mod faults;
mod peer;
mod server;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use hub::{Environment, Error, Fetched, Hub, Policy, Wanted};
use server::Server;

/// A cache in a scratch folder, and a hub.
pub(crate) struct Scene {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) server: Server,
    pub(crate) environment: Environment,
}

impl Scene {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let server = Server::start();
        let environment = Environment {
            cache: dir.path().join("hub"),
            endpoint: server.url(),
            token: None,
            offline: false,
            certificates: None,
        };
        Self { dir, server, environment }
    }

    /// Fetches as a new process would.
    pub(crate) fn fetch(&self, location: &str, wanted: Wanted) -> Result<Fetched, Error> {
        self.fetch_as(Policy::Download, location, wanted)
    }

    pub(crate) fn fetch_as(&self, policy: Policy, location: &str, wanted: Wanted) -> Result<Fetched, Error> {
        let mut hub = Hub::new(self.environment.clone(), policy).unwrap();
        hub.fetch(&location.parse().unwrap(), &wanted, &mut |_| ControlFlow::Continue(()))
    }

    /// The error of fetching one file, in words.
    pub(crate) fn refusal(&self, location: &str) -> String {
        self.fetch(location, Wanted::FILE).unwrap_err().to_string()
    }

    pub(crate) fn cached(&self, path: &str) -> PathBuf {
        self.environment.cache.join(path)
    }
}

/// Bytes that differ everywhere.
pub(crate) fn bytes(n: usize) -> Vec<u8> {
    (0..n as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

pub(crate) fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap()
}
