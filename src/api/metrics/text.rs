//! Prometheus' text format, version 0.0.4.

use super::Sample;
use std::borrow::Cow;
use std::fmt::Write;

/// Writes samples out; those of one name stand together already.
pub fn exposition(samples: &[Sample]) -> String {
    let mut text = String::new();
    let mut last = "";
    for sample in samples {
        let family = family(sample);
        if family != last {
            let help = sample.help.replace('\\', "\\\\").replace('\n', "\\n");
            writeln!(text, "# HELP {family} {help}\n# TYPE {family} {}", sample.kind).expect("memory can be written");
            last = family;
        }
        let labels = sample.labels.iter().map(|(key, value)| format!("{key}=\"{}\"", escaped(value)));
        let labels = labels.collect::<Vec<_>>().join(",");
        let labels = if labels.is_empty() { labels } else { format!("{{{labels}}}") };
        writeln!(text, "{}{labels} {}", sample.name, number(sample.value)).expect("memory can be written");
    }
    text
}

/// The name under which help and type stand.
fn family(sample: &Sample) -> &str {
    let suffixes = ["_bucket", "_sum", "_count"].iter().filter(|_| sample.kind == "histogram");
    suffixes.filter_map(|suffix| sample.name.strip_suffix(suffix)).next().unwrap_or(&sample.name)
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

fn number(value: f64) -> Cow<'static, str> {
    match value {
        f64::INFINITY => "+Inf".into(),
        f64::NEG_INFINITY => "-Inf".into(),
        value => value.to_string().into(),
    }
}
