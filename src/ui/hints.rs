//! Hints that can be pasted: each `galeractl VERB` in a text is completed with the options that say which cluster is
//! meant, and each `kubectl VERB` with those that say where it is. Whoever writes a hint writes only what is special
//! about it.

use std::sync::{Arc, Mutex, PoisonError};

use clap::{ArgAction, Command};

/// How a command begins.
const PROGRAM: &str = "galeractl ";
/// What ends a word of a command, beside white space.
const ENDS: &str = ",;()`\"\u{1b}";

/// The cluster that is meant and the way to it, as far as it is known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    /// Name of the cluster.
    pub name: Option<String>,
    /// Its namespace.
    pub namespace: Option<String>,
    /// Value of `--context`.
    pub context: Option<String>,
    /// Value of `--kubeconfig`.
    pub kubeconfig: Option<String>,
    /// Value of `--as`.
    pub user: Option<String>,
    /// Values of `--as-group`.
    pub groups: Vec<String>,
    /// Value of `--file`; without it, `./galera.conf` is found by the next command as well.
    pub file: Option<String>,
    /// Value of `--from-my-cnf`.
    pub my_cnf: Option<String>,
}

impl Place {
    /// Each option by its identifier on the command line, as it would be typed.
    fn options(&self) -> Vec<(&'static str, String)> {
        let all = [
            ("name", "--name", self.name.as_slice()),
            ("namespace", "-n", self.namespace.as_slice()),
            ("context", "--context", self.context.as_slice()),
            ("kubeconfig", "--kubeconfig", self.kubeconfig.as_slice()),
            ("impersonate", "--as", self.user.as_slice()),
            ("impersonate_groups", "--as-group", self.groups.as_slice()),
            ("file", "-f", self.file.as_slice()),
            ("from_my_cnf", "--from-my-cnf", self.my_cnf.as_slice()),
        ];
        let typed = |option: &str, values: &[String]| -> Vec<String> {
            values.iter().map(|value| format!(" {option} {}", quoted(value))).collect()
        };
        all.into_iter().map(|(id, option, values)| (id, typed(option, values).concat())).collect()
    }
}

/// Makes the command line, with its verbs and their options.
pub type Grammar = fn() -> Command;

/// A [`Place`] that becomes known while a verb runs. The command line, which learns it, and the views, which tell it,
/// share one.
#[derive(Debug, Clone, Default)]
pub struct Meant {
    place: Arc<Mutex<Place>>,
    own: Option<(Grammar, &'static str)>,
}

impl Meant {
    /// The same place, for a view that knows the commands of this program, and the name that it was called by.
    #[must_use]
    pub fn in_terms_of(&self, grammar: Grammar, program: &'static str) -> Self {
        Self { own: Some((grammar, program)), ..self.clone() }
    }

    /// Takes in what has become known.
    pub fn learn(&self, change: impl FnOnce(&mut Place)) {
        change(&mut self.place.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// A text whose commands mean the same cluster as this one.
    #[must_use]
    pub fn complete(&self, text: &str) -> String {
        complete(text, &self.place.lock().unwrap_or_else(PoisonError::into_inner), self.own)
    }
}

/// A text with complete commands. What a command says already is not said again, so a hint may be about another place.
fn complete(text: &str, place: &Place, terms: Option<(Grammar, &str)>) -> String {
    let text = kubectl(text, place);
    match terms {
        Some((grammar, program)) if text.contains(PROGRAM) => own(&text, place, grammar(), program),
        _ => text,
    }
}

/// Other programs take the way to the cluster before their verb.
fn kubectl(text: &str, place: &Place) -> String {
    let way = ["context", "kubeconfig", "impersonate", "impersonate_groups"];
    let options: String =
        place.options().into_iter().filter(|(id, _)| way.contains(id)).map(|(_, option)| option).collect();
    let mut parts = text.split("kubectl ");
    let mut done = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let verb = part.starts_with(|c: char| c.is_ascii_lowercase());
        done.push_str(&format!("kubectl{} {part}", if verb { options.as_str() } else { "" }));
    }
    done
}

fn own(text: &str, place: &Place, mut grammar: Command, program: &str) -> String {
    grammar.build();
    let mut done = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(begin) = rest.find(PROGRAM) {
        let (before, after) = (&rest[..begin], &rest[begin + PROGRAM.len()..]);
        done.push_str(before);
        rest = after;
        let Some(typed) = Typed::read(after, &grammar) else {
            done.push_str(PROGRAM);
            continue;
        };
        done.push_str(&format!("{program} {}", &after[..typed.end]));
        rest = &after[typed.end..];
        for (id, option) in place.options() {
            if typed.takes(id) && !typed.given.iter().any(|given| given == id) {
                done.push_str(&option);
            }
        }
    }
    done + rest
}

/// A command as it stands in a text: a verb and its options; prose follows it.
struct Typed<'a> {
    verb: &'a Command,
    /// Identifiers of the options that are given.
    given: Vec<String>,
    /// Length of the command, without the program's name.
    end: usize,
}

impl<'a> Typed<'a> {
    fn read(text: &str, grammar: &'a Command) -> Option<Self> {
        let (word, mut end) = next_word(text, 0)?;
        let mut verb = grammar.find_subcommand(word)?;
        let mut given = Vec::new();
        while let Some((word, after)) = next_word(text, end) {
            if let Some(below) = verb.find_subcommand(word).filter(|_| given.is_empty()) {
                (verb, end) = (below, after);
                continue;
            }
            let (name, inline) = word.split_once('=').map_or((word, false), |(name, _)| (name, true));
            let Some(option) = verb.get_arguments().find(|option| is_called(option, name)) else { break };
            let valued = matches!(option.get_action(), ArgAction::Set | ArgAction::Append)
                && !inline
                && !option.is_require_equals_set();
            end = if valued { next_word(text, after)?.1 } else { after };
            given.push(option.get_id().to_string());
        }
        Some(Self { verb, given, end })
    }

    /// Whether the option goes with this verb. The journals of past runs belong to no cluster.
    fn takes(&self, id: &str) -> bool {
        self.verb.get_arguments().any(|option| option.get_id() == id)
            && !self.verb.get_bin_name().is_some_and(|name| name.starts_with("galeractl runs"))
    }
}

fn is_called(option: &clap::Arg, word: &str) -> bool {
    let long = word.strip_prefix("--").is_some_and(|name| option.get_long() == Some(name));
    let short = word.strip_prefix('-').is_some_and(|name| option.get_short().is_some_and(|c| name == c.to_string()));
    long || short
}

/// The word behind `from`, if one space precedes it, and where it ends. In single quotes it may hold anything.
fn next_word(text: &str, from: usize) -> Option<(&str, usize)> {
    let begin = if from == 0 { 0 } else { from + text[from..].strip_prefix(' ').map(|_| 1)? };
    if let Some((quoted, _)) = text[begin..].strip_prefix('\'').and_then(|rest| rest.split_once('\'')) {
        return Some((quoted, begin + quoted.len() + 2));
    }
    let word =
        text[begin..].split(|c: char| c.is_whitespace() || ENDS.contains(c)).next()?.trim_end_matches(['.', ':']);
    (!word.is_empty()).then_some((word, begin + word.len()))
}

/// A value as a shell takes it.
fn quoted(value: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:@%+=".contains(c);
    if !value.is_empty() && value.chars().all(plain) {
        return value.to_owned();
    }
    format!("'{}'", value.replace('\'', r"'\''"))
}

#[cfg(test)]
#[path = "hints_tests.rs"]
mod tests;
