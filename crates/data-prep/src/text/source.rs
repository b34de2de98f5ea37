//! The index of texts: every row with its place and nothing in memory but that; and reading rows.

use std::io::ErrorKind;
use std::ops::Range;

use anyhow::Context;
use arrow_array::RecordBatch;
use artifact::{join_rows, no_columns};
use serde_json::{Map, Value};
use stage::Exit;

use crate::load::Refusal;
use crate::source::Material;
use crate::text::ids::{Ids, made_up};
use crate::text::json::{Column, Survey};
use crate::text::lines::{Lines, scan};
use crate::text::open::{Opened, open};
use crate::text::settings::{Kind, Settings};
use crate::text::table::{Ahead, Table};

/// Everything that is known of the texts before one is read.
#[derive(Debug)]
pub(crate) struct Index {
    pub(crate) kind: Kind,
    pub(crate) sources: Vec<Source>,
    /// Row at which each source begins, ascending.
    starts: Vec<usize>,
    pub(crate) n_rows: usize,
    pub(crate) fields: Fields,
    /// Columns that the other keys of JSON lines become.
    pub(crate) columns: Vec<Column>,
}

/// Where in a row text and id stand; of plain lines, nowhere.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Fields {
    pub(crate) text: String,
    pub(crate) id: Option<String>,
}

/// One file, or what came on stdin.
#[derive(Debug)]
pub(crate) struct Source {
    /// As messages name it.
    pub(crate) shown: String,
    /// What the ids of its rows begin with.
    pub(crate) name: String,
    rows: Rows,
}

#[derive(Debug)]
enum Rows {
    Lines(Lines),
    Table(Table),
}

/// A row as it was read.
#[derive(Debug)]
pub(crate) enum Raw {
    /// A line, and where in the file it begins.
    Line { bytes: Vec<u8>, offset: u64 },
    /// A line that is not read, with its length in bytes.
    TooLong(u64),
    /// Cells of a table; an id where there is a column for it.
    Cells { id: Option<Result<String, Refusal>>, text: Option<String> },
}

/// A row as it is understood.
#[derive(Debug)]
pub(crate) struct Prompt {
    /// Its own id, where the source has one.
    pub(crate) id: Option<String>,
    pub(crate) text: Result<String, Refusal>,
    /// The other keys of a JSON object.
    pub(crate) object: Map<String, Value>,
}

/// Reads the index of whatever the settings point at, and what the fingerprint depends on.
pub(crate) fn index(settings: &Settings) -> anyhow::Result<(Index, Vec<Material>)> {
    let (kind, opened, materials) = open(settings)?;
    settings.check_fields(kind)?;
    let mut ids = Ids::default();
    let (sources, fields, columns) = match kind {
        Kind::Lines => (lines(opened, settings)?, Fields::default(), Vec::new()),
        Kind::Jsonl => json_lines(opened, settings, &mut ids)?,
        Kind::Parquet => {
            let (sources, fields) = tables(opened, settings, &mut ids)?;
            (sources, fields, Vec::new())
        }
    };
    if fields.id.as_ref() == Some(&fields.text) {
        let message =
            format!("`{}` would be both text and id; name another with --text-field or --id-field", fields.text);
        return Err(Exit::Usage.error(message));
    }
    let mut starts = Vec::new();
    let mut n_rows = 0;
    for source in &sources {
        starts.push(n_rows);
        n_rows += source.n_rows();
    }
    let index = Index { kind, sources, starts, n_rows, fields, columns };
    if n_rows == 0 {
        let typed: Vec<_> = settings.inputs.iter().map(|i| i.typed.as_str()).collect();
        let message = format!("no prompts found in {} (read as {})", typed.join(", "), kind.name());
        return Err(Exit::BadData.error(message));
    }
    index.add_made_up_ids(&mut ids);
    ids.check()?;
    Ok((index, materials))
}

fn lines(opened: Vec<Opened>, settings: &Settings) -> anyhow::Result<Vec<Source>> {
    let source = |Opened { shown, name, path, file }| {
        let mut places = Vec::new();
        scan(&file, &path, settings.max_text_bytes, |place, _| places.push(place))?;
        Ok(Source { shown, name, rows: Rows::Lines(Lines { file, places }) })
    };
    opened.into_iter().map(source).collect()
}

