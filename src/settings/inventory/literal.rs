//! Values of an inventory: Ansible reads each as a Python literal and keeps what is none as text.
//!
//! So `"60m"` is the text `60m`, `60m # note` is all of that text, `3 # note` is the number 3, and `5.10` is
//! the number 5.1. Two rarities are read differently: integers in another base beyond 128 bits stay text, and
//! `\N{…}` is refused, as it needs the names of all characters.

use std::fmt::Write as _;

use super::number::{self, Number, complex, float};
use super::text::quoted;

/// Deepest nesting of brackets that Python reads.
const MAX_NESTING: usize = 200;

/// One value as Ansible sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Literal {
    /// Text, quoted or not.
    Text(String),
    /// A number, as Python prints it.
    Number(String),
    /// `True` or `False`.
    Bool(bool),
    /// `None`.
    Nothing,
    /// A list, tuple or set.
    List,
    /// A dictionary.
    Dict,
}

impl Literal {
    /// What a template that uses the value gets to see; `None` for what is no single value.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) | Self::Number(text) => Some(text),
            Self::Bool(true) => Some("True"),
            Self::Bool(false) => Some("False"),
            Self::Nothing | Self::List | Self::Dict => None,
        }
    }
}

/// Reads a value.
///
/// # Errors
/// A value that Ansible refuses, or that is no Unicode text.
pub fn read(text: &str) -> Result<Literal, String> {
    let chars: Vec<char> = text.chars().collect();
    let mut parser = Parser { chars: &chars, at: 0, nesting: 0, unhashable: false };
    match parser.whole() {
        Ok(_) if parser.unhashable => Err("has a list or dictionary as a key".to_owned()),
        Ok(node) => Ok(node.into()),
        Err(Stop::NoLiteral) => Ok(Literal::Text(text.to_owned())),
        Err(Stop::Refused(why)) => Err(why),
    }
}

/// Writes text so that [`read`] gives a value that shows as this text: bare where that works, else quoted.
#[must_use]
pub fn write(text: &str) -> String {
    let plain = |c: char| !c.is_control() && !matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}');
    if text.trim() == text && text.chars().all(plain) && read(text).is_ok_and(|literal| literal.text() == Some(text)) {
        return text.to_owned();
    }
    let mut quoted = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if plain(c) => quoted.push(c),
            c => {
                let _ = write!(quoted, "\\U{:08x}", u32::from(c));
            }
        }
    }
    quoted.push('"');
    quoted
}

/// Why the text is no literal.
pub(super) enum Stop {
    /// Python would not evaluate it: it stays text.
    NoLiteral,
    /// Ansible fails on it.
    Refused(String),
}

type Parsed<T> = Result<T, Stop>;

enum Node {
    Int(String),
    Float(f64),
    Complex(f64, f64),
    Text(String),
    Bool(bool),
    Nothing,
    List { hashable: bool },
    Dict,
}

impl From<Node> for Literal {
    fn from(node: Node) -> Self {
        match node {
            Node::Int(digits) => Self::Number(digits),
            Node::Float(number) => Self::Number(float(number, true)),
            Node::Complex(re, im) => Self::Text(complex(re, im)),
            Node::Text(text) => Self::Text(text),
            Node::Bool(value) => Self::Bool(value),
            Node::Nothing => Self::Nothing,
            Node::List { .. } => Self::List,
            Node::Dict => Self::Dict,
        }
    }
}

impl Node {
    fn hashable(&self) -> bool {
        !matches!(self, Self::List { hashable: false } | Self::Dict)
    }

    fn negated(self) -> Parsed<Self> {
        Ok(match self {
            Self::Int(digits) if digits == "0" => Self::Int(digits),
            Self::Int(digits) => Self::Int(format!("-{digits}")),
            Self::Float(number) => Self::Float(-number),
            Self::Complex(re, im) => Self::Complex(-re, -im),
            _ => return Err(Stop::NoLiteral),
        })
    }

    fn real(&self) -> Option<f64> {
        match self {
            Self::Int(digits) => digits.parse().ok(),
            Self::Float(number) => Some(*number),
            _ => None,
        }
    }
}

struct Parser<'a> {
    chars: &'a [char],
    at: usize,
    nesting: usize,
    /// A set or dictionary has a key that Python cannot take: Ansible fails on it if the rest is a literal.
    unhashable: bool,
}

