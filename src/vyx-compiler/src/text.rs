//! A script as characters that are code, text or comment: as much of the grammar as it takes to find where a statement
//! begins and ends when the parser has given up.

use std::ops::Range;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    Yes,
    /// Within quotes, which belong to it.
    Text,
    Comment,
}

pub struct Text {
    pub chars: Vec<char>,
    /// What each character is part of.
    pub code: Vec<Code>,
}

impl Text {
    pub fn new(script: &str) -> Text {
        let chars: Vec<char> = script.chars().collect();
        let mut code = vec![Code::Yes; chars.len()];
        let mut i = 0;
        while i < chars.len() {
            let (end, what) = match (chars[i], chars.get(i + 1)) {
                ('/', Some('/')) => (line_end(&chars, i), Code::Comment),
                ('/', Some('*')) => (comment_end(&chars, i), Code::Comment),
                ('"' | '\'', _) => (quote_end(&chars, i, true), Code::Text),
                ('`', _) => (quote_end(&chars, i, false), Code::Text),
                _ => (i + 1, Code::Yes),
            };
            code[i..end].fill(what);
            i = end;
        }
        Text { chars, code }
    }

    /// Whether a token stands there, or part of one.
    pub fn is_code(&self, i: usize) -> bool {
        match self.code[i] {
            Code::Yes => !self.chars[i].is_whitespace(),
            Code::Text => true,
            Code::Comment => false,
        }
    }

    /// The character at line and column, both from 1; at most the end.
    pub fn index(&self, (line, col): (usize, usize)) -> usize {
        let mut start = 0;
        for _ in 1..line {
            match self.chars[start..].iter().position(|c| *c == '\n') {
                Some(end) => start += end + 1,
                None => return self.chars.len(),
            }
        }
        (start + col.saturating_sub(1)).min(self.chars.len())
    }

    /// The words of a stretch of code.
    pub fn names(&self, within: Range<usize>) -> Vec<String> {
        let word = |c: &char| c.is_alphanumeric() || *c == '_';
        let code: String = within.map(|i| if self.code[i] == Code::Yes { self.chars[i] } else { ' ' }).collect();
        let words = code.split(|c| !word(&c)).filter(|w| w.chars().next().is_some_and(|c| !c.is_numeric()));
        words.map(str::to_owned).collect()
    }
}

fn line_end(chars: &[char], from: usize) -> usize {
    chars[from..].iter().position(|c| *c == '\n').map_or(chars.len(), |n| from + n)
}

/// Comments nest.
fn comment_end(chars: &[char], from: usize) -> usize {
    let (mut i, mut depth) = (from, 0usize);
    while i + 1 < chars.len() {
        match (chars[i], chars[i + 1]) {
            ('/', '*') => (depth, i) = (depth + 1, i + 2),
            ('*', '/') if depth == 1 => return i + 2,
            ('*', '/') => (depth, i) = (depth - 1, i + 2),
            _ => i += 1,
        }
    }
    chars.len()
}

/// Past the quote that answers the one at `from`, or to the end of the line if the text does not go beyond it.
fn quote_end(chars: &[char], from: usize, in_line: bool) -> usize {
    let mut i = from + 1;
    while i < chars.len() {
        match chars[i] {
            '\\' if in_line => i += 1,
            '\n' if in_line => return i,
            c if c == chars[from] => return i + 1,
            _ => {}
        }
        i += 1;
    }
    chars.len()
}