fn json_lines(
    opened: Vec<Opened>,
    settings: &Settings,
    ids: &mut Ids,
) -> anyhow::Result<(Vec<Source>, Fields, Vec<Column>)> {
    let mut survey = Survey::default();
    let mut sources = Vec::new();
    for Opened { shown, name, path, file } in opened {
        let mut places = Vec::new();
        scan(&file, &path, settings.max_text_bytes, |place, line| {
            // Nothing but spaces is no row. What is too long is one, and a reject.
            let is_whole = line.len() == place.bytes as usize;
            if !is_whole || !line.trim_ascii().is_empty() {
                places.push(place);
            }
            if is_whole {
                survey.add(line, settings.id_name.as_deref());
            }
        })?;
        sources.push(Source { shown, name, rows: Rows::Lines(Lines { file, places }) });
    }
    if sources.iter().all(|s| s.n_rows() == 0) {
        return Ok((sources, Fields::default(), Vec::new()));
    }
    let shown = sources.iter().map(|s| s.shown.as_str()).collect::<Vec<_>>().join(", ");
    let survey_of = || format!("cannot use {shown}");
    let text = survey.pick(&settings.text_names, "--text-field").with_context(survey_of)?;
    let id = settings.id_name.as_ref().map(|name| survey.pick(std::slice::from_ref(name), "--id-field"));
    let fields = Fields { text, id: id.transpose().with_context(survey_of)? };
    let columns = survey.columns(&fields).with_context(survey_of)?;
    *ids = survey.ids;
    Ok((sources, fields, columns))
}

fn tables(opened: Vec<Opened>, settings: &Settings, ids: &mut Ids) -> anyhow::Result<(Vec<Source>, Fields)> {
    let mut sources = Vec::new();
    let mut tables = Vec::new();
    for Opened { shown, name, path, .. } in opened {
        tables.push(Table::open(&path)?);
        sources.push((shown, name));
    }
    let Some(first) = tables.first() else { return Ok((Vec::new(), Fields::default())) };
    let fields = first.fields(settings)?;
    tables[1..].iter().try_for_each(|table| table.check_like(first))?;
    if let Some(id) = &fields.id {
        tables.iter().try_for_each(|table| table.add_ids(id, ids))?;
    }
    let sources =
        sources.into_iter().zip(tables).map(|((shown, name), table)| Source { shown, name, rows: Rows::Table(table) });
    Ok((sources.collect(), fields))
}

impl Source {
    fn n_rows(&self) -> usize {
        match &self.rows {
            Rows::Lines(lines) => lines.places.len(),
            Rows::Table(table) => table.n_rows(),
        }
    }

    /// The number that a row has in its file, from 0: that of its line, blank ones counted.
    fn number(&self, row: usize) -> u64 {
        match &self.rows {
            Rows::Lines(lines) => u64::from(lines.places[row].number),
            Rows::Table(_) => row as u64,
        }
    }
}

impl Index {
    /// The source of a row, and which of the source's rows it is.
    fn place(&self, row: usize) -> (&Source, usize) {
        let source = self.starts.partition_point(|start| *start <= row) - 1;
        (&self.sources[source], row - self.starts[source])
    }

    /// The id of a row that has none of its own.
    pub(crate) fn made_up_id(&self, row: usize) -> String {
        let (source, row) = self.place(row);
        made_up(&source.name, source.number(row))
    }

    /// Where a row came from, for the list of rejects.
    pub(crate) fn source_of(&self, row: usize) -> String {
        let (source, row) = self.place(row);
        match &source.rows {
            Rows::Lines(_) => format!("{} line {}", source.shown, source.number(row) + 1),
            Rows::Table(_) => format!("{} row {row}", source.shown),
        }
    }

    /// Ids made of names and numbers can only repeat where names do.
    fn add_made_up_ids(&self, ids: &mut Ids) {
        let is_repeated = |source: &Source| self.sources.iter().filter(|s| s.name == source.name).count() > 1;
        if self.fields.id.is_none() {
            for source in self.sources.iter().filter(|s| is_repeated(s)) {
                (0..source.n_rows()).for_each(|row| ids.add(made_up(&source.name, source.number(row))));
            }
        }
    }

    /// Reads rows in their order, and the other columns that a table has.
    pub(crate) fn read(
        &self,
        rows: Range<usize>,
        max_bytes: usize,
        ahead: &mut Ahead,
    ) -> anyhow::Result<(Vec<Raw>, RecordBatch)> {
        let (mut raw, mut others) = (Vec::with_capacity(rows.len()), Vec::new());
        for (i, source) in self.sources.iter().enumerate() {
            let start = self.starts[i];
            let (from, to) = (rows.start.max(start), rows.end.min(start + source.n_rows()));
            if from >= to {
                continue;
            }
            match &source.rows {
                Rows::Lines(lines) => {
                    for row in from - start..to - start {
                        let read = lines.read(row, max_bytes);
                        raw.push(read.map_err(|e| cannot_read(&source.shown, e))?);
                    }
                    others.push(no_columns(to - from));
                }
                Rows::Table(table) => {
                    let (cells, other) = table.read(i, from - start..to - start, &self.fields, ahead)?;
                    raw.extend(cells);
                    others.push(other);
                }
            }
        }
        Ok((raw, join_rows(&others)?))
    }
}

fn cannot_read(shown: &str, error: std::io::Error) -> anyhow::Error {
    match error.kind() {
        ErrorKind::UnexpectedEof => {
            Exit::BadData.error(format!("cannot read {shown}: {error}; it became shorter during the run"))
        }
        _ => Exit::Io.error(format!("cannot read {shown}: {error}")),
    }
}
