//! The settings: private statics, [`define`], typed accessors.
//!
//! Each has its unit, its bounds and the reason for its default beside it. None can be set by an ordinary user: what
//! sizes memory is fixed at server start, everything else follows a reload of the configuration.

#![allow(unsafe_code)]

use pgrx::guc::{GucContext, GucFlags, GucRegistry, GucSetting};
use pgrx::pg_sys;
use std::ffi::{CStr, CString, c_char, c_void};
use std::time::Duration;
use vyx_core::store::{DEFAULT_SLOTS, Shape};
use vyx_core::{Interval, Symbol};

/// The database in which `vyx evaluate` works: a worker is connected to one database for life.
static DATABASE: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(Some(c"postgres"));
/// The market-data-only hosts: the same streams and history without a key, and not blocked by location.
static STREAM_URL: GucSetting<Option<CString>> =
    GucSetting::<Option<CString>>::new(Some(c"wss://data-stream.binance.vision"));
static REST_URL: GucSetting<Option<CString>> =
    GucSetting::<Option<CString>>::new(Some(c"https://data-api.binance.vision"));
/// Empty: every pair in trade against one of the quote assets.
static SYMBOLS: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(Some(c""));
static QUOTE_ASSETS: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(Some(c"USDT"));
static EXCLUDE_SYMBOLS: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(Some(c""));
/// What screeners look at; each further interval costs 60 MB at 500 symbols.
static INTERVALS: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(Some(c"1m,5m,15m,1h,4h,1d"));
/// Room for the exchange's USDT pairs (some 450) and those that will be listed.
static MAX_SYMBOLS: GucSetting<i32> = GucSetting::<i32>::new(512);
/// 0: 2,048 klines for 1m and 1,536 for the others, the anchored history plus 256 candles of catch-up.
static RING_SIZE: GucSetting<i32> = GucSetting::<i32>::new(0);
/// 0: as many as `vyx.intervals` names when the server starts. More, so that some can be added by a reload; each costs
/// 63 MB at 512 symbols.
static MAX_INTERVALS: GucSetting<i32> = GucSetting::<i32>::new(0);
/// What a crash of the server costs is a minute of candles to fetch again; a round of changes is some 100 KB at 500 symbols.
static SNAPSHOT_INTERVAL: GucSetting<i32> = GucSetting::<i32>::new(60);
/// An hour before the exchange would cut a connection.
static ROTATE_AFTER: GucSetting<i32> = GucSetting::<i32>::new(82_800);
/// A day: pauses of a pair are shorter, and its history stays readable meanwhile.
static SYMBOL_GRACE: GucSetting<i32> = GucSetting::<i32>::new(86_400);
/// Three pings of the exchange (one each 20 s) may be lost before a connection counts as dead.
static STALE_AFTER: GucSetting<i32> = GucSetting::<i32>::new(60);
/// How long a symbol's evaluation waits for another symbol's data before it is put off: the exchange closes all
/// candles within about 0.2 s, and history answers 2 s after the close.
/// At most half an hour: who evaluates remembers for an hour when it first saw a close.
static CLOSE_GRACE: GucSetting<i32> = GucSetting::<i32>::new(10_000);
/// The exchange lists pairs without telling; 20 of 6,000 units of weight each time.
static SYMBOL_REFRESH: GucSetting<i32> = GucSetting::<i32>::new(1_800);
/// Two thirds of the exchange's 6,000 a minute: the rest stays for whoever shares the address.
static WEIGHT_BUDGET: GucSetting<i32> = GucSetting::<i32>::new(4_000);
/// On, signals are there within milliseconds of a close; off, a pg_cron job alone evaluates.
static EVALUATE_WORKER: GucSetting<bool> = GucSetting::<bool>::new(true);
/// What the design is measured for on two cores.
static MAX_RUNNING_TRADERS: GucSetting<i32> = GucSetting::<i32>::new(1_000);
/// A million nodes times symbols take some milliseconds at a close: what everybody else can bear to wait for.
static PROMPT_COST: GucSetting<i32> = GucSetting::<i32>::new(1_000_000);
/// PostgREST's login role: in its sessions alone the JWT in a setting is proof of who speaks.
static JWT_LOGINS: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(Some(c"authenticator"));