impl Parser<'_> {
    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn skip_blanks(&mut self) {
        while matches!(self.peek(), Some(' ' | '\t')) {
            self.at += 1;
        }
        // A value is one line, so that a comment ends it.
        if self.peek() == Some('#') {
            self.at = self.chars.len();
        }
    }

    fn take(&mut self, wanted: char) -> bool {
        self.skip_blanks();
        let found = self.peek() == Some(wanted);
        self.at += usize::from(found);
        found
    }

    fn whole(&mut self) -> Parsed<Node> {
        let first = self.expression()?;
        let node = if self.take(',') {
            let mut hashable = first.hashable();
            while !self.at_end() {
                hashable &= self.expression()?.hashable();
                if !self.take(',') {
                    break;
                }
            }
            Node::List { hashable }
        } else {
            first
        };
        if self.at_end() { Ok(node) } else { Err(Stop::NoLiteral) }
    }

    fn at_end(&mut self) -> bool {
        self.skip_blanks();
        self.at >= self.chars.len()
    }

    /// One value; of arithmetic only the signs and the sum that makes a complex number.
    fn expression(&mut self) -> Parsed<Node> {
        let left = self.signed()?;
        let minus = match () {
            () if self.take('+') => false,
            () if self.take('-') => true,
            () => return Ok(left),
        };
        match (left.real(), self.atom()?) {
            (Some(re), Node::Complex(zero, im)) => Ok(Node::Complex(re + zero, if minus { -im } else { im })),
            _ => Err(Stop::NoLiteral),
        }
    }

    fn signed(&mut self) -> Parsed<Node> {
        if self.take('-') {
            self.atom()?.negated()
        } else if self.take('+') {
            let node = self.atom()?;
            if matches!(node, Node::Int(_) | Node::Float(_) | Node::Complex(..)) {
                Ok(node)
            } else {
                Err(Stop::NoLiteral)
            }
        } else {
            self.atom()
        }
    }

    fn atom(&mut self) -> Parsed<Node> {
        self.skip_blanks();
        match self.peek() {
            Some('(' | '[' | '{') => {
                self.nesting += 1;
                if self.nesting > MAX_NESTING {
                    return Err(Stop::NoLiteral);
                }
                let node = self.bracketed()?;
                self.nesting -= 1;
                Ok(node)
            }
            Some('.') if self.chars[self.at..].starts_with(&['.', '.', '.']) => {
                self.at += 3;
                Ok(Node::Text("...".to_owned()))
            }
            Some(c) if c.is_ascii_digit() || c == '.' => self.number(),
            _ => match quoted(self.chars, &mut self.at)? {
                Some(text) => Ok(Node::Text(text)),
                None => self.word(),
            },
        }
    }

    fn word(&mut self) -> Parsed<Node> {
        let rest = &self.chars[self.at..];
        let length = rest.iter().take_while(|c| c.is_alphanumeric() || **c == '_').count();
        let word: String = rest[..length].iter().collect();
        self.at += length;
        match word.as_str() {
            "True" => Ok(Node::Bool(true)),
            "False" => Ok(Node::Bool(false)),
            "None" => Ok(Node::Nothing),
            "set" if self.take('(') && self.take(')') => Ok(Node::List { hashable: false }),
            _ => Err(Stop::NoLiteral),
        }
    }

    fn bracketed(&mut self) -> Parsed<Node> {
        let open = self.peek();
        self.at += 1;
        match open {
            Some('(') => self.parenthesis(),
            Some('[') => {
                self.items(']')?;
                Ok(Node::List { hashable: false })
            }
            _ => self.braces(),
        }
    }

    fn parenthesis(&mut self) -> Parsed<Node> {
        if self.take(')') {
            return Ok(Node::List { hashable: true });
        }
        let first = self.expression()?;
        if self.take(')') {
            return Ok(first);
        }
        if !self.take(',') {
            return Err(Stop::NoLiteral);
        }
        let hashable = self.items(')')? && first.hashable();
        Ok(Node::List { hashable })
    }

    /// Items up to the closing bracket; whether all of them are hashable.
    fn items(&mut self, close: char) -> Parsed<bool> {
        let mut hashable = true;
        while !self.take(close) {
            hashable &= self.expression()?.hashable();
            if !self.take(',') {
                return if self.take(close) { Ok(hashable) } else { Err(Stop::NoLiteral) };
            }
        }
        Ok(hashable)
    }

    fn braces(&mut self) -> Parsed<Node> {
        if self.take('}') {
            return Ok(Node::Dict);
        }
        let mut hashable = self.expression()?.hashable();
        let node = if self.take(':') {
            self.expression()?;
            while self.take(',') {
                if self.take('}') {
                    self.unhashable |= !hashable;
                    return Ok(Node::Dict);
                }
                hashable &= self.expression()?.hashable();
                if !self.take(':') {
                    return Err(Stop::NoLiteral);
                }
                self.expression()?;
            }
            if !self.take('}') {
                return Err(Stop::NoLiteral);
            }
            Node::Dict
        } else {
            if self.take(',') {
                hashable &= self.items('}')?;
            } else if !self.take('}') {
                return Err(Stop::NoLiteral);
            }
            Node::List { hashable: false }
        };
        self.unhashable |= !hashable;
        Ok(node)
    }

    fn number(&mut self) -> Parsed<Node> {
        let rest = &self.chars[self.at..];
        let mut length = 0;
        while let Some(&c) = rest.get(length) {
            let sign_of_exponent = matches!(c, '+' | '-')
                && matches!(rest[length - 1], 'e' | 'E')
                && !matches!(rest.get(1), Some('x' | 'X' | 'b' | 'B' | 'o' | 'O'));
            if !(c.is_alphanumeric() || matches!(c, '_' | '.') || sign_of_exponent) {
                break;
            }
            length += 1;
        }
        let token: String = rest[..length].iter().collect();
        self.at += length;
        match number::read(&token).ok_or(Stop::NoLiteral)? {
            Number::Int(digits) => Ok(Node::Int(digits)),
            Number::Float(number) => Ok(Node::Float(number)),
            Number::Imaginary(im) => Ok(Node::Complex(0.0, im)),
        }
    }
}
