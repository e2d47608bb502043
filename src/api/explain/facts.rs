//! What the tables say of a trader and of one candle, as far as the caller may see it.

use super::compiled;
use crate::error::Error;
use pgrx::JsonB;
use pgrx::datum::DatumWithOid;
use pgrx::prelude::*;
use serde::Deserialize;
use std::sync::Arc;
use uuid::Uuid;
use vyx_core::{Interval, Millis, Symbol};
use vyx_engine::wire::Mode;
use vyx_engine::{Checked, ProgramError};

/// A trader with all its versions, newest first. It may have been deleted: then its versions are what is left.
#[derive(Deserialize)]
pub struct Trader {
    now: Option<Now>,
    versions: Vec<Version>,
}

/// The row of vyx.traders.
#[derive(Deserialize)]
pub struct Now {
    pub name: String,
    pub interval: String,
    pub script: String,
    pub state: String,
}

/// When a version is in force, milliseconds of market time.
#[derive(Deserialize)]
pub struct Version {
    pub version: i64,
    interval: String,
    /// `None`: from the beginning.
    pub from: Option<i64>,
    /// `None`: still.
    pub to: Option<i64>,
}

/// What is known of one version at one candle of a symbol. The version is the one in force then, or else the newest.
#[derive(Deserialize)]
pub struct Facts {
    version: Option<Rule>,
    pub signal: Option<Signal>,
    pub pending: Option<String>,
    pub failure: Option<String>,
    pub rest: Option<Rest>,
    /// Through which close the series was evaluated.
    pub evaluated: Option<i64>,
    pub cooldown: Option<Cooldown>,
}

#[derive(Deserialize)]
pub struct Rule {
    script: String,
    interval: String,
    program: String,
    pub symbols: Option<Vec<String>>,
    pub volume: Option<f64>,
    pub edge: bool,
    pub max_lag: Option<String>,
}

#[derive(Deserialize)]
pub struct Signal {
    pub id: String,
    pub seq: i64,
    pub version: i64,
    pub revision: u16,
    pub lag_ms: i64,
}

/// The trader had failed too often in a row to be evaluated.
#[derive(Deserialize)]
pub struct Rest {
    pub until: i64,
    pub times: i32,
    pub message: String,
}

/// Another signal that is nearer than the cooldown.
#[derive(Deserialize)]
pub struct Cooldown {
    pub of: i64,
    pub until: i64,
    pub length: String,
}

const TRADER: &str = r#"
SELECT jsonb_build_object(
    'now', (SELECT jsonb_build_object('name', t.name, 'interval', t."interval", 'script', t.script, 'state', t.state)
            FROM vyx.traders t WHERE t.id = $1),
    'versions', coalesce(jsonb_agg(jsonb_build_object(
            'version', v.version, 'interval', v."interval",
            'from', CASE WHEN isfinite(f.starts) THEN (extract(epoch FROM f.starts) * 1000)::bigint END,
            'to', (extract(epoch FROM v.effective_to) * 1000)::bigint) ORDER BY v.version DESC), '[]'))
FROM vyx.trader_versions v CROSS JOIN LATERAL (SELECT coalesce(v.effective_from, v.asked_from) AS starts) AS f
WHERE v.trader_id = $1 AND NOT v.shadow"#;

const FACTS: &str = r#"
WITH v AS MATERIALIZED (
    SELECT * FROM vyx.trader_versions v WHERE v.trader_id = $1 AND v.version = coalesce($2, v.version) AND ($2 IS NOT NULL OR NOT v.shadow)
    ORDER BY v.version DESC LIMIT 1
), t AS MATERIALIZED (SELECT timestamptz 'epoch' + $5 * interval '1 millisecond' AS close_time)
SELECT jsonb_build_object(
    'version', (SELECT jsonb_build_object('script', v.script, 'interval', v."interval", 'program', v.program::text,
            'symbols', to_jsonb(v.symbols), 'volume', v.min_quote_volume_24h, 'edge', v.fire_on = 'edge', 'max_lag', v.max_lag::text)
        FROM v),
    'signal', (SELECT jsonb_build_object('id', s.id, 'seq', s.seq, 'version', s.trader_version, 'revision', s.kline_revision,
            'lag_ms', s.lag_ms)
        FROM vyx.signals s WHERE s.trader_id = $1 AND s.close_time = t.close_time AND s.symbol = $3 AND s."interval" = $4
        ORDER BY s.seq DESC LIMIT 1),
    'pending', (SELECT p.waiting_for FROM vyx.pending p
        WHERE p.trader_id = $1 AND p.symbol = $3 AND p."interval" = $4 AND p.close_time = t.close_time LIMIT 1),
    'failure', (SELECT f.message FROM vyx.failures f
        WHERE f.trader_id = $1 AND f.symbol = $3 AND f."interval" = $4 AND f.close_time = t.close_time LIMIT 1),
    'rest', (SELECT jsonb_build_object('until', (extract(epoch FROM r.retry_at) * 1000)::bigint, 'times', r.in_a_row,
            'message', r.message)
        FROM v JOIN vyx.resting r ON r.trader_id = v.trader_id AND r.trader_version = v.version
        WHERE t.close_time BETWEEN r.since AND r.retry_at),
    'evaluated', (SELECT (extract(epoch FROM w.evaluated_through) * 1000)::bigint FROM vyx.watermarks w
        WHERE w.symbol = $3 AND w."interval" = $4 AND w.lane = (SELECT v.lane FROM v)),
    'cooldown', (SELECT jsonb_build_object('of', (extract(epoch FROM s.close_time) * 1000)::bigint,
            'until', (extract(epoch FROM (s.close_time AT TIME ZONE 'UTC' + v.cooldown) AT TIME ZONE 'UTC') * 1000)::bigint,
            'length', v.cooldown::text)
        FROM v JOIN vyx.signals s ON s.trader_id = $1 AND s.symbol = $3
            AND s.close_time < (t.close_time AT TIME ZONE 'UTC' + v.cooldown) AT TIME ZONE 'UTC'
            AND s.close_time > (t.close_time AT TIME ZONE 'UTC' - v.cooldown) AT TIME ZONE 'UTC'
        WHERE v.cooldown > '0' AND s.close_time <> t.close_time
        ORDER BY s.close_time LIMIT 1))
