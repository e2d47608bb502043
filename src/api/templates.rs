//! Rules to begin with.

use crate::templates::TEMPLATES;
use pgrx::prelude::*;

/// Rules that can be saved as they are or changed first:
/// `INSERT INTO vyx.traders (name, script, "interval") SELECT name, script, "interval" FROM vyx_templates() WHERE name = 'rsi_dip'`.
#[pg_extern(immutable, parallel_safe)]
#[allow(clippy::type_complexity)]
fn vyx_templates() -> TableIterator<
    'static,
    (
        name!(name, String),
        name!(title, String),
        name!(description, String),
        name!(interval, String),
        name!(tags, Vec<String>),
        name!(script, String),
    ),
> {
    TableIterator::new(TEMPLATES.iter().map(|template| {
        (
            template.name.to_owned(),
            template.title.to_owned(),
            template.description.to_owned(),
            template.interval.to_owned(),
            template.tags.iter().map(|tag| (*tag).to_owned()).collect(),
            template.script.to_owned(),
        )
    }))
}