/// Registers every setting and reserves the prefix, so that nobody can make up `vyx.` settings of his own.
pub fn define() {
    use GucContext::{Postmaster, Sighup};
    let text = |name, short, long, setting, context, check: pg_sys::GucStringCheckHook| {
        // SAFETY: the check hooks below are plain functions that cannot panic across the boundary: they are `pg_guard`ed.
        unsafe {
            GucRegistry::define_string_guc_with_hooks(
                name,
                short,
                long,
                setting,
                context,
                GucFlags::empty(),
                check,
                None,
                None,
            )
        }
    };
    let int = |name, short, long, setting, min, max, context, flags| {
        GucRegistry::define_int_guc(name, short, long, setting, min, max, context, flags)
    };
    text(c"vyx.database", c"Database in which vyx evaluates traders.", c"", &DATABASE, Postmaster, None);
    text(
        c"vyx.stream_url",
        c"WebSocket base address of the exchange.",
        c"wss://; plain ws:// only to loopback.",
        &STREAM_URL,
        Sighup,
        None,
    );
    text(
        c"vyx.rest_url",
        c"HTTP base address of the exchange.",
        c"https://; plain http:// only to loopback.",
        &REST_URL,
        Sighup,
        None,
    );
    text(
        c"vyx.symbols",
        c"Symbols to track, separated by commas.",
        c"Empty: every pair in trade against one of vyx.quote_assets.",
        &SYMBOLS,
        Sighup,
        Some(check_symbols),
    );
    text(
        c"vyx.quote_assets",
        c"Quote assets whose pairs are tracked, separated by commas.",
        c"",
        &QUOTE_ASSETS,
        Sighup,
        Some(check_symbols),
    );
    text(
        c"vyx.exclude_symbols",
        c"Symbols never tracked, separated by commas.",
        c"",
        &EXCLUDE_SYMBOLS,
        Sighup,
        Some(check_symbols),
    );
    text(
        c"vyx.intervals",
        c"Intervals to track, separated by commas.",
        c"Memory is reserved at server start, for as many as are named then or vyx.max_intervals says.",
        &INTERVALS,
        Sighup,
        Some(check_intervals),
    );
    int(
        c"vyx.max_intervals",
        c"Most intervals tracked at once.",
        c"0 means as many as vyx.intervals names at server start.",
        &MAX_INTERVALS,
        0,
        Interval::ALL.len() as i32,
        Postmaster,
        GucFlags::empty(),
    );
    int(
        c"vyx.snapshot_interval",
        c"How often what has changed is written to the snapshot file.",
        c"The next server start has its klines from there. 0 writes and reads none.",
        &SNAPSHOT_INTERVAL,
        0,
        86_400,
        Sighup,
        GucFlags::UNIT_S,
    );
    int(
        c"vyx.rotate_after",
        c"A connection of this age is replaced by a new one.",
        c"The exchange cuts connections after 24 hours.",
        &ROTATE_AFTER,
        10,
        86_400,
        Sighup,
        GucFlags::UNIT_S,
    );
    int(
        c"vyx.symbol_grace",
        c"How long a symbol is kept after the exchange has stopped trading it.",
        c"",
        &SYMBOL_GRACE,
        0,
        2_592_000,
        Sighup,
        GucFlags::UNIT_S,
    );
    int(
        c"vyx.max_symbols",
        c"Most symbols tracked at once.",
        c"Memory is reserved for them at server start.",
        &MAX_SYMBOLS,
        1,
        4_096,
        Postmaster,
        GucFlags::empty(),
    );
    int(
        c"vyx.ring_size",
        c"Klines held in memory for each series.",
        c"0 means 2,048 for 1m and 1,536 for other intervals, which traders' history needs. Less serves readers only.",
        &RING_SIZE,
        0,
        65_536,
        Postmaster,
        GucFlags::empty(),
    );
    int(
        c"vyx.stale_after",
        c"A connection without any frame for so long is dead.",
        c"",
        &STALE_AFTER,
        5,
        3_600,
        Sighup,
        GucFlags::UNIT_S,
    );
    int(
        c"vyx.close_grace",
        c"How long an evaluation waits for another symbol's data.",
        c"",
        &CLOSE_GRACE,
        100,
        1_800_000,
        Sighup,
        GucFlags::UNIT_MS,
    );
    int(
        c"vyx.symbol_refresh",
        c"How often the exchange's list of symbols is read.",
        c"",
        &SYMBOL_REFRESH,
        10,
        86_400,
        Sighup,
        GucFlags::UNIT_S,
    );
    int(
        c"vyx.weight_budget",
        c"Request weight a minute that vyx allows itself.",
        c"The exchange's limit for an address is 6,000.",
        &WEIGHT_BUDGET,
        100,
        6_000,
        Sighup,
        GucFlags::empty(),
    );
    GucRegistry::define_bool_guc(
        c"vyx.evaluate_worker",
        c"Whether the worker \"vyx evaluate\" evaluates traders.",
        c"Off, they are evaluated by CALL vyx_evaluate() alone.",
        &EVALUATE_WORKER,
        Sighup,
        GucFlags::empty(),
    );
    int(
        c"vyx.max_running_traders",
        c"Most running traders, all tenants together.",
        c"",
        &MAX_RUNNING_TRADERS,
        0,
        100_000,
        Sighup,
        GucFlags::empty(),
    );
    int(
        c"vyx.prompt_cost",
        c"How much of a tenant's traders is evaluated promptly, in nodes times symbols at a close.",
        c"Traders that are started beyond that are evaluated after everybody else's.",
        &PROMPT_COST,
        0,
        i32::MAX,
        Sighup,
        GucFlags::empty(),
    );
    text(
        c"vyx.jwt_logins",
        c"Login roles whose sessions prove their user by request.jwt.claims.",
        c"Separated by commas. Any session can set that variable, so list only roles that PostgREST alone logs in as.",
        &JWT_LOGINS,
        Sighup,
        None,
    );
    // SAFETY: a constant, NUL-terminated name; called once, while libraries are preloaded.
    unsafe { pg_sys::MarkGUCPrefixReserved(c"vyx".as_ptr()) }
}