FROM t"#;

impl Trader {
    /// `None` where there is no such trader, or the caller may not see it.
    pub fn read(id: Uuid) -> Option<Trader> {
        let trader: Trader = one(TRADER, &[DatumWithOid::from(pgrx::Uuid::from_bytes(id.into_bytes()))]);
        (trader.now.is_some() || !trader.versions.is_empty()).then_some(trader)
    }

    pub fn now(&self) -> Option<&Now> {
        self.now.as_ref()
    }

    /// Its interval, at a time or now.
    pub fn interval(&self, at: Option<Millis>) -> Interval {
        let then = at.and_then(|at| self.versions.iter().find(|version| version.covers(at)));
        let newest = || self.now.as_ref().map(|now| &now.interval).or(self.versions.first().map(|v| &v.interval));
        let text = then.map(|version| &version.interval).or_else(newest).expect("a trader or a version of it");
        text.parse().expect("checked by the table")
    }

    /// The version that evaluates candles of the interval that close then.
    pub fn in_force(&self, interval: Interval, close_time: Millis) -> Option<&Version> {
        self.versions.iter().find(|version| version.interval == interval.as_str() && version.covers(close_time))
    }

    /// The version after, or before, a time at which none is in force.
    pub fn neighbours(&self, close_time: Millis) -> [Option<&Version>; 2] {
        let before = self.versions.iter().find(|version| version.to.is_some_and(|to| to <= close_time.0));
        let after = self.versions.iter().rev().find(|version| version.from.is_some_and(|from| from > close_time.0));
        [before, after]
    }
}

impl Version {
    fn covers(&self, close_time: Millis) -> bool {
        self.from.is_none_or(|from| from <= close_time.0) && self.to.is_none_or(|to| close_time.0 < to)
    }
}

impl Facts {
    pub fn read(id: Uuid, version: Option<i64>, symbol: &Symbol, interval: Interval, close_time: Millis) -> Facts {
        let args = [
            DatumWithOid::from(pgrx::Uuid::from_bytes(id.into_bytes())),
            DatumWithOid::from(version),
            DatumWithOid::from(symbol.as_str()),
            DatumWithOid::from(interval.as_str()),
            DatumWithOid::from(close_time.0),
        ];
        one(FACTS, &args)
    }

    pub fn rule(&self) -> Option<&Rule> {
        self.version.as_ref()
    }

    /// The program of the version, or of the script as it stands where there never was one.
    ///
    /// # Errors
    /// A script that no longer compiles, or a stored program that is none.
    pub fn program(&self, trader: &Trader) -> Result<Arc<Checked>, Error> {
        let (script, interval) = match (&self.version, &trader.now) {
            (Some(rule), _) => match Checked::decode(rule.program.as_bytes()) {
                // Of an older server: its script says the same.
                Err(ProgramError::Format(_) | ProgramError::Malformed(_)) => (&rule.script, &rule.interval),
                Ok(program) => return Ok(Arc::new(program)),
                Err(error) => return Err(Error::Compile(crate::compile::Failure::BadProgram(error))),
            },
            (None, Some(now)) => (&now.script, &now.interval),
            (None, None) => unreachable!("a trader or a version of it"),
        };
        let interval = interval.parse().expect("checked by the table");
        Ok(Arc::new(compiled(script, interval, Mode::Trader)?.program))
    }
}

/// The one JSON value of a query.
fn one<T: for<'de> Deserialize<'de>>(sql: &str, args: &[DatumWithOid]) -> T {
    let found = crate::api::read_one::<JsonB>(sql, args);
    let JsonB(value) = found.unwrap_or_else(|error| error!("vyx cannot read its tables: {error}")).expect("a row");
    serde_json::from_value(value).expect("built by the query")
}
