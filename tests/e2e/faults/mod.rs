//! The promises of the artifacts, each with what breaks it: kills, damage, disks that fail, writers that race, signals,
//! other settings.
//!
//! Every program that makes an artifact is held to the same ones; [`jobs`] says how each is run on a few rows.

mod crash;
mod damage;
mod disk;
mod jobs;
mod models;
mod resume;
mod same_bytes;
mod signals;
mod stale;
mod writers;
