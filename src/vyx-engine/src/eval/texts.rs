//! Texts as numbers, so that columns hold nothing but numbers.

use std::collections::HashMap;
use std::sync::Arc;

/// A text keeps its number as long as programs use it, since states remember numbers.
#[derive(Debug, Default)]
pub(super) struct Texts {
    numbers: HashMap<Arc<str>, u32>,
    texts: Vec<Option<Arc<str>>>,
    /// Numbers that mean nothing any more, and did not in the generation before.
    free: Vec<u32>,
    before: HashMap<Arc<str>, u32>,
}

impl Texts {
    pub fn get(&self, number: f64) -> Option<&Arc<str>> {
        self.texts.get(number as usize)?.as_ref()
    }

    /// An empty table that gives known texts the numbers they have here.
    pub fn heir(&self) -> Texts {
        let free = (0..self.texts.len() as u32).filter(|n| self.texts[*n as usize].is_none()).collect();
        Texts { numbers: HashMap::new(), texts: vec![None; self.texts.len()], free, before: self.numbers.clone() }
    }

    pub fn intern(&mut self, text: &str) -> u32 {
        if let Some(number) = self.numbers.get(text) {
            return *number;
        }
        let number = self.before.get(text).copied().or_else(|| self.free.pop()).unwrap_or(self.texts.len() as u32);
        if number as usize == self.texts.len() {
            self.texts.push(None);
        }
        let text: Arc<str> = text.into();
        self.texts[number as usize] = Some(Arc::clone(&text));
        self.numbers.insert(text, number);
        number
    }
}
