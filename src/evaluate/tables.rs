//! What the tables say when an evaluation begins, read over SPI in one snapshot.

use super::batch::Batch;
use super::version::{InForce, Key, Lane, Unread, Version, load};
use pgrx::datum::DatumWithOid;
use pgrx::prelude::*;
use pgrx::spi::{SpiClient, SpiHeapTupleData, SpiResult};
use std::cell::OnceCell;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use uuid::Uuid;
use vyx_core::{Interval, Millis, Symbol};

/// Most rows of `vyx.pending` that are looked at in one batch, oldest first.
const MOST_PENDING: i64 = 1_000;

/// What is known of evaluation so far.
#[derive(Default)]
pub struct Tables {
    /// The close time through which each series was evaluated.
    pub watermarks: HashMap<(Symbol, Interval), Millis>,
    /// Versions that may evaluate candles after the oldest watermark of their interval, and those that something is
    /// pending for.
    pub versions: Vec<InForce>,
    pub pending: Vec<PendingRow>,
    /// Counts the decisions about from when on versions count; `None` before the first trader.
    pub settled: Option<i64>,
    /// Versions that failed again and again.
    pub resting: HashMap<Key, Rest>,
    /// What was asked for.
    only: Option<Interval>,
}

/// A row of `vyx.resting`.
#[derive(Clone, Copy)]
pub struct Rest {
    /// Not evaluated before this, in market time; `None`: it has not failed often enough.
    pub until: Option<Millis>,
    /// It could not be evaluated, so evaluating it is a success.
    pub is_of_program: bool,
}

impl Rest {
    pub fn lasts(&self, now: Millis) -> bool {
        self.until.is_some_and(|until| now < until)
    }
}

/// A row of `vyx.pending`.
pub struct PendingRow {
    pub key: Key,
    pub symbol: Symbol,
    pub interval: Interval,
    pub close_time: Millis,
}

impl Tables {
    /// Takes over what a batch has moved, once it is written.
    pub fn advance(&mut self, batch: &Batch) {
        for moved in &batch.watermarks {
            if let (Ok(symbol), Ok(interval)) = (Symbol::new(&moved.symbol), moved.interval.parse()) {
                self.watermarks.insert((symbol, interval), Millis(moved.through));
            }
        }
    }

    /// Brings up to date what can change without a word: all of it, unless versions have been settled since. Whether that
    /// sufficed. That watermarks have moved shows when a batch is written: its comparison fails.
    ///
    /// # Errors
    /// Those of SPI.
    pub fn refresh(&mut self, lane: Lane, only: Option<Interval>) -> SpiResult<bool> {
        Spi::connect(|client| {
            if self.only != only || self.settled != settled(client)? {
                return Ok(false);
            }
            self.pending = pending(client, lane, only)?;
            self.resting = resting(client)?;
            // What is pending may need a version that ended long ago.
            let are_known = self.pending.iter().all(|row| self.versions.iter().any(|one| one.version.key == row.key));
            Ok(are_known)
        })
    }

    /// Reads the tables. `known` are the versions that were read before; those no longer needed are forgotten. `tracked`
    /// tells the series whose watermarks count.
    ///
    /// # Errors
    /// Those of SPI; errors of the database pass through as such.
    pub fn read(
        known: &mut HashMap<Key, Rc<Version>>,
        lane: Lane,
        only: Option<Interval>,
        tracked: impl Fn(&Symbol, Interval) -> bool,
    ) -> SpiResult<Tables> {
        Spi::connect(|client| {
            let mut tables = Tables { pending: pending(client, lane, only)?, only, ..Tables::default() };
            tables.settled = settled(client)?;
            tables.resting = resting(client)?;
            tables.watermarks = watermarks(client, lane, only)?;
            tables.watermarks.retain(|(symbol, interval), _| tracked(symbol, *interval));
            let wanted: Vec<Key> = tables.pending.iter().map(|row| row.key).collect();
            let periods = periods(client, lane, &oldest(&tables.watermarks), &wanted)?;
            let needed: HashSet<Key> = periods.iter().map(|(key, ..)| *key).collect();
            // An outdated one may have been compiled anew since.
            known.retain(|key, version| needed.contains(key) && !version.is_outdated());
            let new: Vec<Key> = periods.iter().map(|(key, ..)| *key).filter(|key| !known.contains_key(key)).collect();
            if !new.is_empty() {
                known.extend(versions(client, &new)?.into_iter().map(|version| (version.key, Rc::new(version))));
            }
            let in_force = |(key, from, to): (Key, Millis, Option<Millis>)| {
                Some(InForce { version: Rc::clone(known.get(&key)?), from, to })
            };
            tables.versions = periods.into_iter().filter_map(in_force).collect();
            Ok(tables)
        })
    }
}

