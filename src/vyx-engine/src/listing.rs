//! The catalog as users see it: what `vyx_indicators()` lists, and the table in the README.

use crate::catalog::{self, Function};

/// One function, in words.
pub struct Listed {
    pub name: &'static str,
    pub aliases: &'static [&'static str],
    /// E.g. `rsi(source = close, length = 14)`.
    pub signature: String,
    pub outputs: &'static [&'static str],
    /// How many candles pass before there is a value, with the defaults, and with 20 where a constant has none.
    pub first_valid_bar: usize,
    pub doc: &'static str,
}

/// All functions, in the catalog's order.
pub fn functions() -> impl Iterator<Item = Listed> {
    catalog::functions().iter().map(|function| Listed {
        name: function.name,
        aliases: function.aliases,
        signature: function.signature(),
        outputs: function.outputs,
        first_valid_bar: first_valid_bar(function),
        doc: function.doc,
    })
}

fn first_valid_bar(function: &Function) -> usize {
    /// Stands in for a constant without a default; all of these are lengths.
    const TYPICAL_LENGTH: f64 = 20.0;
    let params: Vec<f64> = function.params.iter().map(|param| param.default.unwrap_or(TYPICAL_LENGTH)).collect();
    (function.warm_up)(&params)
}

/// The functions as a table in Markdown.
pub fn markdown() -> String {
    let mut table = "| function | first value at bar | what it is |\n|---|---|---|\n".to_owned();
    for Listed { aliases, signature, outputs, first_valid_bar, doc, .. } in functions() {
        let fields = match outputs {
            [] | [_] => String::new(),
            several => format!(" → `.{}`", several.join(" .")),
        };
        let also = match aliases {
            [] => String::new(),
            some => format!("; also `{}`", some.join("`, `")),
        };
        let doc = doc.trim_end_matches('.').replace('|', "\\|");
        table.push_str(&format!("| `{signature}`{fields} | {first_valid_bar} | {doc}{also}. |\n"));
    }
    table
}
