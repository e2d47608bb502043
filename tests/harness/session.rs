//! A session that waits for each answer, so that tests read from top to bottom.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::runtime::{Builder, Runtime};
use tokio_postgres::error::DbError;
use tokio_postgres::types::{FromSqlOwned, ToSql};
use tokio_postgres::{AsyncMessage, Client, Config, Error, NoTls, Row};

pub type Params<'a> = &'a [&'a (dyn ToSql + Sync)];

pub struct Session {
    // Dropped first, so that the connection's task sees it and says goodbye while the runtime lives.
    client: Client,
    /// The connection works in it while a call waits.
    runtime: Runtime,
    notices: Arc<Mutex<Vec<DbError>>>,
}

impl Session {
    pub fn connect(socket: &Path, database: &str) -> Result<Session, Error> {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime can be made");
        let mut config = Config::new();
        config.host_path(socket).port(5432).user("postgres").dbname(database).application_name("e2e");
        let notices = Arc::new(Mutex::new(Vec::new()));
        let kept = notices.clone();
        let client = runtime.block_on(async {
            let (client, mut connection) = config.connect(NoTls).await?;
            tokio::spawn(async move {
                // An error of the connection is also the error of the call that waits.
                while let Some(Ok(message)) = std::future::poll_fn(|cx| connection.poll_message(cx)).await {
                    if let AsyncMessage::Notice(notice) = message {
                        kept.lock().unwrap_or_else(PoisonError::into_inner).push(notice);
                    }
                }
            });
            Ok::<_, Error>(client)
        })?;
        Ok(Session { client, runtime, notices })
    }

    pub fn try_rows(&self, sql: &str, params: Params) -> Result<Vec<Row>, Error> {
        self.runtime.block_on(self.client.query(sql, params))
    }

    #[track_caller]
    pub fn rows(&self, sql: &str, params: Params) -> Vec<Row> {
        self.try_rows(sql, params).unwrap_or_else(|error| panic!("{sql}\n{}", words(&error)))
    }

    /// The first column of the only row.
    #[track_caller]
    pub fn one<T: FromSqlOwned>(&self, sql: &str, params: Params) -> T {
        let rows = self.rows(sql, params);
        assert_eq!(rows.len(), 1, "{sql}");
        rows[0].get(0)
    }

    /// Runs statements without parameters, of any kind.
    pub fn try_run(&self, sql: &str) -> Result<(), Error> {
        self.runtime.block_on(self.client.batch_execute(sql))
    }

    #[track_caller]
    pub fn run(&self, sql: &str) {
        self.try_run(sql).unwrap_or_else(|error| panic!("{sql}\n{}", words(&error)));
    }

    /// Changes settings and has them read again.
    #[track_caller]
    pub fn reload(&self, settings: &[(&str, &str)]) {
        for (name, value) in settings {
            self.run(&format!("ALTER SYSTEM SET {name} = '{value}'"));
        }
        self.run("SELECT pg_reload_conf()");
    }

    /// Why the server refuses a statement.
    ///
    /// # Panics
    /// If it does not.
    #[track_caller]
    pub fn refusal(&self, sql: &str) -> DbError {
        match self.try_run(sql) {
            Ok(()) => panic!("not refused: {sql}"),
            Err(error) => error.as_db_error().unwrap_or_else(|| panic!("{sql}\n{error}")).clone(),
        }
    }

    /// A statement is refused with this SQLSTATE, in words that hold each of these, and with advice.
    #[track_caller]
    pub fn refuses(&self, sqlstate: &str, words: &[&str], sql: &str) {
        let error = self.refusal(sql);
        assert_eq!(error.code().code(), sqlstate, "{sql}\n{error:?}");
        let text = format!("{}\n{}\n{}", error.message(), error.detail().unwrap_or(""), error.hint().unwrap_or(""));
        for word in words {
            assert!(text.contains(word), "\"{word}\" is not said of {sql}\n{text}");
        }
    }

    /// The notices since the last call.
    pub fn notices(&self) -> Vec<DbError> {
        std::mem::take(&mut *self.notices.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Has a process of the server for which there is no other door ended as an administrator would.
    #[track_caller]
    pub fn terminate(&self, pid: i32) {
        let _: bool = self.one("SELECT pg_terminate_backend($1)", &[&pid]);
    }
}

/// An error with all that the server said.
fn words(error: &Error) -> String {
    match error.as_db_error() {
        Some(said) => format!(
            "{}: {}\n{}\n{}",
            said.code().code(),
            said.message(),
            said.detail().unwrap_or(""),
            said.hint().unwrap_or("")
        ),
        None => error.to_string(),
    }
}

/// Milliseconds since 1970.
pub fn millis(time: SystemTime) -> i64 {
    time.duration_since(UNIX_EPOCH).expect("the market is younger than 1970").as_millis() as i64
}