/// A column that is not null, by its place from 1.
fn column<T: FromDatum + IntoDatum>(row: &SpiHeapTupleData, place: usize) -> SpiResult<Option<T>> {
    row.get(place)
}

fn millis(at: TimestampWithTimeZone) -> Millis {
    crate::api::millis(at)
}

/// A series as two columns name it; `None` for names that this server cannot have, e.g. of a dump of a later version.
fn series(row: &SpiHeapTupleData, place: usize) -> SpiResult<Option<(Symbol, Interval)>> {
    let symbol = column::<&str>(row, place)?.and_then(|text| Symbol::new(text).ok());
    let interval = column::<&str>(row, place + 1)?.and_then(|text| text.parse().ok());
    Ok(symbol.zip(interval))
}

fn settled(client: &SpiClient) -> SpiResult<Option<i64>> {
    let rows = client.select("SELECT w.settled FROM vyx.writer w", Some(1), &[])?;
    rows.into_iter().next().map_or(Ok(None), |row| column(&row, 1))
}

fn resting(client: &SpiClient) -> SpiResult<HashMap<Key, Rest>> {
    let rows = client.select(
        "SELECT r.trader_id, r.trader_version, r.retry_at, r.cause OPERATOR(pg_catalog.=) 'program' FROM vyx.resting r
         WHERE r.retry_at IS NOT NULL OR r.cause OPERATOR(pg_catalog.=) 'program'",
        None,
        &[],
    )?;
    let mut resting = HashMap::new();
    for row in rows {
        if let Some(key) = key(&row)? {
            let rest = Rest { until: column(&row, 3)?.map(millis), is_of_program: column(&row, 4)?.unwrap_or(false) };
            resting.insert(key, rest);
        }
    }
    Ok(resting)
}

fn watermarks(
    client: &SpiClient,
    lane: Lane,
    only: Option<Interval>,
) -> SpiResult<HashMap<(Symbol, Interval), Millis>> {
    let rows = client.select(
        "SELECT w.symbol, w.\"interval\", w.evaluated_through FROM vyx.watermarks w
         WHERE w.lane OPERATOR(pg_catalog.=) $2 AND w.\"interval\" OPERATOR(pg_catalog.=) coalesce($1, w.\"interval\")",
        None,
        &[DatumWithOid::from(only.map(Interval::as_str)), DatumWithOid::from(lane as i16)],
    )?;
    let mut watermarks = HashMap::with_capacity(rows.len());
    for row in rows {
        if let (Some(series), Some(through)) = (series(&row, 1)?, column(&row, 3)?) {
            watermarks.insert(series, millis(through));
        }
    }
    Ok(watermarks)
}

fn pending(client: &SpiClient, lane: Lane, only: Option<Interval>) -> SpiResult<Vec<PendingRow>> {
    let rows = client.select(
        "SELECT p.trader_id, p.trader_version, p.symbol, p.\"interval\", p.close_time FROM vyx.pending p
         JOIN vyx.trader_versions v
             ON v.trader_id OPERATOR(pg_catalog.=) p.trader_id AND v.version OPERATOR(pg_catalog.=) p.trader_version
         WHERE v.lane OPERATOR(pg_catalog.=) $3 AND p.\"interval\" OPERATOR(pg_catalog.=) coalesce($1, p.\"interval\")
         ORDER BY p.close_time LIMIT $2",
        None,
        &[
            DatumWithOid::from(only.map(Interval::as_str)),
            DatumWithOid::from(MOST_PENDING),
            DatumWithOid::from(lane as i16),
        ],
    )?;
    let mut pending = Vec::new();
    for row in rows {
        let (key, series, close_time) = (key(&row)?, series(&row, 3)?, column(&row, 5)?);
        if let (Some(key), Some((symbol, interval)), Some(close_time)) = (key, series, close_time) {
            pending.push(PendingRow { key, symbol, interval, close_time: millis(close_time) });
        }
    }
    Ok(pending)
}

/// A version's key in the first two columns.
fn key(row: &SpiHeapTupleData) -> SpiResult<Option<Key>> {
    let trader = column::<pgrx::Uuid>(row, 1)?.map(|trader| Uuid::from_bytes(*trader));
    Ok(trader.zip(column(row, 2)?))
}

/// The oldest watermark of each interval. Those of an interval that nobody reads any more stand still for ever.
fn oldest(watermarks: &HashMap<(Symbol, Interval), Millis>) -> HashMap<Interval, Millis> {
    let mut oldest = HashMap::new();
    for ((_, interval), through) in watermarks {
        oldest.entry(*interval).and_modify(|least: &mut Millis| *least = *through.min(least)).or_insert(*through);
    }
    oldest
}

