//! What to leave out of a text that does not parse, so that the rest of it is checked as well.
//!
//! Nothing is moved: what is left out becomes blanks, and a semicolon that lacks takes the place of a blank, so that each
//! later problem is told where it stands in the user's own text.

use crate::text::{Code, Text};

/// A text that comes further.
pub struct Mended {
    pub text: String,
    /// Names that stood in what was left out: whether they are defined is not known any more.
    pub lost: Vec<String>,
    /// Whether nothing follows what was left out, so that the result is not known.
    pub result_lost: bool,
}

/// Ends the statement before the one that begins at `at`; `None` unless that is on a line before.
pub fn end_statement(script: &str, at: (usize, usize)) -> Option<String> {
    let text = Text::new(script);
    let next = text.index(at);
    let last = (0..next).rev().find(|i| text.is_code(*i))?;
    let between = last + 1..next;
    text.chars[between].contains(&'\n').then(|| {
        let mut chars = text.chars.clone();
        chars.insert(last + 1, ';');
        chars.into_iter().collect()
    })
}

/// Leaves out the statement that the parser stumbled over, at line and column, both from 1, or at the end.
/// `block`: with the lines beneath it that are indented, as the body of what Pine defines.
///
/// `None` when nothing would be gained.
pub fn leave_out(script: &str, at: Option<(usize, usize)>, block: bool) -> Option<Mended> {
    let text = Text::new(script);
    let stopped = at.map_or(text.chars.len(), |at| text.index(at));
    let mut from = text.statement_start(stopped, block);
    let mut to = text.statement_end(from, stopped, block);
    while !(from..to).any(|i| text.is_code(i)) {
        // An empty statement before a bracket: the bracket is what is wrong, or it was never closed.
        if to < text.chars.len() && to <= stopped {
            to += 1;
        } else {
            from = text.statement_start(from.checked_sub(1)?, block);
            to = text.chars.len();
        }
    }
    let mut chars = text.chars.clone();
    chars[from..to].iter_mut().filter(|c| **c != '\n').for_each(|c| *c = ' ');
    let result_lost = !(to..text.chars.len()).any(|i| text.is_code(i) && text.chars[i] != ';');
    Some(Mended { text: chars.into_iter().collect(), lost: text.names(from..to), result_lost })
}

impl Text {
    /// Where the statement begins that `at` is in. `block`: a block before belongs to it.
    fn statement_start(&self, at: usize, block: bool) -> usize {
        let mut depth = 0usize;
        let mut i = at;
        while i > 0 {
            i -= 1;
            if self.code[i] != Code::Yes {
                continue;
            }
            let map = self.chars[i] == '{' && i > 0 && self.chars[i - 1] == '#';
            match self.chars[i] {
                ';' if depth == 0 => return i + 1,
                ')' | ']' | '}' => depth += 1,
                '{' if depth == 0 && !map => return i + 1,
                '{' if depth == 1 && !map && !block => {
                    // A block ended before: what follows it is a statement of its own.
                    return self.close_of(i).map_or(i + 1, |close| close + 1);
                }
                '(' | '[' | '{' => depth = depth.saturating_sub(1),
                _ => {}
            }
        }
        0
    }

    /// The bracket that closes the one at `open`.
    fn close_of(&self, open: usize) -> Option<usize> {
        let mut depth = 0usize;
        for i in (open..self.chars.len()).filter(|i| self.code[*i] == Code::Yes) {
            match self.chars[i] {
                '(' | '[' | '{' => depth += 1,
                ')' | ']' | '}' => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth == 0 {
                return Some(i);
            }
        }
        None
    }

    /// Where the statement ends that begins at `from` and goes on at `stopped` at least: after its semicolon, before the
    /// bracket of the block it is in, or where a line is no continuation.
    fn statement_end(&self, from: usize, stopped: usize, block: bool) -> usize {
        let mut depth = 0usize;
        for i in from..self.chars.len() {
            if self.chars[i] == '\n' && i >= stopped && self.code[i] != Code::Text {
                let indented = self.chars.get(i + 1).is_some_and(|c| c.is_whitespace());
                let goes_on = (block && indented) || self.continues(i, depth);
                if !goes_on {
                    return i;
                }
            }
            if self.code[i] != Code::Yes {
                continue;
            }
            match self.chars[i] {
                ';' if depth == 0 && i >= stopped => return i + 1,
                '(' | '[' | '{' => depth += 1,
                '}' if depth == 0 => return i,
                ')' | ']' | '}' => depth = depth.saturating_sub(1),
                _ => {}
            }
        }
        self.chars.len()
    }

    /// Whether the line after the line end at `i` belongs to the same statement.
    fn continues(&self, i: usize, depth: usize) -> bool {
        const JOINTS: &str = "+-*/%&|<>=?:,.";
        let before = (0..i).rev().find(|k| self.is_code(*k)).map(|k| self.chars[k]);
        let after = (i..self.chars.len()).find(|k| self.is_code(*k)).map(|k| self.chars[k]);
        let open = before.is_some_and(|c| JOINTS.contains(c) || "([{".contains(c));
        let closing = after.is_some_and(|c| JOINTS.contains(c) || (depth > 0 && ")]}".contains(c)));
        open || closing
    }
}
