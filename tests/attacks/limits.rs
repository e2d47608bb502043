//! Around a limit: by what runs beside a trader, by wishes that nobody could fulfil.

use super::Town;

#[test]
fn a_shadow_and_a_wish_are_no_way_around_a_limit() {
    let town = Town::get();
    let admin = town.admin();
    let id = "9e77e000-0000-4000-8000-000000000005";
    admin.run(&format!(
        "CREATE ROLE gretel LOGIN; GRANT vyx_user TO gretel;
         INSERT INTO vyx.tiers (tier, max_running_traders, max_traders, cost_per_close) VALUES ('narrow', 5, 5, 20);
         INSERT INTO vyx.tenants (user_id, role_name, tier) VALUES ('{id}', 'gretel', 'narrow')"
    ));
    let gretel = town.cluster.session_as("gretel");
    gretel.run("INSERT INTO vyx.traders (name, script, state) VALUES ('small', 'close > 0', 'running')");
    let trader: String = gretel.one("SELECT id::text FROM vyx.traders", &[]);
    let heavy = "sma(close, 5) > sma(close, 9) && rsi(close, 14) > 1 && ema(close, 7) > 2 && high > low";
    for sql in [
        format!("UPDATE vyx.traders SET script = '{heavy}'"),
        format!("INSERT INTO vyx.traders (name, script, state) VALUES ('large', '{heavy}', 'running')"),
        format!("SELECT vyx_change_trader('{trader}', '{heavy}', shadow => true)"),
        format!("SELECT vyx.begin_shadow('{trader}', '{heavy}')"),
    ] {
        let error = gretel.refusal(&sql);
        assert_eq!(error.code().code(), "42501", "{sql}: {error:?}");
        let detail: serde_json::Value = serde_json::from_str(error.detail().unwrap_or("")).expect("JSON for programs");
        assert_eq!(detail, serde_json::json!({ "limit": 20, "tier": "narrow" }), "{sql}");
    }
    // One that fits may run, and counts.
    gretel.run(&format!("SELECT vyx_change_trader('{trader}', 'close > 1', shadow => true)"));
    let costs: Vec<i64> =
        gretel.one("SELECT array_agg(cost ORDER BY version) FROM vyx.trader_versions WHERE asked_to IS NULL", &[]);
    assert!(costs.len() == 2 && costs.iter().sum::<i64>() <= 20 && costs.iter().all(|cost| *cost > 0), "{costs:?}");

    for cause in ["write", "", "'; --", "nothing of the kind"] {
        let asked: i64 = gretel.one("SELECT vyx_retry($1::text::uuid, $2)", &[&trader, &cause]);
        assert_eq!(asked, 0);
    }
    assert_eq!(admin.one::<i64>(&format!("SELECT count(*) FROM vyx.retries WHERE user_id = '{id}'"), &[]), 0);
    gretel.run("DELETE FROM vyx.traders");
}