/// Times in force of versions that ended after the oldest watermark of their interval, and of the wanted ones.
fn periods(
    client: &SpiClient,
    lane: Lane,
    oldest: &HashMap<Interval, Millis>,
    wanted: &[Key],
) -> SpiResult<Vec<(Key, Millis, Option<Millis>)>> {
    let (traders, numbers) = arrays(wanted);
    let (intervals, through): (Vec<&str>, Vec<Option<TimestampWithTimeZone>>) =
        oldest.iter().map(|(interval, through)| (interval.as_str(), crate::api::timestamp(*through))).unzip();
    // Without a watermark nothing was evaluated yet, and what ended meanwhile still has its candles to come.
    let rows = client.select(
        "SELECT v.trader_id, v.version, v.effective_from, v.effective_to FROM vyx.trader_versions v
         WHERE v.lane OPERATOR(pg_catalog.=) $5 AND v.effective_to IS NULL
         UNION
         SELECT v.trader_id, v.version, v.effective_from, v.effective_to
         FROM ROWS FROM (pg_catalog.unnest($1::pg_catalog.text[]), pg_catalog.unnest($2::pg_catalog.timestamptz[])) AS o(\"interval\", through)
         JOIN vyx.trader_versions v
             ON v.lane OPERATOR(pg_catalog.=) $5 AND v.\"interval\" OPERATOR(pg_catalog.=) o.\"interval\"
                AND v.effective_to OPERATOR(pg_catalog.>) o.through
         UNION
         SELECT v.trader_id, v.version, v.effective_from, v.effective_to FROM vyx.trader_versions v
         WHERE v.lane OPERATOR(pg_catalog.=) $5 AND v.effective_to OPERATOR(pg_catalog.>) v.effective_from
           AND NOT EXISTS (SELECT FROM vyx.watermarks w WHERE w.lane OPERATOR(pg_catalog.=) v.lane
                           AND w.\"interval\" OPERATOR(pg_catalog.=) v.\"interval\")
         UNION
         SELECT v.trader_id, v.version, v.effective_from, v.effective_to FROM vyx.trader_versions v
         JOIN ROWS FROM (pg_catalog.unnest($3::pg_catalog.uuid[]), pg_catalog.unnest($4::pg_catalog.int8[])) AS w(trader_id, version)
             USING (trader_id, version)",
        None,
        &[
            DatumWithOid::from(intervals),
            DatumWithOid::from(through),
            DatumWithOid::from(traders),
            DatumWithOid::from(numbers),
            DatumWithOid::from(lane as i16),
        ],
    )?;
    let mut periods = Vec::with_capacity(rows.len());
    for row in rows {
        if let (Some(key), Some(from)) = (key(&row)?, column(&row, 3)?) {
            periods.push((key, millis(from), column(&row, 4)?.map(millis)));
        }
    }
    // In a fixed order, so that an engine's programs change only when the versions do.
    periods.sort_unstable();
    Ok(periods)
}

fn arrays(keys: &[Key]) -> (Vec<pgrx::Uuid>, Vec<i64>) {
    let distinct: HashSet<Key> = keys.iter().copied().collect();
    distinct.into_iter().map(|(trader, number)| (pgrx::Uuid::from_bytes(trader.into_bytes()), number)).unzip()
}

fn versions(client: &SpiClient, keys: &[Key]) -> SpiResult<Vec<Version>> {
    let (traders, numbers) = arrays(keys);
    let rows = client.select(
        "SELECT v.trader_id, v.version, v.\"interval\", v.symbols, v.min_quote_volume_24h,
                v.fire_on OPERATOR(pg_catalog.=) 'edge', v.program::pg_catalog.text
         FROM vyx.trader_versions v
         JOIN ROWS FROM (pg_catalog.unnest($1::pg_catalog.uuid[]), pg_catalog.unnest($2::pg_catalog.int8[])) AS w(trader_id, version)
             USING (trader_id, version)",
        None,
        &[DatumWithOid::from(traders), DatumWithOid::from(numbers)],
    )?;
    let mut versions = Vec::with_capacity(rows.len());
    for row in rows {
        let interval = column::<&str>(&row, 3)?.and_then(|text| text.parse::<Interval>().ok());
        let (Some(key), Some(interval)) = (key(&row)?, interval) else { continue };
        let symbols = column::<Vec<Option<String>>>(&row, 4)?.map(|symbols| {
            symbols.into_iter().flatten().filter_map(|text| Symbol::new(&text).ok()).collect::<HashSet<_>>()
        });
        let program = load(column::<&str>(&row, 7)?.unwrap_or_default()).and_then(|program| {
            let right = program.interval() == interval;
            if right {
                Ok(program)
            } else {
                Err(Unread::Broken(format!("the stored program is for {}", program.interval())))
            }
        });
        let min_quote_volume_24h = column(&row, 5)?;
        let edge = column(&row, 6)?.unwrap_or(true);
        let broken = OnceCell::new();
        versions.push(Version { key, interval, symbols, min_quote_volume_24h, edge, program, broken });
    }
    Ok(versions)
}
