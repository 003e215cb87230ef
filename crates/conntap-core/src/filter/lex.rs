//! Filter text into tokens.

use super::error::{FilterError, Span};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Keyword, number, address, name.
    Word(String),
    /// A name in double quotes: never a keyword.
    Quoted(String),
    Open,
    Close,
    Comma,
    And,
    Or,
    Not,
    Compare(Compare),
    End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compare {
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub kind: Kind,
    pub span: Span,
}

/// Characters that end a word.
fn is_mark(c: char) -> bool {
    c.is_whitespace() || matches!(c, '(' | ')' | ',' | '!' | '&' | '|' | '=' | '<' | '>' | '"')
}

/// The tokens of `text`; the last one is [`Kind::End`].
pub(crate) fn tokens(text: &str) -> Result<Vec<Token>, FilterError> {
    let mut chars = text.chars().peekable();
    let (mut out, mut at) = (Vec::new(), 0usize);
    while let Some(first) = chars.next() {
        let mut len = 1usize;
        let second = chars.peek().copied();
        let pair = |kind: Kind| (kind, true);
        let (kind, two) = match (first, second) {
            (c, _) if c.is_whitespace() => {
                at = at.saturating_add(1);
                continue;
            }
            ('(', _) => (Kind::Open, false),
            (')', _) => (Kind::Close, false),
            (',', _) => (Kind::Comma, false),
            ('&', Some('&')) => pair(Kind::And),
            ('|', Some('|')) => pair(Kind::Or),
            ('&' | '|', _) => {
                return Err(FilterError::new(format!("'{first}' is no word of a filter"), Span { at, len })
                    .hint(if first == '&' { "write 'and' or '&&'" } else { "write 'or' or '||'" }));
            }
            ('!', Some('=')) => pair(Kind::Compare(Compare::NotEqual)),
            ('!', _) => (Kind::Not, false),
            ('=', Some('=')) => pair(Kind::Compare(Compare::Equal)),
            ('=', _) => (Kind::Compare(Compare::Equal), false),
            ('<', Some('=')) => pair(Kind::Compare(Compare::LessEqual)),
            ('<', _) => (Kind::Compare(Compare::Less), false),
            ('>', Some('=')) => pair(Kind::Compare(Compare::GreaterEqual)),
            ('>', _) => (Kind::Compare(Compare::Greater), false),
            ('"', _) => {
                let mut name = String::new();
                loop {
                    match chars.next() {
                        Some('"') => break,
                        Some(c) => name.push(c),
                        None => {
                            return Err(FilterError::new("a name in quotes does not end", Span { at, len })
                                .hint("close it with '\"'"));
                        }
                    }
                }
                len = name.chars().count().saturating_add(2);
                (Kind::Quoted(name), false)
            }
            (c, _) => {
                let mut word = String::from(c);
                while let Some(c) = chars.next_if(|c| !is_mark(*c)) {
                    word.push(c);
                    len = len.saturating_add(1);
                }
                (Kind::Word(word), false)
            }
        };
        if two {
            chars.next();
            len = 2;
        }
        out.push(Token { kind, span: Span { at, len } });
        at = at.saturating_add(len);
    }
    out.push(Token { kind: Kind::End, span: Span { at, len: 1 } });
    Ok(out)
}
