//! How output looks: colours and glyphs. Decided once per process.

use std::ffi::OsStr;
use std::str::FromStr;

use console::Style;

use super::shown::styled;

/// The choice `--color`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Color {
    /// On a terminal, unless the environment says otherwise.
    #[default]
    Auto,
    /// Everywhere.
    Always,
    /// Nowhere.
    Never,
}

impl Color {
    /// What can be typed.
    pub const NAMES: [&'static str; 3] = ["auto", "always", "never"];
}

impl FromStr for Color {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "always" => Ok(Self::Always),
            "never" => Ok(Self::Never),
            _ => Err(format!("expected one of {}", Self::NAMES.join(", "))),
        }
    }
}

/// What the process was started in.
#[derive(Debug, Clone, Copy, Default)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts, each asked once")]
pub(super) struct Surroundings {
    pub(super) stdout_terminal: bool,
    pub(super) stderr_terminal: bool,
    pub(super) stdin_terminal: bool,
    pub(super) dumb: bool,
    pub(super) no_color: bool,
    pub(super) force_color: bool,
    pub(super) utf8: bool,
}

impl Surroundings {
    pub(super) fn look() -> Self {
        use std::io::IsTerminal;
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        // The first of these that is set decides about the character set, in this order.
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(set);
        Self {
            stdout_terminal: std::io::stdout().is_terminal(),
            stderr_terminal: std::io::stderr().is_terminal(),
            stdin_terminal: std::io::stdin().is_terminal(),
            dumb: set("TERM").is_none_or(|term| term == "dumb"),
            no_color: set("NO_COLOR").is_some(),
            force_color: set("CLICOLOR_FORCE").is_some_and(|value| value != "0"),
            utf8: locale.is_some_and(|locale| is_utf8(&locale)),
        }
    }

    /// Whether a stream gets colours, given whether it is a terminal.
    pub(super) fn colors(self, choice: Color, terminal: bool) -> bool {
        match choice {
            Color::Always => true,
            Color::Never => false,
            Color::Auto if self.no_color => false,
            Color::Auto => self.force_color || terminal && !self.dumb,
        }
    }
}

fn is_utf8(locale: &OsStr) -> bool {
    let locale = locale.to_string_lossy().to_ascii_lowercase();
    locale.contains("utf-8") || locale.contains("utf8")
}

/// Colours with one meaning each; does nothing where colours are off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Paint {
    enabled: bool,
}

/// What a colour means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// As it is.
    Plain,
    /// Good: green.
    Ok,
    /// Bad: red.
    Fail,
    /// Worth a decision: yellow.
    Warn,
    /// To be typed: cyan.
    Typed,
    /// Not yet, or beside the point: dimmed.
    Dim,
    /// A heading: bold.
    Head,
}

impl Paint {
    /// Paints, or leaves everything as it is.
    #[must_use]
    pub fn new(enabled: bool) -> Self {
        Self { enabled }
    }

    /// A name in one of five colours that mean nothing, the same for the same number.
    #[must_use]
    pub fn numbered(self, number: usize, text: &str) -> String {
        if !self.enabled || text.is_empty() {
            return text.to_owned();
        }
        let style = Style::new();
        let style = match number % 5 {
            0 => style.magenta(),
            1 => style.cyan(),
            2 => style.green(),
            3 => style.blue(),
            _ => style.yellow(),
        };
        styled(style, text)
    }

    /// The text in the colour of its meaning, to be written by [`super::Ui`].
    #[must_use]
    pub fn tone(self, tone: Tone, text: &str) -> String {
        if !self.enabled || tone == Tone::Plain || text.is_empty() {
            return text.to_owned();
        }
        let style = Style::new();
        let style = match tone {
            Tone::Plain => style,
            Tone::Ok => style.green(),
            Tone::Fail => style.red().bold(),
            Tone::Warn => style.yellow(),
            Tone::Typed => style.cyan(),
            Tone::Dim => style.dim(),
            Tone::Head => style.bold(),
        };
        styled(style, text)
    }
}

/// Characters that not every terminal can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Glyphs {
    pub(super) ok: &'static str,
    pub(super) fail: &'static str,
    pub(super) skipped: &'static str,
    pub(super) pending: &'static str,
    pub(super) spinner: [&'static str; 4],
    pub(super) cut: &'static str,
}

impl Glyphs {
    pub(super) fn new(utf8: bool) -> Self {
        if utf8 {
            let spinner = ["◐", "◓", "◑", "◒"];
            Self { ok: "✔", fail: "✘", skipped: "–", pending: " ", spinner, cut: "…" }
        } else {
            let spinner = ["|   ", "/   ", "-   ", "\\   "];
            Self { ok: "ok  ", fail: "fail", skipped: "skip", pending: "    ", spinner, cut: "..." }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::shown::shown;

    #[test]
    fn the_choice_beats_the_environment_and_the_environment_the_terminal() {
        let plain = Surroundings::default();
        let no = Surroundings { no_color: true, force_color: true, ..plain };
        let force = Surroundings { force_color: true, dumb: true, ..plain };
        let dumb = Surroundings { dumb: true, ..plain };
        assert!(no.colors(Color::Always, false));
        assert!(!force.colors(Color::Never, true));
        assert!(!no.colors(Color::Auto, true));
        assert!(force.colors(Color::Auto, false));
        assert!(!dumb.colors(Color::Auto, true));
        assert!(plain.colors(Color::Auto, true) && !plain.colors(Color::Auto, false));
    }

    #[test]
    fn colours_are_where_they_are_wanted() {
        assert_eq!(shown(&Paint::new(true).tone(Tone::Ok, "x")), "\u{1b}[32mx\u{1b}[0m");
        assert_eq!(Paint::new(false).tone(Tone::Ok, "x"), "x");
        let numbered = |number| shown(&Paint::new(true).numbered(number, "x"));
        assert!(numbered(1) != numbered(2) && numbered(1) == numbered(6) && numbered(0).starts_with('\u{1b}'));
        assert_eq!(Paint::new(false).numbered(1, "x"), "x");
    }

    #[test]
    fn locales_name_their_character_set() {
        assert!(is_utf8("de_DE.UTF-8".as_ref()) && is_utf8("C.utf8".as_ref()));
        assert!(!is_utf8("C".as_ref()) && !is_utf8("en_US.ISO-8859-1".as_ref()));
    }
}
