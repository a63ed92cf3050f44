//! Literals of Python as data: dictionaries, lists, texts, numbers. Nothing else of the language is understood, and nothing
//! executed.

use anyhow::{Result, bail};

/// How deep lists may lie in each other.
const MAX_DEPTH: usize = 16;

/// A literal.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Literal {
    Text(String),
    Number(i64),
    /// `True`, `False`, `None` and what else is called by a name.
    Name(String),
    List(Vec<Self>),
    /// In the order of the file.
    Dictionary(Vec<(Self, Self)>),
}

impl Literal {
    /// What a dictionary has under a text.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        let Self::Dictionary(entries) = self else { return None };
        entries.iter().find(|(name, _)| name.text() == Some(key)).map(|(_, value)| value)
    }

    pub(super) fn text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    pub(super) fn number(&self) -> Option<u64> {
        if let Self::Number(number) = self { u64::try_from(*number).ok() } else { None }
    }

    pub(super) fn is_true(&self) -> bool {
        *self == Self::Name("True".to_owned())
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Literal(Literal),
    Other(char),
}

/// Whether a text sets `BRIDGES`.
pub(super) fn is_rules(text: &str) -> bool {
    variable(text, "BRIDGES").is_ok_and(|value| value.is_some())
        || text.lines().any(|line| line.trim_start().starts_with("BRIDGES") && line.contains('='))
}

/// What is set as a variable of this name, if anything is.
///
/// # Errors
/// With the line, where it is no literal.
pub(super) fn variable(text: &str, name: &str) -> Result<Option<Literal>> {
    let tokens = tokens(text);
    let name = Token::Literal(Literal::Name(name.to_owned()));
    let is_set = |pair: &[(u64, Token)]| pair[0].1 == name && pair[1].1 == Token::Other('=');
    let Some(index) = tokens.windows(2).position(is_set) else { return Ok(None) };
    let mut rest = &tokens[index + 2..];
    literal(&mut rest, 0).map(Some)
}

fn literal(rest: &mut &[(u64, Token)], depth: usize) -> Result<Literal> {
    let Some(((line, token), after)) = rest.split_first() else { bail!("it ends within a literal") };
    *rest = after;
    if depth > MAX_DEPTH {
        bail!("line {line}: lists lie more than {MAX_DEPTH} deep");
    }
    match token {
        Token::Literal(literal) => Ok(literal.clone()),
        Token::Other('{') => {
            let mut entries = Vec::new();
            while !closes(rest, '}') {
                let key = literal(rest, depth + 1)?;
                expect(rest, ':')?;
                entries.push((key, literal(rest, depth + 1)?));
                if !comma(rest, '}')? {
                    break;
                }
            }
            Ok(Literal::Dictionary(entries))
        }
        Token::Other(open @ ('[' | '(')) => {
            let close = if *open == '[' { ']' } else { ')' };
            let mut items = Vec::new();
            while !closes(rest, close) {
                items.push(literal(rest, depth + 1)?);
                if !comma(rest, close)? {
                    break;
                }
            }
            Ok(Literal::List(items))
        }
        Token::Other(other) => bail!("line {line}: {other:?} is no part of a literal; only those are read"),
    }
}

/// Goes past the end of a list, where that is next.
fn closes(rest: &mut &[(u64, Token)], close: char) -> bool {
    let is_next = rest.first().is_some_and(|(_, token)| *token == Token::Other(close));
    if is_next {
        *rest = &rest[1..];
    }
    is_next
}

/// Goes past a comma, or the end of a list (false).
fn comma(rest: &mut &[(u64, Token)], close: char) -> Result<bool> {
    if closes(rest, close) {
        return Ok(false);
    }
    expect(rest, ',').map(|()| true)
}

fn expect(rest: &mut &[(u64, Token)], expected: char) -> Result<()> {
    match rest.split_first() {
        Some(((_, Token::Other(found)), after)) if *found == expected => {
            *rest = after;
            Ok(())
        }
        Some(((line, _), _)) => bail!("line {line}: {expected:?} is missing; only literals are read"),
        None => bail!("it ends within a literal"),
    }
}

