//! How metrics are written out.

use pgrx::prelude::*;

#[pg_schema]
mod tests {
    use crate::api::metrics::{Sample, text};
    use pgrx::prelude::*;

    #[pg_test]
    fn odd_texts_and_numbers_are_written_as_prometheus_reads_them() {
        let sample = |name: &'static str, kind, value| Sample {
            name: name.into(),
            labels: vec![("a", "\"\\\n".into()), ("b", "币".into())],
            value,
            kind,
            help: "one\\\ntwo",
        };
        let samples = [
            sample("x_bucket", "histogram", 1.5),
            sample("x_sum", "histogram", f64::INFINITY),
            sample("y_sum", "gauge", f64::NAN),
        ];
        let expected = "# HELP x one\\\\\\ntwo\n# TYPE x histogram\n\
            x_bucket{a=\"\\\"\\\\\\n\",b=\"币\"} 1.5\nx_sum{a=\"\\\"\\\\\\n\",b=\"币\"} +Inf\n\
            # HELP y_sum one\\\\\\ntwo\n# TYPE y_sum gauge\ny_sum{a=\"\\\"\\\\\\n\",b=\"币\"} NaN\n";
        assert_eq!(text::exposition(&samples), expected);
    }
}
