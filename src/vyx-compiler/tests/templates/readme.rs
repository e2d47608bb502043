//! The README's list of templates is theirs: `make readme` writes it anew.

use super::TEMPLATES;
use std::path::Path;

const BEGIN: &str = "<!-- templates: written by `make readme` -->\n";
const END: &str = "<!-- end of templates -->\n";

#[test]
fn the_list_of_templates_is_theirs() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md");
    let page = std::fs::read_to_string(&path).expect("there is a README.md");
    let (before, rest) = page.split_once(BEGIN).expect("the README has a place for the list");
    let (list, after) = rest.split_once(END).expect("the list ends");
    let rows = TEMPLATES.iter().map(|t| format!("| `{}` | {} | {} |\n", t.name, t.interval, t.description));
    let wanted = format!("| template | interval | what it waits for |\n|---|---|---|\n{}", rows.collect::<String>());
    if std::env::var_os("VYX_WRITE_README").is_some() {
        std::fs::write(&path, format!("{before}{BEGIN}{wanted}{END}{after}")).expect("the README can be written");
        return;
    }
    assert!(list == wanted, "the README's list is not that of the templates: run `make readme`");
}
