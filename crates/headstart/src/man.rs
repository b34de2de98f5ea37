//! `headstart man`: a manual page for every program and subcommand.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Command;
use serde_json::json;
use stage::Exit;

use crate::args::Man;
use crate::layout::quoted;
use crate::{Shown, programs};

/// Stands in the first line of every page, so that a page of ours is known when it is replaced.
const MARK: &str = ".\\\" Written by `headstart man`.";

/// The section of programs.
const SECTION: &str = "1";

pub(crate) fn run(typed: &Man) -> anyhow::Result<Shown> {
    let pages = pages()?;
    let names: Vec<_> = pages.iter().map(|(name, _)| name.clone()).collect();
    let is_named = |name: &str, wanted: &str| name == wanted || name == wanted.replace(' ', "-");
    let wanted = match (&typed.program, &typed.out) {
        (None, Some(_)) => None,
        (None, None) => Some("headstart"),
        (Some(name), _) => Some(name.as_str()),
    };
    let chosen: Vec<_> = pages.into_iter().filter(|(name, _)| wanted.is_none_or(|w| is_named(name, w))).collect();
    if chosen.is_empty() {
        let wanted = wanted.unwrap_or_default();
        return Err(Exit::Usage.error(format!("there is no page {wanted:?}; expected one of {}", names.join(", "))));
    }
    let Some(folder) = &typed.out else {
        let text = chosen.into_iter().map(|(_, text)| text).collect();
        return Ok(Shown { text, json: json!(null), exit: Exit::Done });
    };
    write(folder, &chosen)?;
    let files: Vec<_> = chosen.iter().map(|(name, _)| folder.join(file_name(name)).display().to_string()).collect();
    let n = files.len();
    let text = format!(
        "{n} {} in {}; to read one: man {}\n",
        if n == 1 { "page" } else { "pages" },
        folder.display(),
        quoted(&files[0])
    );
    Ok(Shown { text, json: json!({ "pages": files }), exit: Exit::Done })
}

fn file_name(name: &str) -> String {
    format!("{name}.{SECTION}")
}

/// Name and text of every page, programs before their subcommands.
fn pages() -> anyhow::Result<Vec<(String, String)>> {
    let mut pages = Vec::new();
    for mut command in programs::commands() {
        command.build();
        let name = command.get_name().to_string();
        pages.push((name.clone(), page(&command, &name)?));
        for inner in command.get_subcommands().filter(|c| c.get_name() != "help") {
            let name = format!("{name}-{}", inner.get_name());
            pages.push((name.clone(), page(&inner.clone().name(name.clone()), &name)?));
        }
    }
    Ok(pages)
}

fn page(command: &Command, name: &str) -> anyhow::Result<String> {
    let command = command.clone().disable_help_subcommand(true);
    let page = clap_mangen::Man::new(command)
        .title(name.to_uppercase())
        .section(SECTION)
        .source(concat!("headstart ", env!("CARGO_PKG_VERSION")))
        .manual("headstart");
    let mut text = Vec::new();
    page.render(&mut text).with_context(|| format!("cannot make the page {name}"))?;
    Ok(format!("{MARK}\n{}", String::from_utf8_lossy(&text)))
}

/// Writes all pages, or none if a file of another origin has one's name.
fn write(folder: &Path, pages: &[(String, String)]) -> anyhow::Result<()> {
    // Without a slash at the end, behind which a file is as good as not there.
    let bare: PathBuf = folder.components().collect();
    if let Some(there) = bare.ancestors().find(|p| fs::symlink_metadata(p).is_ok())
        && !there.is_dir()
    {
        return Err(Exit::Usage.error(format!(
            "--out {}: {} is no folder; give one, which is made if it is not there",
            folder.display(),
            there.display()
        )));
    }
    for (name, _) in pages {
        let path = folder.join(file_name(name));
        let is_ours = match fs::metadata(&path) {
            // Whatever else has the name is not opened: a pipe may have no end.
            Ok(there) if !there.is_file() => Ok(false),
            Ok(_) => fs::read(&path).map(|bytes| bytes.starts_with(MARK.as_bytes())),
            Err(e) => Err(e),
        };
        let is_ours = match is_ours {
            Ok(is_ours) => is_ours,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => true,
            Err(e) => return Err(Exit::Io.wrap(e).context(format!("cannot read {}", path.display()))),
        };
        if !is_ours {
            return Err(Exit::Usage.error(format!(
                "{} is there and is no page of headstart; it is not replaced, choose another --out",
                path.display()
            )));
        }
    }
    fs::create_dir_all(folder).map_err(|e| Exit::Io.wrap(e).context(format!("cannot create {}", folder.display())))?;
    for (name, text) in pages {
        let path = folder.join(file_name(name));
        fs::write(&path, text).map_err(|e| Exit::Io.wrap(e).context(format!("cannot write {}", path.display())))?;
    }
    Ok(())
}