/// Words, numbers, texts and signs, each with its line.
fn tokens(text: &str) -> Vec<(u64, Token)> {
    let (mut tokens, mut rest, mut line) = (Vec::new(), text, 1);
    while let Some(first) = rest.chars().next() {
        let taken = match first {
            '#' => rest.find('\n').unwrap_or(rest.len()),
            '\'' | '"' => {
                let (value, len) = quoted(rest, first);
                tokens.push((line, Token::Literal(Literal::Text(value))));
                len
            }
            c if c.is_whitespace() => c.len_utf8(),
            c if c.is_alphanumeric() || c == '_' || c == '-' => {
                let end = rest[c.len_utf8()..].find(|c: char| !c.is_alphanumeric() && c != '_');
                let len = end.map_or(rest.len(), |end| end + c.len_utf8());
                let word = &rest[..len];
                let is_prefix = word.len() <= 2 && word.chars().all(|c| "bBuUrR".contains(c));
                // What stands before a text says how it is written, not what.
                if !(is_prefix && rest[len..].starts_with(['\'', '"'])) {
                    let name = || Literal::Name(word.to_owned());
                    tokens
                        .push((line, Token::Literal(word.parse().map_or_else(|_| name(), Literal::Number))));
                }
                len
            }
            other => {
                tokens.push((line, Token::Other(other)));
                other.len_utf8()
            }
        };
        line += u64::try_from(rest[..taken].matches('\n').count()).unwrap_or(0);
        rest = &rest[taken..];
    }
    tokens
}

/// A text and its length with its quotes. A backslash stands for the character after it.
fn quoted(rest: &str, quote: char) -> (String, usize) {
    let triple: String = [quote; 3].iter().collect();
    let end = if rest.starts_with(&triple) { triple } else { quote.to_string() };
    let mut value = String::new();
    let mut chars = rest.char_indices().skip(end.len());
    while let Some((at, c)) = chars.next() {
        if rest[at..].starts_with(&end) {
            return (value, at + end.len());
        }
        value.extend(if c == '\\' { chars.next().map(|(_, c)| c) } else { Some(c) });
    }
    (value, rest.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_are_read_as_data() {
        let text = "'''BRIDGES = no'''\nimport os # BRIDGES = no\nX = 1\nBRIDGES = {'A': [b'x', (1, -2,), True,], \"B\\\"\": {}, }\n";
        let value = variable(text, "BRIDGES").unwrap().unwrap();
        let a = value.get("A").unwrap();
        let list = Literal::List(vec![Literal::Number(1), Literal::Number(-2)]);
        assert_eq!(*a, Literal::List(vec![Literal::Text("x".into()), list, Literal::Name("True".into())]));
        assert_eq!(value.get("B\""), Some(&Literal::Dictionary(vec![])));
        assert_eq!(variable(text, "UNIT").unwrap(), None);
        assert!(is_rules(text) && !is_rules("[GLOBAL]\nPATH: ./"));
    }

    #[test]
    fn what_is_no_literal_is_named_and_ends() {
        for (text, expected) in [
            ("X = \n\n[1, open('x')]", "line 3: ',' is missing"),
            ("X = {'a' 1}", "line 1: ':' is missing"),
            ("X = [1 for", "line 1: ',' is missing"),
            ("X = [", "it ends within a literal"),
            ("X = +1", "line 1: '+' is no part of a literal"),
            ("X = 'abc", ""),
        ] {
            let error = variable(text, "X").map_or_else(|error| error.to_string(), |_| String::new());
            assert!(error.starts_with(expected), "{error}");
        }
        let deep = format!("X = {}", "[".repeat(100_000));
        assert!(variable(&deep, "X").unwrap_err().to_string().contains("more than 16 deep"));
    }
}
