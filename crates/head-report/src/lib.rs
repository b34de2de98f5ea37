//! The numbers of a trained head as one HTML page that needs nothing else: no script, no font, no picture from
//! anywhere.
//!
//! Plain values in ([`Page`]), one string out ([`Page::to_html`]). This crate reads no file, knows no artifact and
//! computes no score; what it decides is how figures are shown. A module draws one kind of chart:
//!
//! - `page` what is on it and in which order, `style` how it looks, `markup` escaping and numbers as text;
//! - `plot` axes that the line charts share, `curves`, `learning`, `reliability`, `map` the charts, `named` what the map
//!   names;
//! - `scores`, `classes`, `grid`, `matrix`, `provenance` the tables, `thumbnails` everything with pictures.
//!
//! Invariants: every text from outside goes through [`markup::text`]; the same [`Page`] gives the same bytes; colours
//! are named once, in `style`, for light and dark.
#![forbid(unsafe_code)]

mod classes;
mod curves;
mod grid;
mod learning;
mod map;
mod markup;
mod matrix;
mod named;
mod page;
mod plot;
mod provenance;
mod reliability;
mod scores;
mod style;
mod thumbnails;

pub use classes::PerClass;
pub use curves::{Curve, Curves, EpochFigures};
pub use grid::{Ending, Grid, GridCell};
pub use learning::{LearningCurve, LearningLine, LearningPoint};
pub use map::{Map, MapPoint};
pub use matrix::Confusion;
pub use named::{Named, Why};
pub use page::{Page, Section};
pub use provenance::{Fact, Provenance};
pub use reliability::{Bin, Reliability, ReliabilityDiagram};
pub use scores::{ClassScore, SplitScores};
pub use thumbnails::{Duplicate, Duplicates, Mistake, Mistakes, Thumbnail};
