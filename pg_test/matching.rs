//! Where a trader matches now, compared with a screen of its script.

use pgrx::prelude::*;

#[pg_schema]
mod tests {
    use crate::pg_test::support::{check_failure, fill, one};
    use pgrx::prelude::*;

    #[pg_test]
    fn a_trader_matches_where_a_screen_of_its_script_says_so() {
        fill("MATCHING1USDT", 40, true);
        fill("MATCHING2USDT", 41, true);
        fill("MATCHING3USDT", 42, true);
        fill("MATCHING4USDT", 5, false);
        Spi::run(
            "INSERT INTO vyx.traders (id, name, script, symbols) VALUES ('0191a2b3-c4d5-7e6f-8a9b-00000000000a', 'm',
                 '#{ fire: close > 110, twice: 2 * close }', '{MATCHING1USDT,MATCHING2USDT,MATCHING3USDT,MATCHING4USDT}')",
        )
        .expect("is stored");
        let agrees = "SELECT count(*) > 0 AND bool_and(m.open_time = s.open_time AND m.price = s.close AND m.metadata = s.fields)
            FROM (SELECT * FROM vyx_screen('1m', '#{ fire: close > 110, twice: 2 * close }')
                  WHERE symbol LIKE 'MATCHING_USDT' AND outcome = 'match') AS s
            FULL JOIN vyx_matching('0191a2b3-c4d5-7e6f-8a9b-00000000000a') AS m USING (symbol)";
        assert!(one::<bool>(agrees));
        let some = "SELECT count(*) FROM vyx_matching('0191a2b3-c4d5-7e6f-8a9b-00000000000a')";
        let few = one::<i64>(some);
        assert!((1..3).contains(&few), "{few}");
        Spi::run("UPDATE vyx.traders SET symbols = '{MATCHING2USDT}' WHERE name = 'm'").expect("runs");
        assert_eq!(
            one::<i64>(some),
            one::<i64>("SELECT (close > 110)::int::bigint FROM vyx_klines('MATCHING2USDT', '1m', 1)")
        );
        // A thousand a candle in 41 candles.
        Spi::run("UPDATE vyx.traders SET script = 'close > 0', min_quote_volume_24h = 40000 WHERE name = 'm'")
            .expect("runs");
        assert_eq!(one::<i64>(some), 1);
        Spi::run("UPDATE vyx.traders SET min_quote_volume_24h = 42000 WHERE name = 'm'").expect("runs");
        assert_eq!(one::<i64>(some), 0);
        check_failure("SELECT * FROM vyx_matching(NULL)", "22004", &["trader_id"]);
        check_failure("SELECT * FROM vyx_matching(gen_random_uuid())", "42704", &["no trader"]);
    }
}
