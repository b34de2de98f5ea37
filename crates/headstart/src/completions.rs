//! `headstart completions`: what a shell needs to complete the options of all programs.

use clap::Command;
use clap_complete::{Shell, generate};
use serde_json::Value;
use stage::Exit;

use crate::args::Completions;
use crate::{Shown, programs};

pub(crate) fn run(typed: &Completions) -> anyhow::Result<Shown> {
    let mut scripts = String::new();
    for command in programs::chosen(typed.program.as_deref())? {
        let mut command = without_hidden(&command);
        let name = command.get_name().to_string();
        let mut script = Vec::new();
        generate(typed.shell, &mut command, name, &mut script);
        scripts += &String::from_utf8_lossy(&script);
        scripts.push('\n');
    }
    let text = if typed.shell == Shell::PowerShell { imports_first(&scripts) } else { scripts };
    Ok(Shown { text, json: Value::Null, exit: Exit::Done })
}

/// The command line as its help shows it: the generators offer hidden options too.
fn without_hidden(command: &Command) -> Command {
    let bare = Command::new(command.get_name().to_string())
        .version(env!("CARGO_PKG_VERSION"))
        .args(command.get_arguments().filter(|arg| !arg.is_hide_set()).cloned())
        .subcommands(command.get_subcommands().cloned());
    match command.get_about() {
        Some(about) => bare.about(about.clone()),
        None => bare,
    }
}

/// PowerShell takes `using` at the top of a script only, so those of several scripts are moved there.
fn imports_first(scripts: &str) -> String {
    let (imports, rest): (Vec<&str>, Vec<&str>) = scripts.lines().partition(|line| line.starts_with("using "));
    let mut lines: Vec<&str> = Vec::new();
    for import in imports {
        if !lines.contains(&import) {
            lines.push(import);
        }
    }
    lines.extend(rest);
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_options_are_not_offered() {
        for shell in [Shell::Bash, Shell::Elvish, Shell::Fish, Shell::PowerShell, Shell::Zsh] {
            let script = run(&Completions { shell, program: None }).unwrap().text;
            assert!(!script.contains("preview"), "{shell}");
            for word in ["data-prep", "dry-run", "part-rows", "completions", "cuda-libs"] {
                assert!(script.contains(word), "{shell}: {word}");
            }
        }
    }

    #[test]
    fn imports_stand_first_and_once() {
        let scripts = "\nusing namespace A\nusing namespace B\none\n\nusing namespace A\ntwo\n";
        assert_eq!(imports_first(scripts), "using namespace A\nusing namespace B\n\none\n\ntwo\n");
    }
}
