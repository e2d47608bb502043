//! The README's table of functions is the catalog's: `make readme` writes it anew.

use std::path::Path;
use vyx_engine::listing;

const BEGIN: &str = "<!-- functions: written by `make readme` -->\n";
const END: &str = "<!-- end of functions -->\n";

#[test]
fn the_table_of_functions_is_that_of_the_catalog() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md");
    let page = std::fs::read_to_string(&path).expect("there is a README.md");
    let (before, rest) = page.split_once(BEGIN).expect("the README has a place for the table");
    let (table, after) = rest.split_once(END).expect("the table ends");
    let wanted = listing::markdown();
    if std::env::var_os("VYX_WRITE_README").is_some() {
        std::fs::write(&path, format!("{before}{BEGIN}{wanted}{END}{after}")).expect("the README can be written");
        return;
    }
    assert!(table == wanted, "the README's table is not that of the catalog: run `make readme`");
}
