//! What the workers' processes stand on.

use pgrx::prelude::*;

#[pg_schema]
mod tests {
    use crate::worker::runtime::Turns;
    use pgrx::prelude::*;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::time::Duration;

    #[pg_test]
    fn a_task_that_panics_ends_the_process_that_runs_it() {
        let mut turns = Turns::of(async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            panic!("of the feed")
        })
        .expect("there is a runtime");
        turns.turn(Duration::from_millis(1));
        let panic = catch_unwind(AssertUnwindSafe(|| turns.turn(Duration::from_secs(5)))).expect_err("it goes on");
        assert_eq!(panic.downcast_ref::<&str>(), Some(&"of the feed"));
    }
}