fn string(setting: &'static GucSetting<Option<CString>>) -> String {
    setting.get().map(|text| text.to_string_lossy().into_owned()).unwrap_or_default()
}

/// The non-empty, trimmed parts of a comma-separated list.
fn parts(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty())
}

fn symbol_list(text: &str) -> Result<Vec<Symbol>, String> {
    parts(text).map(|part| Symbol::new(part).map_err(|why| format!("\"{part}\": {why}"))).collect()
}

fn interval_list(text: &str) -> Result<Vec<Interval>, String> {
    let mut list: Vec<Interval> = parts(text)
        .map(|part| part.parse().map_err(|why: vyx_core::interval::UnknownInterval| why.to_string()))
        .collect::<Result<_, _>>()?;
    list.sort();
    list.dedup();
    if list.is_empty() { Err("at least one interval is needed".into()) } else { Ok(list) }
}

/// The checks refuse a bad list when it is set, so that the accessors below never meet one.
#[pgrx::pg_guard]
unsafe extern "C-unwind" fn check_symbols(
    value: *mut *mut c_char,
    _extra: *mut *mut c_void,
    _source: pg_sys::GucSource::Type,
) -> bool {
    // SAFETY: Postgres hands its check hooks a valid pointer to the proposed value.
    unsafe { check(value, |text| symbol_list(text).map(drop)) }
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn check_intervals(
    value: *mut *mut c_char,
    _extra: *mut *mut c_void,
    _source: pg_sys::GucSource::Type,
) -> bool {
    // SAFETY: as above.
    unsafe { check(value, |text| interval_list(text).map(drop)) }
}

/// # Safety
/// `value` is what Postgres gave a string check hook.
unsafe fn check(value: *mut *mut c_char, valid: impl Fn(&str) -> Result<(), String>) -> bool {
    // SAFETY: by this function's contract `value` points at a pointer that is null or NUL-terminated.
    let text = unsafe {
        if (*value).is_null() {
            return true;
        }
        CStr::from_ptr(*value).to_string_lossy().into_owned()
    };
    let Err(why) = valid(&text) else { return true };
    let why = CString::new(why.replace('\0', "")).unwrap_or_default();
    // SAFETY: the detail must be palloc'd text; Postgres prints it after the hook's refusal.
    unsafe { pg_sys::GUC_check_errdetail_string = pg_sys::pstrdup(why.as_ptr()) };
    false
}

pub fn database() -> String {
    string(&DATABASE)
}

/// The settings of the feed, read anew at each reload.
pub fn feed() -> vyx_feed::Settings {
    let symbols = symbol_list(&string(&SYMBOLS)).unwrap_or_default();
    vyx_feed::Settings {
        stream_url: string(&STREAM_URL),
        rest_url: string(&REST_URL),
        symbols: (!symbols.is_empty()).then_some(symbols),
        quote_assets: symbol_list(&string(&QUOTE_ASSETS)).unwrap_or_default(),
        exclude_symbols: symbol_list(&string(&EXCLUDE_SYMBOLS)).unwrap_or_default(),
        intervals: intervals(),
        max_symbols: MAX_SYMBOLS.get() as usize,
        stale_after: seconds(&STALE_AFTER),
        rotate_after: seconds(&ROTATE_AFTER),
        symbol_grace: seconds(&SYMBOL_GRACE),
        refresh_symbols_after: seconds(&SYMBOL_REFRESH),
        weight_budget_per_minute: WEIGHT_BUDGET.get() as u32,
    }
}

fn seconds(setting: &'static GucSetting<i32>) -> Duration {
    Duration::from_secs(setting.get().max(0) as u64)
}

pub fn close_grace() -> Duration {
    Duration::from_millis(CLOSE_GRACE.get().max(0) as u64)
}

pub fn evaluate_worker() -> bool {
    EVALUATE_WORKER.get()
}

/// As it is set: a list, separated by commas.
pub fn jwt_logins() -> String {
    string(&JWT_LOGINS)
}

/// Tracked intervals, shortest first.
pub fn intervals() -> Vec<Interval> {
    interval_list(&string(&INTERVALS)).unwrap_or_default()
}

/// The intervals that the settings ask for, each with the ring slots of its series.
pub fn rings() -> Vec<(Interval, u32)> {
    let slots = |interval| match RING_SIZE.get() {
        0 => Shape::default_slots(interval),
        size => size as u32,
    };
    intervals().into_iter().map(|interval| (interval, slots(interval))).collect()
}

/// What shared memory is laid out for.
///
/// # Errors
/// In words, where the settings ask for more than a store can be.
pub fn shape() -> Result<Shape, String> {
    let spare = if RING_SIZE.get() == 0 { DEFAULT_SLOTS } else { RING_SIZE.get() as u32 };
    Shape::new(MAX_SYMBOLS.get() as u32, &rings())
        .and_then(|shape| shape.with_places(MAX_INTERVALS.get() as usize, spare))
        .map_err(|why| why.to_string())
}

/// How often the snapshot is written; zero: never.
pub fn snapshot_interval() -> Duration {
    seconds(&SNAPSHOT_INTERVAL)
}
