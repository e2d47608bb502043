//! What a cursor means in a history that has been through something.

use pgrx::prelude::*;

#[pg_schema]
mod tests {
    use crate::pg_test::support::one;
    use pgrx::prelude::*;

    /// Draws so many numbers, as for signals.
    fn draw(count: i64) {
        Spi::run(&format!("UPDATE vyx.writer SET seq = seq + {count}")).expect("is drawn");
    }

    fn after(cursor: &str) -> i64 {
        one(&format!("SELECT after FROM vyx.read_cursor('{cursor}', 1)"))
    }

    #[pg_test]
    fn a_cursor_counts_as_far_as_its_history_is_ours() {
        Spi::run(
            "INSERT INTO vyx.writer (system_identifier) SELECT system_identifier FROM pg_control_system() ON CONFLICT DO NOTHING;
             DELETE FROM vyx.epochs; UPDATE vyx.writer SET epoch = 1, seq = 0; DELETE FROM vyx.epochs",
        )
        .expect("is stored");
        draw(100);
        let first: String = one("SELECT prefix FROM vyx.read_cursor(NULL, 1)");
        assert_eq!(after(&format!("{first}40")), 40);
        assert_eq!(after(&format!("{first}140")), 140, "ahead of us, as far as is known now");
        // Whatever comes next is written elsewhere: promoted, or restored beside itself.
        Spi::run("UPDATE vyx.epochs SET place = 'elsewhere'").expect("is stored");
        draw(50);
        let second: String = one("SELECT prefix FROM vyx.read_cursor(NULL, 1)");
        assert_ne!(first, second);
        assert_eq!([40, 100, 140].map(|seq| after(&format!("{first}{seq}"))), [40, 100, 100]);
        assert_eq!(after(&format!("{second}140")), 140);
        draw(50);
        assert_eq!(one::<String>("SELECT prefix FROM vyx.read_cursor(NULL, 1)"), second, "here it stays the same");
        Spi::run("UPDATE vyx.writer SET system_identifier = 1; SELECT vyx_adopt()").expect("is adopted");
        draw(50);
        assert_eq!([140, 200, 240].map(|seq| after(&format!("{second}{seq}"))), [140, 200, 200]);
        assert_eq!([40, 240].map(|seq| after(&format!("{first}{seq}"))), [40, 100]);
        // Of a copy that went its own way from we do not know where.
        assert_eq!(after("2.00000000.140"), 0);
        assert_eq!(after("9.00000000.140"), 0);
    }

    #[pg_test]
    fn what_a_client_may_have_seen_outlives_a_crash() {
        Spi::run(
            "INSERT INTO vyx.writer (system_identifier) SELECT system_identifier FROM pg_control_system() ON CONFLICT DO NOTHING;
             SET LOCAL synchronous_commit = off",
        )
        .expect("is set");
        draw(1);
        assert_eq!(one::<String>("SELECT current_setting('synchronous_commit')"), "local");
    }
}
